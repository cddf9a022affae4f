"""What was judged is kept: row, record and the news of it, many at once. Nothing is told before it is durable."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from failgate.audit.record import Event
from failgate.base.db import Transaction
from failgate.base.log import RequestContext
from failgate.base.together import Answered, Together, settled
from failgate.gate.feed import Happened
from failgate.gate.parts import Parts
from failgate.gate.runs import note_origin
from failgate.gate.stored import Stored, insert_of
from failgate.wire.gate import Origin


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A command as it was judged: row, record, the request that asked, where it says it is from, what muted it."""

    stored: Stored
    record: Event
    happened: Happened
    context: RequestContext | None
    origin: Origin | None = None
    mute_id: str | None = None


class Keeping:
    """Keeps judged commands; those of one workspace that come at once are one verb."""

    def __init__(self, parts: Parts) -> None:
        """Work with `parts`."""
        self._parts = parts
        self._together = Together[str, Judged](parts.db, self.keep_all)

    def put(self, judged: Judged, answered: Answered) -> None:
        """Keep the command; `answered` is called when it is durable, or was not kept.

        Raises: StorageUnavailable (the server is stopping).
        """
        self._together.put(judged.stored.workspace_id, judged, answered)

    async def keep(self, judged: Judged) -> None:
        """Keep the command; return when it is durable. Raises: StorageUnavailable, what the workspace forbids."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.put(judged, partial(settled, kept))
        await kept

    async def keep_all(self, tx: Transaction, workspace_id: str, judged: Sequence[Judged]) -> None:
        """Keep commands of one workspace inside `tx`, in their order."""
        parts = self._parts
        if parts.asked is not None:
            await parts.asked(tx, workspace_id, len(judged))
        appended = await parts.audit.append_all(tx, workspace_id, [(one.record, one.context) for one in judged])
        observed = [one.stored for one in judged if one.stored.observing_id is not None]
        if (
            observed and parts.observing is not None
        ):  # after its record: whoever ends it meanwhile waits for us, or we see it
            await parts.observing.must_hold(tx, observed, appended.ts_us)
        tx.put_off_all([insert_of(one.stored) for one in judged])
        muted = [one.mute_id for one in judged if one.mute_id is not None]
        if muted:
            await parts.mutes.count(tx, workspace_id, muted)
        for one in judged:
            if one.origin is not None:
                await note_origin(tx, one.stored, one.origin)
        tx.after_commit(partial(self._tell, judged))

    def _tell(self, judged: Sequence[Judged]) -> None:
        for one in judged:
            self._parts.tell_now(one.stored, one.happened)
