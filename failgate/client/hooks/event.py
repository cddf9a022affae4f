"""What an agent program tells its hook on standard input: one JSON object. Read within a limit of size and of time."""

from __future__ import annotations

import os
import time

from failgate.base.quick import NamedTuple, cast, loads
from failgate.client.exits import USAGE, ClientError
from failgate.client.messages import inert

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import Any

LARGEST_BYTES = 16 * 1024 * 1024
_READ_SECONDS = 10.0
_PIECE = 1 << 16
_TAIL_BYTES = 1 << 16
_MODEL = b'"model":"'


class Unreadable(ClientError):
    """What came on standard input is no event that a hook can judge; the call is blocked."""

    slug = "unreadable"
    exit_code = USAGE


class Event(NamedTuple):
    """One event: `tool_input` is what the tool is called with, `raw` everything that came.

    `tool_use` names the call, the same before and after it; empty when the program names none.
    """

    name: str
    tool: str
    tool_input: dict[str, Any]
    cwd: str
    session: str
    tool_use: str
    raw: dict[str, Any]


def read_event(descriptor: int) -> Event:
    """Return the event that stands on `descriptor`.

    Raises: Unreadable (no end within 10 s, over 16 MiB, no JSON object, a member is missing or of another kind).
    """
    text = _read(descriptor)
    try:
        found: object = loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("Standard input holds no JSON.", hint="A hook is called by the agent program.") from None
    if not isinstance(found, dict):
        raise Unreadable("Standard input holds no JSON object.")
    raw = cast("dict[str, Any]", found)
    tool_input = raw.get("tool_input")
    if not isinstance(tool_input, dict):
        raise Unreadable("The event has no tool_input, so nobody can judge the call.")
    return Event(
        _text(raw, "hook_event_name"),
        _text(raw, "tool_name"),
        tool_input,
        _text(raw, "cwd"),
        str(raw.get("session_id") or ""),
        str(raw.get("tool_use_id") or ""),
        raw,
    )


def model_of(event: Event) -> str | None:
    """Return the model that the agent says it runs: a member of the event, else the last one in its transcript."""
    named = event.raw.get("model")
    if isinstance(named, str) and named:
        return _short(named)
    path = event.raw.get("transcript_path")
    if not isinstance(path, str) or not path:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            size = os.fstat(descriptor).st_size
            tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
    found = tail.rpartition(_MODEL)[2] if _MODEL in tail else b""
    return _short(found[:200].partition(b'"')[0].decode("utf-8", "replace")) or None


def _short(text: str) -> str:
    return inert(text[:100])


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"The event has no {name}.", hint="This version of the agent program is not known.")
    return value


def _read(descriptor: int) -> bytes:
    from select import select

    text = bytearray()
    until = time.monotonic() + _READ_SECONDS
    while True:
        if not select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            raise Unreadable(f"Standard input did not end within {_READ_SECONDS:g} s.")
        try:
            piece = os.read(descriptor, _PIECE)
        except OSError as error:
            raise Unreadable(f"Standard input cannot be read: {error.strerror}.") from error
        if not piece:
            return bytes(text)
        text += piece
        if len(text) > LARGEST_BYTES:
            raise Unreadable(f"The event has more than {LARGEST_BYTES} bytes.")
