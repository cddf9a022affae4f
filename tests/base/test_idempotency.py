"""One key has one effect and one answer, on both engines."""

import asyncio

import pytest

from failgate.base.errors import BadInput, Conflict, Unprocessable
from failgate.base.idempotency import KEPT_SECONDS, FirstAnswers, RequestKey, request_key

COUNT = "SELECT x FROM effect"


def key(text="k", principal="p", route=("door", "w"), body=None) -> RequestKey:
    return request_key(text, principal, route, body)


class Effects:
    """Counts rows, and answers how many there were."""

    def __init__(self, database) -> None:
        self.database = database

    async def verb(self, tx) -> dict:
        await tx.execute("INSERT INTO effect (x) VALUES (1)")
        return {"n": len(await tx.fetch(COUNT))}

    async def count(self) -> int:
        return len(await self.database.fetch(COUNT))


@pytest.fixture
async def effects(database) -> Effects:
    await database.write(lambda tx: tx.execute("CREATE TABLE effect (x BIGINT)"))
    return Effects(database)


@pytest.fixture
def answers(database, clock) -> FirstAnswers:
    return FirstAnswers(database, clock.now_us)


async def test_the_same_key_has_one_effect_and_the_first_answer(answers, effects) -> None:
    assert await answers.once(key(), dict, effects.verb) == {"n": 1}
    assert await answers.once(key(), dict, effects.verb) == {"n": 1}
    assert await effects.count() == 1
    assert await answers.once(key("other"), dict, effects.verb) == {"n": 2}


async def test_without_a_key_every_request_has_its_effect(answers, effects) -> None:
    assert [await answers.once(None, dict, effects.verb) for _ in range(2)] == [{"n": 1}, {"n": 2}]


async def test_a_key_counts_for_its_principal_and_its_route_alone(answers, effects) -> None:
    for one in (key(), key(principal="q"), key(route=("door", "v")), key(route=("door", "w", "id"))):
        await answers.once(one, dict, effects.verb)
    assert await effects.count() == 4


async def test_another_body_is_refused_and_changes_nothing(answers, effects) -> None:
    await answers.once(key(body={"a": 1, "b": [2]}), dict, effects.verb)
    assert await answers.once(key(body={"b": [2], "a": 1}), dict, effects.verb) == {"n": 1}
    with pytest.raises(Unprocessable, match="used for another request"):
        await answers.once(key(body={"a": 1, "b": [3]}), dict, effects.verb)
    assert await effects.count() == 1


async def test_requests_that_race_have_one_effect(answers, effects) -> None:
    together = await asyncio.gather(*(answers.once(key(), dict, effects.verb) for _ in range(20)))
    assert together == [{"n": 1}] * 20
    assert await effects.count() == 1


async def test_a_refusal_is_not_kept(answers, effects) -> None:
    async def refused(tx) -> dict:
        await effects.verb(tx)
        raise Conflict("not now")

    with pytest.raises(Conflict, match="not now"):
        await answers.once(key(), dict, refused)
    assert await answers.once(key(), dict, effects.verb) == {"n": 1}


async def test_a_request_that_did_not_come_to_its_end_is_told_as_that(answers, effects, database) -> None:
    await database.write(lambda tx: answers.claim(tx, key()))
    with pytest.raises(Conflict, match="has no answer yet"):
        await answers.once(key(), dict, effects.verb)
    await answers.fill(key(), {"n": 7})
    assert await answers.once(key(), dict, effects.verb) == {"n": 7}
    assert await effects.count() == 0


async def test_keys_are_forgotten_after_a_day(answers, effects, clock, database) -> None:
    await answers.sweep()
    await answers.once(key(), dict, effects.verb)
    clock.advance(KEPT_SECONDS)
    await answers.sweep()
    assert await answers.once(key(), dict, effects.verb) == {"n": 1}
    clock.advance(3601)
    await answers.sweep()
    assert await database.fetch("SELECT id FROM idempotency") == []
    assert await answers.once(key(), dict, effects.verb) == {"n": 2}


@pytest.mark.parametrize("text", ["", " ", "a b", "é", "\n", "x" * 256])
def test_a_key_that_is_not_usable_is_refused(text) -> None:
    with pytest.raises(BadInput, match="1 to 255"):
        key(text)


def test_every_body_has_a_digest() -> None:
    """Also what JSON of other libraries refuses: a lone surrogate, an integer of 100 digits, a float."""
    bodies = ["\ud800", 10**99, 1.5, None, {"a": ["\udfff"]}]
    assert len({key(body=body).request_digest for body in bodies}) == len(bodies)
