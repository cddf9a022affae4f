"""Rows 27 and 28: how much memory grows with what passes through: 1 GiB of artifact, 4 GB of output of a command."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from harness import Measure, Row, Sample, Side, memory_from_now_mib, peak_memory_mib
from rows_artifacts import MIB, REPORTS, fetch
from server import OWNER, WORKSPACE, Server, clean_environment, scratch_folder, serving

Opened = Callable[[], AbstractContextManager[Measure]]
GROWTH_MIB = 16.0


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, float, float]:
    """Run a command of ours without its output; return its exit code, its peak memory in MiB, the seconds."""
    began = time.perf_counter()
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_maxrss / 1024, time.perf_counter() - began


def _local_report(folder: Path, mib: int) -> tuple[str, str]:
    """Write a report with one artifact of that size; return its id and the artifact's digest."""
    from failgate.base.ids import new_id
    from failgate.client.report_folder import ReportWriter
    from failgate.wire.reports import EnvironmentSummary, Manifest

    with ReportWriter(folder, new_id()) as writer:
        with writer.adding("core.bin", "file", "application/octet-stream") as file:
            for _ in range(mib):
                file.write(b"\0" + os.urandom(MIB - 1))
        nothing = EnvironmentSummary(names=[], values={}, platform="Linux")
        made = Manifest(
            1, writer.report_id, "2026-01-02T03:04:05.000000Z", ["make"], "/", "h", 2, 5, nothing, writer.artifacts,
            [], "1",
        )  # fmt: skip
        report = writer.finish(made)
    return report.manifest.id, report.manifest.artifacts[0].sha256


def _transfers(mib: int, *, is_sealed: bool) -> Opened:
    """Return what opens a server and measures the largest growth: of it up and down, of the real client up."""
    key = base64.b64encode(os.urandom(32)).decode()

    @contextmanager
    def opened() -> Iterator[Measure]:
        with scratch_folder("memory-client") as folder:
            (folder / "key").write_text(key)
            (folder / "key").chmod(0o600)
            config = f'[artifacts.encryption]\nkey = {{ file = "{folder / "key"}" }}\n' if is_sealed else ""
            with serving("memory-server", config=config) as server:
                transfers = _Transfers(server, folder)
                yield lambda: transfers.measured(mib)

    return opened


class _Transfers:
    """Uploads and downloads of one server; its memory is compared with what it held before the first large one."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._token = server.admin("api_key.create", email=OWNER, workspace=WORKSPACE)["api_key"]
        self._environment = clean_environment(
            FAILGATE_HOME=str(folder / "home"), FAILGATE_TOKEN=self._token, FAILGATE_WORKSPACE=WORKSPACE,
            FAILGATE_URL=server.origin,
        )  # fmt: skip
        *_, self._small, _ = self._upload(1)
        self._held = memory_from_now_mib(server.pid)

    def measured(self, mib: int) -> Sample:
        """Send one artifact of `mib` MiB by the real client, and fetch it."""
        report, digest, large, seconds = self._upload(mib)
        server_up = peak_memory_mib(self._server.pid) - self._held
        headers = {"Authorization": f"Bearer {self._token}"}
        down_seconds = fetch(self._server.port, f"{REPORTS}/{report}/artifacts/{digest}", mib * MIB, headers)
        server_both = peak_memory_mib(self._server.pid) - self._held
        grown = {"server_up_mib": server_up, "server_up_down_mib": server_both, "client_up_mib": large - self._small}
        return Sample(max(grown.values()), grown | {"up_s": seconds, "down_s": down_seconds})

    def _upload(self, mib: int) -> tuple[str, str, float, float]:
        """Return the report's id there, the artifact's digest, the client's peak in MiB and the seconds."""
        name, digest = _local_report(self._folder, mib)
        command = [sys.executable, "-m", "failgate", "report", "upload", name, "--yes"]
        code, peak, seconds = _run(command, self._folder, self._environment)
        if code:
            raise RuntimeError(f"the upload ended with {code}: {(self._folder / 'stderr').read_text()[-500:]}")
        folder = self._folder / ".failgate" / "reports" / name
        told = json.loads((folder / "uploaded.json").read_bytes())
        shutil.rmtree(folder)
        return told["id"], digest, peak, seconds


def _flood(size: int) -> Opened:
    """Return what measures how much more memory a capture takes for an output of `size` bytes than for none."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with scratch_folder("memory-capture") as folder:
            environment = clean_environment(FAILGATE_HOME=str(folder / "home"), FAILGATE_UPLOAD="never")

            def captured(script: str) -> tuple[float, float]:
                command = [sys.executable, "-m", "failgate", "capture", "--", "sh", "-c", f"{script}; exit 3"]
                code, peak, seconds = _run(command, folder, environment)
                if code != 3:
                    raise RuntimeError(f"the capture ended with {code}: {(folder / 'stderr').read_text()[-500:]}")
                return peak, seconds

            def measure() -> Sample:
                little, _ = captured("true")
                before = set((folder / ".failgate" / "reports").iterdir())
                much, seconds = captured(f"yes | head -c {size}")
                [made] = set((folder / ".failgate" / "reports").iterdir()) - before
                manifest = json.loads((made / "manifest.json").read_bytes())
                output = next(one for one in manifest["artifacts"] if one["kind"] == "output")
                kept = output["size_bytes"] / MIB
                return Sample(much - little, {"seconds": seconds, "kept_mib": kept, "rate_mb_s": size / 1e6 / seconds})

            yield measure

    return opened


def rows(*, is_quick: bool, is_full: bool) -> list[Row]:
    """Return rows 27 and 28: small without `is_full`, for they take minutes."""
    mib = 16 if is_quick else 1024 if is_full else 128
    size = 64_000_000 if is_quick else 4_000_000_000 if is_full else 500_000_000
    return [
        Row(
            27, f"Memory for an artifact of {mib} MiB, up and down", "MiB grown",
            Side("failgate, the largest of server and client", _transfers(mib, is_sealed=False)),
            higher_is_better=False, absolute=GROWTH_MIB, label="27a",
        ),
        Row(
            27, f"Memory for an artifact of {mib} MiB, sealed at rest", "MiB grown",
            Side("failgate, the largest of server and client", _transfers(mib, is_sealed=True)),
            higher_is_better=False, absolute=GROWTH_MIB, label="27b",
        ),
        Row(
            28, f"Memory for {size / 1e6:,.0f} MB of output of a command", "MiB grown",
            Side("failgate capture", _flood(size)), higher_is_better=False, absolute=GROWTH_MIB,
        ),
    ]  # fmt: skip
