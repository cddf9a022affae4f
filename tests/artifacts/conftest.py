"""A store, a log and keys for the tests of artifacts."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from failgate_filesystem import FolderStore

from failgate.audit.log import AuditLog
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.secret import Secret


@pytest.fixture
async def store(tmp_path: Path) -> FolderStore:
    return await FolderStore.opened(tmp_path / "objects")


@pytest.fixture
async def audit(database: Database, clock: FrozenClock, tmp_path: Path) -> AsyncIterator[AuditLog]:
    log = AuditLog(database, clock, tmp_path)
    await log.open()
    yield log
    await log.close()


def wrapping_key(number: int) -> Secret:
    return Secret(base64.b64encode(bytes([number]) * 32).decode())
