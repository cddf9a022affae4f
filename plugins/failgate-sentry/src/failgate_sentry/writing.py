"""An event as text that people read: facts, exceptions with their frames, breadcrumbs, tags, variables.

A name stands before its value (`NAME = value`), so that the redaction rules which need the name find it. `user` and the
headers and cookies of `request` are left out: they say who, not what failed.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from failgate_sentry.envelope import text_of

_FACTS = (
    "event_id",
    "timestamp",
    "level",
    "platform",
    "release",
    "environment",
    "server_name",
    "transaction",
    "logger",
)
_MOST = 200  # frames, exceptions, breadcrumbs, variables: the last ones, which are the nearest
_LONGEST_VALUE = 2000


def object_of(value: object) -> dict[str, Any]:
    """Return `value` when it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_of(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list, or of the list under `values`, as both are written."""
    found: object = object_of(value).get("values") if isinstance(value, dict) else value
    return [object_of(each) for each in cast("list[object]", found)[-_MOST:]] if isinstance(found, list) else []


def pairs_of(value: object) -> list[tuple[str, str]]:
    """Return names and values of an object, or of a list of pairs, as tags are written."""
    if isinstance(value, dict):
        return [(name, _shown(each)) for name, each in cast("dict[str, Any]", value).items()]
    rows = cast("list[object]", value) if isinstance(value, list) else []
    pairs = [cast("list[object]", row) for row in rows if isinstance(row, list)]
    return [(text_of(pair[0]), _shown(pair[1])) for pair in pairs if len(pair) == 2]


def exceptions_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chain of exceptions, the one that was caught last."""
    return objects_of(event.get("exception"))


def message_of(event: dict[str, Any]) -> str:
    """Return the event's message."""
    entry = event.get("logentry") or event.get("message")
    known = object_of(entry)
    return text_of(known.get("formatted")) or text_of(known.get("message")) or text_of(entry)


def title_of(event: dict[str, Any]) -> str:
    """Return what people recognise the event by."""
    chain = exceptions_of(event)
    if chain:
        kind, value = text_of(chain[-1].get("type")), text_of(chain[-1].get("value"))
        named = ": ".join(part for part in (kind, value) if part)
        if named:
            return named
    return message_of(event) or text_of(event.get("transaction")) or "Event without a message"


def written(event: dict[str, Any]) -> Iterator[str]:
    """Yield the lines."""
    yield title_of(event)
    yield ""
    yield from (f"{name} = {text_of(event.get(name))}" for name in _FACTS if text_of(event.get(name)))
    for exception in exceptions_of(event):
        yield from _exception(exception)
    for thread in objects_of(event.get("threads")):
        if thread.get("stacktrace"):
            yield from ("", f"--- thread {text_of(thread.get('name')) or text_of(thread.get('id'))}")
            yield from _frames(thread)
    crumbs = objects_of(event.get("breadcrumbs"))
    if crumbs:
        yield from ("", "--- breadcrumbs, the last one nearest")
        for crumb in crumbs:
            facts = (text_of(crumb.get(name)) for name in ("timestamp", "level", "category", "message"))
            yield "  ".join(fact for fact in facts if fact)
            yield from (f"    {name} = {value}" for name, value in pairs_of(crumb.get("data"))[:_MOST])
    asked = object_of(event.get("request"))
    if asked:
        yield from ("", f"--- request: {text_of(asked.get('method'))} {text_of(asked.get('url'))}")
    for title, value in (("tags", event.get("tags")), ("extra", event.get("extra")), ("modules", event.get("modules"))):
        pairs = pairs_of(value)
        if pairs:
            yield from ("", f"--- {title}")
            yield from (f"{name} = {each}" for name, each in pairs[:1000])
    for name, context in list(object_of(event.get("contexts")).items())[:50]:
        yield from ("", f"--- context {name}")
        yield from (f"{member} = {value}" for member, value in pairs_of(context)[:_MOST])


def _exception(exception: dict[str, Any]) -> Iterator[str]:
    module = text_of(exception.get("module"))
    kind = text_of(exception.get("type")) or "exception"
    yield from ("", f"=== {module}.{kind}" if module else f"=== {kind}", text_of(exception.get("value")))
    yield from _frames(exception)


def _frames(thing: dict[str, Any]) -> Iterator[str]:
    for frame in objects_of(object_of(thing.get("stacktrace")).get("frames")):
        file = text_of(frame.get("filename")) or text_of(frame.get("abs_path")) or text_of(frame.get("module")) or "?"
        own = "" if frame.get("in_app") is not False else "  (library)"
        number, function = text_of(frame.get("lineno")) or "?", text_of(frame.get("function")) or "?"
        yield f'  File "{file}", line {number}, in {function}{own}'
        line = text_of(frame.get("context_line")).strip()
        if line:
            yield f"    {line}"
        if frame.get("in_app") is not False:
            yield from (f"      {name} = {value}" for name, value in pairs_of(frame.get("vars"))[:_MOST])


def _shown(value: object) -> str:
    """Return a value as it can stand on a line; a longer one is left out whole: half a secret escapes the rules."""
    if isinstance(value, str | int | float | None):
        shown = "null" if value is None else str(value)
    else:
        shown = msgspec.json.encode(value).decode()
    return shown if len(shown) <= _LONGEST_VALUE else f"[{len(shown)} characters left out]"
