"""A server of the wire, and `failgate` as a process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.wire_server import TOKEN, Wire, WireServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def server(wire: Wire) -> Iterator[WireServer]:
    with WireServer(wire) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path, server: WireServer) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "FAILGATE_URL": server.url,
        "FAILGATE_TOKEN": TOKEN,
        "FAILGATE_WORKSPACE": "demo",
        "FAILGATE_HOME": str(tmp_path / "home"),
        "FAILGATE_UPLOAD": "never",
    }


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


Failgate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def failgate(environment: dict[str, str], work: Path) -> Failgate:
    def call(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        settings: dict[str, Any] = {
            "env": environment,
            "cwd": work,
            "capture_output": True,
            "text": True,
            "timeout": 30,
            "stdin": subprocess.DEVNULL,
        } | more
        return subprocess.run([sys.executable, "-m", "failgate", *arguments], check=False, **settings)

    return call


@pytest.fixture
def started(environment: dict[str, str], work: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "failgate", *arguments],
            env=environment,
            cwd=work,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
