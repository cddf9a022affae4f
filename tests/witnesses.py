"""Witnesses for tests: that of tools/failgate-witness in a process of its own, and one that lies."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from failgate_witness import Witness, make_witness, read_key

Say = Callable[[bytes], tuple[int, str]]


class Program:
    """`failgate-witness serve` in a process, which may be killed and started again at its port."""

    def __init__(self, folder: Path, name: str = "witness.example/w1") -> None:
        self.folder = folder
        self.vkey = make_witness(folder, name).vkey
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Program":
        command = [sys.executable, "-m", "failgate_witness", "--data", str(self.folder), "serve"]
        self.process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{self.port}"],
            env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"listening on 127\.0\.0\.1:([0-9]+)", line):
                self.port = int(found[1])
                return self
        raise AssertionError("the witness did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    @property
    def opened(self) -> Witness:
        """The same folder, opened here: to trust a log, and to read what was cosigned."""
        return Witness(self.folder)

    def trust(self, vkey: str) -> None:
        self.opened.trust(read_key(vkey), is_installation=True)


@contextlib.contextmanager
def liar(say: Say) -> Iterator[str]:
    """A witness that answers each submission with what `say` returns; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, text = say(body)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
