"""Reports that arrive at once are kept at once: those of one workspace that wait for the same commit are one verb.

This way goes what needs nothing but its own row. What may be there already, whose idempotency key was used before, or
what a quota may refuse is left alone and kept by a verb of its own, so that it takes no other with it
(`base/together.py`: and so is each of them when their verb fails).
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from failgate.base.db import Database, Transaction
from failgate.base.idempotency import FirstAnswers, Repeated, RequestKey
from failgate.base.log import RequestContext, request_context
from failgate.base.together import Together, settled
from failgate.reports.beginning import Beginning, Upload
from failgate.wire.reports import BegunReport


class _Arrival(msgspec.Struct, eq=False):
    upload: Upload
    key: RequestKey | None
    context: RequestContext | None
    begun: BegunReport | None = None


class Arriving:
    """Keeps the reports that arrive."""

    def __init__(self, database: Database, beginning: Beginning, answers: FirstAnswers) -> None:
        """Keep them by `beginning`, and the answers to their requests in `answers`."""
        self._beginning = beginning
        self._answers = answers
        self._together = Together[str, _Arrival](database, self._keep_all)

    async def keep(self, upload: Upload, key: RequestKey | None) -> BegunReport:
        """Make the report of `upload`; the same `key` gives the first answer again.

        Raises: what `Beginning.begin` and `FirstAnswers.once` raise.
        """
        if upload.is_row_alone:
            begun = await self._kept(upload, key)
            if begun is not None:
                return begun
        return await self._answers.once(key, BegunReport, partial(self._beginning.begin, upload=upload))

    async def _kept(self, upload: Upload, key: RequestKey | None) -> BegunReport | None:
        """Keep it with those that wait; return None when that was not done."""
        if key is not None and (known := await self._answers.answer(key, BegunReport)) is not None:
            return known
        arrival = _Arrival(upload, key, request_context.get())
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._together.put(upload.workspace_id, arrival, partial(settled, kept))
        try:
            await kept
        except Repeated:
            return None
        return arrival.begun

    async def _keep_all(self, tx: Transaction, workspace_id: str, arrivals: Sequence[_Arrival]) -> None:
        if len(arrivals) == 1:
            arrival = arrivals[0]
            verb = partial(self._beginning.begin, upload=arrival.upload)
            arrival.begun = await (verb if arrival.key is None else self._answers.claiming(arrival.key, verb))(tx)
            return
        new = await self._with_new_keys(tx, arrivals)
        begun = await self._beginning.begin_all(tx, workspace_id, [(one.upload, one.context) for one in new])
        for arrival, report in zip(new, begun, strict=True):
            arrival.begun = report
        claims = [(one.key, one.begun) for one in new if one.key is not None and one.begun is not None]
        await self._answers.claim_all(tx, claims)

    async def _with_new_keys(self, tx: Transaction, arrivals: Sequence[_Arrival]) -> list[_Arrival]:
        """Return those whose key was not claimed before, each key once, and those without one."""
        keys = {arrival.key.id: arrival.key for arrival in arrivals if arrival.key is not None}
        if not keys:
            return list(arrivals)
        known = await self._answers.claimed(tx, list(keys.values()))
        new: list[_Arrival] = []
        for arrival in arrivals:
            if arrival.key is None:
                new.append(arrival)
            elif arrival.key.id not in known:
                known.add(arrival.key.id)
                new.append(arrival)
        return new
