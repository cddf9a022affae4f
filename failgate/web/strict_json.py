"""JSON as an interoperable, bounded subset: one meaning for every reader, and no input that costs more than its size.

Pure. What is refused here has two meanings (duplicate keys, NaN), none (text behind the value, broken UTF-8) or is an
attack on the stack (nesting). Source: RFC 8259 section 4 ("names SHOULD be unique") and RFC 7493 (I-JSON).
"""

import json
import math
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from failgate.base.errors import BadInput, TooLarge

MAX_DEPTH = 32
MAX_INTEGER_DIGITS = 4300  # more than that Python itself does not read
T = TypeVar("T")
_fast_decode = msgspec.json.Decoder().decode
_fast_encode = msgspec.json.Encoder().encode

# An unfinished string matches to the end: otherwise each of its escaped quotes starts a search of its own.
_NO_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[^"\[\]{}]+', re.DOTALL)
_ONE_KIND = str.maketrans("{}", "[]")
_MEMBER = re.compile(r" - at `\$\.?([^`]*)`")
_CHOICE = re.compile(r"\AInvalid enum value .*", re.DOTALL)  # which says the value, and that may be anything
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")


def decode(body: bytes | str, limit_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """Return the one value that `body` (UTF-8) holds, as dicts, lists, strings, numbers, booleans and None.

    Raises: TooLarge (more than `limit_bytes`); BadInput (empty, not UTF-8, a duplicate key, nesting over `max_depth`,
    NaN or Infinity, a number out of range, anything that is not JSON, text behind the value), naming the place.
    """
    if len(body) > limit_bytes:
        raise TooLarge(f"The body is larger than {limit_bytes} bytes.", hint="Send less, or upload an artifact.")
    text = _text(body)
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(text, max_depth)
    try:
        value = _fast_decode(text)
        if _fast_encode(value) == (body if isinstance(body, bytes) else body.encode()):
            return value  # written again it is the same text, so no key stood twice and nothing was left out
    except (msgspec.MsgspecError, UnicodeEncodeError):
        pass  # below, the error names the place
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise _too_deep(max_depth) from None


def convert(value: Any, kind: type[T]) -> T:
    """Return the decoded JSON `value` as `kind`, without any leniency: "1" is no number.

    Raises: BadInput, whose fact `member` names the place as a dotted path.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _bad_member(str(error)) from None
    except UnicodeEncodeError:
        raise BadInput("A member holds half a character (a lone surrogate).", hint="Send whole characters.") from None


def _text(body: bytes | str) -> str:
    if isinstance(body, str):
        text = body
    else:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"The body is not UTF-8: byte {error.start}.", hint="Send JSON as UTF-8.") from None
    if not text or text.isspace():
        raise BadInput("The body is empty.", hint="Send one JSON value.")
    if text[0] == "\ufeff":
        raise BadInput("The body begins with a byte order mark.", hint="Send UTF-8 without it.")
    return text


def _check_depth(text: str, max_depth: int) -> None:
    """Refuse nesting over `max_depth`; what is no JSON otherwise is left to the decoder.

    The innermost pairs of brackets are taken away together, once for each level that is allowed: a body of a million
    small values costs no walk through them.
    """
    brackets = _NO_BRACKETS.sub("", text).translate(_ONE_KIND)
    for _ in range(max_depth):
        if not brackets:
            return
        brackets = brackets.replace("[]", "")
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == "[" else -1
        if depth > max_depth:
            raise _too_deep(max_depth)
        if depth < 0:
            return
    if brackets and depth == 0:
        raise _too_deep(max_depth)  # nothing but pairs was left


def _too_deep(max_depth: int) -> BadInput:
    return BadInput(f"The body is nested more than {max_depth} levels deep.", hint="Flatten it.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise BadInput(f"The key {name[:100]!r} stands twice in one object.", hint="Keep one.", member=name[:100])
        seen.add(name)
    raise AssertionError


def _constant(name: str) -> NoReturn:
    raise BadInput(f"The body holds {name}, which is not JSON.", hint="Send a number or null.")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise BadInput(f"The body holds an integer of {len(digits)} digits.", hint="Send it as text.")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise BadInput(f"The number {digits[:40]} is out of range.", hint="Send it as text.")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_int=_integer, parse_float=_float, strict=True
)


def _bad_member(message: str) -> BadInput:
    place = _MEMBER.search(message)
    path = place.group(1) if place else ""
    problem = _CHOICE.sub("It is none of the values that are known", _MEMBER.sub("", message))
    for pattern, sentence in ((_UNKNOWN, "is not known"), (_MISSING, "is missing")):
        if found := pattern.search(problem):
            path = f"{path}.{found.group(1)}" if path else found.group(1)
            return BadInput(f"The member {path!r} {sentence}.", member=path)
    if not path:
        return BadInput(f"The body does not fit: {problem}.")
    return BadInput(f"The member {path!r} does not fit: {problem[0].lower()}{problem[1:]}.", member=path)
