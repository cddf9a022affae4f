"""Discovery documents and key sets: bounded in time, fetched once for all, again after a rotation, never too often."""

import asyncio
import gzip

import pytest

from failgate.base.clock import FrozenClock
from failgate.base.outbound import Outbound
from failgate.sso.oidc.documents import KEYS_AGAIN_SECONDS, KEYS_SECONDS, METADATA_SECONDS, Documents, Shelf
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import KEYS
from tests.sso.oidc.serving import origin, status

WELL_KNOWN = "/.well-known/openid-configuration"


def documents(clock) -> Documents:
    return Documents(Outbound(allow_loopback=True), clock)


async def test_parallel_sign_ins_share_one_fetch(clock) -> None:
    async with origin() as idp:
        idp.publish()
        idp.answers["/keys"] = {"keys": list(KEYS)}
        idp.delay = 0.05
        shelf = documents(clock)
        found = await asyncio.gather(*(shelf.metadata(idp.settings()) for _ in range(50)))
        assert len({id(one.issuer) for one in found}) >= 1
        await asyncio.gather(*(shelf.keys(found[0]) for _ in range(50)))
        assert idp.asked == {WELL_KNOWN: 1, "/keys": 1}


async def test_documents_are_kept_for_a_bounded_time(clock: FrozenClock) -> None:
    async with origin() as idp:
        idp.publish()
        idp.answers["/keys"] = {"keys": list(KEYS)}
        shelf = documents(clock)
        for _ in range(3):
            await shelf.keys(await shelf.metadata(idp.settings()))
        assert idp.asked == {WELL_KNOWN: 1, "/keys": 1}
        clock.advance(KEYS_SECONDS + 1)
        await shelf.keys(await shelf.metadata(idp.settings()))
        assert idp.asked == {WELL_KNOWN: 1, "/keys": 2}
        clock.advance(METADATA_SECONDS)
        await shelf.metadata(idp.settings())
        assert idp.asked[WELL_KNOWN] == 2


async def test_an_unknown_key_leads_to_one_fetch_in_ten_seconds(clock: FrozenClock) -> None:
    async with origin() as idp:
        idp.publish()
        idp.answers["/keys"] = {"keys": [KEYS[0]]}
        shelf = documents(clock)
        metadata = await shelf.metadata(idp.settings())
        await shelf.keys(metadata)
        idp.answers["/keys"] = {"keys": list(KEYS)}
        found = await asyncio.gather(*(shelf.keys(metadata, is_fresh=True) for _ in range(20)))
        assert {len(keys) for keys in found} == {len(KEYS)}
        for _ in range(100):
            await shelf.keys(metadata, is_fresh=True)
        assert idp.asked["/keys"] == 2
        clock.advance(KEYS_AGAIN_SECONDS)
        await shelf.keys(metadata, is_fresh=True)
        assert idp.asked["/keys"] == 3


async def test_a_refresh_that_fails_counts_too_and_the_keys_at_hand_stay(clock: FrozenClock) -> None:
    async with origin() as idp:
        idp.publish()
        idp.answers["/keys"] = {"keys": list(KEYS)}
        shelf = documents(clock)
        metadata = await shelf.metadata(idp.settings())
        await shelf.keys(metadata)
        idp.answers["/keys"] = status(503, {})
        with pytest.raises(Refusal):
            await shelf.keys(metadata, is_fresh=True)
        assert len(await shelf.keys(metadata, is_fresh=True)) == len(KEYS)
        assert len(await shelf.keys(metadata)) == len(KEYS)
        assert idp.asked["/keys"] == 2


async def test_a_failure_is_shared_and_not_remembered(clock: FrozenClock) -> None:
    async with origin() as idp:
        idp.delay = 0.05
        shelf = documents(clock)
        found = await asyncio.gather(*(shelf.metadata(idp.settings()) for _ in range(20)), return_exceptions=True)
        assert {error.reason for error in found} == {"provider_status"}
        assert idp.asked[WELL_KNOWN] == 1
        idp.publish()
        await shelf.metadata(idp.settings())


async def test_a_mended_provider_is_believed_at_once(clock: FrozenClock) -> None:
    async with origin() as idp:
        idp.publish(issuer="https://evil.example")
        shelf = documents(clock)
        with pytest.raises(Refusal) as refused:
            await shelf.metadata(idp.settings())
        assert refused.value.reason == "issuer_mismatch"
        idp.publish()
        await shelf.metadata(idp.settings())


async def test_who_hangs_up_takes_nothing_from_the_others(clock: FrozenClock) -> None:
    async with origin() as idp:
        idp.publish()
        idp.delay = 0.1
        shelf = documents(clock)
        first = asyncio.create_task(shelf.metadata(idp.settings()))
        second = asyncio.create_task(shelf.metadata(idp.settings()))
        await asyncio.sleep(0.02)
        first.cancel()
        assert (await second).issuer == idp.url
        assert idp.asked[WELL_KNOWN] == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "provider_not_json"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "metadata_malformed"),
        (status(500, {}), "provider_status"),
        (status(404, {}), "provider_status"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", "provider_status"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 600_000, "provider_too_large"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10_000_000)),
            "provider_too_large",
        ),
        (b"", "provider_unreachable"),
    ],
)
async def test_a_hostile_or_broken_provider_is_refused(clock, answer: bytes, reason: str) -> None:
    async with origin() as idp:
        idp.answers[WELL_KNOWN] = answer
        with pytest.raises(Refusal) as refused:
            await documents(clock).metadata(idp.settings())
        assert refused.value.reason == reason
        assert idp.asked["/elsewhere"] == 0


async def test_the_one_who_names_an_issuer_reaches_no_private_address(clock) -> None:
    async with origin() as idp:
        idp.publish()
        with pytest.raises(Refusal) as refused:
            await Documents(Outbound(), clock).metadata(idp.settings())
        assert refused.value.reason == "provider_not_https"
        assert not idp.asked


async def test_the_shelf_is_bounded(clock) -> None:
    shelf: Shelf[str] = Shelf(clock, limit=3)

    async def load() -> str:
        return "x"

    for name in "abcde":
        await shelf.get(name, load, max_age_seconds=60)
    assert list(shelf._kept) == ["c", "d", "e"]
