"""A command that is asked for, and executed once it is approved, by a `failgate run` of its own process.

Whoever starts it goes on meanwhile and may hear of it later; when they are gone, the request is withdrawn.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from failgate.base.errors import BadInput
from failgate.client.messages import inert

HEAD_BYTES = 32 * 1024
TAIL_BYTES = 96 * 1024
_PACKAGES = Path(__file__).resolve().parents[2]
_RUN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from failgate.client.run import main; sys.exit(main(sys.argv[1:]))"
)
_PIECE = 1 << 16
_END_SECONDS = 10.0


class Finished(NamedTuple):
    """How it ended. `state` is `executed` or the word that says why nothing was; `message` says it in a sentence.

    `request` is the id of the request, when there was one. Output is text; what does not fit between its beginning and
    its end is left out and said.
    """

    state: str
    exit_code: int
    message: str
    request: str | None
    output: str
    errors: str


class Gated:
    """One command on its way. Its methods may be called from any thread."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        reason: str | None = None,
        ttl_seconds: int | None = None,
        variables: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        accepts_edits: bool = False,
    ) -> None:
        """Ask for `argv` in the folder `cwd`, with our environment or the given one.

        `variables` names what the command gets besides the usual ones. With `accepts_edits` it runs as a reviewer
        edited it.

        Raises: BadInput (there is no command, or an argument that no program can be given).
        """
        if not argv or any("\0" in word for word in argv):
            raise BadInput("There is no command that could be executed.", hint="Give a program and its arguments.")
        hearing, speaking = os.pipe()
        options = ["--message-fd", str(speaking)]
        options += ["--reason", reason] if reason else []
        options += ["--ttl", str(ttl_seconds)] if ttl_seconds is not None else []
        options += ["--accept-edits"] if accepts_edits else []
        for name in variables:
            options += ["--env", name]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - it asks before it executes anything
                [sys.executable, "-I", "-c", _RUN, str(_PACKAGES), *options, "--", *argv],
                cwd=cwd, env=None if environment is None else dict(environment), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(speaking,), start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            os.close(hearing)
            raise BadInput(f"The command cannot be asked for: {error}.") from error
        finally:
            os.close(speaking)
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._kept = (_Kept(), _Kept())
        streams = (self._process.stdout, self._process.stderr)
        self._readers = [threading.Thread(target=self._hear, args=(hearing,), daemon=True)]
        self._readers += [
            threading.Thread(target=kept.read, args=(stream,), daemon=True)
            for kept, stream in zip(self._kept, streams, strict=True)
        ]
        self._finished: Finished | None = None
        self._lock = threading.Lock()
        for reader in self._readers:
            reader.start()

    @property
    def request(self) -> str | None:
        """Return the id of the request, once it is known."""
        return next((str(one["id"]) for one in list(self._events) if isinstance(one.get("id"), str)), None)

    def wait(self, seconds: float | None = None) -> Finished | None:
        """Return how it ended; None when it has not within `seconds`."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        with self._lock:
            if self._finished is None:
                for reader in self._readers:
                    reader.join(_END_SECONDS)
                self._finished = self._ended(code)
            return self._finished

    def wait_for_request(self, seconds: float) -> str | None:
        """Return the id of the request once it waits for people; None when it ends or does not within `seconds`."""
        until = time.monotonic() + seconds
        with self._changed:
            while self.request is None and self._process.poll() is None and time.monotonic() < until:
                self._changed.wait(0.1)
        return self.request

    def stop(self) -> None:
        """Withdraw the request, or end the command that runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _hear(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                with self._changed:
                    self._events.append(event)
                    self._changed.notify_all()

    def _ended(self, code: int) -> Finished:
        output, errors = (kept.text() for kept in self._kept)
        last = self._events[-1] if self._events else {}
        executed = [one for one in self._events if one.get("event") == "ended"]
        if executed:
            remarks = [str(one.get("message")) for one in self._events if one.get("event") in {"observed", "glass"}]
            said = inert(remarks[-1]) if remarks else ""
            return Finished("executed", int(executed[-1]["exit_code"]), said, self.request, output, errors)
        said = str(last.get("message") or errors.strip().rpartition("\n")[2] or "it ended without a word")
        return Finished(str(last.get("event") or "stopped"), code, inert(said), self.request, output, errors)


class _Kept:
    """The beginning and the end of an output."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def read(self, stream: Any) -> None:
        """Read `stream` to its end."""
        with stream:
            while piece := stream.read1(_PIECE):
                room = HEAD_BYTES - len(self._head)
                self._head += piece[:room]
                self._tail += piece[room:]
                surplus = len(self._tail) - TAIL_BYTES
                if surplus > 0:
                    del self._tail[:surplus]
                    self._left_out += surplus

    def text(self) -> str:
        """Return what was kept, without secrets."""
        from failgate.redaction import without_secrets

        middle = f"\n[{self._left_out} bytes left out]\n".encode() if self._left_out else b""
        return without_secrets((bytes(self._head) + middle + bytes(self._tail)).decode("utf-8", "replace"))
