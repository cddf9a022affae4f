"""The test record of an exporter. B11"""

import pytest

from failgate.audit.exporter import TEST_LOG, ExportFailed
from failgate.audit.leaf import read_leaf
from failgate.audit.probing import Probing
from failgate.audit.probing import test_record as probe
from failgate.audit.record import Actor


def refused(_batch):
    raise ExportFailed("away")


async def test_it_is_due_until_it_arrived_and_again_when_asked(database, audit, clock):
    probing, got = Probing(database, audit, "siem", clock), []

    async def hand(batch):
        got.extend(batch)

    for _ in range(2):
        with pytest.raises(ExportFailed):
            await probing.prove(refused)
    assert not await probing.is_proven()
    for _ in range(2):
        await probing.prove(hand)
    await database.write(lambda tx: probing.ask_within(tx, Actor("user", "u1")))
    await probing.prove(hand)
    assert [(one.log, one.seq) for one in got] == [(TEST_LOG, 0), (TEST_LOG, 1)]
    assert [one.record["act"] for one in await audit.records("system")] == ["exporter.enabled", "exporter.tested"]


def test_it_is_a_record_like_any_other():
    record = probe("siem", 7, 1_700_000_000_000_000)
    leaf = read_leaf(record.leaf)
    assert (leaf.seq, leaf.ws, leaf.obj.id) == (7, TEST_LOG, "siem")
