"""F2: the review at a real port: what another program on the machine gets, and when it ends."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from failgate.client.reviewing import Review
from failgate.web.loopback import serving
from tests.client.test_rewriting import kept


class Running:
    """A review in a thread."""

    def __init__(self, root: Path, idle_seconds: float) -> None:
        self.review = Review(root, kept(root, output=("output", b"of acme\n")))
        self.said: list[str] = []
        self.environment = {"FAILGATE_HOME": str(root / "home")}
        self.thread = threading.Thread(target=self._run, args=(idle_seconds,))

    def _run(self, idle_seconds: float) -> None:
        serving.lead(self.review, self.environment, self.said.append, is_opening=True, idle_seconds=idle_seconds)

    def link(self) -> re.Match[str]:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if found := re.search(r"http://(127\.0\.0\.1:(\d+))(/\S+)", " ".join(self.said)):
                return found
            time.sleep(0.01)
        raise AssertionError("no link")


@contextmanager
def running(root: Path, idle_seconds: float = 20.0) -> Iterator[Running]:
    going = Running(root, idle_seconds)
    going.thread.start()
    yield going
    going.thread.join(30)
    assert not going.thread.is_alive()


def asked(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, fields: dict[str, str] | None = None
) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, data=fields)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """What a browser was started with: the address, what stood there, its mode."""
    found: list[tuple[str, str, int]] = []

    def opening(address: str) -> bool:
        path = Path(address.removeprefix("file://"))
        found.append((address, path.read_text(), (path.stat().st_mode | path.parent.stat().st_mode) & 0o077))
        return True

    monkeypatch.setattr(serving.webbrowser, "open", opening)
    return found


def test_a_review_is_opened_led_and_closed_over_the_wire(tmp_path: Path, opened: list[tuple[str, str, int]]) -> None:
    with running(tmp_path) as going:
        link = going.link()
        host, port, token = link[1], int(link[2]), link[3]
        with socket.create_connection(("127.0.0.1", port)) as raw:  # another program that knows the port
            raw.sendall(f"GET {token} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n".encode())
            assert raw.recv(64).startswith(b"HTTP/1.1 421 ")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), timeout=2).close()
        entered = asked(port, "GET", token)
        cookie = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
        place = re.search(r'content="0;url=(/[^"]+)/"', entered.text)
        assert place is not None
        assert "used already" in asked(port, "GET", token).text
        assert asked(port, "GET", f"{place[1]}/").status_code == 404
        shown = asked(port, "GET", f"{place[1]}/", cookie)
        assert "of acme" in shown.text
        form_token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
        assert form_token is not None
        fields = {"csrf_token": form_token[1]}
        assert asked(port, "POST", f"{place[1]}/end", cookie, fields).status_code == 403
        ended = asked(port, "POST", f"{place[1]}/end", cookie | {"origin": f"http://{host}"}, fields)
        assert "The review is closed" in ended.text
    [(address, text, others)] = opened
    assert token not in address, "the arguments of a program are everybody's to read"
    assert link[0] in text
    assert others == 0
    assert not Path(address.removeprefix("file://")).exists()
    assert not any("ended" in one for one in going.said)


def test_a_review_without_anybody_ends_by_itself_and_says_so(
    tmp_path: Path, opened: list[tuple[str, str, int]]
) -> None:
    with running(tmp_path, idle_seconds=0.2) as going:
        going.review.leave_out("output")
    assert going.said[-1] == "nobody was there any more: the review has ended; what was not saved is gone"
