"""A whole reports room on a real database, log, folder and scanner."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from failgate_capture import CaptureFormat
from failgate_filesystem import FolderStore

from failgate.access.principal import Principal
from failgate.artifacts.artifacts import ArtifactLimits, Artifacts
from failgate.audit.log import AuditLog
from failgate.base.canonical import canonical
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.ids import new_id
from failgate.redaction import Scanner
from failgate.reports.reports import Reports
from failgate.wire.reports import BeginReport, BegunReport, Consent
from failgate.workspaces.usage import Usage

SECRET = "ghp_" + "R4nD0mR4nD0mR4nD0mR4nD0mR4nD0mR4nD0m"
OWNER = new_id()


def user(identifier: str | None = None) -> Principal:
    return Principal(kind="user", account_id=identifier or new_id(), auth=("pwd",), label="dev@example.org")


def agent() -> Principal:
    return Principal(kind="agent", agent_id=new_id(), owner_account_id=OWNER, auth=("token",), label="build bot")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def chunks(content: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def entry(content: bytes, name: str = "output.txt", kind: str = "output", **members: object) -> dict[str, Any]:
    digest = sha256(content)
    return {
        "name": name,
        "kind": kind,
        "media_type": "text/plain",
        "size_bytes": len(content),
        "sha256": digest,
        **members,
    }


def manifest(*artifacts: dict[str, Any], **members: object) -> dict[str, Any]:
    return {
        "v": 1,
        "id": new_id(),
        "created_at": "2026-01-02T03:04:05.000000Z",
        "argv": ["pytest", "-q"],
        "cwd": "/src",
        "host": "build-1",
        "exit_code": 1,
        "duration_ms": 12,
        "environment": {"names": ["PATH"], "values": {"LANG": "C"}, "platform": "Linux"},
        "artifacts": list(artifacts),
        "redactions": [],
        "redaction_rules": "1",
        **members,
    }


def consented(document: dict[str, Any], **members: Any) -> BeginReport:
    consent = Consent(manifest_sha256=sha256(canonical(document)), by="person", at="2026-01-02T03:04:06Z")
    return BeginReport(manifest=document, consent=consent, **members)


@dataclass
class Room:
    reports: Reports
    artifacts: Artifacts
    audit: AuditLog
    database: Database
    store: FolderStore
    workspace_id: str = field(default_factory=new_id)
    commands: dict[tuple[str, str], str] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    async def command_of(self, workspace_id: str, command_id: str) -> str | None:
        return self.commands.get((workspace_id, command_id))

    async def begin(self, principal: Principal, *artifacts: dict[str, Any], **members: object) -> BegunReport:
        return await self.reports.begin(principal, self.workspace_id, consented(manifest(*artifacts, **members)))

    async def put(self, principal: Principal, report_id: str, content: bytes) -> BegunReport:
        stream = chunks(content)
        return await self.reports.put_artifact(principal, self.workspace_id, report_id, sha256(content), stream)

    async def sealed(self, principal: Principal, *contents: bytes, **members: object) -> str:
        entries = [entry(content, f"{number}.txt") for number, content in enumerate(contents)]
        begun = await self.begin(principal, *entries, **members)
        for content in contents:
            if sha256(content) in begun.missing:
                await self.put(principal, begun.id, content)
        if begun.state == "begun":
            await self.reports.seal(principal, self.workspace_id, begun.id)
        return begun.id

    async def read(self, principal: Principal, report_id: str, content: bytes, *bounds: int) -> bytes:
        opened = await self.reports.open_artifact(principal, self.workspace_id, report_id, sha256(content))
        return b"".join([piece async for piece in await opened.read(*bounds)])

    async def acts(self) -> list[str]:
        return [stored.record["act"] for stored in await self.audit.records(self.workspace_id)]

    async def last(self) -> dict[str, Any]:
        return (await self.audit.records(self.workspace_id))[-1].record

    def objects(self) -> list[Path]:
        return [path for path in self.store.folder.rglob("*") if path.is_file()]


@pytest.fixture
async def room(database: Database, clock: FrozenClock, tmp_path: Path) -> Room:
    return await room_in(database, clock, tmp_path)


async def room_in(database: Database, clock: FrozenClock, tmp_path: Path, usage: Usage | None = None) -> Room:
    """Return a room that counts and admits as `usage` says."""
    audit = AuditLog(database, clock, tmp_path)
    store = await FolderStore.opened(tmp_path / "objects")
    artifacts = Artifacts(database, store, clock, ArtifactLimits(artifact_bytes=16 << 20))
    made: list[Room] = []

    async def command_of(workspace_id: str, command_id: str) -> str | None:
        return await made[0].command_of(workspace_id, command_id)

    async def scanner_of(workspace_id: str) -> Scanner:
        return scanners.setdefault(workspace_id, Scanner())

    scanners: dict[str, Scanner] = {}

    async def tell(workspace_id: str, command_id: str) -> None:
        made[0].told.append((workspace_id, command_id))

    reports = Reports(
        database,
        audit,
        clock,
        artifacts,
        formats={"failgate": CaptureFormat()},
        scanner_of=scanner_of,
        command_of=command_of,
        tell=tell,
        **({"count": usage.count, "admit": usage.check} if usage is not None else {}),
    )
    if usage is not None:
        artifacts.count_by(usage.count)
    made.append(Room(reports, artifacts, audit, database, store))
    return made[0]
