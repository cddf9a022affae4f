"""What one hook leaves for the next of the same call: which request was used up, so that its outcome can be told.

One private file a call, named by a digest of the session and the call. Nothing is let through because of it, except a
prompt of the very call that was approved a moment ago, once.
"""
# ruff: noqa: PTH116, PTH118, PTH208 -- pathlib would slow the start

from __future__ import annotations

import os
import time

from failgate.base.canonical import canonical, json_bytes
from failgate.base.quick import NamedTuple, loads, sha256
from failgate.client.hooks.event import Event
from failgate.client.keyring import forget, write_private

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import Any

FOLDER = "hooks"
_KEPT_SECONDS = 86_400
_FRESH_SECONDS = 120
_LARGEST = 1 << 16


class Used(NamedTuple):
    """A request that a hook has used up: its path at the server, its digest, when that was in seconds since 1970."""

    route: str
    digest: str
    at: float


def remember(folder: str, program: str, event: Event, used: Used) -> None:
    """Keep `used` for the event that tells the outcome. Raises: NotConfigured (the folder takes no file)."""
    kept = {"route": used.route, "digest": used.digest, "at": str(used.at), "asked": _asked(event), "is_fresh": True}
    write_private(os.path.join(folder, FOLDER), _name(program, event), canonical(kept), is_lasting=False)


def take(folder: str, program: str, event: Event) -> Used | None:
    """Return what was remembered of the call of `event` and forget it; None when there is nothing. Old ones go too."""
    path = os.path.join(folder, FOLDER, _name(program, event))
    kept = _read(path)
    forget(path)
    _sweep(os.path.join(folder, FOLDER))
    if kept is None:
        return None
    return Used(str(kept["route"]), str(kept["digest"]), float(kept["at"]))


def take_fresh(folder: str, program: str, event: Event) -> bool:
    """Tell whether this very call was approved within the last two minutes and no prompt of it was answered yet."""
    place = os.path.join(folder, FOLDER)
    names = [_name(program, event)] if event.tool_use else _names(place)
    asked = _asked(event)
    for name in names:
        path = os.path.join(place, name)
        kept = _read(path)
        if kept is None or not kept.get("is_fresh") or kept.get("asked") != asked:
            continue
        if not 0 <= time.time() - float(kept["at"]) <= _FRESH_SECONDS:
            continue
        write_private(place, name, canonical(kept | {"is_fresh": False}), is_lasting=False)
        return True
    return False


def _asked(event: Event) -> str:
    """Return a digest of session, folder, tool and what it is called with, without what only describes it."""
    members = {name: member for name, member in event.tool_input.items() if name != "description"}
    return sha256(json_bytes([event.session, event.cwd, event.tool, members])).hexdigest()


def _name(program: str, event: Event) -> str:
    call = event.tool_use or _asked(event)
    return sha256(f"{program}\0{event.session}\0{call}".encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: str) -> dict[str, Any] | None:
    kept = read_own(path)
    try:
        float((kept or {})["at"])
    except (ValueError, KeyError, TypeError):
        return None
    return kept


def read_own(path: str) -> dict[str, Any] | None:
    """Return the JSON object in a file that belongs to us; None when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                return None
            kept = loads(os.read(descriptor, _LARGEST))
        finally:
            os.close(descriptor)
    except (OSError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


def _names(place: str) -> list[str]:
    try:
        return [name for name in os.listdir(place) if len(name) == 64]
    except OSError:
        return []


def _sweep(place: str) -> None:
    for name in _names(place):
        path = os.path.join(place, name)
        try:
            is_old = time.time() - os.stat(path).st_mtime > _KEPT_SECONDS
        except OSError:
            continue  # another hook took it
        if is_old:
            forget(path)
