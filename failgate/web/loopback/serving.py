"""The review in the browser from beginning to end: a port of this machine, a link, a browser, and an end.

It ends when the person says so, at Ctrl-C, and when nobody was here for half an hour.
"""

import asyncio
import contextlib
import os
import tempfile
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import uvicorn

from failgate.client.reviewing import Review
from failgate.web.listening import listen
from failgate.web.loopback.desk import Desk, Sent
from failgate.web.loopback.doorkeeper import Doorkeeper
from failgate.web.loopback.entry import ADDRESS, Entry
from failgate.web.loopback.pages import application
from failgate.web.protocol import HttpProtocol

IDLE_SECONDS = 1800.0
AFTER_SECONDS = 60.0  # once the report is uploaded, and the person has read so
_LOOK_SECONDS = 0.25
_CONNECTIONS = 64

Say = Callable[[str], None]


def lead(
    review: Review, environment: Mapping[str, str], say: Say, *, is_opening: bool, idle_seconds: float = IDLE_SECONDS
) -> Sent | None:
    """Lead `review` in a browser until it ends; return what was uploaded. `say` gets sentences for the terminal.

    Raises: StartRefused (no port is to be had), KeyboardInterrupt.
    """
    listener = listen(ADDRESS, 0)
    entry = Entry(listener.getsockname()[1])
    server = _Server()
    desk = Desk(review, environment, server.end)
    doorkeeper = Doorkeeper(entry, cast("Any", application(desk, entry)))
    server.prepare(doorkeeper)
    say(f"review it in a browser of this machine: {entry.link}")
    say("the link opens once; nothing leaves this machine before you agree there; Ctrl-C ends the review")
    with contextlib.ExitStack() as stack:
        if is_opening:
            stack.enter_context(_opened(entry.link))
        is_idle = asyncio.run(server.run(listener, desk, idle_seconds))
    if is_idle:
        say("nobody was there any more: the review has ended" + _lost(review))
    return desk.sent


def _lost(review: Review) -> str:
    return "" if review.changes.is_nothing else "; what was not saved is gone"


class _Server:
    """uvicorn, ended from a page or by the clock."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._doorkeeper: Doorkeeper | None = None

    def prepare(self, doorkeeper: Doorkeeper) -> None:
        """Be ready to serve what `doorkeeper` guards."""
        self._doorkeeper = doorkeeper
        self._server = uvicorn.Server(
            uvicorn.Config(
                cast("Any", doorkeeper),
                http=HttpProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                interface="asgi3",
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=1,
            )
        )

    def end(self) -> None:
        """End when the answer that is on its way, and what its page loads, has gone out."""
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._end)

    def _end(self) -> None:
        assert self._server is not None
        self._server.should_exit = True

    async def run(self, listener: Any, desk: Desk, idle_seconds: float) -> bool:
        """Serve until the end; tell whether it came because nobody was there."""
        assert self._server is not None
        assert self._doorkeeper is not None
        serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        is_idle = False
        loop = asyncio.get_running_loop()
        while not serving.done():
            await asyncio.wait([serving], timeout=_LOOK_SECONDS)
            patience = min(AFTER_SECONDS, idle_seconds) if desk.phase == "sent" else idle_seconds
            if desk.phase == "sending":
                self._doorkeeper.touched = loop.time()
            elif loop.time() - self._doorkeeper.touched > patience and not serving.done():
                is_idle = desk.phase != "sent"
                self.end()
                break
        await serving
        return is_idle


@contextlib.contextmanager
def _opened(link: str) -> Any:
    """Open `link` in the person's browser by way of a private file, until the review ends.

    A browser is started with the address among its arguments, which every account of a machine may read.
    """
    with tempfile.TemporaryDirectory(prefix="failgate-") as folder:
        path = Path(folder) / "review.html"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={link}">')
            file.write(f'<title>Failgate</title><a href="{link}">Go on to the review</a>\n')
        webbrowser.open(path.as_uri())
        yield
