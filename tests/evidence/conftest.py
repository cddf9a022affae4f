"""The log of `tests/audit`, for what is made of it."""

import pytest

from tests.audit.conftest import audit
from tests.evidence.office import Office

__all__ = ["audit", "office"]


@pytest.fixture
async def office(database, audit, clock, tmp_path) -> Office:
    folder = tmp_path / "office"
    folder.mkdir()
    return Office(database, audit, clock, folder)
