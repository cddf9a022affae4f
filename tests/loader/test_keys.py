"""Keys of plugins: one for each, the same at every start, sealed, on record; on both databases."""

import base64
import os

import pytest

from failgate.audit.log import AuditLog
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.errors import FailgateError
from failgate.base.secretbox import SecretBox
from failgate.loader.keys import PluginKeys

SECRETS = SecretBox(bytes(32))


@pytest.fixture
async def audit(database: Database, tmp_path):
    log = AuditLog(database, FrozenClock(), tmp_path, origin="test")
    await log.open()
    yield log
    await log.close()


async def test_a_key_stays_is_its_own_and_lies_sealed(database: Database, audit: AuditLog) -> None:
    box = await PluginKeys(database, audit, SECRETS).box_of("one", "desk")
    sealed = box.seal(b"a report", purpose="p", owner="o")
    again = PluginKeys(database, audit, SECRETS)
    assert (await again.box_of("one", "desk")).unseal(sealed, purpose="p", owner="o") == b"a report"
    for instance, name in (("two", "desk"), ("one", "other")):
        with pytest.raises(FailgateError):
            (await again.box_of(instance, name)).unseal(sealed, purpose="p", owner="o")
    rows = await database.fetch("SELECT id, sealed FROM plugin_key ORDER BY id")
    assert [row["id"] for row in rows] == ["one/desk", "one/other", "two/desk"]
    assert len(SECRETS.unseal(base64.b64decode(rows[0]["sealed"]), purpose="plugin key", owner="one/desk")) == 32
    records = [one.record for one in await audit.records("system")]
    told = [(one["obj"]["id"], one["data"]["subject"]) for one in records if one["act"] == "plugin.acted"]
    assert told == [("one", "desk"), ("two", "desk"), ("one", "other")]


async def test_a_key_that_does_not_open_is_no_new_one(database: Database, audit: AuditLog) -> None:
    await PluginKeys(database, audit, SECRETS).box_of("one", "desk")
    with pytest.raises(FailgateError, match="does not open"):
        await PluginKeys(database, audit, SecretBox(os.urandom(32))).box_of("one", "desk")
