"""What reviewers muted: what an agent asks again and again is denied at once, for a time, with the reviewer's reason.

```text
deny and mute ──► in effect ──► unmute, by anybody who may decide on that agent's requests
                     └──► over: its time went by, and people are asked again
```

A mute answers only what would wait for people: what a rule lets pass still passes, and what takes the denials of
several people is not denied by the one who muted. It is in memory, and rebuilt from its rows at start. A row that was
edited denies more or less than its reviewer wanted; it lets nothing run.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final, Literal, TypeAlias

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, NotFound
from failgate.gate.likeness import alike_of, program_of
from failgate.gate.policy import Combined, Finding
from failgate.gate.steady import SteadyTime
from failgate.wire.gate import Command

MOST_MINUTES: Final = 1440
MOST_OF_ONE: Final = 50  # mutes of one agent that are in effect
MOST_SHOWN: Final = 50
MUTE: Final = "mute"
"""What decided, in the place of a policy's name; and the type of the object in the audit log."""
What: TypeAlias = Literal["same", "program"]
_ADD: Final = (
    "INSERT INTO gate_mute (id, workspace_id, requester_id, requester_label, command_id, what, thing, program, reason,"
    " account_id, begun_us, expires_us, denied) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)"
)
_END: Final = (
    "UPDATE gate_mute SET ended_us = $1, ended_by = $2"
    " WHERE workspace_id = $3 AND id = $4 AND ended_us IS NULL AND expires_us > $1"
)
_COUNT: Final = "UPDATE gate_mute SET denied = denied + $1 WHERE workspace_id = $2 AND id = $3"
_OPEN: Final = "SELECT * FROM gate_mute WHERE ended_us IS NULL AND expires_us > $1 ORDER BY id"
_NEWEST: Final = "SELECT * FROM gate_mute WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2"
_RUNNING: Final = (
    "SELECT * FROM gate_mute WHERE workspace_id = $1 AND ended_us IS NULL AND expires_us > $2 ORDER BY id DESC"
)
_ONE: Final = "SELECT * FROM gate_mute WHERE workspace_id = $1 AND id = $2"


class Mute(msgspec.Struct, frozen=True):
    """What is muted: of `requester_id`, the words that `thing` is the digest of, or the program of that name.

    Times are microseconds since 1970; `account_id` and `ended_by` are accounts. `ended_us` is None until it was ended.
    """

    id: str
    workspace_id: str
    requester_id: str
    requester_label: str
    command_id: str
    what: What
    thing: str
    program: str
    reason: str | None
    account_id: str
    begun_us: int
    expires_us: int
    denied: int = 0
    ended_us: int | None = None
    ended_by: str | None = None

    def is_running(self, now_us: int) -> bool:
        """Tell whether it is in effect."""
        return self.ended_us is None and now_us < self.expires_us

    def covers(self, alike: str | None, program: str | None) -> bool:
        """Tell whether it is about a request of that agent that is `alike`, or for `program`."""
        return self.thing == (alike if self.what == "same" else program)

    @property
    def finding(self) -> Finding:
        """Return what it says of a request."""
        until = to_rfc3339(self.expires_us // MICROSECONDS * MICROSECONDS)[:16].replace("T", " ")
        return Finding(
            "deny", f"a reviewer denies this until {until} UTC" + (f": {self.reason}" if self.reason else "")
        )


class Mutes:
    """Knows what is muted now."""

    def __init__(self, db: Database, audit: AuditLog, time: SteadyTime) -> None:
        """Begin with nothing; `rebuild` reads what is in effect."""
        self._db = db
        self._audit = audit
        self._time = time
        self._known: dict[tuple[str, str], dict[str, Mute]] = {}  # by workspace and requester

    async def rebuild(self) -> None:
        """Know what is in effect."""
        self._known = {}
        for row in await self._db.fetch(_OPEN, self._time.now_us()):
            self._know(Mute(**row))

    def answering(self, workspace_id: str, requester_id: str, command: Command, combined: Combined) -> Mute | None:
        """Return the mute that answers what the policies `combined` would have people asked about; None: nothing does.

        What takes the denials of several people is not denied by the one who muted.
        """
        known = self._known.get((workspace_id, requester_id))
        if known is None or combined.decision != "ask" or (combined.terms.deny_after or 1) > 1:
            return None
        alike, program, now_us = alike_of(command), program_of(command), self._time.now_us()
        return next((one for one in known.values() if one.is_running(now_us) and one.covers(alike, program)), None)

    async def begin(self, tx: Transaction, mute: Mute, actor: Actor) -> None:
        """Mute from now on, inside `tx`. Raises: Conflict (too much of that agent is muted)."""
        known, now_us = self._known.get((mute.workspace_id, mute.requester_id), {}), self._time.now_us()
        if sum(one.is_running(now_us) for one in known.values()) >= MOST_OF_ONE:
            raise Conflict(
                f"{MOST_OF_ONE} requests of this agent are muted already.", hint="Unmute some, or disable the agent."
            )
        await tx.execute(
            _ADD, mute.id, mute.workspace_id, mute.requester_id, mute.requester_label, mute.command_id, mute.what,
            mute.thing, mute.program, mute.reason, mute.account_id, mute.begun_us, mute.expires_us,
        )  # fmt: skip
        facts: dict[str, JSON] = {
            "agent": mute.requester_id,
            "command": mute.command_id,
            "what": mute.what,
            "expires_us": mute.expires_us,
        }
        await self._audit.append(tx, Event(Act.MUTE_BEGUN, mute.workspace_id, MUTE, mute.id, actor, facts))
        tx.after_commit(partial(self._know, mute))

    async def end(self, tx: Transaction, mute: Mute, account_id: str, actor: Actor) -> None:
        """Ask people again from now on, inside `tx`. Raises: NotFound (it is over)."""
        if await tx.execute(_END, self._time.now_us(), account_id, mute.workspace_id, mute.id) != 1:
            raise _none_runs()
        facts: dict[str, JSON] = {"agent": mute.requester_id, "denied": mute.denied}
        await self._audit.append(tx, Event(Act.MUTE_ENDED, mute.workspace_id, MUTE, mute.id, actor, facts))
        tx.after_commit(partial(self._forget, mute))

    async def count(self, tx: Transaction, workspace_id: str, mute_ids: Iterable[str]) -> None:
        """Count, inside `tx`, a denial for each of `mute_ids`."""
        numbers: dict[str, int] = {}
        for mute_id in mute_ids:
            numbers[mute_id] = numbers.get(mute_id, 0) + 1
        for mute_id, number in sorted(numbers.items()):
            await tx.execute(_COUNT, number, workspace_id, mute_id)

    async def newest(self, workspace_id: str) -> list[Mute]:
        """Return the mutes of the workspace, the newest first, at most 50."""
        return [Mute(**row) for row in await self._db.fetch(_NEWEST, workspace_id, MOST_SHOWN)]

    async def running(self, workspace_id: str) -> list[Mute]:
        """Return what is muted now, the newest first."""
        if not any(workspace == workspace_id for workspace, _ in self._known):
            return []
        return [Mute(**row) for row in await self._db.fetch(_RUNNING, workspace_id, self._time.now_us())]

    async def one_in(self, tx: Transaction, workspace_id: str, mute_id: str) -> Mute:
        """Return one that is in effect. Raises: NotFound."""
        row: Row | None = await tx.fetch_one(_ONE, workspace_id, mute_id)
        if row is None or not Mute(**row).is_running(self._time.now_us()):
            raise _none_runs()
        return Mute(**row)

    def end_of_workspace(self, workspace_id: str) -> None:
        """Forget what was muted in a workspace that is gone."""
        for place in [place for place in self._known if place[0] == workspace_id]:
            del self._known[place]

    def _know(self, mute: Mute) -> None:
        known, now_us = self._known.setdefault((mute.workspace_id, mute.requester_id), {}), self._time.now_us()
        for over in [one.id for one in known.values() if not one.is_running(now_us)]:
            del known[over]
        known[mute.id] = mute

    def _forget(self, mute: Mute) -> None:
        place = (mute.workspace_id, mute.requester_id)
        known = self._known.get(place, {})
        known.pop(mute.id, None)
        if not known:
            self._known.pop(place, None)


def _none_runs() -> NotFound:
    return NotFound("Nothing of this id is muted.", hint="Its time may be over, or somebody unmuted it.")
