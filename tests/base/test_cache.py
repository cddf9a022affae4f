import asyncio

from failgate.base.cache import ReadThrough


async def test_a_value_is_loaded_once_and_absence_is_not_remembered() -> None:
    loads: list[str] = []

    async def load(key: str) -> str | None:
        loads.append(key)
        return None if key == "absent" else key.upper()

    cache = ReadThrough(load)
    assert [await cache.get("a"), await cache.get("a"), await cache.get("absent"), await cache.get("absent")] == [
        "A",
        "A",
        None,
        None,
    ]
    assert loads == ["a", "absent", "absent"]


async def test_a_load_that_began_before_the_change_is_thrown_away() -> None:
    stored, gate = {"a": "old"}, asyncio.Event()
    is_first = True

    async def load(key: str) -> str | None:
        nonlocal is_first
        value = stored.get(key)
        if is_first:
            is_first = False
            await gate.wait()
        return value

    cache = ReadThrough(load)
    slow = asyncio.ensure_future(cache.get("a"))
    await asyncio.sleep(0)
    stored["a"] = "new"
    cache.forget("a")
    gate.set()
    assert await slow == "new"
    assert cache.peek("a") == "new"


async def test_what_is_remembered_is_bounded() -> None:
    async def load(key: int) -> int | None:
        return key

    cache = ReadThrough(load, limit=10)
    for key in range(100):
        await cache.get(key)
    assert [key for key, _ in cache.entries()] == list(range(90, 100))
