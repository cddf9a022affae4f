"""The services of this room, built in order."""

from dataclasses import dataclass

from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.recordings.deletion import RecordingDeletion, Unlink
from failgate.recordings.reading import CommandsOf, RecordingReading
from failgate.recordings.recordings import Admit, Count, Recordings, RequesterOf, ScannerOf, Tell
from failgate.recordings.rescanning import IsCurrent, RecordingRescanning


@dataclass(frozen=True, slots=True)
class RecordingRoom:
    """Recordings: how they come, are read, deleted and scanned again."""

    recordings: Recordings
    reading: RecordingReading
    deletion: RecordingDeletion
    rescanning: RecordingRescanning


def build_recordings(
    db: Database, audit: AuditLog, clock: Clock, artifacts: Artifacts,
    *, scanner_of: ScannerOf, is_current: IsCurrent, requester_of: RequesterOf, commands_of: CommandsOf, tell: Tell,
    count: Count, admit: Admit, unlink: Unlink,
) -> RecordingRoom:  # fmt: skip
    """Build the room; `tell` names a recording that changed to those who follow it."""
    rescanning = RecordingRescanning(db, audit, artifacts, scanner_of=scanner_of, is_current=is_current, tell=tell)
    recordings = Recordings(
        db, audit, clock, artifacts,
        scanner_of=scanner_of, requester_of=requester_of, tell=tell, count=count, admit=admit,
        revisit=rescanning.revisit,
    )  # fmt: skip
    deletion = RecordingDeletion(db, audit, clock, artifacts, unlink)
    return RecordingRoom(recordings, RecordingReading(db, audit, artifacts, commands_of), deletion, rescanning)
