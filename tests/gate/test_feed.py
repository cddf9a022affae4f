"""Events are encoded once, come in order, and a slow reader is dropped."""

import asyncio
import json

import pytest

from failgate.base.ids import new_id
from failgate.gate.feed import Feed
from tests.gate.conftest import agent


async def test_a_subscriber_gets_what_happens_in_its_workspace_in_order(house):
    bot, reviewer = agent(), await house.person()
    with house.gate.feed.subscribe(house.workspace) as events, house.gate.feed.subscribe(new_id()) as others:
        view = await house.submit(bot, "rm", "\u202e")
        await house.vote(reviewer, view)
        await house.consume(bot, view)
        seen = [json.loads(await anext(events)) for _ in range(3)]
        assert [each["event"] for each in seen] == ["created", "approved", "consumed"]
        assert {each["type"] for each in seen} == {"command"}
        assert seen[0]["command"]["rendering"] == ["rm", "⟨U+202E RLO⟩"]
        assert seen[1]["command"]["verdict"]["decision"] == "approve"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(others)
    assert not house.gate.feed.has_readers(house.workspace)


async def test_what_did_not_commit_is_not_told(house):
    view = await house.submit(agent())
    reviewer = await house.person()
    with house.gate.feed.subscribe(house.workspace) as events:
        with pytest.raises(Exception):
            await house.vote(reviewer, view, digest="x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(events)


async def test_every_reader_gets_the_same_bytes(house):
    feed = house.gate.feed
    with feed.subscribe(house.workspace) as one, feed.subscribe(house.workspace) as two:
        await house.submit(agent())
        assert (await anext(one)) is (await anext(two))
        assert feed.reader_count() == 2


async def test_a_reader_that_is_too_far_behind_is_dropped_and_the_others_are_not(house):
    view = await house.submit(agent())
    feed = Feed(queue_limit=3)
    slow, quick = feed.subscribe("w"), feed.subscribe("w")
    for _ in range(4):
        feed.publish("w", "created", view)
        await anext(quick)
    assert slow.is_dropped
    assert not quick.is_dropped
    assert [each async for each in slow] == []
    assert feed.reader_count() == 1


async def test_what_a_slow_reader_holds_is_bounded_in_bytes_too(house):
    small = await house.submit(agent(), "rm", "a" * 2000)
    large = await house.submit(agent(), "rm", "a" * 50_000)
    feed = Feed()
    slow, quick = feed.subscribe("w"), feed.subscribe("w")
    most, told = 0, 0
    for _ in range(100):
        feed.publish("w", "created", small)
        told += len(await anext(quick))
        most = max(most, sum(map(len, slow._waiting)))
    assert slow.is_dropped
    assert told > 131_072 >= most
    alone = Feed()
    with alone.subscribe("w") as events:
        for _ in range(4):
            alone.publish("w", "created", large)
        assert events.is_dropped


async def test_closing_ends_every_iteration():
    feed = Feed()
    subscription = feed.subscribe("w")
    waiting = asyncio.create_task(anext(subscription, b"end"))
    await asyncio.sleep(0)
    feed.close()
    assert await waiting == b"end"
    assert feed.reader_count() == 0
    subscription.close()
