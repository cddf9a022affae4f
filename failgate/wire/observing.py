"""Observing, as the API speaks of it: who begins it, what runs, what it shows."""

from typing import Literal

import msgspec


class Observation(msgspec.Struct, frozen=True):
    """A command that ran, or may, although nothing let it pass: its workspace only observes.

    `would` is what gating would have made of it: it would have waited for `need` people (`waiting_for` in words), or
    been denied, by the policies `by` for this `reason`. `observing` is the id of the time in which it was asked for.
    """

    would: Literal["wait", "deny"]
    by: list[str]
    reason: str
    need: int
    waiting_for: str
    observing: str


class NewObserving(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST observing`: for so many days (1 to 90), of the agent with the id `agent` or of the whole workspace.

    With `denials` also what policies refuse is only observed, and runs.
    """

    days: int
    agent: str | None = None
    denials: bool = False
    reason: str | None = None


class ObservingView(msgspec.Struct, frozen=True):
    """A time of observing; `agent` is null where it is of the whole workspace, `ended_at` until somebody ended it."""

    id: str
    agent: str | None
    denials: bool
    begun_at: str
    expires_at: str
    begun_by: str
    is_running: bool
    reason: str | None = None
    ended_at: str | None = None
    ended_by: str | None = None


class ObservingPage(msgspec.Struct, frozen=True):
    """`GET observing`: the newest times, and whether the operator allows it at all."""

    is_allowed: bool
    items: list[ObservingView]


class ObservedCount(msgspec.Struct, frozen=True):
    """How often an agent, or a program, would have waited and would have been denied."""

    name: str
    would_wait: int
    would_be_denied: int


class ObservedCommand(msgspec.Struct, frozen=True):
    """The same words, folder and host, so many times; `id` and `rendering` are of the newest of them."""

    id: str
    rendering: list[str]
    would: Literal["wait", "deny"]
    number: int


class ObservedReport(msgspec.Struct, frozen=True):
    """`GET observing/{id}`: what was asked for in that time, by what came of it; each list holds at most 20.

    `passed` by a rule, `denied` by a policy, `asked` of people; what would have waited or been denied ran.
    `answered_percent` is the share that rules and policies answered, so that nobody would have waited.
    """

    observing: ObservingView
    total: int
    passed: int
    denied: int
    asked: int
    would_wait: int
    would_be_denied: int
    answered_percent: int
    by_agent: list[ObservedCount]
    by_program: list[ObservedCount]
    commands: list[ObservedCommand]
