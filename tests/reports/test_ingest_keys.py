"""Keys of SDKs on both engines."""

import pytest

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import new_id
from failgate.reports.ingest_keys import IngestKeys


@pytest.fixture
async def keys(database: Database, tmp_path):
    audit = AuditLog(database, FrozenClock(), tmp_path, origin="test")
    await audit.open()
    yield IngestKeys(database, audit, FrozenClock())
    await audit.close()


async def test_a_key_is_found_by_its_text_until_it_is_revoked(keys: IngestKeys) -> None:
    workspace, account = new_id(), new_id()
    made, text = await keys.create(workspace, "shop", account, SERVER)
    assert await keys.resolve(text) == made
    assert made.principal.id == made.id
    assert list(await keys.list(workspace)) == [made]
    await keys.revoke(workspace, made.id, SERVER)
    assert await keys.resolve(text) is None
    assert list(await keys.list(workspace)) == []
    with pytest.raises(NotFound):
        await keys.revoke(workspace, made.id, SERVER)


async def test_a_key_of_another_workspace_answers_as_a_missing_one(keys: IngestKeys) -> None:
    made, text = await keys.create(new_id(), "shop", new_id(), SERVER)
    for workspace, key in ((new_id(), made.id), (made.workspace_id, new_id())):
        with pytest.raises(NotFound):
            await keys.revoke(workspace, key, SERVER)
    assert await keys.resolve(text) == made


async def test_the_text_is_not_kept(keys: IngestKeys, database: Database) -> None:
    _, text = await keys.create(new_id(), "shop", new_id(), SERVER)
    assert text not in str(await database.fetch("SELECT * FROM ingest_key"))
    for wrong in ("", text.upper(), text[:-1], text + "0", "é" * 32):
        assert await keys.resolve(wrong) is None


@pytest.mark.parametrize("project", ["", " a", "a\nb", "x" * 101, "a/b", "\u202e"])
async def test_a_project_has_a_plain_name(keys: IngestKeys, project: str) -> None:
    with pytest.raises(BadInput):
        await keys.create(new_id(), project, new_id(), SERVER)
