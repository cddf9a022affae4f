"""The process beside a recorded shell: redacts what was shown, chains it in chunks and sends them while it runs.

It stands apart so that a shell that is killed is recorded to its end: what came until then is sent, and the recording
is ended as broken off. What leaves this machine is redacted, and leaves within a second, whether its line has ended or
not: only what may still become a secret waits for what follows, in memory, however long that takes.

The shell's side is `Tap`: frames through a pipe, which is full when nothing can be sent: then the shell waits.
"""

import fcntl
import hashlib
import math
import os
import queue
import select
import signal
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Final, NoReturn

from failgate.base.errors import FailgateError
from failgate.base.links import next_link
from failgate.client.answer import Lost
from failgate.client.asciicast import CastWriter
from failgate.client.cleaning import Clean, Due, cleaned
from failgate.client.exits import Refused
from failgate.client.http import Api
from failgate.client.output import STDOUT, Output, Piece
from failgate.redaction import Scanner, redact

CHUNK_BYTES: Final = 256 * 1024
SEND_SECONDS: Final = 0.8
HEARTBEAT_SECONDS: Final = 10.0
LAST_SECONDS: Final = 60.0  # for the rest, once the shell has ended
_QUIET_SECONDS: Final = 0.1
_MOMENT_US: Final = 20_000
_MOST_WAITING: Final = 8  # chunks on their way: what was recorded before is sent while more is redacted
_PIPE_BYTES: Final = 1024 * 1024
_PIECE: Final = 1024 * 1024
_HEAD: Final = struct.Struct("<BQI")
_OUTPUT, _SIZE, _MARK, _END = b"orme"


class Tap(Output):
    """The output of the shell on its way to the recorder; nothing of it is kept here."""

    def __init__(self, descriptor: int) -> None:
        """Write frames to `descriptor`, from now on."""
        super().__init__(0, 0)
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, piece: bytes, stream: int = STDOUT, at_us: int | None = None) -> None:
        """Pass `piece` on. Raises: OSError when nobody records any more."""
        del stream
        self._put(_OUTPUT, piece, at_us)

    def resized(self, columns: int, rows: int) -> None:
        """Pass the new size on."""
        self._put(_SIZE, b"%dx%d" % (columns, rows))

    def mark(self, text: str) -> None:
        """Add a marker."""
        self._put(_MARK, text.encode("utf-8", "replace"))

    def finish(self, exit_code: int) -> None:
        """Say that the shell has ended by itself."""
        self._put(_END, b"%d" % exit_code)
        self.close()

    def close(self) -> None:
        """Pass nothing on any more; without `finish` before it, the recording broke off."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _put(self, kind: int, content: bytes, at_us: int | None = None) -> None:
        with self._lock:
            view = memoryview(_HEAD.pack(kind, self.now_us() if at_us is None else at_us, len(content)) + content)
            while view:
                view = view[os.write(self._descriptor, view) :]


def start_recorder(api: Api, scanner: Scanner, begun: Mapping[str, object]) -> tuple[Tap, str, int]:
    """Begin a recording on the server and the process that sends it; return the tap, the recording's id, the process.

    Raises: ClientError (nothing is recorded, so nothing may run).
    """
    base = f"{api.workspace()}/recordings"
    receipt = api.call("POST", base, dict(begun), idempotency_key=os.urandom(16).hex()).content
    reading, writing = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    api.close()  # a connection is of one process
    child = os.fork()
    if child == 0:
        os.close(writing)
        _live_apart(reading, Sending(api, base, receipt), scanner, begun)
    os.close(reading)
    return Tap(writing), str(receipt["id"]), child


def _live_apart(reading: int, sending: "Sending", scanner: Scanner, begun: Mapping[str, object]) -> NoReturn:
    code = 1
    try:
        os.setsid()  # keys and the end of the terminal are not for us
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        Recording(reading, sending, scanner, begun).run()
        code = 0
    except FailgateError as error:
        os.write(2, f"\r\nfailgate: the recording stopped, and the shell with it: {error}\r\n".encode())
    finally:
        os._exit(code)


class Sending:
    """The chain of one recording: chunks are sent in order, each until the server has it."""

    def __init__(self, api: Api, base: str, receipt: Mapping[str, object]) -> None:
        """Go on after `receipt`."""
        self._api = api
        self._route = f"{base}/{receipt['id']}"
        self._chain = bytes.fromhex(str(receipt["chain"]))
        self._number = 0
        self._heard_at = time.monotonic()
        self._has_said = False
        self._until = math.inf
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._failure: FailgateError | None = None
        self._thread = threading.Thread(target=self._send_all, name="sending", daemon=True)

    def start(self) -> None:
        """Begin to send what is handed over."""
        self._thread.start()

    def send(self, content: bytes) -> None:
        """Hand a chunk over; wait while many are on their way. Raises: FailgateError (one was not taken)."""
        self._check()
        self._waiting.put(content)

    def be_heard(self) -> None:
        """Say that we live, when nothing was sent for long. Raises: as `send`."""
        self._check()
        if time.monotonic() - self._heard_at >= HEARTBEAT_SECONDS and self._waiting.empty():
            self._heard_at = time.monotonic()
            self._waiting.put(b"")

    def end(self, exit_code: int | None) -> None:
        """End the recording once all of it is sent; without an exit code it broke off.

        Nobody waits any more, so a server that is gone is asked again for `LAST_SECONDS` and no longer: it ends what it
        does not hear by itself. Raises: as `send`; Lost.
        """
        self._until = time.monotonic() + LAST_SECONDS
        self._waiting.put(None)
        self._thread.join()
        self._check()
        ending = {
            "chunks": self._number, "chain": self._chain.hex(), "exit_code": exit_code, "is_broken": exit_code is None,
        }  # fmt: skip
        key = os.urandom(16).hex()
        self._patiently(lambda: self._api.call("POST", f"{self._route}/end", ending, idempotency_key=key))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _send_all(self) -> None:
        """Send what is handed over until None comes; after a failure, take everything and send nothing."""
        while (content := self._waiting.get()) is not None:
            if self._failure is not None:
                continue
            try:
                if content:
                    self._send(content)
                else:
                    self._beat()
            except FailgateError as error:
                self._failure = error

    def _send(self, content: bytes) -> None:
        """Return when the server keeps the chunk. A lost connection is opened again while the shell is there."""
        link = next_link(self._chain, self._number, hashlib.sha256(content).digest())
        path = f"{self._route}/chunks/{self._number}?chain={link.hex()}"
        self._patiently(lambda: self._api.put_file(path, BytesIO(content), len(content)))
        self._chain, self._number = link, self._number + 1

    def _beat(self) -> None:
        """Say that we live; a server that does not hear is asked again later."""
        try:
            self._api.call("POST", f"{self._route}/heartbeat", {}, seconds=5, idempotency_key=os.urandom(16).hex())
        except (Lost, Refused):
            return  # what is sent next says why

    def _patiently(self, ask: Callable[[], object]) -> None:
        pause = 0.2
        while True:
            try:
                ask()
            except Lost as error:
                if time.monotonic() + pause > self._until:
                    raise
                self._say(str(error))
            except Refused as error:
                if (error.answered != 429 and error.answered < 500) or time.monotonic() + pause > self._until:
                    raise
                self._say(error.sentence)
            else:
                break
            time.sleep(pause)
            pause = min(2 * pause, 3.0)
        self._heard_at = time.monotonic()
        if self._has_said:
            self._has_said = False
            os.write(2, b"\r\nfailgate: the recording goes on\r\n")

    def _say(self, why: str) -> None:
        if not self._has_said:
            self._has_said = True
            os.write(2, f"\r\nfailgate: the recording cannot be sent, the shell waits: {why}\r\n".encode())


class Recording:
    """Frames from the shell, made into chunks."""

    def __init__(self, reading: int, sending: Sending, scanner: Scanner, begun: Mapping[str, object]) -> None:
        """Read frames from the pipe `reading`."""
        self._reading = reading
        self._sending = sending
        self._scanner = scanner
        self._lines: list[bytes] = []
        self._size = 0
        self._begun = begun
        self._beside: deque[tuple[int, int, str]] = deque()
        self._exit_code: int | None = None
        self._held = b""
        self._due_at: float | None = None

    def run(self) -> None:
        """Record until the shell has ended or is gone.

        Raises: Refused.
        """
        writer = CastWriter(
            self._keep,
            size=(int(str(self._begun["width"])), int(str(self._begun["height"]))),
            timestamp=int(time.time()),
            title=str(self._begun["title"]) if "title" in self._begun else None,
        )
        rules: Counter[str] = Counter()
        self._sending.start()
        for item in cleaned(self._pieces(), self._scanner, rules):
            if not isinstance(item, Clean):
                self._put_beside(writer, None)
                self._send()
                continue
            self._put_beside(writer, item.at_us)
            writer.write(item.at_us, item.content)
            if self._size >= CHUNK_BYTES:
                self._send()
        writer.finish()
        self._put_beside(writer, None)
        self._send()
        self._sending.end(self._exit_code)

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _send(self) -> None:
        if self._lines:
            content = b"".join(self._lines)
            self._lines, self._size = [], 0
            self._sending.send(content)

    def _put_beside(self, writer: CastWriter, upto_us: int | None) -> None:
        """Write the sizes and markers that came before `upto_us`."""
        while self._beside and (upto_us is None or self._beside[0][0] <= upto_us):
            at_us, kind, text = self._beside.popleft()
            if kind == _SIZE:
                columns, _, rows = text.partition("x")
                writer.resize(at_us, int(columns), int(rows))
            else:
                writer.mark(at_us, redact(text, self._scanner).text)

    def _pieces(self) -> Iterator[Piece | Due]:
        """Yield what was shown, and where it is due that all of it leaves that may."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        while True:
            if not poll.poll(_QUIET_SECONDS * 1000):
                if self._is_due():
                    yield Due()
                self._sending.be_heard()
                continue
            came = os.read(self._reading, _PIECE)
            if not came:
                return
            for kind, at_us, content in _joined(self._frames(came)):
                if kind == _END:
                    self._exit_code = int(content)
                    continue
                self._due_at = self._due_at or time.monotonic() + SEND_SECONDS
                if kind == _OUTPUT:
                    yield Piece(at_us, STDOUT, content)
                else:
                    self._beside.append((at_us, kind, content.decode("utf-8", "replace")))
            if self._is_due():
                yield Due()

    def _frames(self, came: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield the frames that are whole now: kind, microseconds since the start, content."""
        held, at = self._held + came, 0
        while len(held) - at >= _HEAD.size:
            kind, at_us, size = _HEAD.unpack_from(held, at)
            end = at + _HEAD.size + size
            if len(held) < end:
                break
            yield kind, at_us, held[at + _HEAD.size : end]
            at = end
        self._held = held[at:]

    def _is_due(self) -> bool:
        """Tell, once, that something waits for as long as it may."""
        if self._due_at is None or time.monotonic() < self._due_at:
            return False
        self._due_at = None
        return True


def _joined(frames: Iterator[tuple[int, int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """Yield the frames, output of one moment as one: pieces of a terminal are small, and each costs a look."""
    begun_us, held = 0, list[bytes]()
    for kind, at_us, content in frames:
        if held and (kind != _OUTPUT or at_us - begun_us > _MOMENT_US):
            yield _OUTPUT, begun_us, b"".join(held)
            held = []
        if kind != _OUTPUT:
            yield kind, at_us, content
            continue
        begun_us = at_us if not held else begun_us
        held.append(content)
    if held:
        yield _OUTPUT, begun_us, b"".join(held)
