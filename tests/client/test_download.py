"""A report downloaded for a replay: from a server that is honest, breaks off, or lies. F2 B5."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from failgate.base.canonical import canonical
from failgate.base.ids import new_id
from failgate.client import download
from failgate.client.answer import Lost, Strange
from failgate.client.download import Need, downloaded
from failgate.client.exits import Refused, Unverified
from failgate.client.http import Api
from failgate.client.remote import Known
from failgate.client.settings import Settings
from failgate.client.tree import Unreplayable

OUTPUT = b"Error: no price\n" * 40_000
DIFF = b"--- a\n+++ b\n"
SERVER_ID = new_id()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(name: str, kind: str, content: bytes) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "media_type": "text/plain", "size_bytes": len(content), "sha256": sha(content),
        "truncated_bytes": 0, "path": None,
    }  # fmt: skip


def manifest(**members: Any) -> dict[str, Any]:
    return {
        "v": 1, "id": new_id(), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["make"], "cwd": "/src",
        "host": "h", "exit_code": 2, "duration_ms": 12, "redactions": [], "redaction_rules": "1",
        "environment": {"names": [], "values": {}, "platform": "Linux"},
        "artifacts": [entry("output.txt", "output", OUTPUT), entry("diff.patch", "diff", DIFF)],
    } | members  # fmt: skip


class Lying:
    """What the server says; a test changes it."""

    def __init__(self) -> None:
        self.manifest = manifest()
        self.contents = {sha(OUTPUT): OUTPUT, sha(DIFF): DIFF}
        self.answer: dict[str, Any] = {}
        self.breaks_after: list[int] = []
        self.knows_ranges = True
        self.refuses: int | None = None
        self.ranges: list[str | None] = []

    def view(self) -> dict[str, Any]:
        present = [{"sha256": one["sha256"], "is_present": True} for one in self.manifest["artifacts"]]
        digest = sha(canonical(self.manifest))
        return {
            "id": SERVER_ID,
            "manifest": self.manifest,
            "manifest_sha256": digest,
            "artifacts": present,
        } | self.answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lying: Lying

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name == SERVER_ID:
            self._say(200, json.dumps(self.lying.view()).encode())
        elif name in self.lying.contents and self.lying.refuses is None:
            self._send(self.lying.contents[name], self.headers.get("range"))
        else:
            self._say(self.lying.refuses or 404, b'{"type": "urn:failgate:error:not-found", "detail": "no"}')

    def _send(self, content: bytes, asked: str | None) -> None:
        self.lying.ranges.append(asked)
        start = int(asked[6:-1]) if asked and self.lying.knows_ranges else 0
        headers = {"content-range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        if self.lying.breaks_after:
            most = self.lying.breaks_after.pop(0)
            self._say(206 if start else 200, content[start : start + most], size=len(content) - start, **headers)
            self.close_connection = True
        else:
            self._say(206 if start else 200, content[start:], **headers)

    def _say(self, status: int, body: bytes, *, size: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body) if size is None else size))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def lying() -> Lying:
    return Lying()


@pytest.fixture
def api(lying: Lying, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("FAILGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(download, "_FIRST_PAUSE", 0.0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"lying": lying}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that has heard enough hangs up
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with Api(Settings(url, "acme", "t", str(tmp_path), "never", (), is_http_accepted=False)) as made:
        yield made
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(api: Api, tmp_path: Path, known: Known | None = None) -> dict[str, bytes]:
    """Return what was downloaded, by kind."""
    with downloaded(api, known or Known(SERVER_ID), Need(tmp_path), is_silent=True) as report:
        return {one.kind: (report.folder / one.sha256).read_bytes() for one in report.manifest.artifacts}


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "home" / "downloads" / SERVER_ID).glob("*"))


def test_what_a_replay_needs_is_there_and_afterwards_gone(api: Api, lying: Lying, tmp_path: Path) -> None:
    cast = b"[]"
    lying.manifest["artifacts"].append(entry("recording.cast", "recording", cast))
    assert fetch(api, tmp_path) == {"output": OUTPUT, "diff": DIFF}
    assert len(lying.ranges) == 2, "a recording is not needed"
    assert list((tmp_path / "home" / "downloads").iterdir()) == []


def test_other_bytes_than_the_manifest_names_are_refused_and_not_kept(api: Api, lying: Lying, tmp_path: Path) -> None:
    lying.contents[sha(OUTPUT)] = OUTPUT[:-1] + b"!"
    with pytest.raises(Unverified, match=r"other bytes of output\.txt"):
        fetch(api, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("content", [OUTPUT + b"!", OUTPUT[:-1], b""])
def test_more_or_fewer_bytes_are_refused(api: Api, lying: Lying, tmp_path: Path, content: bytes) -> None:
    lying.contents[sha(OUTPUT)] = content
    with pytest.raises(Strange):
        fetch(api, tmp_path)


def test_a_manifest_without_its_digest_is_refused(api: Api, lying: Lying, tmp_path: Path) -> None:
    lying.answer = {"manifest": lying.manifest | {"argv": ["rm", "-rf", "."]}, "manifest_sha256": sha(b"")}
    with pytest.raises(Unverified, match="consented"):
        fetch(api, tmp_path)
    lying.answer = {"id": new_id()}
    with pytest.raises(Unverified, match="form"):
        fetch(api, tmp_path)


def test_another_manifest_than_the_one_that_was_uploaded_from_here_is_refused(
    api: Api, lying: Lying, tmp_path: Path
) -> None:
    digest = sha(canonical(lying.manifest))
    assert fetch(api, tmp_path, Known(SERVER_ID, digest))
    lying.manifest["argv"] = ["rm", "-rf", "."]
    with pytest.raises(Unverified, match="uploaded from here"):
        fetch(api, tmp_path, Known(SERVER_ID, digest))


@pytest.mark.parametrize(
    "members",
    [
        {"id": "../../../x"},
        {"git": {"head": "--upload-pack=sh", "branch": None, "is_dirty": False, "changed_files": 0}},
        {"artifacts": [entry("output.txt", "output", b"") | {"sha256": "../../../x"}]},
        {"artifacts": [entry("output.txt", "output", b"") | {"size_bytes": -1}]},
        {"argv": "make"},
    ],
)
def test_what_would_become_a_path_or_an_option_is_refused(
    api: Api, lying: Lying, tmp_path: Path, members: dict[str, Any]
) -> None:
    lying.manifest |= members
    with pytest.raises(Unverified):
        fetch(api, tmp_path)
    assert left(tmp_path) == []


def test_a_break_goes_on_where_it_was(api: Api, lying: Lying, tmp_path: Path) -> None:
    lying.breaks_after = [1000, 300_000, 0, 5]
    assert fetch(api, tmp_path)["output"] == OUTPUT
    assert lying.ranges == [None, "bytes=1000-", "bytes=301000-", "bytes=301000-", "bytes=301005-", None]


def test_a_server_without_ranges_sends_all_again(api: Api, lying: Lying, tmp_path: Path) -> None:
    lying.knows_ranges = False
    lying.breaks_after = [1000]
    assert fetch(api, tmp_path)["output"] == OUTPUT


def test_what_came_before_the_end_is_used_by_the_next_try(api: Api, lying: Lying, tmp_path: Path) -> None:
    lying.breaks_after = [1000] + [0] * 20
    with pytest.raises(Lost):
        fetch(api, tmp_path)
    assert left(tmp_path) == [f"{sha(OUTPUT)}.part"]
    lying.breaks_after = []
    assert fetch(api, tmp_path)["output"] == OUTPUT
    assert lying.ranges[-2] == "bytes=1000-"


def test_a_spoilt_beginning_is_found_out(api: Api, lying: Lying, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "downloads" / SERVER_ID
    folder.mkdir(parents=True)
    (folder / f"{sha(OUTPUT)}.part").write_bytes(b"something else")
    with pytest.raises(Unverified):
        fetch(api, tmp_path)
    assert fetch(api, tmp_path)["output"] == OUTPUT


@pytest.mark.parametrize(("status", "kind"), [(404, Unreplayable), (403, Refused)])
def test_a_report_that_is_deleted_in_the_middle_is_said_at_once(
    api: Api, lying: Lying, tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    lying.refuses = status
    with pytest.raises(kind, match="deleted or withheld" if status == 404 else "no"):
        fetch(api, tmp_path)


def test_a_report_that_is_not_there_or_withheld_cannot_be_replayed(api: Api, lying: Lying, tmp_path: Path) -> None:
    with pytest.raises(Unreplayable, match="no report"):
        fetch(api, tmp_path, Known(new_id()))
    lying.answer = {"manifest": None}
    with pytest.raises(Unreplayable, match="withheld"):
        fetch(api, tmp_path)
    lying.answer = {"artifacts": []}
    with pytest.raises(Unreplayable, match="not on the server"):
        fetch(api, tmp_path)


def test_what_nobody_came_back_for_goes_after_a_week(api: Api, tmp_path: Path) -> None:
    base = tmp_path / "home" / "downloads"
    old, fresh = base / new_id(), base / new_id()
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    then = time.time() - 8 * 24 * 3600
    os.utime(old, (then, then))
    fetch(api, tmp_path)
    assert list(base.iterdir()) == [fresh]
