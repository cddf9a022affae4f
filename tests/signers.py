"""A signer for tests: `failgate audit signer serve` in a process of its own, which may be killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from failgate.audit.signer.asking import SignerProcess
from failgate.audit.signer.making import Moved, make_signer, new_installation


class Program:
    """A signer in `folder`, with a new key unless `moved` brings one."""

    def __init__(self, folder: Path, moved: Moved | None = None, *, origin: str | None = None) -> None:
        self.folder = folder
        self.moved = moved or new_installation(origin)
        make_signer(folder, self.moved)
        self.socket = folder / "s"
        self.process: subprocess.Popen[str] | None = None

    @property
    def public(self) -> bytes:
        return self.moved.key.public_key().public_bytes_raw()

    @property
    def asked(self) -> SignerProcess:
        return SignerProcess(self.socket, start_seconds=0.3)

    def start(self, *arguments: str, code: str | None = None) -> "Program":
        """Start it; `code` runs first in its process, to let it stop somewhere."""
        verb = ["audit", "signer", "serve", "--folder", str(self.folder), "--socket", str(self.socket), *arguments]
        run = f"import sys; sys.argv[1:] = {verb!r}\n{code or ''}\nfrom failgate.cli.main import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", run], env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line.startswith("failgate: signing"), line + self.process.stderr.read()
        return self

    def end(self, number: int = signal.SIGKILL) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.ended()

    kill = end

    def ended(self) -> int:
        """Wait until it is over."""
        assert self.process is not None
        code = self.process.wait(30)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.process = None
        return code
