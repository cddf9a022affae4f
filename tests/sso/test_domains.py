"""A mail domain counts when its DNS says so."""

import pytest

from failgate.base.db import Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.sso.domains import check_domain, dns_reader, domain_of
from tests.journeys.sso import name_server
from tests.sso.conftest import OPERATOR, Place


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Corp.Example", "corp.example"),
        (" @corp.example. ", "corp.example"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_written_one_way(text: str, domain: str) -> None:
    assert check_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "com",
        "a..b",
        "-a.example",
        "a b.example",
        "1.2.3.4",
        "*.example",
        "a@b.example",
        "x" * 254 + ".example",
        "corp.example/",
        "corp\n.example",
        "\uff43orp.example",
        "corp\uff0eexample",
        "fa\u00df.example",
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        check_domain(text)


def test_the_domain_of_an_address_is_what_stands_after_the_last_sign() -> None:
    assert domain_of("a@corp.example") == "corp.example"
    assert domain_of("a@b@corp.example") == "corp.example"
    assert domain_of("corp.example") is None
    assert domain_of("a@") is None


@pytest.mark.parametrize(
    "domain", ["\uff43orp.example", "\u217dorp.example", "co\u00adrp.example", "corp\u3002example"]
)
def test_an_address_that_looks_like_one_of_the_domain_is_none_of_it(domain: str) -> None:
    """IDNA would make `corp.example` of each: an account could be made whose name reads like another one's."""
    assert domain_of(f"bob@{domain}") is None


async def test_only_the_right_text_verifies(place: Place) -> None:
    one = await place.connection()
    domains, forget = place.room.domains, lambda tx: place.room.connections.forget(tx, one)
    claimed = await domains.claim(place.acme.id, one.id, "new.example", OPERATOR)
    for texts in ([], ["failgate-domain="], [claimed.record_text + "x"], [claimed.token], [claimed.record_text[:-1]]):
        place.texts[claimed.record_name] = texts
        with pytest.raises(Conflict):
            await domains.verify(place.acme.id, one.id, claimed.id, OPERATOR, forget)
    place.texts[claimed.record_name] = ["v=spf1", claimed.record_text]
    await domains.verify(place.acme.id, one.id, claimed.id, OPERATOR, forget)
    found = await place.room.connections.by_slug(one.slug)
    assert found is not None
    assert found.domains == ("corp.example", "new.example")
    assert [each.slug for each in await place.room.connections.of_domain("new.example")] == ["team"]
    await domains.remove(place.acme.id, one.id, claimed.id, OPERATOR, forget)
    assert await place.room.connections.of_domain("new.example") == []
    assert {"domain.claimed", "domain.verified", "domain.removed"} <= set(await place.acts(place.acme.id))


async def test_the_text_of_one_connection_verifies_no_other(place: Place) -> None:
    one, other = await place.connection(), await place.connection("other")
    mine = await place.room.domains.claim(place.acme.id, one.id, "x.example", OPERATOR)
    theirs = await place.room.domains.claim(place.acme.id, other.id, "x.example", OPERATOR)
    place.texts[mine.record_name] = [mine.record_text]

    def forget(_tx: object) -> None:
        return None

    with pytest.raises(Conflict):
        await place.room.domains.verify(place.acme.id, other.id, theirs.id, OPERATOR, forget)
    with pytest.raises(NotFound):
        await place.room.domains.verify(place.acme.id, other.id, mine.id, OPERATOR, forget)


async def test_dns_is_asked_over_the_network() -> None:
    with name_server() as names:
        names.texts["_failgate.x.example."] = ["failgate-domain=abc"]
        read = dns_reader([("127.0.0.1", names.port)])
        assert await read("_failgate.x.example") == ["failgate-domain=abc"]
        assert await read("_failgate.y.example") == []


async def test_a_silent_name_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr("failgate.sso.domains.SECONDS", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(Conflict, match="No name server"):
            await dns_reader([("127.0.0.1", silent.getsockname()[1])])("_failgate.x.example")


async def test_the_operators_word_is_enough(place: Place) -> None:
    one = await place.connection()

    def forget(tx: Transaction) -> None:
        place.room.connections.forget(tx, one)

    await place.room.domains.claim(place.acme.id, one.id, "slow.example", OPERATOR)
    for domain in ("slow.example", "New.Example", "new.example"):
        await place.room.domains.vouch(place.acme.id, one.id, domain, OPERATOR, forget)
    found = await place.room.connections.by_slug(one.slug)
    assert found is not None
    assert found.domains == ("corp.example", "new.example", "slow.example")
    assert (await place.acts(place.acme.id)).count("domain.verified") == 3
