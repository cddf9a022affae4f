"""What the other side refused: kept once, sent again when asked to. B11"""

import pytest

from failgate.audit.put_aside import REASON_CHARACTERS, PutAside
from tests.audit.conftest import WS


@pytest.fixture
def put_aside(database, clock):
    return PutAside(database, "siem", clock)


async def put(database, put_aside, seq, reason="too large"):
    await database.write(lambda tx: put_aside.put_within(tx, WS, seq, reason, 3))


async def test_a_record_is_put_aside_once_and_each_exporter_has_its_own(database, clock, put_aside):
    await put(database, put_aside, 1)
    await put(database, put_aside, 1, "r" * 1000)
    assert [(one.seq, one.reason, one.attempts) for one in await put_aside.page(5)] == [(1, "r" * REASON_CHARACTERS, 6)]
    assert await PutAside(database, "other", clock).count() == 0


async def test_only_what_was_asked_for_is_due_and_only_until_it_was_tried(database, clock, put_aside):
    for seq in (3, 1, 2):
        await put(database, put_aside, seq)
        clock.advance(1)
    assert await put_aside.due() == []
    assert [one.seq for one in await put_aside.page(2)] == [2, 1], "the newest first"
    assert await database.write(put_aside.ask_within) == 3
    assert await database.write(put_aside.ask_within) == 0
    first, second, _ = await put_aside.due()
    assert (first.seq, second.seq) == (1, 2)
    await put_aside.take_back(first)
    await put_aside.refuse_again(second, "still")
    assert [one.seq for one in await put_aside.due()] == [3]
    await put_aside.let_rest()
    assert await put_aside.due() == []
    assert await put_aside.count() == 2
