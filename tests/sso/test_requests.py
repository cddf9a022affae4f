"""A request is used once, by the browser that began it, within ten minutes."""

import asyncio

import pytest

from failgate.base.secretbox import SecretBox
from failgate.sso.protocol import Departure, Refusal
from failgate.sso.requests import Errand, Requests, is_word_for, word_for
from tests.sso.conftest import Place

LEFT = Departure("https://id.example/", request_id="_r1", kept={"verifier": "v3rifier", "nonce": "n"})


@pytest.fixture
def requests(place: Place) -> Requests:
    return Requests(place.database, place.clock, SecretBox(b"k" * 32))


async def reason(work) -> str:
    with pytest.raises(Refusal) as refused:
        await work
    return refused.value.reason


async def test_what_was_kept_comes_back_once(place: Place, requests: Requests) -> None:
    one = await place.connection()
    await requests.keep(one, LEFT, Errand("sign_in", "/w/acme/queue", session_id="s"), "browser")
    begun = await requests.take(one, "_r1", "browser")
    assert dict(begun.expected.kept) == {"verifier": "v3rifier", "nonce": "n"}
    assert (begun.purpose, begun.return_to, begun.session_id) == ("sign_in", "/w/acme/queue", "s")
    assert await reason(requests.take(one, "_r1", "browser")) == "request_used"


async def test_of_many_answers_at_once_one_is_taken(place: Place, requests: Requests) -> None:
    one = await place.connection()
    await requests.keep(one, LEFT, Errand(), "browser")
    taken = await asyncio.gather(*(requests.take(one, "_r1", "browser") for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(each, Refusal) for each in taken) == 1


async def test_another_browser_another_connection_and_too_late_are_refused(place: Place, requests: Requests) -> None:
    one, other = await place.connection(), await place.connection("other")
    await requests.keep(one, LEFT, Errand(), "browser")
    assert await reason(requests.take(one, "_r1", None)) == "other_browser"
    assert await reason(requests.take(one, "_r1", "another")) == "other_browser"
    assert await reason(requests.take(other, "_r1", "browser")) == "request_unknown"
    assert await reason(requests.take(one, "_r2", "browser")) == "request_unknown"
    place.clock.advance(600)
    assert await reason(requests.take(one, "_r1", "browser")) == "request_expired"


async def test_nothing_that_is_kept_can_be_read(place: Place, requests: Requests) -> None:
    await requests.keep(await place.connection(), LEFT, Errand(), "browser")
    (row,) = await place.database.fetch("SELECT * FROM sso_request")
    text = repr(
        {name: bytes(value) if not isinstance(value, (str, int, type(None))) else value for name, value in row.items()}
    )
    assert not any(secret in text for secret in ("v3rifier", "_r1", "'browser'"))


async def test_an_id_is_used_once_until_it_is_past_any_use(place: Place, requests: Requests) -> None:
    one, other = await place.connection(), await place.connection("other")
    until_us = place.clock.now_us() + 60_000_000

    async def use(connection, *ids: str) -> None:
        await place.database.write(lambda tx: requests.use(tx, connection, ids, until_us))

    await use(one, "_a", "_b")
    await use(other, "_a")
    assert await reason(use(one, "_c", "_b")) == "replayed"
    await use(one, "_c")  # what was refused used nothing up
    await requests.sweep()
    assert await reason(use(one, "_a")) == "replayed"
    place.clock.advance(61)
    await requests.sweep()
    await use(one, "_a")


def test_a_word_is_of_one_browser_and_one_answer() -> None:
    word = word_for("browser", "answer")
    assert is_word_for(word, "browser", "answer")
    for wrong in ((word, "other", "answer"), (word, "browser", "other"), (word, None, "answer"), ("", "browser", "answer"),
                  ("\ud800", "browser", "answer"), (word, "browser", "\ud800")):  # fmt: skip
        assert not is_word_for(*wrong)
