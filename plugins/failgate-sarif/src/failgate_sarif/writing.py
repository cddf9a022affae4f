"""Results and notifications as text that people read, in the form of a compiler: `path:line:column: error: text`."""

from collections.abc import Iterable, Iterator

from failgate_sarif.objects import Failure, Level, Location, Notification, Result, Stack
from failgate_sarif.run import RunReader, at

MOST_CHARACTERS = 8 * 1024 * 1024
_MOST_PLACES = 20
_MOST_FLOWS = 3
_MOST_FRAMES = 50
_MOST_CAUSES = 10
_MOST_SNIPPET_LINES = 8


class Writing:
    """Lines up to a number of characters; what comes after is left out, and said."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._left = MOST_CHARACTERS

    @property
    def is_full(self) -> bool:
        """Tell whether nothing more is taken."""
        return self._left <= 0

    def add(self, line: str) -> None:
        """Add a line."""
        if self._left > 0:
            self._left -= len(line) + 1
            self._lines.append(line)

    def add_all(self, lines: Iterable[str]) -> None:
        """Add lines."""
        for line in lines:
            self.add(line)

    def left_out(self, count: int, what: str) -> None:
        """Say how many of something are not there."""
        if count > 0:
            self._lines.append(f"[failgate: {count} more {what} left out]")

    def text(self) -> str:
        """Return the text."""
        return "\n".join([*self._lines, ""])


def written_result(reader: RunReader, result: Result, level: Level) -> Iterator[str]:
    """Yield the lines of a result: each place, then what leads there."""
    places = (result.locations or [])[:_MOST_PLACES] or [Location()]
    name = reader.rule_id(result)
    first, *rest = reader.text_of_result(result).splitlines() or [""]
    said = f"{level}: {f'[{name}] ' if name else ''}{first}".rstrip()
    for number, place in enumerate(places):
        where = reader.place(place)
        yield f"{where}: {said if number == 0 else f'also here: [{name}]'}" if where else said
        if number == 0:
            yield from (f"    {line}" for line in rest)
        function = reader.function(place)
        if function:
            yield f"    in {function}"
        if number == 0:
            snippet = reader.snippet(place).splitlines()
            yield from (f"    | {line}" for line in snippet[:_MOST_SNIPPET_LINES])
    for flow in (result.code_flows or ())[:_MOST_FLOWS]:
        for thread in (flow.thread_flows or ())[:1]:
            steps = thread.locations or []
            if steps:  # the last step is where it shows: the top frame
                step = steps[-1]
                if step.location is None:
                    step = at(reader.run.thread_flow_locations, step.index) or step
                yield from _frame(reader, step.location, f"the last of {len(steps)} steps")
    for stack in (result.stacks or ())[:_MOST_FLOWS]:
        yield from _stack(reader, stack, 1)


def written_notification(reader: RunReader, notification: Notification) -> Iterator[str]:
    """Yield the lines of what a tool says of itself, with its exceptions."""
    name = notification.descriptor.id[:300] if notification.descriptor and notification.descriptor.id else ""
    first, *rest = reader.text_of_notification(notification).splitlines() or [""]
    where = reader.place(at(notification.locations, 0))
    level = reader.notification_level(notification)
    yield f"{where + ': ' if where else ''}{level}: {f'[{name}] ' if name else ''}{first}".rstrip()
    yield from (f"    {line}" for line in rest)
    waiting = [notification.exception] if notification.exception else []
    for _ in range(_MOST_CAUSES):
        if not waiting:
            return
        failure: Failure = waiting.pop(0)
        said = ": ".join(part[:8_000] for part in (failure.kind, failure.message) if part)
        yield f"  exception: {' '.join(said.split())}"
        if failure.stack is not None:
            yield from _stack(reader, failure.stack, _MOST_FRAMES)
        waiting += (failure.inner_exceptions or [])[:_MOST_CAUSES]


def _stack(reader: RunReader, stack: Stack, most: int) -> Iterator[str]:
    frames = stack.frames or []
    for frame in frames[:most]:
        yield from _frame(reader, frame.location, (frame.module or "")[:300])
    if len(frames) > most > 1:
        yield f"    [failgate: {len(frames) - most} more frames left out]"


def _frame(reader: RunReader, location: Location | None, remark: str) -> Iterator[str]:
    place = reader.place(location) or "?"
    function = reader.function(location)
    said = " ".join(reader.text(location.message).split()) if location else ""
    parts = [f"    at {place}", f"in {function}" if function else "", f"({remark})" if remark else "", said]
    yield " ".join(part for part in parts if part)
