"""Muting, as the API speaks of it: deny a request and what is like it for a time, list that, ask people again."""

from typing import Literal

import msgspec


class NewMute(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/mute`: deny the request of this `digest`, and for `minutes` (1 to 1440) what is like it.

    `what` is `same` (the agent's same words in the same folder of the same host) or `program` (the agent's same
    program). The `note` is sent to the agent each time.
    """

    digest: str
    what: Literal["same", "program"]
    minutes: int
    note: str | None = None


class MuteView(msgspec.Struct, frozen=True):
    """What a reviewer muted: of the agent `agent`, since the request `command`; `denied` counts what it answered.

    `requester` is the agent's id, `program` the name of the program, `by` an account. `ended_at` is null until somebody
    unmuted it.
    """

    id: str
    agent: str
    requester: str
    command: str
    what: Literal["same", "program"]
    program: str
    begun_at: str
    expires_at: str
    by: str
    denied: int
    is_running: bool
    note: str | None = None
    ended_at: str | None = None
    ended_by: str | None = None


class MutePage(msgspec.Struct, frozen=True):
    """`GET mutes`: the newest, at most 50."""

    items: list[MuteView]
