"""A whole room of recordings on a real database, log, folder and scanner."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from failgate_filesystem import FolderStore

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import Artifacts
from failgate.audit.log import AuditLog
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.ids import new_id
from failgate.base.links import next_link
from failgate.recordings.reading import RecordingReading
from failgate.recordings.recordings import Recordings
from failgate.redaction import Scanner
from failgate.wire.gate import CommandView
from failgate.wire.recordings import BeginRecording, EndRecording, RecordingReceipt

HEADER = {"version": 2, "width": 80, "height": 24, "timestamp": 1_700_000_000}
BEGUN = BeginRecording(80, 24, "build-1", "2026-01-02T03:04:05Z", "failgate shell")


def agent() -> Principal:
    return Principal(kind="agent", agent_id=new_id(), owner_account_id=new_id(), auth=("token",), label="build bot")


def lines(*events: tuple[float, str, str], header: bool = False) -> bytes:
    """The bytes of a chunk."""
    return b"".join(
        json.dumps(one).encode() + b"\n" for one in ([HEADER] if header else []) + [list(e) for e in events]
    )


@dataclass
class Room:
    recordings: Recordings
    reading: RecordingReading
    artifacts: Artifacts
    audit: AuditLog
    database: Database
    store: FolderStore
    workspace_id: str = field(default_factory=new_id)
    requesters: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    async def begin(self, principal: Principal) -> RecordingReceipt:
        return await self.recordings.begin(principal, self.workspace_id, BEGUN)

    async def extend(self, principal: Principal, at: RecordingReceipt, content: bytes) -> RecordingReceipt:
        """Send the next chunk after `at`, as an honest recorder does."""
        chain = next_link(bytes.fromhex(at.chain), at.chunks, hashlib.sha256(content).digest()).hex()
        return await self.recordings.extend(principal, self.workspace_id, at.id, at.chunks, chain, content)

    async def end(self, principal: Principal, at: RecordingReceipt, **members: Any) -> RecordingReceipt:
        ending = EndRecording(at.chunks, at.chain, **members)
        return await self.recordings.end(principal, self.workspace_id, at.id, ending)

    async def acts(self) -> list[str]:
        return [stored.record["act"] for stored in await self.audit.records(self.workspace_id)]

    def objects(self) -> list[Path]:
        return [path for path in self.store.folder.rglob("*") if path.is_file()]


@pytest.fixture
async def room(database: Database, clock: FrozenClock, tmp_path: Path) -> Room:
    audit = AuditLog(database, clock, tmp_path)
    store = await FolderStore.opened(tmp_path / "objects")
    artifacts = Artifacts(database, store, clock)
    made: list[Room] = []
    scanner = Scanner()

    async def scanner_of(_workspace_id: str) -> Scanner:
        return scanner

    async def requester_of(_workspace_id: str, command_id: str) -> str | None:
        return made[0].requesters.get(command_id)

    async def commands_of(_workspace_id: str, _ids: object) -> dict[str, CommandView]:
        return {}

    recordings = Recordings(
        database, audit, clock, artifacts,
        scanner_of=scanner_of, requester_of=requester_of, tell=lambda one: made[0].told.append(one),
    )  # fmt: skip
    reading = RecordingReading(database, audit, artifacts, commands_of)
    made.append(Room(recordings, reading, artifacts, audit, database, store))
    return made[0]
