"""The notary signs heads, and never one that contradicts an earlier signature.

It compares each head with the last one that it signed (the sidecar): a log never gets shorter and always begins with
what was signed before. A log that does otherwise refuses the start of the server, unless the operator accepts it aloud.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.chain import Head
from failgate.audit.checkpoint import Checkpoint, NoteRejected, read_unverified
from failgate.audit.handover import HANDOVERS_FILE, read_handovers, write_handovers
from failgate.audit.nodes import StoredTree
from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.audit.recorded import RecordedHead
from failgate.audit.signing import (
    KEY_FILE,
    SIDECAR_FILE,
    Signer,
    default_origin,
    handovers_of,
    key_in_use,
    make_key,
    read_key,
    read_sidecar,
    signer_of,
    sync_folder,
    write_sidecar,
)
from failgate.audit.stored import StoredHead, read_head, read_heads
from failgate.audit.tree import EMPTY_ROOT
from failgate.base.canonical import JSON, base64url
from failgate.base.db import Database
from failgate.base.errors import Conflict, StartRefused, StorageUnavailable

_EMPTY = Head()
_ACCEPT = "Put the right files back, or start once with --accept-rollback, which writes a record that everybody sees."


@dataclass(frozen=True, slots=True)
class Rollback:
    """A log that does not continue what was signed: its signed head, what was found, and the sentence about it."""

    log: str
    signed_size: int
    signed_root: bytes
    found_size: int
    found_root: bytes
    sentence: str


class Notary:
    """Signs the heads of the logs of one database, with the key and the sidecar in one data folder."""

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        origin: str | None,
        key: Ed25519PrivateKey | None = None,
        previous: Ed25519PrivateKey | None = None,
    ) -> None:
        """Keep where things are; `open` reads them. `key` signs in place of one in the folder, after `previous`."""
        self._given = key
        self._previous = previous
        self._data_dir = data_dir
        self._fresh: Ed25519PrivateKey | None = None  # what is to take over
        self._database = database
        self._tree = StoredTree(database)
        self._key_path = data_dir / KEY_FILE
        self._sidecar_path = data_dir / SIDECAR_FILE
        self._origin = origin
        self._signer: Signer | None = None
        self._notes: dict[str, str] = {}
        self._signed_anew: set[str] = set()  # logs whose note is by a key from before
        self._lock = asyncio.Lock()

    async def open(self, *, accept_rollback: bool = False, recorded: Sequence[RecordedHead] = ()) -> list[Rollback]:
        """Read or make key and sidecar, compare every signed head with the database; return what was accepted.

        `recorded` are heads of other logs that the log `system` records; they are compared as well.

        Raises: StartRefused (the database is behind a head or differs from it, a file is missing or damaged).
        """
        async with self._lock:
            if self._signer is not None:
                return []
            # A key that is kept elsewhere is there before anything was signed.
            is_first = self._given is not None and not await read_heads(self._database)
            signer, notes, gaps = await asyncio.to_thread(self._read_files, accept_rollback, is_first)
            found = gaps + await self._rollbacks(signer, notes)
            known = {rollback.log for rollback in found}
            found += [one for one in await self._contradictions(recorded) if one.log not in known]
            if found and not accept_rollback:
                raise StartRefused(" ".join(rollback.sentence for rollback in found), hint=_ACCEPT)
            for rollback in found:
                notes.pop(rollback.log, None)
            self._signer, self._notes = signer, notes
            self._signed_anew = {log for log, note in notes.items() if not signer.is_of_current(note)}
            return found

    async def fresh(self, *, is_wanted: bool) -> Ed25519PrivateKey | None:
        """Return the key that is to take over, made durable in a file of its own when `is_wanted`; None: none is.

        Raises: Conflict (the key is with a secrets manager), StorageUnavailable.
        """
        if self._fresh is not None or not is_wanted:
            return self._fresh
        if self._given is not None:
            raise Conflict(
                "The key is with your secrets manager ([keys] log), which this command cannot change.",
                hint="Put a new key there, name the old one as previous_log in [keys], and start the server again.",
            )
        try:
            self._fresh = await asyncio.to_thread(_made_or_read, next_of(self._key_path))
        except OSError as error:
            raise StorageUnavailable(
                f"{next_of(self._key_path)} cannot be made: {error.strerror}.", hint="Make space there."
            ) from error
        return self._fresh

    async def hand_over(self, fresh: Ed25519PrivateKey) -> Signer:
        """Let `fresh` sign from now on, and every head anew; the old key says up to where it signed.

        Raises: StorageUnavailable (a file cannot be written: the next start goes on).
        """
        old = await self.signer()
        async with self._lock:
            heads = await read_heads(self._database)
            await self._sign(old, heads)
            until = {stored.log: stored.head.size for stored in heads}
            public = fresh.public_key().public_bytes_raw()
            try:
                await asyncio.to_thread(self._put_in_place, old, public, until)
            except OSError as error:
                raise StorageUnavailable(
                    f"The new audit key cannot be put in place: {error.strerror}.", hint="Make space, then ask again."
                ) from error
            self._signer = await asyncio.to_thread(signer_of, self._data_dir, fresh, self._origin)
            self._fresh, self._signed_anew = None, set(self._notes)
            await self._sign(self._signer, heads)
            return self._signer

    def _put_in_place(self, old: Signer, public: bytes, until: dict[str, int]) -> None:
        handovers = handovers_of(self._data_dir, old)
        if handovers.current != public:  # a start that goes on may find it written
            write_handovers(self._data_dir / HANDOVERS_FILE, handovers.after(old.key, public, until))
            sync_folder(self._data_dir)
        if self._given is None:
            next_of(self._key_path).replace(self._key_path)
            sync_folder(self._data_dir)

    async def signer(self) -> Signer:
        """Return the key with its name, opened as `open` does without accepting anything."""
        if self._signer is None:
            await self.open()
        assert self._signer is not None
        return self._signer

    async def note(self, log: str) -> str:
        """Return the signed note of the committed head of `log`; it is in the sidecar before it is returned.

        Raises: StorageUnavailable (the database contradicts an earlier signature, the sidecar cannot be written).
        """
        signer = await self.signer()
        async with self._lock:
            stored = await read_head(self._database, log) or StoredHead(log, 0, _EMPTY)
            await self._sign(signer, [stored])
            return self._notes[log]

    async def notes(self) -> dict[str, str]:
        """Return the signed note of the committed head of every log. Raises: as `note`."""
        await self.sign_all()
        return dict(self._notes)

    async def sign_all(self) -> None:
        """Sign the head of every log that grew. Raises: as `note`, once the other logs are signed."""
        signer = await self.signer()
        async with self._lock:
            await self._sign(signer, await read_heads(self._database))

    async def _sign(self, signer: Signer, heads: list[StoredHead]) -> None:
        notes = dict(self._notes)
        contradicted: list[str] = []
        for stored in heads:
            log, head = stored.log, stored.head
            old = read_unverified(notes[log]) if log in notes else None
            is_anew = log in self._signed_anew
            if old is not None and not is_anew and (old.size, old.root) == (head.size, head.root):
                continue
            rollback = None if old is None else await self._rollback(stored, old)
            if rollback is None:
                notes[log] = signer.checkpoint(log, head.size, head.root)
            else:
                contradicted.append(rollback.sentence)
        if notes != self._notes:
            try:
                await asyncio.to_thread(write_sidecar, self._sidecar_path, notes)
            except OSError as error:
                raise StorageUnavailable(
                    f"{self._sidecar_path} cannot be written: {error.strerror}.",
                    hint="Free some space, then ask again.",
                ) from error
            self._notes = notes
        self._signed_anew -= {stored.log for stored in heads}
        if contradicted:
            raise StorageUnavailable(" ".join(contradicted), hint="Stop the server and run `failgate audit verify`.")

    def _read_files(self, accept_rollback: bool, is_first: bool) -> tuple[Signer, dict[str, str], list[Rollback]]:
        key, notes = self._read_key(), read_sidecar(self._sidecar_path)
        gaps: list[Rollback] = []
        if key is not None and notes is None and not is_first:
            gaps.append(_gap(f"{self._sidecar_path}, which holds the last signed heads of the audit logs, is missing."))
        if key is None and notes:
            gaps.append(_gap(f"{self._key_path}, which signed the audit logs, is missing."))
        if gaps and not accept_rollback:
            raise StartRefused(gaps[0].sentence, hint=_ACCEPT)
        if gaps or notes is None:
            notes = {}
            write_sidecar(self._sidecar_path, notes)
        if key is None:
            key = make_key(self._key_path)
        return signer_of(self._data_dir, key, self._origin), notes, gaps

    def _read_key(self) -> Ed25519PrivateKey | None:
        """Return the key that signs; what is to take over is kept in `_fresh`, and takes over here if it did already.

        Raises: StartRefused.
        """
        handovers = read_handovers(self._data_dir / HANDOVERS_FILE)
        done = None if handovers is None else handovers.current
        if self._given is not None:
            if self._previous is None or done == self._given.public_key().public_bytes_raw():
                return key_in_use(self._key_path, self._given)
            self._fresh = self._given
            return key_in_use(self._key_path, self._previous)
        fresh = read_key(next_of(self._key_path))
        if fresh is not None and done == fresh.public_key().public_bytes_raw():
            next_of(self._key_path).replace(self._key_path)  # a kill came between the list and this
            sync_folder(self._data_dir)
        elif fresh is not None:
            self._fresh = fresh
        return key_in_use(self._key_path, None)

    async def _rollbacks(self, signer: Signer, notes: dict[str, str]) -> list[Rollback]:
        heads = {stored.log: stored for stored in await read_heads(self._database)}
        found: list[Rollback] = []
        for log, note in notes.items():
            try:
                signed = signer.signed(log, note)
            except NoteRejected as error:
                self._check_origin(signer, log, note)
                found.append(
                    _gap(f"The signed head of the log {log} in {self._sidecar_path} is not ours: {error.sentence}", log)
                )
                continue
            rollback = await self._rollback(heads.get(log) or StoredHead(log, 0, _EMPTY), signed)
            if rollback is not None:
                found.append(rollback)
        return found

    async def _contradictions(self, recorded: Sequence[RecordedHead]) -> list[Rollback]:
        heads = {stored.log: stored for stored in await read_heads(self._database)} if recorded else {}
        found: list[Rollback] = []
        for head in recorded:
            stored = heads.get(head.log) or StoredHead(head.log, 0, _EMPTY)
            rollback = await self._rollback(stored, Checkpoint("", head.size, head.root))
            if rollback is not None:
                sentence = f"{rollback.sentence} So says record {head.seq} of the log system."
                found.append(replace(rollback, sentence=sentence))
        return found

    def _check_origin(self, signer: Signer, log: str, note: str) -> None:
        """Refuse a note that our key signed under another name: nothing went back, a setting was changed."""
        try:
            before = read_unverified(note).origin.removesuffix(f"/log/{log}")
            Signer(signer.key, before, signer.earlier).signed(log, note)
        except NoteRejected:
            return
        setting = f'[audit] origin is "{self._origin}"' if self._origin else "[audit] origin is not set"
        mend = (
            "Remove the setting again." if before == default_origin(signer.key) else f'Set origin = "{before}" again.'
        )
        raise StartRefused(
            f'{setting}, but the audit logs were signed under the name "{before}": who keeps a checkpoint of that name '
            "could not compare it any more.",
            hint=mend,
        )

    async def _rollback(self, stored: StoredHead, signed: Checkpoint) -> Rollback | None:
        """Return how `stored` fails to continue `signed`, or None when it does continue it."""
        log, head = stored.log, stored.head
        if head.size < signed.size:
            sentence = (
                f"The audit log {log} has {head.size} records, but {signed.size} were signed: the database went back."
            )
        else:
            try:
                root = await self._tree.root(stored.number, signed.size, is_fresh=True)
            except StorageUnavailable:
                root = EMPTY_ROOT
            if root == signed.root and (head.size > signed.size or head.root == signed.root):
                return None
            sentence = f"The audit log {log} differs from its first {signed.size} records as they were signed."
        return Rollback(log, signed.size, signed.root, head.size, head.root, sentence)


def next_of(path: Path) -> Path:
    """Return where the key lies that is to take the place of that in `path`."""
    return path.with_name(f"{path.name}.next")


def _made_or_read(path: Path) -> Ed25519PrivateKey:
    return read_key(path) or make_key(path)


def accepted(rollback: Rollback) -> list[Event]:
    """Return what records that `rollback` was accepted: in its log, and where heads of other logs are recorded."""
    facts: dict[str, JSON] = {
        "signed_size": rollback.signed_size,
        "signed_root": base64url(rollback.signed_root),
        "found_size": rollback.found_size,
        "found_root": base64url(rollback.found_root),
        "reason": rollback.sentence[:200],
    }
    logs = dict.fromkeys((rollback.log, SYSTEM))
    return [Event(Act.ROLLBACK_ACCEPTED, log, "log", rollback.log, SERVER, facts) for log in logs]


def _gap(sentence: str, log: str = "system") -> Rollback:
    return Rollback(log, 0, EMPTY_ROOT, 0, EMPTY_ROOT, sentence)
