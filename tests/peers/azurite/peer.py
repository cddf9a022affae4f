"""Azurite, Microsoft's emulator of Azure Blob Storage: real HTTP, Shared Key signatures are checked."""

import base64
import contextlib
import hashlib
import hmac
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from failgate_objectstore import ObjectStoreSettings

from failgate.plugin import Secret
from tests.peers import npm

ACCOUNT = "failgatetests"
KEY = base64.b64encode(b"failgate tests, thirty-two bytes").decode()
_VERSION = "2021-12-02"


def installed() -> Path:
    """Return the folder with the emulator's packages, about 360 MB."""
    try:
        return npm.installed("azurite", Path(__file__).parent, is_large=True)
    except npm.NotInstalled as error:
        pytest.skip(str(error))


@dataclass(frozen=True)
class Azurite:
    """A running emulator; `endpoint` is the address of the account."""

    endpoint: str

    def settings(self, container: str, prefix: str = "", **changes: object) -> ObjectStoreSettings:
        """Return the plugin's settings for a container."""
        given: dict[str, object] = {
            "url": f"az://{container}/{prefix}",
            "endpoint": self.endpoint,
            "account": ACCOUNT,
            "account_key": Secret(KEY),
        }
        return ObjectStoreSettings(**(given | changes))

    def make_container(self, container: str) -> None:
        """Make a container that does not exist."""
        date = format_datetime(datetime.now(UTC), usegmt=True)
        # Shared Key: the method, eleven headers that are empty here, those of x-ms-, the resource.
        resource = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n{resource}"
        proof = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
        headers = {"x-ms-date": date, "x-ms-version": _VERSION, "Authorization": f"SharedKey {ACCOUNT}:{proof}"}
        url = f"{self.endpoint}/{container}?restype=container"
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=20) as answer:
            assert answer.status == 201


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Azurite]:
    """Run the emulator on a free port until left; it keeps everything in memory, its log in `folder`."""
    program = installed() / "node_modules" / ".bin" / "azurite-blob"
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry"]
    process = subprocess.Popen(
        [program, *options, "--skipApiVersionCheck"], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
    )  # fmt: skip
    lines: list[str] = []
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        yield Azurite(f"{_address(process, lines)}/{ACCOUNT}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        reader.join()


def _read(process: "subprocess.Popen[str]", lines: list[str]) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        lines.extend(stream)


def _address(process: "subprocess.Popen[str]", lines: list[str]) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for line in list(lines):
            if "successfully listens on " in line:
                return line.rpartition("listens on ")[2].strip()
        time.sleep(0.02)
    raise AssertionError("azurite did not start:\n" + "".join(lines))
