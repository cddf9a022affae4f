"""Labelled secrets in other notations and with other letters: what stands in for texts that nobody has seen.

A letter becomes another of its kind (upper, lower, hex, digit); what an issuer's prefix may be stays.
"""

import random
from collections.abc import Iterable, Iterator
from string import ascii_lowercase, ascii_uppercase, digits

from measuring import Labelled

_NOTATIONS = (
    '{i}Token="{s}"',
    '{i}Token = "{s}"',
    "{i}Token={s}",
    "{i}Token = {s}",
    "{i}Token = '{s}'",
    '{{\n    "{i}_token": "{s}"\n}}',
    '{{"config.ini": "{I}_TOKEN={s}\\nBACKUP_ENABLED=true"}}',
    "<{i}Token>{s}</{i}Token>",
    "<{i}Token>\n    {s}\n</{i}Token>",
    "{i}_token: {s}",
    "{i}_token: '{s}'",
    '{i}_token: "{s}"',
    'string {i}Token = "{s}";',
    'String {i}Token = "{s}";',
    'const {i}Token = "{s}";',
    'let {i}Token: String = "{s}"',
    'var {i}Token string = "{s}"',
    '{i}Token := "{s}"',
    "{i}Token := `{s}`",
    '${i}Token .= "{s}"',
    '{I}_TOKEN = "{s}"',
    '{I}_TOKEN := "{s}"',
    '{I}_TOKEN ::= "{s}"',
    '{I}_TOKEN :::= "{s}"',
    '{I}_TOKEN ?= "{s}"',
    "{I}_TOKEN='{s}'",
    "export {I}_TOKEN={s}",
    'System.setProperty("{I}_TOKEN", "{s}")',
    '  "{i}_token" => "{s}"',
    '  "{i}Token" = "{s}"',
    "{i}.api.token={s}",
    "- {i}_api_key: {s}",
    '{i}_key = "{s}"',
    "{i}-secret: {s}",
    "env: {I}_SECRET={s} ./run",
    '"{i}ApiKey": "{s}",',
)
_NOT_ALONE = ("ip_public", "basic_auth", "twilio", "private", "curl-auth", "generic-api-key")
_AROUND = " '\"=:\n"
_KEPT = 12  # characters of a prefix, but no more than a third
_SHORTEST = 12
EACH = 4


def renotated(texts: Iterable[Labelled], seed: int) -> Iterator[Labelled]:
    """Yield each secret that can stand alone in some other notations, and with other letters in its own text."""
    chosen = random.Random(seed)
    for one in texts:
        secret = one.text[one.start : one.end].strip(_AROUND)
        if not one.is_secret or one.kind.startswith(_NOT_ALONE) or "\n" in secret or len(secret) < _SHORTEST:
            continue
        issuer = one.kind.partition("-")[0]
        for notation in chosen.sample(_NOTATIONS, EACH):
            yield _placed(one.kind, notation.format(i=issuer, I=issuer.upper(), s=secret), secret)
        other = _with_other_letters(secret, chosen)
        yield _placed(one.kind, one.text.replace(secret, other), other)


def _placed(kind: str, text: str, secret: str) -> Labelled:
    start = text.index(secret)
    return Labelled(text, kind, is_secret=True, start=start, end=start + len(secret))


def _with_other_letters(secret: str, chosen: random.Random) -> str:
    kept = min(_KEPT, len(secret) // 3)
    return secret[:kept] + "".join(_another(letter, chosen) for letter in secret[kept:])


def _another(letter: str, chosen: random.Random) -> str:
    for kind in (digits, "abcdef", ascii_lowercase, "ABCDEF", ascii_uppercase):
        if letter in kind:
            return chosen.choice(kind)
    return letter
