"""Recorded shells as their pages show them: the list, one with its commands, its parts and its player. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from failgate.web.pages.text import Moment, duration, moment_of, size
from failgate.web.pages.token_view import Text, preview
from failgate.web.playback import Playback
from failgate.wire.recordings import ChunkView, RecordedCommand, RecordingView


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A recording in the list."""

    id: str
    state: str
    title: str
    agent: str
    host: str
    created: Moment
    duration: str
    size: str


@dataclass(frozen=True, slots=True)
class SessionsView:
    """The list."""

    rows: tuple[SessionRow, ...]
    next_href: str | None


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command of the recording. `seek_ms` is where it is in the part that is shown; `href` its part otherwise."""

    id: str
    preview: tuple[tuple[Text, ...], ...]
    state: str
    at: str
    exit_code: int | None
    seek_ms: int | None
    part: int


@dataclass(frozen=True, slots=True)
class PartLink:
    """A part of a long recording: its number from 1 and from when it is."""

    number: int
    at: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class SessionView:
    """A recording. Without `playback` nothing of it can be shown, and `reason` says why."""

    row: SessionRow
    chain: str
    chunks: int
    exit_code: int | None
    ended: Moment | None
    commands: tuple[CommandRow, ...]
    parts: tuple[PartLink, ...]
    part: int
    playback: Playback | None
    reason: str
    live_path: str | None
    may_delete: bool


def sessions_view(items: Sequence[RecordingView], following: str | None, slug: str, now_us: int) -> SessionsView:
    """Return the list of `items`; `following` is the `next` of their page."""
    next_href = f"/w/{slug}/sessions?after={following}" if following else None
    return SessionsView(tuple(session_row(one, now_us) for one in items), next_href)


def session_row(view: RecordingView, now_us: int) -> SessionRow:
    """Return the recording as a row."""
    return SessionRow(
        view.id, view.state, view.title or "failgate shell", view.agent, view.host,
        moment_of(view.created_at, now_us), duration(view.duration_ms), size(view.size_bytes),
    )  # fmt: skip


def command_rows(
    commands: Sequence[RecordedCommand], parts: Sequence[Sequence[ChunkView]], part: int
) -> tuple[CommandRow, ...]:
    """Return the commands; `part` (from 0) is the one that is played."""
    begins = [chunks[0].from_ms if number else 0 for number, chunks in enumerate(parts)]

    def place(at_ms: int) -> int:
        return max((number for number, begin in enumerate(begins) if begin <= at_ms), default=0)

    return tuple(
        CommandRow(
            one.command_id,
            preview(one.rendering or ["a command that is not there any more"]),
            _state(one),
            clock(one.asked_ms),
            one.exit_code,
            one.asked_ms - begins[part] if begins and place(one.asked_ms) == part else None,
            place(one.asked_ms) + 1,
        )
        for one in commands
    )


def part_links(parts: Sequence[Sequence[ChunkView]], part: int) -> tuple[PartLink, ...]:
    """Return the parts when there are several; `part` counts from 0."""
    if len(parts) < 2:
        return ()
    return tuple(PartLink(number + 1, clock(chunks[0].from_ms), number == part) for number, chunks in enumerate(parts))


def clock(at_ms: int) -> str:
    """Return a time in a recording: `4:05`, `1:02:03`."""
    seconds = at_ms // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def _state(one: RecordedCommand) -> str:
    if one.state == "executed" and one.exit_code not in (None, 0):
        return "failed"
    return one.state or "unknown"
