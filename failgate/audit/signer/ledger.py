"""What the signer keeps in its own folder: the key, and the last head of each log that it signed.

A head is durable here before its signature leaves. So of two heads that do not continue one another one is signed at
most, whoever asks and wherever a kill comes.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.handover import HANDOVERS_FILE, Handovers, read_handovers, text_of_handovers, write_handovers
from failgate.audit.signer.messages import HEADS_PAGE, Known, Outcome, Signed, Wanted
from failgate.audit.signing import KEY_FILE, handovers_of, read_key, signer_of, sync_folder
from failgate.audit.tree import EMPTY_ROOT, ProofRejected, verify_consistency
from failgate.base.clock import Clock
from failgate.base.errors import Conflict, NotFound, StartRefused

LEDGER_FILE: Final = "signer.sqlite"
LOCK_FILE: Final = "signer.lock"
NEXT_KEY_FILE: Final = f"{KEY_FILE}.next"
MOST_LOGS: Final = 1_000_000
TABLES: Final = """
CREATE TABLE installation (origin TEXT NOT NULL, format INTEGER NOT NULL);
CREATE TABLE head (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE forgotten (log TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, at_us INTEGER NOT NULL);
"""


class Ledger:
    """The key and the heads of one installation, held by this process alone."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        """Read what `open_ledger` found. Raises: StartRefused."""
        self._folder = folder
        self._connection = connection
        self._limit = MOST_LOGS
        row = connection.execute("SELECT origin, format FROM installation").fetchone()
        if row is None or row[1] != 1:
            raise StartRefused(f"{folder / LEDGER_FILE} is of another version.", hint="Run the version that made it.")
        self._origin = str(row[0])
        self._read_keys()

    def _read_keys(self) -> None:
        """Read the keys; one that took over before a kill takes its place now. Raises: StartRefused."""
        handovers, waiting = read_handovers(self._folder / HANDOVERS_FILE), read_key(self._folder / NEXT_KEY_FILE)
        if waiting is not None and handovers is not None and handovers.current == _public(waiting):
            (self._folder / NEXT_KEY_FILE).replace(self._folder / KEY_FILE)
            sync_folder(self._folder)
        key = read_key(self._folder / KEY_FILE)
        if key is None:
            raise no_signer(self._folder)
        self.signer = signer_of(self._folder, key, self._origin)

    @property
    def handovers(self) -> Handovers:
        """Return the keys that signed before, and the one that does."""
        return handovers_of(self._folder, self.signer)

    def known(self) -> Known:
        """Return who signs. Raises: StartRefused (the key that waits cannot be read)."""
        waiting = read_key(self._folder / NEXT_KEY_FILE)
        following = None if waiting is None else _public(waiting).hex()
        return Known(self._origin, self.signer.public.hex(), following, text_of_handovers(self.handovers))

    def heads(self, after: str = "") -> list[Signed]:
        """Return up to a page of heads, of logs named above `after`."""
        query = "SELECT log, size, root FROM head WHERE log > ? ORDER BY log LIMIT ?"
        return [Signed(*row) for row in self._connection.execute(query, (after, HEADS_PAGE))]

    def sign(self, wanted: Sequence[Wanted]) -> list[Outcome]:
        """Return what becomes of each of `wanted`; the heads are durable before the first signature is made.

        Raises: sqlite3.Error (nothing was kept, and nothing is signed).
        """
        with self._transaction():
            outcomes = [self._judge(one) for one in wanted]
        return [
            Outcome(one.log, note=self.signer.checkpoint(one.log, one.size, one.root)) if outcome is None else outcome
            for one, outcome in zip(wanted, outcomes, strict=True)
        ]

    def _judge(self, one: Wanted) -> Outcome | None:
        """Keep a head that continues the last one and return None; else return what is said instead."""
        row = self._connection.execute("SELECT size, root FROM head WHERE log = ?", (one.log,)).fetchone()
        size, root = (0, EMPTY_ROOT) if row is None else (row[0], bytes(row[1]))
        if one.size < size:
            return Outcome(one.log, refused=f"The log {one.log} has {one.size} records, but {size} were signed.")
        if one.old != size:
            return Outcome(one.log, behind=size)
        try:
            verify_consistency(size, one.size, one.proof, root, one.root)
        except ProofRejected:
            sentence = f"The log {one.log} of {one.size} records does not begin with the {size} that were signed."
            return Outcome(one.log, refused=sentence)
        if one.size == 0:  # nothing to remember: every log continues the empty one
            is_empty = one.root == EMPTY_ROOT
            return None if is_empty else Outcome(one.log, refused=f"The empty log {one.log} has another root.")
        if row is None and self._connection.execute("SELECT COUNT(*) FROM head").fetchone()[0] >= self._limit:
            return Outcome(one.log, refused=f"The signer keeps {self._limit} logs, and no more.")
        if one.size > size:
            self._connection.execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?)", (one.log, one.size, one.root))
        return None

    def hand_over(self, to: str) -> None:
        """Let the key that waits sign from now on; the old one says up to where it signed each log.

        Raises: Conflict (no such key waits here), OSError (the next start goes on).
        """
        handovers, fresh = self.handovers, bytes.fromhex(to)
        if handovers.current != fresh:
            waiting = read_key(self._folder / NEXT_KEY_FILE)
            if waiting is None or _public(waiting) != fresh:
                raise Conflict("No such key waits to take over.", hint="failgate audit signer next-key makes one.")
            until = dict(self._connection.execute("SELECT log, size FROM head").fetchall())
            write_handovers(self._folder / HANDOVERS_FILE, handovers.after(self.signer.key, fresh, until))
            sync_folder(self._folder)
        self._read_keys()

    def forget(self, log: str, clock: Clock) -> Signed:
        """Forget the last head of `log`, so that the next one may be any; what was forgotten is kept.

        Raises: NotFound (nothing was signed of it), sqlite3.Error.
        """
        with self._transaction():
            row = self._connection.execute("SELECT log, size, root FROM head WHERE log = ?", (log,)).fetchone()
            if row is None:
                raise NotFound(f"Nothing was signed of a log {log}.", hint="failgate audit signer show lists them.")
            self._connection.execute("INSERT INTO forgotten VALUES (?, ?, ?, ?)", (*row, clock.now_us()))
            self._connection.execute("DELETE FROM head WHERE log = ?", (log,))
        return Signed(*row)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


@contextlib.contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """Yield what is kept in `folder`, and keep every other signer off it until left.

    Raises: StartRefused (there is none, it is damaged or open to others, another process holds it).
    """
    with hold(folder):
        if not (folder / LEDGER_FILE).exists() or not (folder / KEY_FILE).exists():
            raise no_signer(folder)
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(contextlib.closing(connected(folder / LEDGER_FILE)))
                ledger = Ledger(folder, connection)
            except sqlite3.Error as error:
                raise StartRefused(
                    f"{folder / LEDGER_FILE} is damaged: {error}.",
                    hint="Put it back from a copy that is no older than the last head that was signed.",
                ) from error
            yield ledger


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone until left. Raises: StartRefused."""
    try:
        mode = folder.stat().st_mode
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise no_signer(folder) from None
    except OSError as error:
        hint = "Run as the account of the signer."
        raise StartRefused(f"The folder {folder} cannot be used: {error.strerror}.", hint=hint) from error
    try:
        if mode & 0o077:
            raise StartRefused(f"The folder {folder} is open to other accounts.", hint=f"Run: chmod 700 {folder}")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StartRefused(f"Another signer uses the folder {folder}.", hint="Stop it first.") from None
    finally:
        os.close(descriptor)


def connected(path: Path) -> sqlite3.Connection:
    """Return a connection that keeps nothing before it is durable: a rollback journal, its folder synced too."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def no_signer(folder: Path) -> StartRefused:
    """Return what says that `folder` holds no signer."""
    return StartRefused(f"There is no signer in {folder}.", hint="Make one: failgate audit signer init --folder DIR")


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
