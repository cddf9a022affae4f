"""The review as the pages find it: the model, what was said last, and the upload that runs beside them."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from failgate.base.errors import FailgateError
from failgate.client.consent import Destination, destination
from failgate.client.http import Api
from failgate.client.progress import Tally
from failgate.client.report_folder import LocalReport
from failgate.client.reviewing import Review
from failgate.client.settings import load_settings
from failgate.client.upload import page_of, quarantine_notice, tally_of, upload_report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Phase = Literal["reviewing", "sending", "sent", "failed"]


class Said(NamedTuple):
    """A sentence for the next page; `is_bad` when something was refused."""

    text: str
    is_bad: bool = False


class Sent(NamedTuple):
    """The report is on the server: its page, its id, and what has to be known when it is quarantined."""

    page: str
    id: str
    notice: tuple[str, ...] = ()


class Desk:
    """One review in one browser."""

    def __init__(self, review: Review, environment: Mapping[str, str], finished: Callable[[], None]) -> None:
        """Lead `review`; an upload is configured by `environment`; `finished` ends the process's work."""
        self.review = review
        self.phase: Phase = "reviewing"
        self.sent: Sent | None = None
        self.error: Said | None = None
        self.tally: Tally | None = None
        self._environment = environment
        self.finished = finished
        self._said: Said | None = None
        self._lock = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Tell whether the report may still be looked at and changed: no upload is on its way or over."""
        return self.phase in {"reviewing", "failed"}

    @asynccontextmanager
    async def turn(self) -> "AsyncIterator[Review]":
        """Give the review to one request at a time."""
        async with self._lock:
            yield self.review

    def say(self, text: str, *, is_bad: bool = False) -> None:
        """Say `text` on the next page."""
        self._said = Said(text, is_bad)

    def heard(self) -> Said | None:
        """Return what was said, once."""
        said, self._said = self._said, None
        return said

    def destination(self) -> Destination:
        """Return where an upload would go and whose it would be; asks the server who speaks, and sends nothing.

        Raises: FailgateError: what is missing, and how to get it.
        """
        with self._api() as api:
            return destination(api)

    def send(self, report: LocalReport) -> None:
        """Begin the upload of `report`, to which the person agreed, on a thread of its own.

        The thread ends with the process: what arrived stays, and the next upload goes on from there.
        """
        self.phase, self.error = "sending", None
        self.tally = tally_of(report)
        threading.Thread(target=self._send, args=(report, self.tally), name="upload", daemon=True).start()

    def _send(self, report: LocalReport, tally: Tally) -> None:
        try:
            with self._api() as api:
                uploaded = upload_report(api, report, "person", None, tally)
                notice = quarantine_notice(api, report, uploaded) if uploaded.is_quarantined else ()
                self.sent = Sent(page_of(api, uploaded.id), uploaded.id, notice)
        except (FailgateError, OSError) as error:
            self.error = Said(str(error), is_bad=True)
        finally:
            self.phase = "sent" if self.sent is not None else "failed"

    def _api(self) -> Api:
        return Api(load_settings(self._environment))


def facts_of(desk: Desk) -> dict[str, Any]:
    """Return how far the upload is, for the page's script."""
    tally = desk.tally
    return {
        "phase": desk.phase,
        "sent": tally.sent_bytes if tally else 0,
        "total": tally.total_bytes if tally else 0,
        "name": tally.name if tally else "",
        "note": tally.note if tally else "",
    }
