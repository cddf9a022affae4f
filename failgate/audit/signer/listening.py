"""The signer's Unix socket: one question, one answer, one caller after the other.

The kernel says who calls (SO_PEERCRED): whoever is not a peer is told so and nothing else. A caller who is slow or says
too much loses its connection, so that it keeps the next one waiting for a few seconds at most.
"""

import contextlib
import logging
import os
import socket
import sqlite3
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from failgate.audit.signer.ledger import Ledger
from failgate.audit.signer.messages import (
    QUESTION_BYTES,
    Answer,
    AskHandover,
    AskHeads,
    AskIdentity,
    Outcomes,
    Page,
    Question,
    Refusal,
)
from failgate.base.errors import FailgateError, StartRefused

PATIENCE_SECONDS: Final = 5.0  # for a whole question, and for taking the answer
_LOOK_SECONDS: Final = 0.2
_PIECE_BYTES: Final = 64 * 1024
_MOST_PIECES: Final = 32
_LONGEST_PATH: Final = 107  # bytes
_log = logging.getLogger("failgate.signer")
_decoder = msgspec.json.Decoder(Question)


@contextlib.contextmanager
def listening(path: Path, *, is_for_others: bool) -> Iterator[socket.socket]:
    """Yield the socket at `path`, in place of one that nobody listens at any more.

    Raises: StartRefused (something else is there, somebody else could put a socket there, the path is too long).
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise StartRefused(f"The path {path} is longer than {_LONGEST_PATH} bytes.", hint="Name a shorter one.")
    try:
        mode = path.parent.stat().st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            raise StartRefused(
                f"Others may write into {path.parent}, and could put a socket of their own there.",
                hint=f"Run: chmod go-w {path.parent}",
            )
        _remove_left_behind(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        if is_for_others:
            path.chmod(0o666)  # the kernel says who calls
        listener.listen(16)
    except OSError as error:
        raise StartRefused(f"Nothing can listen at {path}: {error.strerror}.", hint="Name another --socket.") from error
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _remove_left_behind(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise StartRefused(f"{path} is no socket.", hint="Name another --socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise StartRefused(f"Somebody listens at {path} already.", hint="Stop it first, or name another --socket.")


def answer_all(ledger: Ledger, listener: socket.socket, peers: frozenset[int], is_stopped: Callable[[], bool]) -> None:
    """Answer the accounts `peers` until `is_stopped`.

    Raises: sqlite3.Error (what is kept cannot be written for another reason than space: nothing is signed any more).
    """
    listener.settimeout(_LOOK_SECONDS)
    while not is_stopped():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with connection:
            try:
                _answer_one(ledger, connection, peers)
            except OSError as error:
                _log.warning("signer.connection_lost: %s", error)


def _answer_one(ledger: Ledger, connection: socket.socket, peers: frozenset[int]) -> None:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    if uid not in peers:
        _log.error("signer.stranger: uid %d asked", uid)
        _send(connection, Answer(refusal=Refusal(f"The account {uid} may not ask this signer.", "See --peer.")))
        return
    line = _read(connection)
    if line is None:
        _send(connection, Answer(refusal=Refusal("The question is too long, too slow or has no end.")))
        return
    try:
        answer = _answer(ledger, _decoder.decode(line))
    except msgspec.MsgspecError as error:
        answer = Answer(refusal=Refusal(f"The question is malformed: {error}."))
    except FailgateError as error:
        answer = Answer(refusal=Refusal(error.sentence, error.hint))
    except OSError as error:
        answer = Answer(refusal=Refusal(f"The signer cannot write: {error.strerror}.", "Make space in its folder."))
    except sqlite3.Error as error:
        _log.critical("signer.not_kept: %s", error)
        _send(connection, Answer(refusal=Refusal(f"The signer cannot write: {error}.", "Make space in its folder.")))
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise  # after a failed write nothing that this process believes of the file counts
        return
    _send(connection, answer)


def _answer(ledger: Ledger, question: Question) -> Answer:
    if isinstance(question, AskIdentity):
        return Answer(known=ledger.known())
    if isinstance(question, AskHeads):
        return Answer(page=Page(ledger.heads(question.after)))
    if isinstance(question, AskHandover):
        ledger.hand_over(question.to)
        _log.warning("signer.handed_over: to %s", question.to)
        return Answer(known=ledger.known())
    outcomes = ledger.sign(question.heads)
    for one in outcomes:
        if one.refused is not None:
            _log.error("signer.refused: %s", one.refused)
    return Answer(signed=Outcomes(outcomes))


def _read(connection: socket.socket) -> bytes | None:
    """Return the line that the caller says, or None: it is too long, too slow, or has no end."""
    deadline, line = time.monotonic() + PATIENCE_SECONDS, bytearray()
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or len(line) > QUESTION_BYTES:
            return None
        connection.settimeout(left)
        try:
            piece = connection.recv(_PIECE_BYTES)
        except TimeoutError:
            return None
        if not piece:
            return None
        line += piece
    return bytes(line) if len(line) <= QUESTION_BYTES else None


def _send(connection: socket.socket, answer: Answer) -> None:
    connection.settimeout(PATIENCE_SECONDS)
    connection.sendall(msgspec.json.encode(answer) + b"\n")
    connection.settimeout(0)
    for _ in range(_MOST_PIECES):  # what was not read would take the answer back
        try:
            if not connection.recv(_PIECE_BYTES):
                break
        except BlockingIOError:
            break
