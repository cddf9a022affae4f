"""The values of this process's sensitive variables, in every spelling in which they may turn up."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

_PARTS = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "token tokens secret secrets password passwd passphrase pass pwd key keys apikey credential credentials "
        "creds auth dsn accesskey secretkey privatekey authtoken pat jwt bearer cookie webhook"
    ).split()
)
_ENDINGS = (
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "accesskey",
    "secretkey",
    "credentials",
    "credential",
    "passphrase",
)
_HARMLESS_LAST = frozenset(
    [
        "file",
        "path",
        "dir",
        "directory",
        "sock",
        "socket",
        "name",
        "id",
        "type",
        "url",
        "uri",
        "host",
        "port",
        "user",
        "length",
        "ttl",
        "algorithm",
    ]
)
_EXACT = frozenset(["PWD", "OLDPWD", "SSH_AUTH_SOCK", "KEYMAP", "XAUTHORITY", "GPG_KEY"])
_DOT_NET = frozenset("<>&+'`\"")
LEAST = 8
"""Shorter values would redact half of every text."""


def is_sensitive_name(name: str) -> bool:
    """Tell whether the variable `name` says that its value is a secret (`API_TOKEN`, `dbPassword`)."""
    if name in _EXACT:
        return False
    parts = name.lower().replace("-", "_").split("_")
    if parts[-1] in _HARMLESS_LAST:
        return False
    return any(part in _PARTS or part.endswith(_ENDINGS) for part in parts)


def environment_secrets(environment: Mapping[str, str]) -> dict[str, bytes]:
    """Return every spelling of the sensitive values of `environment`, each with the value that it stands for.

    Spellings: as it is, base64 (both alphabets, at each of the three alignments), hex, URL-encoded, escaped as JSON (as
    Python, PHP, Go and .NET write it, and within a text of JSON once more) or by `repr`. Space around a value, as a
    line end that came along from a file, is not part of it.
    """
    spellings: dict[str, bytes] = {}
    for name, given in environment.items():
        value = given.strip()
        if len(value) >= LEAST and is_sensitive_name(name) and not _is_a_path(name, value):
            secret = value.encode("utf-8", "surrogateescape")
            for spelling in _spellings(value, secret):
                if len(spelling) >= LEAST:
                    spellings.setdefault(spelling, secret)
    return spellings


def _is_a_path(name: str, value: str) -> bool:
    return value.startswith(("/", "~/")) and name.lower().endswith(("credentials", "key", "keys"))


def _spellings(value: str, secret: bytes) -> set[str]:
    safe = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    spellings = {safe, repr(safe)[1:-1], secret.hex(), secret.hex().upper(), *_in_json(safe)}
    encoded = quote(secret, safe="")
    spellings |= {encoded, quote_plus(secret), quote(secret), _lower_escapes(encoded)}
    for encode in (b64encode, urlsafe_b64encode):
        for shift in range(3):
            spellings.add(_stable_base64(encode(b"\0" * shift + secret).decode(), shift, len(secret)))
    return spellings


def _in_json(value: str) -> set[str]:
    """Return `value` as writers of JSON escape it: none has to escape more than RFC 8259 section 7 says, many do."""
    ascii_only, plain = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    return {
        ascii_only,
        plain,
        ascii_only.replace("/", "\\/"),  # PHP
        plain.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}),  # Go
        "".join(f"\\u{ord(sign):04X}" if sign in _DOT_NET else json.dumps(sign)[1:-1] for sign in value),
        json.dumps(ascii_only)[1:-1],
    }


def _stable_base64(text: str, shift: int, length: int) -> str:
    """Return the characters that the secret alone decides, wherever it stands in what was encoded."""
    first = (shift * 8 + 5) // 6
    last = (shift + length) * 8 // 6
    return text[first:last]


def _lower_escapes(text: str) -> str:
    pieces = text.split("%")
    return pieces[0] + "".join(f"%{piece[:2].lower()}{piece[2:]}" for piece in pieces[1:])
