"""Rows 13 to 15: one large artifact up, with its SHA-256 verified and synced, and down again; and 1 GiB with --full."""

import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness import Absent, Measure, Row, Sample, Side, memory_from_now_mib, peak_memory_mib
from server import HOST, OWNER, WORKSPACE, Server, free_port, scratch_folder, serving, wait_for_200

MIB = 1024 * 1024
REPORTS = f"/api/v1/workspaces/{WORKSPACE}/reports"
_TUS = {"Tus-Resumable": "1.0.0"}
_OBJECT = re.compile(r"[0-9a-f-]{36}")
Opened = Callable[[], AbstractContextManager[Measure]]


class Content:
    """Bytes that no scan and no file system makes smaller, different in each round, of any size in little memory."""

    def __init__(self, mib: int) -> None:
        self._mib = mib
        self._piece = os.urandom(MIB - 16)

    @property
    def size(self) -> int:
        """In bytes."""
        return self._mib * MIB

    def made(self) -> tuple[list[bytes], str]:
        """Return the pieces of a new content and its SHA-256; the pieces share their memory."""
        heads = [os.urandom(16) for _ in range(self._mib)]
        digest, pieces = hashlib.sha256(), []
        for head in heads:
            pieces += [head, self._piece]
            digest.update(head)
            digest.update(self._piece)
        return pieces, digest.hexdigest()


def send(port: int, path: str, pieces: list[bytes], size: int, headers: dict[str, str], method: str = "PUT") -> float:
    """Send the pieces as one body; return the seconds until the answer. Raises: RuntimeError for a refusal."""
    connection = http.client.HTTPConnection(HOST, port, timeout=300)
    connection.connect()
    began = time.perf_counter()
    connection.putrequest(method, path)
    for name, value in {"Content-Length": str(size), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    for piece in pieces:
        connection.sock.sendall(piece)
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    if answer.status not in {200, 201, 204}:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:300]!r}")
    return seconds


def fetch(port: int, path: str, size: int, headers: dict[str, str]) -> float:
    """GET in four ranges; return the seconds. Raises: RuntimeError for another status or length."""
    connection = http.client.HTTPConnection(HOST, port, timeout=300)
    buffer, total, part = bytearray(MIB), 0, size // 4
    began = time.perf_counter()
    for start in range(0, size, part):
        connection.request("GET", path, headers={"Range": f"bytes={start}-{start + part - 1}", **headers})
        answer = connection.getresponse()
        if answer.status != 206:
            raise RuntimeError(f"{path} answered {answer.status}: {answer.read()[:300]!r}")
        while got := answer.readinto(buffer):
            total += got
    seconds = time.perf_counter() - began
    connection.close()
    if total != size:
        raise RuntimeError(f"{path} gave {total} bytes of {size}")
    return seconds


def begin(server: Server, digest: str, size: int) -> str:
    """Begin a report that names one artifact; return the artifact's path."""
    manifest: dict[str, Any] = {
        "v": 1, "id": str(uuid.uuid4()), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["bench"], "cwd": "/",
        "host": "h", "exit_code": 1, "duration_ms": 1, "redactions": [], "redaction_rules": "1",
        "environment": {"names": [], "values": {}, "platform": "Linux"},
        "artifacts": [{"name": "large.bin", "kind": "file", "media_type": "application/octet-stream",
                       "size_bytes": size, "sha256": digest}],
    }  # fmt: skip
    from failgate.base.canonical import canonical

    consent = {"manifest_sha256": hashlib.sha256(canonical(manifest)).hexdigest(), "by": "standing",
               "at": "2026-01-02T03:04:06Z"}  # fmt: skip
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    body = json.dumps({"manifest": manifest, "consent": consent})
    connection.request("POST", REPORTS, body, headers_of(server) | {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    if "id" not in answer:
        raise RuntimeError(f"the report was refused: {answer}")
    return f"{REPORTS}/{answer['id']}/artifacts/{digest}"


def headers_of(server: Server) -> dict[str, str]:
    """Return the credential."""
    return {"Authorization": f"Bearer {server.token}"}


def ours_up(mib: int) -> Opened:
    """Return what opens a server and measures uploads, and how much its memory grew by them."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("artifacts-up") as server:
            content = Content(mib)

            def upload(pieces: list[bytes], digest: str, size: int) -> float:
                return send(server.port, begin(server, digest, size), pieces, size, headers_of(server))

            upload(*Content(2).made(), 2 * MIB)  # what is made once is there before
            before = memory_from_now_mib(server.pid)

            def measure() -> Sample:
                pieces, digest = content.made()
                seconds = upload(pieces, digest, content.size)
                grown = peak_memory_mib(server.pid) - before
                _forget_objects(server)
                return Sample(content.size / 1e6 / seconds, {"memory_growth_mib": grown})

            yield measure

    return opened


def _forget_objects(server: Server) -> None:
    """Remove the bytes that were kept, as the floor removes its file: new memory for them is not what is measured."""
    for path in server.data.rglob("*"):
        if path.is_file() and path.stat().st_size >= MIB and _OBJECT.fullmatch(path.name):
            path.unlink()


def ours_down(mib: int) -> Opened:
    """Return what opens a server with one artifact and measures its download in ranges."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("artifacts-down") as server:
            content = Content(mib)
            pieces, digest = content.made()
            path = begin(server, digest, content.size)
            send(server.port, path, pieces, content.size, headers_of(server))
            key = server.admin("api_key.create", email=OWNER, workspace=WORKSPACE)["api_key"]
            reader = {"Authorization": f"Bearer {key}"}
            before = memory_from_now_mib(server.pid)

            def measure() -> Sample:
                seconds = fetch(server.port, path, content.size, reader)
                grown = peak_memory_mib(server.pid) - before
                return Sample(content.size / 1e6 / seconds, {"memory_growth_mib": grown})

            yield measure

    return opened


@contextmanager
def nginx() -> Iterator[tuple[int, Path]]:
    """Yield the port and folder of an nginx that takes PUT. Raises: Absent."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise Absent("nginx with its dav module is not installed (Debian: nginx-light or nginx)")
    with scratch_folder("nginx") as folder:
        port, files = free_port(), folder / "files"
        files.mkdir()
        (files / "ready").write_text("ready")
        modules = Path("/etc/nginx/modules-enabled")
        load = f"include {modules}/*.conf;" if modules.is_dir() else ""
        (folder / "nginx.conf").write_text(
            f"{load} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; "
            f"user {'root' if os.geteuid() == 0 else 'nobody'}; events {{}} "
            f"http {{ access_log off; client_body_temp_path {folder}/temp; client_max_body_size 0; sendfile on; "
            f"server {{ listen {HOST}:{port}; root {files}; location / {{ dav_methods PUT; }} }} }}"
        )
        process = subprocess.Popen(
            [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_200(port, "/ready", 10, process)
            yield port, files
        finally:
            process.terminate()
            process.wait(10)


def floor_up(mib: int, *, is_verified: bool) -> Opened:
    """Return what opens nginx and measures PUT; with `is_verified` the file is hashed and synced afterwards."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with nginx() as (port, files):
            content = Content(mib)

            def measure() -> Sample:
                pieces, digest = content.made()
                name = uuid.uuid4().hex
                began = time.perf_counter()
                send(port, f"/{name}", pieces, content.size, {})
                if is_verified:
                    with (files / name).open("rb") as file:
                        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                            raise RuntimeError("nginx kept other bytes")
                        os.fsync(file.fileno())
                seconds = time.perf_counter() - began
                (files / name).unlink()
                return Sample(content.size / 1e6 / seconds)

            yield measure

    return opened


def tus_up(mib: int) -> Opened:
    """Return what opens the tus server of Node and measures the PATCH of an upload that was created before."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        from peer_tus import measured, tus_server

        with tus_server() as (process, port, files):
            content = Content(mib)

            def measure() -> Sample:
                pieces, _ = content.made()
                connection = http.client.HTTPConnection(HOST, port, timeout=60)
                connection.request("POST", "/files", headers={**_TUS, "Upload-Length": str(content.size)})
                answer = connection.getresponse()
                answer.read()
                path = urlsplit(answer.headers["location"]).path
                connection.close()
                headers = {**_TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
                seen: dict[str, float] = {}
                with measured(process, seen):
                    seconds = send(port, path, pieces, content.size, headers, "PATCH")
                kept = sum(file.stat().st_size for file in files.iterdir() if file.suffix != ".json")
                if kept != content.size:
                    raise RuntimeError(f"tus kept {kept} bytes of {content.size}")
                for file in files.iterdir():
                    file.unlink()
                return Sample(content.size / 1e6 / seconds, seen)

            yield measure

    return opened


def floor_down(mib: int) -> Opened:
    """Return what opens nginx and measures the same ranges of a file."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with nginx() as (port, files):
            content = Content(mib)
            (files / "large").write_bytes(b"".join(content.made()[0]))
            yield lambda: Sample(content.size / 1e6 / fetch(port, "/large", content.size, {}))

    return opened


def rows(*, is_quick: bool, is_full: bool) -> list[Row]:
    """Return rows 13, 14 and 15; `is_full` takes 1 GiB."""
    mib = 8 if is_quick else 1024 if is_full else 256
    limits = {"memory_growth_mib": 16.0}
    up = Side("failgate: streamed, SHA-256 verified, synced, recorded", ours_up(mib))
    return [
        Row(
            13, f"Upload {mib} MiB, authenticated", "MB/s", up,
            Side("tus server of Node: kept, not verified, not synced", tus_up(mib)),
            target=1.0, is_durable=True, limits=limits,
            peers=(Side("nginx dav: kept, not verified, not synced", floor_up(mib, is_verified=False)),),
        ),
        Row(
            14, f"Upload {mib} MiB with verified SHA-256 and fsync", "MB/s", up,
            Side("floor: nginx dav, then SHA-256 and fsync", floor_up(mib, is_verified=True)),
            target=0.65, is_durable=True, limits=limits,
        ),
        Row(
            15, f"Download {mib} MiB in four ranges, authenticated", "MB/s",
            Side("failgate", ours_down(mib)), Side("floor: nginx", floor_down(mib)), target=0.7, limits=limits,
        ),
    ]  # fmt: skip
