"""What a restored database has to prove before it is put in place: that its logs are those that were signed."""

from collections.abc import Sequence
from dataclasses import dataclass

from failgate.audit.checkpoint import NoteRejected, Verifier, open_note, read_unverified
from failgate.audit.handover import Handovers
from failgate.audit.verification import verify_logs
from failgate.backup.archive import BackupDamaged
from failgate.backup.manifest import Head, Manifest
from failgate.backup.present import Present
from failgate.base.db import Database
from failgate.base.errors import BadInput, FailgateError, StartRefused


class RollbackRefused(StartRefused):
    """The backup is older than what was signed since."""

    slug = "rollback-refused"


@dataclass(frozen=True, slots=True)
class Behind:
    """A log of which more is known than the backup has: how much, by which source."""

    log: str
    known_size: int
    found_size: int
    root: bytes | None
    source: str

    @property
    def sentence(self) -> str:
        """Return it for a person."""
        return (
            f"The audit log {self.log} has {self.found_size} records in the backup, {self.known_size} in {self.source}."
        )


class Proof:
    """The heads of a backup against every head that is known of its logs."""

    def __init__(self, manifest: Manifest) -> None:
        """Raises: BackupDamaged (it names no key that signed its heads)."""
        if manifest.public_key is None:
            raise BackupDamaged("The backup names no key that signed its audit logs.", hint="Use another backup.")
        self._public = bytes.fromhex(manifest.public_key)
        self._publics = {self._public}  # those that took over from it, or it from them
        self._heads: dict[str, Head] = {head.log: head for head in manifest.heads}
        self._notes: list[tuple[str, str]] = []
        self._origins: set[str] = set()
        self.behind: dict[str, Behind] = {}

    def meet_handovers(self, handovers: Handovers | None) -> None:
        """Count the keys of `handovers` as those of the installation, where the backup's own is among them."""
        if handovers is not None:
            publics = {handovers.current, *(one.public for one in handovers.retired)}
            if self._public in publics:
                self._publics |= publics

    def meet_own(self, notes: dict[str, str]) -> None:
        """Take the signed heads that came with the backup. Raises: BackupDamaged."""
        for log, note in notes.items():
            try:
                self._signed(note)
            except NoteRejected as error:
                raise BackupDamaged(f"The signed head of {log} in the backup is not: {error.sentence}") from error
            self._notes.append(("the signed heads of the backup", note))

    def meet_present(self, present: Present) -> None:
        """Compare with what is in the data folder. Raises: StartRefused (it is another installation's)."""
        for note in present.notes.values():
            try:
                self._signed(note)
            except NoteRejected as error:
                raise StartRefused(
                    f"The data folder holds another installation: {read_unverified(note).origin}.",
                    hint="Restore into an empty folder, or move that one away yourself.",
                ) from error
            self._meet("the data folder", note)
        for log, size in present.sizes.items():
            self._note_behind(log, size, None, "the data folder")

    def meet_kept(self, against: Sequence[tuple[str, str]]) -> None:
        """Compare with checkpoints that were kept elsewhere. Raises: BadInput."""
        for source, note in against:
            try:
                self._signed(note)
            except NoteRejected as error:
                raise BadInput(
                    f"The checkpoint {source} cannot be used: {error.sentence}",
                    hint="It has to be signed by the key that signed the logs of the backup.",
                ) from error
            self._meet(source, note)

    def is_signed(self, note: str) -> bool:
        """Tell whether the key of this installation signed `note`."""
        try:
            self._signed(note)
        except NoteRejected:
            return False
        return True

    async def verify(self, database: Database) -> int:
        """Verify every log from its bytes, with all heads that are not newer; return how many records there are.

        Raises: BackupDamaged naming the log and its first bad record.
        """
        try:
            found = await verify_logs(
                database,
                against=self._notes,
                vkeys=[Verifier(origin, public).vkey for origin in sorted(self._origins) for public in self._publics],
            )
        except FailgateError as error:
            raise BackupDamaged(f"The audit log of the backup is not readable: {error.sentence}") from error
        bad = [verdict.sentence for verdict in found.verdicts if verdict.state != "intact"]
        for verdict in found.verdicts:
            head = self._heads.get(verdict.log)
            if (
                not bad
                and verdict.size
                and (head is None or (head.size, head.root) != (verdict.size, verdict.root.hex()))
            ):
                bad.append(f"{verdict.log}: its head is not the one in the manifest")
        bad += [f"{log}: is missing" for log in set(self._heads) - {verdict.log for verdict in found.verdicts}]
        if bad:
            raise BackupDamaged(
                f"The audit log of the backup does not prove itself: {'; '.join(bad)}.",
                hint="Use another backup; nothing was put in place.",
            )
        return sum(verdict.size for verdict in found.verdicts)

    def _signed(self, note: str) -> None:
        checkpoint = read_unverified(note)
        open_note(note, [Verifier(checkpoint.origin, public) for public in self._publics])
        self._origins.add(checkpoint.origin)

    def _meet(self, source: str, note: str) -> None:
        checkpoint = read_unverified(note)
        log = checkpoint.origin.rpartition("/log/")[2]
        if not self._note_behind(log, checkpoint.size, checkpoint.root, source):
            self._notes.append((source, note))

    def _note_behind(self, log: str, size: int, root: bytes | None, source: str) -> bool:
        head = self._heads.get(log)
        found = head.size if head is not None else 0
        if size <= found:
            return False
        known = self.behind.get(log)
        if known is None or known.known_size < size:
            self.behind[log] = Behind(log, size, found, root, source)
        return True
