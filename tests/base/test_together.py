"""Changes that are made together: one verb for all that wait, and none takes another with it."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from failgate.base.db import GROUP_LIMIT, Database, Transaction
from failgate.base.errors import BadInput, FailgateError, StorageUnavailable
from failgate.base.log import RequestContext, request_context
from failgate.base.open_database import open_database
from failgate.base.together import Together


class Numbers:
    """A table of numbers; 13 is refused. `made` are the numbers of each verb that was run."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.together = Together[str, int](database, self.make)
        self.made: list[list[int]] = []
        self.requests: list[RequestContext | None] = []

    async def make(self, tx: Transaction, key: str, numbers: Sequence[int]) -> None:
        self.made.append(list(numbers))
        self.requests.append(request_context.get())
        for n in numbers:
            await tx.execute("INSERT INTO number (n, label) VALUES ($1, $2)", n, key)
            if n == 13:
                raise BadInput("unlucky")

    def put(self, key: str, n: int) -> "asyncio.Future[Exception | None]":
        told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.together.put(key, n, told.set_result)
        assert not told.done()
        return told

    async def stored(self) -> list[int]:
        return [row["n"] for row in await self.database.fetch("SELECT n FROM number ORDER BY n")]


@pytest.fixture
async def numbers(number_table: Database) -> Numbers:
    return Numbers(number_table)


async def test_changes_that_wait_are_one_verb_in_their_order(numbers: Numbers) -> None:
    told = await asyncio.gather(*(numbers.put("a", n) for n in (5, 3, 9)), numbers.put("b", 1))
    assert told == [None] * 4
    assert numbers.made == [[5, 3, 9], [1]]
    assert await numbers.stored() == [1, 3, 5, 9]


async def test_one_that_cannot_be_made_takes_no_other_with_it(numbers: Numbers) -> None:
    told = await asyncio.gather(*(numbers.put("a", n) for n in (12, 13, 14)))
    assert told[0] is told[2] is None
    assert isinstance(told[1], BadInput)
    assert await numbers.stored() == [12, 14]
    assert numbers.made == [[12, 13, 14], [12], [13], [14]]


async def test_a_verb_is_no_longer_than_a_group(numbers: Numbers) -> None:
    await asyncio.gather(*(numbers.put("a", n) for n in range(100, 100 + GROUP_LIMIT + 1)))
    assert [len(made) for made in numbers.made] == [GROUP_LIMIT, 1]


async def test_a_verb_of_many_speaks_of_no_single_request(numbers: Numbers) -> None:
    token = request_context.set(RequestContext("one", None))
    try:
        await asyncio.gather(numbers.put("a", 1), numbers.put("a", 2))
        await numbers.put("a", 3)
    finally:
        request_context.reset(token)
    assert numbers.requests == [None, RequestContext("one", None)]


async def test_a_commit_that_fails_refuses_all_and_later_ones_go_on(numbers: Numbers) -> None:
    numbers.together.put("a", 1, lambda _error: 1 / 0)  # who listens badly takes nobody's answer
    told = [numbers.put("a", n) for n in (2, 2)]
    first, again = await asyncio.gather(*told)
    assert first is None
    assert isinstance(again, Exception)
    assert not isinstance(again, FailgateError) or isinstance(again, StorageUnavailable)
    assert await numbers.put("a", 4) is None
    assert await numbers.stored() == [1, 2, 4]


async def test_nothing_begins_once_the_database_closes(empty_database_url: str) -> None:
    database = await open_database(empty_database_url)
    numbers = Numbers(database)
    await database.close()
    with pytest.raises(StorageUnavailable):
        numbers.put("a", 1)


async def test_what_is_refused_before_it_begins_is_told(numbers: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse() -> None:
        raise StorageUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr(numbers.database._writer, "begin", refuse)
        told = await asyncio.gather(numbers.put("a", 1), numbers.put("a", 2))
    assert all(isinstance(error, StorageUnavailable) for error in told)
    assert numbers.made == []
    assert await asyncio.gather(*map(partial(numbers.put, "a"), (1, 2))) == [None, None]
