"""One call of an exporter: it ends in time, or is ended. A call that does not heed its end is never doubled."""

import asyncio
from collections.abc import Sequence
from typing import Final

from failgate.audit.exporter import AuditExporter, ExportedRecord, ExportFailed

LONGEST_CALL_SECONDS: Final = 60.0
END_SECONDS: Final = 0.25  # a call that does not heed that it is over may take this long besides


class Handing:
    """Hands batches to one exporter, one at a time."""

    def __init__(self, exporter: AuditExporter, *, longest_call_seconds: float = LONGEST_CALL_SECONDS) -> None:
        """Keep whom to call and for how long."""
        self._exporter = exporter
        self._longest_call_seconds = longest_call_seconds
        self._hung: asyncio.Task[None] | None = None

    async def hand(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when the exporter has said that every record of `batch` is safe.

        Raises: ExportFailed (no end in time), and whatever the exporter raises.
        """
        if not batch:
            return
        if self._hung is not None:
            await asyncio.wait({self._hung}, timeout=self._longest_call_seconds)
            if not self._hung.done():
                raise self._late("An earlier delivery still has no end")
            _look_at(self._hung)
            self._hung = None
        task = asyncio.get_running_loop().create_task(_call(self._exporter, batch), name="audit-delivery")
        try:
            await asyncio.wait({task}, timeout=self._longest_call_seconds)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=END_SECONDS)
                self._keep(task)
                raise self._late("The delivery had no end")
        except asyncio.CancelledError:
            task.cancel()
            self._keep(task)
            raise
        if task.cancelled():  # by the exporter itself: our own end comes through the wait
            raise ExportFailed("The exporter gave the delivery up.")
        task.result()

    def _keep(self, task: "asyncio.Task[None]") -> None:
        task.add_done_callback(_look_at)
        if not task.done():
            self._hung = task

    def _late(self, what: str) -> ExportFailed:
        return ExportFailed(f"{what} within {self._longest_call_seconds:g} seconds.", hint="It is tried again.")


async def _call(exporter: AuditExporter, batch: Sequence[ExportedRecord]) -> None:
    await exporter.deliver(batch)


def _look_at(task: "asyncio.Task[None]") -> None:
    """Look at how a call ended that nobody waits for, so that it is not reported as never retrieved."""
    if not task.cancelled():
        task.exception()
