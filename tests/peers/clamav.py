"""A real clamd with signatures of our own, so that nothing is fetched: the EICAR test file, and a word of ours."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.peers.starting import wait_until_up

_CLAMD = shutil.which("clamd", path=f"{os.environ['PATH']}:/usr/sbin")
# In parts: a scanner would put this very file away. Source: EICAR, anti-malware test file.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
WORD = b"a word that our own signature names"
STREAM_BYTES = 1024 * 1024  # StreamMaxLength
_NAMES = ("Eicar-Test-Signature", "Failgate.Test-1")


@dataclass
class Clamav:
    """One clamd, which may be stopped and started again; `socket` is its path, `port` its port on 127.0.0.1."""

    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def socket(self) -> str:
        return str(self.folder / "clamd")

    def start(self) -> None:
        said = self.folder / "said"
        with said.open("wb") as heard:
            self._process = subprocess.Popen(
                [str(_CLAMD), "--foreground", f"--config-file={self.folder / 'clamd.conf'}"],
                stdout=heard, stderr=heard, cwd=self.folder,
            )  # fmt: skip
        wait_until_up(self._process, said, self._answers)

    def stop(self) -> None:
        """End it, as a crash does; its socket stays behind."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(5)
            asking.connect(self.socket)
            asking.sendall(b"zPING\0")
            return asking.recv(16) == b"PONG\0"
        return False


@contextlib.contextmanager
def running() -> Iterator[Clamav]:
    """Run one; skip where it is not installed. Debian's own service and its signatures are not touched."""
    if _CLAMD is None:
        pytest.skip("clamd is missing: install Debian's clamav-daemon, which .ci/run names")
    with (
        tempfile.TemporaryDirectory(prefix="clam", dir="/tmp") as name,
        socket.socket() as free,
    ):  # a socket's path is short
        free.bind(("127.0.0.1", 0))
        peer = Clamav(Path(name), free.getsockname()[1])
        free.close()
        signatures = peer.folder / "signatures"
        signatures.mkdir()
        digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
        (signatures / "own.hdb").write_text(f"{digest}:{len(EICAR)}:{_NAMES[0]}\n")
        (signatures / "own.ndb").write_text(f"{_NAMES[1]}:0:*:{WORD.hex()}\n")
        settings = {
            "LocalSocket": peer.socket, "TCPSocket": peer.port, "TCPAddr": "127.0.0.1", "DatabaseDirectory": signatures,
            "StreamMaxLength": STREAM_BYTES, "MaxThreads": 2, "Bytecode": "no", "Foreground": "yes",
        }  # fmt: skip
        (peer.folder / "clamd.conf").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        try:
            peer.start()
            yield peer
        finally:
            peer.stop()
