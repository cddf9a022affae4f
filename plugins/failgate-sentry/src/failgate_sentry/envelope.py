"""An envelope taken apart: a header, then items, each a header and a payload.

An item's payload has the `length` of its header; without one it ends at the next newline. Newlines are LF.
Source: develop.sentry.dev, SDK development, "Envelopes".
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec

from failgate.plugin import TooLarge, Unprocessable

MOST_ITEMS = 100
LARGEST_HEADER = 64 * 1024


class Item(NamedTuple):
    """An item: its header and its payload."""

    header: dict[str, Any]
    payload: bytes

    @property
    def kind(self) -> str:
        """Return its `type`."""
        return text_of(self.header.get("type"))


class Envelope(NamedTuple):
    """An envelope: its header and its items."""

    header: dict[str, Any]
    items: Sequence[Item]


def parse_envelope(document: bytes) -> Envelope:
    """Return the parts of `document`.

    Raises: Unprocessable naming the item, TooLarge (more than 100 items).
    """
    at = 0
    header, at = _header(document, at, "The header of the envelope")
    items: list[Item] = []
    while at < len(document):
        if document[at : at + 1] == b"\n":
            at += 1
            continue
        if len(items) == MOST_ITEMS:
            raise TooLarge(f"The envelope has more than {MOST_ITEMS} items.", hint="Send them in several.")
        where = f"Item {len(items) + 1} of the envelope"
        item, at = _header(document, at, f"{where}: its header")
        if not text_of(item.get("type")):
            raise _refused(where, "has no type")
        payload, at = _payload(document, at, item.get("length"), where)
        items.append(Item(item, payload))
    if not header and not items:
        raise _refused("The envelope", "is empty")
    return Envelope(header, items)


def json_object(content: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object that `content` is. Raises: Unprocessable."""
    try:
        value: object = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(where, "is no JSON") from error
    if not isinstance(value, dict):
        raise _refused(where, "is no JSON object")
    return cast("dict[str, Any]", value)


def text_of(value: object) -> str:
    """Return `value` as text; empty for what is none."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else ""


def _header(document: bytes, at: int, where: str) -> tuple[dict[str, Any], int]:
    end = document.find(b"\n", at, at + LARGEST_HEADER)
    if end < 0:
        end = len(document)
    if end - at >= LARGEST_HEADER:
        raise _refused(where, f"is longer than {LARGEST_HEADER} bytes")
    return json_object(document[at:end], where), end + 1


def _payload(document: bytes, at: int, length: object, where: str) -> tuple[bytes, int]:
    if length is None:
        end = document.find(b"\n", at)
        end = len(document) if end < 0 else end
        return document[at:end], end + 1
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise _refused(where, "has a length that is no number of bytes")
    end = at + length
    if end > len(document) or document[end : end + 1] not in {b"", b"\n"}:
        raise _refused(where, "does not end where its length says")
    return document[at:end], end + 1


def _refused(where: str, what: str) -> Unprocessable:
    return Unprocessable(f"{where} {what}.", hint="Send it as Sentry's envelopes are written.")
