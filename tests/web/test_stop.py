"""Long waits and the word that the server is stopping."""

import asyncio

import pytest

from failgate.web.stop import Stop


async def test_the_answer_comes_when_it_is_there():
    async def answer() -> str:
        return "decided"

    assert await Stop().first(answer()) == "decided"


async def test_a_stopping_server_answers_at_once_and_lets_go_of_the_wait():
    stop = Stop()
    is_cancelled = asyncio.Event()

    async def wait_forever() -> str:
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            is_cancelled.set()
            raise

    waiting = asyncio.create_task(stop.first(wait_forever()))
    await asyncio.sleep(0)
    stop.set()
    assert await waiting is None
    assert is_cancelled.is_set()


async def test_an_error_of_the_wait_is_the_callers():
    async def fail() -> str:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await Stop().first(fail())
