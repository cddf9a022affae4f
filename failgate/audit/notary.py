"""The notary signs heads, and never one that contradicts an earlier signature.

It compares each head with the last one that it signed (the sidecar): a log never gets shorter and always begins with
what was signed before. A log that does otherwise refuses the start of the server, unless the operator accepts it aloud.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.chain import Head
from failgate.audit.checkpoint import Checkpoint, NoteRejected, read_unverified
from failgate.audit.handover import HANDOVERS_FILE, read_handovers, write_handovers
from failgate.audit.nodes import StoredTree
from failgate.audit.recorded import RecordedHead
from failgate.audit.rollback import Rollback, gap
from failgate.audit.signer.asking import Due, SignerProcess
from failgate.audit.signing import (
    KEY_FILE,
    SIDECAR_FILE,
    Identity,
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
from failgate.base.db import Database
from failgate.base.errors import Conflict, StartRefused, StorageUnavailable

_EMPTY = Head()
_ACCEPT = "Put the right files back, or start once with --accept-rollback, which writes a record that everybody sees."


class Notary:
    """Signs the heads of the logs of one database, with the sidecar in one data folder, and the key there or elsewhere.

    Where a signer is a process of its own, it compares each head with the last one too, and only it can sign.
    """

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        origin: str | None,
        key: Ed25519PrivateKey | None = None,
        previous: Ed25519PrivateKey | None = None,
        elsewhere: SignerProcess | None = None,
    ) -> None:
        """Keep where things are; `open` reads them.

        `key` signs in place of one in the folder, after `previous`; `elsewhere` in place of both.
        """
        self._elsewhere = elsewhere
        self._given = key
        self._previous = previous
        self._data_dir = data_dir
        self._fresh: bytes | None = None  # the public key of what is to take over
        self._database = database
        self._tree = StoredTree(database)
        self._key_path = data_dir / KEY_FILE
        self._sidecar_path = data_dir / SIDECAR_FILE
        self._origin = origin
        self._signer: Identity | None = None
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
            is_elsewhere = self._given is not None or self._elsewhere is not None
            is_first = is_elsewhere and not await read_heads(self._database)
            signer, notes, gaps = await self._read(accept_rollback, is_first)
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

    async def problem(self) -> str | None:
        """Return what an operator should know of a signer that is a process of its own; None: it signs, or is none."""
        return None if self._elsewhere is None else await self._elsewhere.problem()

    async def fresh(self, *, is_wanted: bool) -> bytes | None:
        """Return the public key that is to take over, made durable in a file when `is_wanted`; None: none is.

        Raises: Conflict (the key is with a secrets manager, or the signer made none yet), StorageUnavailable.
        """
        if self._elsewhere is not None and is_wanted:
            self._fresh = (await self._elsewhere.introduction()).following
            if self._fresh is None:
                raise Conflict(
                    f"The key is with the signer at {self._elsewhere.path}, where no new one waits.",
                    hint="Make one there: failgate audit signer next-key --folder DIR; then ask again.",
                )
        if self._fresh is not None or not is_wanted:
            return self._fresh
        if self._given is not None:
            raise Conflict(
                "The key is with your secrets manager ([keys] log), which this command cannot change.",
                hint="Put a new key there, name the old one as previous_log in [keys], and start the server again.",
            )
        try:
            self._fresh = _public(await asyncio.to_thread(_made_or_read, next_of(self._key_path)))
        except OSError as error:
            raise StorageUnavailable(
                f"{next_of(self._key_path)} cannot be made: {error.strerror}.", hint="Make space there."
            ) from error
        return self._fresh

    async def hand_over(self, public: bytes) -> Identity:
        """Let the key `public`, which waits, sign from now on, and every head anew.

        The old key says up to where it signed.

        Raises: StorageUnavailable (a file cannot be written: the next start goes on).
        """
        old = await self.signer()
        async with self._lock:
            heads = await read_heads(self._database)
            await self._sign(old, heads)
            self._signer = await self._handed(old, public, {stored.log: stored.head.size for stored in heads})
            self._fresh, self._signed_anew = None, set(self._notes)
            await self._sign(self._signer, heads)
            return self._signer

    async def _handed(self, old: Identity, public: bytes, until: dict[str, int]) -> Identity:
        if self._elsewhere is not None:
            return await self._elsewhere.hand_over(public, self._data_dir)
        assert isinstance(old, Signer)
        fresh = self._given or await asyncio.to_thread(read_key, next_of(self._key_path))
        assert fresh is not None
        try:
            await asyncio.to_thread(self._put_in_place, old, public, until)
        except OSError as error:
            raise StorageUnavailable(
                f"The new audit key cannot be put in place: {error.strerror}.", hint="Make space, then ask again."
            ) from error
        return await asyncio.to_thread(signer_of, self._data_dir, fresh, self._origin)

    def _put_in_place(self, old: Signer, public: bytes, until: dict[str, int]) -> None:
        handovers = handovers_of(self._data_dir, old)
        if handovers.current != public:  # a start that goes on may find it written
            write_handovers(self._data_dir / HANDOVERS_FILE, handovers.after(old.key, public, until))
            sync_folder(self._data_dir)
        if self._given is None:
            next_of(self._key_path).replace(self._key_path)
            sync_folder(self._data_dir)

    async def signer(self) -> Identity:
        """Return the public key with its name, opened as `open` does without accepting anything."""
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

    async def _sign(self, signer: Identity, heads: list[StoredHead]) -> None:
        notes, due = dict(self._notes), list[Due]()
        contradicted: list[str] = []
        for stored in heads:
            log, head = stored.log, stored.head
            old = read_unverified(notes[log]) if log in notes else None
            is_anew = log in self._signed_anew
            if old is not None and not is_anew and (old.size, old.root) == (head.size, head.root):
                continue
            rollback = None if old is None else await self._rollback(stored, old)
            if rollback is None:
                due.append(Due(stored, 0 if old is None else old.size))
            else:
                contradicted.append(rollback.sentence)
        signed, refused = await self._signed(signer, due)
        notes, contradicted = notes | signed, contradicted + refused
        if notes != self._notes:
            try:
                await asyncio.to_thread(write_sidecar, self._sidecar_path, notes)
            except OSError as error:
                raise StorageUnavailable(
                    f"{self._sidecar_path} cannot be written: {error.strerror}.",
                    hint="Free some space, then ask again.",
                ) from error
            self._notes = notes
        self._signed_anew -= set(signed)
        if contradicted:
            raise StorageUnavailable(" ".join(contradicted), hint="Stop the server and run `failgate audit verify`.")

    async def _signed(self, signer: Identity, due: list[Due]) -> tuple[dict[str, str], list[str]]:
        """Return the notes of what is due, and why others are refused. Raises: SignerAway."""
        if isinstance(signer, Signer):
            return {
                one.stored.log: signer.checkpoint(one.stored.log, one.stored.head.size, one.stored.head.root)
                for one in due
            }, []
        assert self._elsewhere is not None
        return await self._elsewhere.sign(
            signer, due, lambda stored, old: self._tree.consistency(stored.number, old, stored.head.size)
        )

    async def _read(self, accept_rollback: bool, is_first: bool) -> tuple[Identity, dict[str, str], list[Rollback]]:
        """Return who signs, the last notes, what is missing. Raises: StartRefused; also over what the signer knows."""
        if self._elsewhere is None:
            return await asyncio.to_thread(self._read_files, accept_rollback, is_first)
        if self._key_path.exists():
            raise StartRefused(
                f"{self._key_path} is still there, and [audit.signer] says that the key is with the signer.",
                hint="Move it there (failgate audit signer init --from), keep a copy apart, then remove the file.",
            )
        introduced = await self._elsewhere.begin(self._data_dir)
        self._fresh = introduced.following
        notes, gaps = await asyncio.to_thread(self._read_notes, accept_rollback, is_first)
        stored = {one.log: one for one in await read_heads(self._database)}
        for log, signed in (await self._elsewhere.heads()).items():
            rollback = await self._rollback(stored.get(log) or StoredHead(log, 0, _EMPTY), signed)
            if rollback is not None:
                raise StartRefused(
                    f"{rollback.sentence} So says the signer.",
                    hint="Put the right database back, or let the signer forget that head, which is kept there: "
                    f"failgate audit signer forget --log {log} --folder DIR; then start once with --accept-rollback.",
                )
        return introduced.identity, notes, gaps

    def _read_notes(self, accept_rollback: bool, is_first: bool) -> tuple[dict[str, str], list[Rollback]]:
        """Return the sidecar's notes; a new sidecar where there is none. Raises: StartRefused."""
        notes = read_sidecar(self._sidecar_path)
        if notes is not None:
            return notes, []
        missing = gap(f"{self._sidecar_path}, which holds the last signed heads of the audit logs, is missing.")
        if not (is_first or accept_rollback):
            raise StartRefused(missing.sentence, hint=_ACCEPT)
        write_sidecar(self._sidecar_path, {})
        return {}, [] if is_first else [missing]

    def _read_files(self, accept_rollback: bool, is_first: bool) -> tuple[Identity, dict[str, str], list[Rollback]]:
        key, notes = self._read_key(), read_sidecar(self._sidecar_path)
        gaps: list[Rollback] = []
        if key is not None and notes is None and not is_first:
            gaps.append(gap(f"{self._sidecar_path}, which holds the last signed heads of the audit logs, is missing."))
        if key is None and notes:
            gaps.append(gap(f"{self._key_path}, which signed the audit logs, is missing."))
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
            if self._previous is None or done == _public(self._given):
                return key_in_use(self._key_path, self._given)
            self._fresh = _public(self._given)
            return key_in_use(self._key_path, self._previous)
        fresh = read_key(next_of(self._key_path))
        if fresh is not None and done == _public(fresh):
            next_of(self._key_path).replace(self._key_path)  # a kill came between the list and this
            sync_folder(self._data_dir)
        elif fresh is not None:
            self._fresh = _public(fresh)
        return key_in_use(self._key_path, None)

    async def _rollbacks(self, signer: Identity, notes: dict[str, str]) -> list[Rollback]:
        heads = {stored.log: stored for stored in await read_heads(self._database)}
        found: list[Rollback] = []
        for log, note in notes.items():
            try:
                signed = signer.signed(log, note)
            except NoteRejected as error:
                self._check_origin(signer, log, note)
                found.append(
                    gap(f"The signed head of the log {log} in {self._sidecar_path} is not ours: {error.sentence}", log)
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

    def _check_origin(self, signer: Identity, log: str, note: str) -> None:
        """Refuse a note that our key signed under another name: nothing went back, a setting was changed."""
        try:
            before = read_unverified(note).origin.removesuffix(f"/log/{log}")
            Identity(signer.public, before, signer.earlier).signed(log, note)
        except NoteRejected:
            return
        setting = f'[audit] origin is "{self._origin}"' if self._origin else "[audit] origin is not set"
        mend = (
            "Remove the setting again."
            if before == default_origin(signer.public)
            else f'Set origin = "{before}" again.'
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


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _made_or_read(path: Path) -> Ed25519PrivateKey:
    return read_key(path) or make_key(path)
