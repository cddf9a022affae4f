"""Whether a text that has the form of a secret is one: entropy, placeholders, words of a programming language."""

import re
from base64 import b64decode
from collections.abc import Callable
from itertools import pairwise
from math import log2

type_words = frozenset(
    b"string str bytes bool boolean integer number object undefined required optional password passwd secret token "
    b"none null true false "
    b"default disabled enabled unknown missing invalid expired incorrect redacted hidden masked "
    b"placeholder value "
    b"text varchar char example sample dummy empty yourpassword yoursecret yourtoken mypassword username".split()
)
_PLACEHOLDER = re.compile(
    rb"(?i)(?:[x*.\-_0#?]+$|[<$\[]|\{\{|%.{1,40}%?$|(?:your|my|insert|replace|enter|change|put|some|fake|dummy)[ _-])"
)
_PLACEHOLDER_INSIDE = re.compile(rb"(?i)[x*#]{6}|redacted|placeholder|your[_-]|\.\.\.$")
_CODE = re.compile(
    rb"^(?:\(.*|(?:self|this|os|process|request|req|config|settings|args|options|opts|ctx|env|secrets|vars|params|data|var|local|module|std|response|res)"
    rb"[.\[].*|[A-Za-z_][\w.]*[\[(].*|[A-Za-z_]\w*(?:::|->)[A-Za-z_].*|await .*|new .*|function.*|lambda .*)$",
    re.DOTALL,
)
_DOTTED = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_NAME = re.compile(rb"[\w\-. ]*")
_HARMLESS_ENDINGS = (
    b"id",
    b"ids",
    b"name",
    b"names",
    b"url",
    b"uri",
    b"source",
    b"length",
    b"size",
    b"path",
    b"file",
    b"type",
    b"count",
    b"version",
    b"endpoint",
    b"expiry",
    b"chars",
    b"results",
    b"host",
)
_HARMLESS_BEGINNINGS = (b"keyword", b"keys", b"author", b"keyframe", b"authority", b"keyboard", b"keyvault")
_MEASURED_BYTES = 128
_SHORTEST_RUN = 3
_DIGITS = b"0123456789"
_KEY_LINE = re.compile(rb"[A-Za-z0-9+/=]{16}")
_WORDS = re.compile(rb"[\-_./: ]")
_WORD = re.compile(rb"(?:[A-Za-z]{1,14}\d{0,5}|\d{1,12})?")
_IDENTIFIER = re.compile(rb"[A-Za-z_]+(?:[._\-/ ][A-Za-z_]+)*[?!:;,.)\]]*")
_SPACED = frozenset(b" \t,\"'")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")
_PLACES = (b"/", b"./", b"~/", b"{", b"http://", b"https://", b"arn:")
_LISTED = re.compile(rb"[\w.\-/ ]*")
_HEX = re.compile(rb"[0-9a-f]{32,128}|[0-9A-F]{32,128}")
_TYPE_NAME = re.compile(
    rb"[A-Za-z_][\w.]*(?:Key|Token|Provider|Secret|Credential|Password|Material|Type|Config)s?[,;:)]*"
)
_FILE = re.compile(rb"[\w@.+\-]+(?:/[\w@.+\-]+)+\.[a-z]{1,5}")
_VERSION = re.compile(rb"\d+(?:\.\d+)+(?:-(?:\d+(?:\.\d+)*)?)?")
_CASE_CHANGE = re.compile(rb"[a-z](?=[A-Z])|[A-Z](?=[a-z])")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ENCODED = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|password=[^\s]{6}"
    rb"|(?:gh[opusr]_|github_pat_|glpat-|AKIA|ASIA|sk-ant-|sk_live_|xox[abp]-|npm_)[A-Za-z0-9_\-]{12}"
    rb"|(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis)://[^\s:@/]{0,64}:[^\s@/]{3,256}@"
)
_FLAG = re.compile(rb"--?[A-Za-z][\w-]{0,30}")
_KEY_BLOCK = re.compile(rb"KEY(?: BLOCK)?-----[^-]{16,}-----END ")

Judge = Callable[[bytes, bytes], bool]
"""(name, secret) -> is it a secret? `name` is what stands between the anchor and the secret."""


def _digits(secret: bytes) -> int:
    return len(secret) - len(secret.translate(None, _DIGITS))


def entropy(secret: bytes) -> float:
    """Return the Shannon entropy of the first 128 bytes of `secret` in bits a byte: from 0 to 7."""
    secret = secret[:_MEASURED_BYTES]
    length = len(secret)
    counts = [secret.count(byte) for byte in set(secret)]
    return log2(length) - sum([count * log2(count) for count in counts if count > 1]) / length if length else 0.0


def is_varied(secret: bytes, least: float) -> bool:
    """Tell whether the entropy of `secret` is at least `least`; quick where it has too few different bytes."""
    return least <= 0 or (len(set(secret[:_MEASURED_BYTES])) >= 2**least and entropy(secret) >= least)


def not_a_placeholder(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` is more than `xxxx`, `<token>`, `${TOKEN}`, `***` and the like."""
    tail = secret[-12:]
    return len(set(tail)) > 2 or len(set(secret)) > 5 or (len(set(secret)) > 1 and tail.strip(b"xX*.0-_#") != b"")


def has_random_part(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` has at least six digits, and in a token of a bot or a user more than ids.

    Before it stand the ids of the team and of the user, without which it opens nothing.
    """
    if secret[3:4] in (b"b", b"p") and not any(
        len(part) >= 8 and not part.isdigit() for part in secret.split(b"-")[1:]
    ):
        return False
    return not_a_placeholder(_name, secret) and _digits(secret) >= 6


def not_worded(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` is neither a placeholder nor words and small numbers between dashes."""
    return not_a_placeholder(_name, secret) and not _is_worded(secret)


def not_counted(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` is no example as `abcdef-123456` is: most of it is no run of the alphabet."""
    text = secret.lower()
    in_runs = length = 0
    for before, after in pairwise(text + b"\0"):
        length += 1
        if after != before + 1:
            in_runs += length if length >= _SHORTEST_RUN else 0
            length = 0
    return in_runs * 2 < len(secret)


def is_issued(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret`, of an issuer's form, is no word: it has digits, or its owner masked it with `x`."""
    return (_digits(secret[3:]) >= 2 and entropy(secret) >= 2.8) or secret.endswith(b"x" * 8)


def is_opaque(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` looks random: letters and digits mixed, no placeholder, no code, no path."""
    return _is_mixed_up(secret) and is_given(name, secret) and not _is_place(secret)


def _is_mixed_up(secret: bytes) -> bool:
    """Tell whether `secret` has digits, or many letters, or letters that change between cases: no word does."""
    return _digits(secret) > 0 or is_varied(secret, 4.2) or _is_scrambled(secret)


def _is_scrambled(secret: bytes) -> bool:
    """Tell whether `secret` is letters that change between upper and lower case more often than words do."""
    secret = secret.rstrip(b"=")
    changes = len(_CASE_CHANGE.findall(secret))
    return len(secret) >= 16 and secret.isalpha() and changes * 20 >= len(secret) * 9


def is_encoded(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` is base64 of a token, a private key, or an address with a password."""
    text = secret.rstrip(b"=").translate(_FROM_URL_SAFE)
    text = text[: len(text) // 4 * 4] if len(text) % 4 == 1 else text + b"=" * (-len(text) % 4)
    return _ENCODED.match(b64decode(text)) is not None


def _is_place(secret: bytes) -> bool:
    """Tell whether `secret` is a path or an address. A key in base64 may begin with a slash too."""
    if _FILE.fullmatch(secret):
        return True
    if not secret.startswith(_PLACES):
        return False
    return not (_BASE64.fullmatch(secret) and any(_is_mixed(part) for part in secret.split(b"/")))


def _is_mixed(part: bytes) -> bool:
    return (
        len(part) >= 10 and part.upper() != part and part.lower() != part and _digits(part) > 0 and entropy(part) >= 3
    )


def _is_long(part: bytes) -> bool:
    return len(part) >= 20 and _digits(part) >= 3 and _is_mixed(part)


def is_key(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret`, which begins with the header of a key, has a line of one after it, or text and an end."""
    begun = secret.find(b"KEY")
    return _KEY_LINE.search(secret, begun + 3) is not None or _KEY_BLOCK.match(secret, begun) is not None


def is_key_text(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` has a line of a key."""
    return _KEY_LINE.search(secret) is not None


def is_given(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` is a value rather than a placeholder, a variable, a call or a type."""
    if _TYPE_NAME.fullmatch(secret) or secret.endswith(b"EXAMPLE"):  # as the keys in the manuals of Amazon do
        return False
    if _DOTTED.fullmatch(secret) and _digits(secret) * 8 < len(secret) and not any(map(_is_long, secret.split(b"."))):
        return False
    return is_literal(name, secret)


def is_literal(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` is no placeholder, no variable, no call and no type; dotted names are taken for values."""
    return _is_written(secret) and secret.lower().strip(b"\"'.,;:!?)") not in type_words


def _is_written(secret: bytes) -> bool:
    """Tell whether `secret` stands there by itself: no `<placeholder>`, no variable, no call."""
    if _PLACEHOLDER.match(secret) or _PLACEHOLDER_INSIDE.search(secret) or _FLAG.fullmatch(secret):
        return False
    return len(set(secret)) > 2 and not (_CODE.match(secret) and not _is_noise(secret))


def _is_noise(secret: bytes) -> bool:
    """Tell whether `secret` is long, without spaces and quotes, and too mixed for a call: a key may hold a bracket."""
    return (
        len(secret) >= 32 and not set(secret) & _SPACED and _digits(secret) >= 2 and secret.count(b".") < 2
        and entropy(secret) >= 4.2 and not secret.endswith((b")", b"]"))
    )  # fmt: skip


def is_chosen(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` may be a password that a person chose: given, and not just words."""
    if not is_given(name, secret) or (b"," in name and _LISTED.fullmatch(secret) and not is_random(b"", secret)):
        return False
    if not _IDENTIFIER.fullmatch(secret):
        return True
    return name.rstrip(b" \t")[-1:] in b"\"'`" or (name.endswith(b"=") and name[:-1].isupper())


def is_password(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` may be a chosen password and is no path and no address."""
    is_place = secret.startswith((b"/", b"~/", b"http://", b"https://"))
    return is_chosen(name, secret) and not is_place and not _VERSION.fullmatch(secret)


def is_credential(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret`, a pair `user:password`, has a password rather than a group id or a word of a manual."""
    user, _, password = secret.partition(b":")
    user, password = user.strip(b"\"'"), password.strip(b"\"'")
    if not password:
        return is_opaque(name, user) and _digits(user) > 1
    return is_given(name, password) and not password.isdigit() and password not in (b"pass", b"test", b"pwd")


def is_in_address(_name: bytes, secret: bytes) -> bool:
    """Tell whether `secret`, a password or a pair `user:password`, is given in an address.

    There even `password` is one: many a database is reached by it. In manuals it is `pass`.
    """
    password = secret.partition(b":")[2] or secret
    return _is_written(secret) and _is_written(password) and password != b"pass"


def is_assigned(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` looks random and `name` does not end like that of an identifier, a size or a place."""
    if not _is_mixed_up(secret) or _is_worded(secret):  # first, since it is quick and few are
        return False
    named = _NAME.match(name)
    return is_opaque(name, secret) and not (
        named is not None and named[0].lower().rstrip(b" _-.").endswith(_HARMLESS_ENDINGS)
    )


def is_random(name: bytes, secret: bytes) -> bool:
    """Tell whether `secret` looks random enough to be a key although its name only ends in `key`."""
    return (
        is_assigned(name, secret)
        and not name.lower().startswith(_HARMLESS_BEGINNINGS)
        and (_digits(secret) >= 2 or _is_scrambled(secret))
        and b" " not in secret
        and not secret.startswith((b"-", b"."))
        and (entropy(secret) >= 3.4 or _HEX.fullmatch(secret) is not None)
    )


def _is_worded(secret: bytes) -> bool:
    """Tell whether `secret` is made of words and small numbers, as in `linux-x64-node-modules`."""
    parts = _WORDS.split(secret)
    return len(parts) > 1 and all(_WORD.fullmatch(part) for part in parts)
