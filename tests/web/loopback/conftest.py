"""A review as a page finds it, and a browser that was let in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from failgate.client.reviewing import Review
from failgate.web.loopback.desk import Desk
from failgate.web.loopback.doorkeeper import Doorkeeper
from failgate.web.loopback.entry import Entry
from failgate.web.loopback.pages import application
from tests.client.test_rewriting import archive, cast, kept

OUTPUT = b"\x1b[31mFAILED\x1b[0m for acme <script>alert(1)</script>\n"


@dataclass
class Seat:
    """The desk, its entry, and the application behind the doorkeeper."""

    review: Review
    desk: Desk
    entry: Entry
    app: Any
    ends: list[bool]

    def browser(self) -> httpx.AsyncClient:
        """Return a browser that sends what browsers send from a page of ours."""
        headers = {"origin": self.entry.origin, "sec-fetch-site": "same-origin"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url=self.entry.origin, headers=headers
        )

    async def act(self, browser: httpx.AsyncClient, path: str = "/act", **fields: str) -> httpx.Response:
        """Send a form; return the page that it leads to."""
        data = {"csrf_token": self.entry.form_token, **fields}
        return await browser.post(self.entry.place + path, data=data, follow_redirects=True)


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    report = kept(
        tmp_path, output=("output", OUTPUT), tree=("snapshot", archive(b"x")), tape=("recording", cast("of ac", "me"))
    )
    ends: list[bool] = []
    review = Review(tmp_path, report)
    desk = Desk(
        review,
        {"FAILGATE_HOME": str(tmp_path / "home"), "FAILGATE_URL": "http://127.0.0.1:9"},
        lambda: ends.append(True),
    )
    entry = Entry(4242)
    return Seat(review, desk, entry, Doorkeeper(entry, application(desk, entry)), ends)
