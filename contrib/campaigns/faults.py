"""Faults that controls plant: `python faults.py FAULT WORDS…` is `failgate WORDS…` with one promise broken.

A campaign whose control is not caught proves nothing, whatever its rounds say.
"""

import sys
from collections.abc import Callable
from typing import Any


def late_commit() -> None:
    """Answer before the commit: each change waits, uncommitted, for the seven that follow it."""
    from failgate.base.sqlite import SqliteWriter

    commit, begin, waiting = SqliteWriter.commit, SqliteWriter.begin, [0]

    async def commit_later(self: Any) -> None:
        waiting[0] += 1
        if waiting[0] % 8 == 0:
            await commit(self)

    async def begin_once(self: Any) -> None:
        if not self._connection.in_transaction:
            await begin(self)

    SqliteWriter.commit, SqliteWriter.begin = commit_later, begin_once


def no_leaf() -> None:
    """Keep a change without its record, one time in five."""
    from failgate.audit.log import AuditLog
    from failgate.audit.record import Act

    append, asked = AuditLog.append_all, [0]

    async def append_some(self: Any, tx: Any, log: str, events: Any) -> Any:
        listed = list(events)
        asked[0] += 1
        kept = [one for one in listed if one[0].act != Act.AGENT_CREATED or asked[0] % 5]
        return await append(self, tx, log, kept or [(one[0].__class__(Act.CLOCK_STEP, log, "log", log, one[0].actor,
                            {"from_us": 1, "to_us": 2}), one[1]) for one in listed[:1]])  # fmt: skip

    AuditLog.append_all = append_some


def forgetful() -> None:
    """Forget which keys came before, and take any database for the own."""
    from failgate.audit.last_kept import LastKept
    from failgate.base.idempotency import FirstAnswers

    async def nothing(*_: Any) -> None:
        return None

    FirstAnswers.answer, FirstAnswers.claim = nothing, nothing
    LastKept.recognise = nothing


def patient() -> None:
    """Wait for heads and bodies as long as they like."""
    from failgate.web import forms
    from failgate.web.protocol import HttpProtocol

    HttpProtocol._expect_headers = lambda _: None  # noqa: SLF001  # where the promise is kept
    forms.BODY_SECONDS = 3600.0


def deaf() -> None:
    """Do not tell a reader of each twentieth event."""
    from failgate.gate.feed import Subscription

    offer, told = Subscription.offer, [0]

    def offer_most(self: Any, octets: bytes) -> None:
        told[0] += 1
        if told[0] % 20:
            offer(self, octets)

    Subscription.offer = offer_most


def silent_document() -> None:
    """Describe no answer but the good one."""
    from failgate.web.api import openapi

    openapi.answers_of = lambda _: None


def hurried() -> None:
    """No fault: bodies have two seconds, so that the smallest level need not wait for ten."""
    from failgate.web import forms

    forms.BODY_SECONDS = 2.0


FAULTS: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (late_commit, no_leaf, forgetful, patient, deaf, silent_document, hurried)
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    from failgate.cli.commands import carry_out

    sys.exit(carry_out(sys.argv[2:]))
