"""Row 9: the client as a whole process, from its start to its end, for a command that a rule allows."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from harness import Absent, Measure, Row, Sample, Side, peak_memory_mib
from server import BIN, WORKSPACE, Server, clean_environment, serving

COMMAND = ("true",)
SHELL = "/bin/bash"
LINE = "/usr/bin/true"  # `true` alone is of the shell itself, and no rule is made for it


def _timed(
    command: Sequence[str], environment: dict[str, str], number: int, pid: int | None = None, told: bytes | None = None
) -> Measure:
    """Time `command` from start to end; `told` is what stands on its standard input."""
    peak_mib = _peak_mib(command, environment) if told is None else 0.0

    def measure() -> Sample:
        seconds, spent = [], 0.0
        for _ in range(number):
            started = time.perf_counter()
            child = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE if told is not None else None,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            assert child.stderr is not None
            if child.stdin is not None:
                child.stdin.write(told or b"")
                child.stdin.close()
            said = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
            seconds.append(time.perf_counter() - started)
            child.returncode = os.waitstatus_to_exitcode(status)
            child.stderr.close()
            spent += usage.ru_utime + usage.ru_stime
            if child.returncode != 0:
                raise RuntimeError(f"{command} ended with {child.returncode}: {said.decode(errors='replace')[-500:]}")
        ordered = sorted(seconds)
        extra = {
            "p90_ms": ordered[int(len(ordered) * 0.9)] * 1000,
            "cpu_ms_each": spent / number * 1000,
            "peak_mib": peak_mib,
        }
        if pid is not None:
            extra["server_peak_mib"] = peak_memory_mib(pid)
        return Sample(statistics.median(seconds) * 1000, extra)

    return measure


def _peak_mib(command: Sequence[str], environment: dict[str, str]) -> float:
    """Return the peak memory of one run, by way of a small process: a child's figure begins with that of its parent."""
    counting = (
        "import os,resource,sys; os.waitpid(os.posix_spawnp(sys.argv[1],sys.argv[1:],os.environ),0);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", counting, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1]) / 1024


class _Shared:
    """One server for the client of ours and the one with httpx, so that both ask the same."""

    def __init__(self, number: int, profile: Path | None) -> None:
        self._number, self._profile = number, profile
        self._server: Server | None = None

    @contextmanager
    def ours(self) -> Iterator[Measure]:
        with serving("client", self._profile) as server:
            server.allow(COMMAND)
            self._server = server
            yield _timed(
                [str(BIN / "failgate"), "run", "--", *COMMAND], self._environment(server), self._number, server.pid
            )

    @contextmanager
    def hook(self) -> Iterator[Measure]:
        """Time the command line that `failgate init claude-code` writes, without the shell that the program starts."""
        from failgate.client.hooks.configuration import LAUNCH

        with serving("hook", None) as server:
            server.allow((LINE,))
            event = {
                "session_id": "bench", "cwd": "/", "hook_event_name": "PreToolUse", "tool_name": "Bash",
                "tool_input": {"command": LINE}, "tool_use_id": "bench",
            }  # fmt: skip
            command = [sys.executable, "-I", "-S", str(LAUNCH), "claude-code"]
            environment = self._environment(server) | {"SHELL": SHELL}
            yield _timed(command, environment, self._number, server.pid, json.dumps(event).encode())

    @contextmanager
    def httpx(self) -> Iterator[Measure]:
        if find_spec("httpx") is None:
            raise Absent("not installed; pip install httpx")
        assert self._server is not None
        script = str(Path(__file__).with_name("peer_httpx.py"))
        yield _timed([sys.executable, script, *COMMAND], self._environment(self._server), self._number)

    @contextmanager
    def help(self) -> Iterator[Measure]:
        yield _timed([str(BIN / "failgate"), "--help"], clean_environment(), self._number)

    @contextmanager
    def bare(self) -> Iterator[Measure]:
        yield _timed([sys.executable, "-I", "-S", "-c", "pass"], clean_environment(), self._number)

    def _environment(self, server: Server) -> dict[str, str]:
        home = str(server.data.parent)
        return clean_environment(
            FAILGATE_URL=server.origin,
            FAILGATE_TOKEN=server.token,
            FAILGATE_WORKSPACE=WORKSPACE,
            HOME=home,
            XDG_CONFIG_HOME=home,
        )


def rows(*, is_quick: bool, profile: Path | None) -> list[Row]:
    """Return row 9."""
    shared = _Shared(3 if is_quick else 15, profile)
    return [
        Row(
            9, "`failgate run -- true`, whole process, allowlisted", "median ms",
            Side("failgate", shared.ours), Side("floor: python -I -S -c pass", shared.bare),
            higher_is_better=False, absolute=40.0, is_durable=True, peers=(Side("a client with httpx", shared.httpx),),
        ),
        Row(
            9, "The hook of Claude Code, whole process, allowlisted", "median ms",
            Side("failgate", shared.hook), Side("floor: python -I -S -c pass", shared.bare),
            higher_is_better=False, absolute=20.0, is_durable=True, label="9 hook",
        ),
        Row(
            9, "`failgate --help`, whole process", "median ms",
            Side("failgate", shared.help), Side("floor: python -I -S -c pass", shared.bare),
            higher_is_better=False, absolute=120.0, label="9 help",
        ),
    ]  # fmt: skip
