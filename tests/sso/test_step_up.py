"""Stepping up at the provider, on both engines, with a SAML provider that signs what an attacker would want. B3 F9"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from failgate.access.role import Role
from failgate.accounts.session import Session
from failgate.accounts.sessions import Sessions
from failgate.base.errors import NotFound
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings, SamlSettings
from failgate.sso.draft import draft_of
from failgate.sso.protocol import Refusal
from failgate.sso.requests import Errand
from failgate.sso.saml.instants import write_instant
from failgate.sso.sso import Client, Outcome
from failgate.sso.step_up import NotConfirmed, Way, is_factor_trusted, is_possible
from tests.sso.conftest import OPERATOR, Place
from tests.sso.saml.provider import NS, Provider, encoded

IDP = Provider()
BROWSER = Client("127.0.0.1", "Browser", "browser key")
PASSWORD_ONLY = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
MFA = "https://refeds.org/profile/mfa"
SECOND = 1_000_000
Answer = dict[str, str]


class School:
    """A workspace's provider that is trusted with the second factor, and answers as it is told to."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def connect(self, **changes: Any) -> Connection:
        settings = SamlSettings(
            entity_id=IDP.entity_id, sso_url="https://idp.example.org/sso",
            certificates=tuple(key.certificate for key in IDP.keys),
        )  # fmt: skip
        given = {"settings": settings, "client_secret": None, "trusted_methods": (MFA,), **changes}
        one = await self.place.connection("school", **given)
        await self.place.verify(one, "example.org")
        return one

    async def answer(
        self,
        errand: Errand,
        *,
        subject: str = "ada@example.org",
        context: str = MFA,
        seconds_ago: float = 0,
        index: str = "_session1",
    ) -> Answer:
        departure = await self.place.room.sign_on.begin("school", errand, "browser key")
        found = await self.place.room.connections.by_slug("school")
        assert found is not None
        service = await self.place.room.speakers.service(found)
        at = write_instant(self.place.clock.now_us() - round(seconds_ago * SECOND))

        def edit(_response: Any, assertion: Any) -> None:
            statement = assertion.find("a:AuthnStatement", NS)
            statement.set("AuthnInstant", at)
            statement.set("SessionIndex", index)
            assertion.find(".//a:AuthnContextClassRef", NS).text = context

        return encoded(IDP.respond(service, departure.request_id, subject=subject, edit=edit)) | {
            "RelayState": departure.request_id
        }

    async def finish(self, fields: Answer, client: Client = BROWSER) -> Outcome:
        return await self.place.room.sign_on.finish("school", "saml", fields, client)

    async def sign_in(self, **how: Any) -> tuple[str, Session]:
        outcome = await self.finish(await self.answer(Errand(), **how))
        assert outcome.token is not None
        assert outcome.session is not None
        return outcome.token, outcome.session

    async def reasons(self) -> list[str]:
        records = await self.place.records(self.place.acme.id)
        return [one["data"]["reason"] for one in records if one["act"] == "sso.refused"]


@pytest.fixture
async def school(place: Place) -> School:
    made = School(place)
    await made.connect()
    return made


def errand_of(session: Session) -> Errand:
    return Errand("step_up", "/device", session.account_id, session.id)


async def not_confirmed(work: Any) -> str:
    with pytest.raises(NotConfirmed) as refused:
        await work
    assert refused.value.return_to == "/device"
    return refused.value.reason


async def test_the_session_gets_a_new_token_and_is_fresh_again(place: Place, school: School) -> None:
    before, session = await school.sign_in(seconds_ago=1000)
    outcome = await school.finish(await school.answer(errand_of(session)))
    assert (outcome.purpose, outcome.return_to) == ("step_up", "/device")
    assert outcome.token not in {None, before}
    assert await place.sessions.resolve(before) is None
    fresh = await place.sessions.resolve(outcome.token or "")
    assert fresh is not None
    assert (fresh.id, fresh.account_id, fresh.origin) == (session.id, session.account_id, session.origin)
    assert fresh.auth == ("saml", "provider")
    assert fresh.second_factor_us is not None
    assert 0 <= place.clock.now_us() - fresh.second_factor_us < 2 * SECOND
    assert fresh.principal.second_factor_us == fresh.second_factor_us
    (record,) = [one for one in await place.records() if one["act"] == "session.second_factor_proven"]
    assert (record["obj"]["id"], record["data"]) == (session.id, {"method": "provider"})
    assert await school.reasons() == []


async def test_what_was_proven_outlives_a_restart(place: Place, school: School) -> None:
    _, session = await school.sign_in(seconds_ago=1000)
    outcome = await school.finish(await school.answer(errand_of(session)))
    found = await Sessions(place.database, place.audit, place.clock).resolve(outcome.token or "")
    assert found is not None
    assert await place.sessions.resolve(outcome.token or "") == found


async def test_the_factor_is_as_fresh_as_the_provider_saw_it(place: Place, school: School) -> None:
    """Two minutes at the provider's consent page are two of the five."""
    _, session = await school.sign_in(seconds_ago=1000)
    fields = await school.answer(errand_of(session))
    place.clock.advance(120)
    outcome = await school.finish(fields)
    fresh = await place.sessions.resolve(outcome.token or "")
    assert fresh is not None
    assert fresh.second_factor_us is not None
    assert 119 * SECOND <= place.clock.now_us() - fresh.second_factor_us < 122 * SECOND


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"subject": "eve@example.org"}, "step_up_other_person"),
        ({"context": PASSWORD_ONLY}, "step_up_no_factor"),
        ({"context": MFA.upper()}, "step_up_no_factor"),
        ({"seconds_ago": 181}, "step_up_old"),
        ({"seconds_ago": 900}, "step_up_old"),
        ({"seconds_ago": 301}, "step_up_old"),
    ],
)
async def test_another_person_factor_or_time_steps_nothing_up(
    place: Place, school: School, how: dict[str, Any], reason: str
) -> None:
    await school.sign_in(subject="eve@example.org")
    token, session = await school.sign_in(seconds_ago=1000)
    assert await not_confirmed(school.finish(await school.answer(errand_of(session), **how))) == reason
    found = await place.sessions.resolve(token)
    assert found is not None
    assert found.auth == ("saml",)
    assert await school.reasons() == [reason]
    (record,) = [one for one in await place.records(place.acme.id) if one["act"] == "sso.refused"]
    assert record["data"]["account"] == session.account_id


async def test_another_sign_in_of_the_same_account_is_another_person(place: Place, school: School) -> None:
    """Two people at the provider may be linked to one account; the session is of one of them."""
    ada = await place.account("ada@acme.example", Role.DEVELOPER)
    for subject in ("ada@example.org", "second@example.org"):
        _, own = await place.sessions.open(ada.id, "127.0.0.1", "b", ("pwd",), awaits_second_factor=False)
        await school.finish(await school.answer(Errand("link", "/account/sign-ins", ada.id, own.id), subject=subject))
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session), subject="second@example.org")
    assert await not_confirmed(school.finish(fields)) == "step_up_other_person"


async def test_an_answer_is_used_once(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    outcomes = await asyncio.gather(*(school.finish(fields) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(one, Outcome) for one in outcomes) == 1
    assert await not_confirmed(school.finish(fields)) == "request_used"
    assert (await place.acts()).count("session.second_factor_proven") == 1


async def test_a_refused_answer_is_used_up_too(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session), context=PASSWORD_ONLY)
    assert await not_confirmed(school.finish(fields)) == "step_up_no_factor"
    assert await not_confirmed(school.finish(fields)) == "request_used"


async def test_a_late_answer_says_so_to_its_browser(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    place.clock.advance(601)
    assert await not_confirmed(school.finish(fields)) == "request_expired"


@pytest.mark.parametrize("key", [None, "another browser's key"])
async def test_a_stolen_answer_is_worth_nothing_in_another_browser(
    place: Place, school: School, key: str | None
) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    with pytest.raises(Refusal) as refused:  # and it is told nothing of what the answer is for
        await school.finish(fields, Client("127.0.0.1", "Thief", key))
    assert refused.value.reason == "other_browser"
    assert (await school.finish(fields)).token is not None


async def test_an_answer_to_a_sign_in_steps_nothing_up_and_the_other_way_round(place: Place, school: School) -> None:
    """The signed answer of one request beside the RelayState of another of the same browser."""
    _, session = await school.sign_in()
    stepping, signing = await school.answer(errand_of(session)), await school.answer(Errand())
    mixed = signing | {"RelayState": stepping["RelayState"]}
    assert await not_confirmed(school.finish(mixed)) == "in_response_to"
    with pytest.raises(Refusal):
        await school.finish(stepping | {"RelayState": signing["RelayState"]})
    assert (await place.acts()).count("session.second_factor_proven") == 0


@pytest.mark.parametrize("ends", ["closed", "disabled"])
async def test_a_session_that_has_ended_is_not_stepped_up(place: Place, school: School, ends: str) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    if ends == "closed":
        await place.sessions.close(session)
    else:
        await place.accounts.disable(session.account_id, OPERATOR)
    assert await not_confirmed(school.finish(fields)) == "step_up_session"
    assert (await place.acts()).count("session.second_factor_proven") == 0


async def test_the_browser_holds_the_session_that_asked(place: Place, school: School) -> None:
    """Where the door sees the cookie: another session of the same person, or none, is not the one that asked."""
    _, other = await school.sign_in()
    _, session = await school.sign_in()
    for held in (other.id, ""):
        fields = await school.answer(errand_of(session))
        client = Client("127.0.0.1", "Browser", "browser key", held)
        assert await not_confirmed(school.finish(fields, client)) == "step_up_session"
    fields = await school.answer(errand_of(session))
    client = Client("127.0.0.1", "Browser", "browser key", session.id)
    assert (await school.finish(fields, client)).token is not None


async def test_somebody_elses_session_cannot_be_named(place: Place, school: School) -> None:
    _, ada = await school.sign_in()
    _, eve = await school.sign_in(subject="eve@example.org")
    errand = Errand("step_up", "/device", eve.account_id, ada.id)
    fields = await school.answer(errand, subject="eve@example.org")
    assert await not_confirmed(school.finish(fields)) == "step_up_session"


async def test_who_left_the_directory_or_the_connection_is_not_stepped_up(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    await place.database.write(
        lambda tx: tx.execute("DELETE FROM sso_identity WHERE account_id = $1", session.account_id)
    )
    assert await not_confirmed(school.finish(fields)) == "step_up_other_person"
    assert await place.room.step_ups.way(session) is None


async def test_a_trust_that_was_taken_back_meanwhile_counts_no_more(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    one = await place.room.connections.by_slug("school")
    assert one is not None
    await place.room.connections.change(
        place.acme.id, one.id, lambda now: replace(draft_of(now), trusted_methods=("hwk",)), "mapping", OPERATOR
    )
    assert await not_confirmed(school.finish(fields)) == "step_up_no_factor"


async def test_a_switched_off_connection_steps_nothing_up(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    fields = await school.answer(errand_of(session))
    one = await place.room.connections.by_slug("school")
    assert one is not None
    await place.room.connections.disable(place.acme.id, one.id, OPERATOR)
    with pytest.raises(Refusal):
        await school.finish(fields)
    with pytest.raises(NotFound):
        await place.room.sign_on.begin("school", errand_of(session), "browser key")
    assert await place.room.step_ups.way(session) is None


async def test_a_factor_that_a_step_up_shows_counts_for_votes(place: Place, school: School) -> None:
    """Who signed in without one, at a provider that asks for it only when asked anew."""
    _, session = await school.sign_in(context=PASSWORD_ONLY)
    assert session.second_factor_us is None
    assert await place.room.step_ups.way(session) == Way(await _connection(place), has_shown=False)
    await school.finish(await school.answer(errand_of(session)))
    assert await place.room.step_ups.way(session) == Way(await _connection(place), has_shown=True)
    row = await place.database.fetch_one("SELECT factor_us FROM sso_identity WHERE account_id = $1", session.account_id)
    assert row is not None
    assert row["factor_us"] is not None


async def _connection(place: Place) -> Connection:
    found = await place.room.connections.by_slug("school")
    assert found is not None
    return found


async def test_the_provider_ends_its_session_under_the_name_that_it_gave_it_last(place: Place, school: School) -> None:
    _, session = await school.sign_in()
    await school.finish(await school.answer(errand_of(session), index="_session2"))
    row = await place.database.fetch_one("SELECT provider_session FROM sso_session WHERE id = $1", session.id)
    assert row is not None
    assert row["provider_session"] == "_session2"


async def test_who_signed_in_otherwise_has_no_way(place: Place, school: School) -> None:
    _, by_password = await place.sessions.open(place.owner.id, "127.0.0.1", "b", ("pwd",))
    assert await place.room.step_ups.way(by_password) is None
    assert await place.room.step_ups.way(None) is None
    fields = await school.answer(Errand("step_up", "/device", place.owner.id, by_password.id))
    assert await not_confirmed(school.finish(fields)) == "step_up_other_person"


@pytest.mark.parametrize("trusted", [(), (MFA,)])
def test_github_is_never_asked_and_no_other_provider_without_trust(trusted: tuple[str, ...]) -> None:
    made = [
        Connection("c", "s", "T", OidcSettings(issuer="https://id.example", client_id="f", preset=preset), trusted_methods=trusted)
        for preset in ("github", "generic", "google", "microsoft")
    ]  # fmt: skip
    assert [is_possible(one) for one in made] == [False, *[bool(trusted)] * 3]


def test_a_method_or_a_context_is_trusted_by_its_exact_name() -> None:
    one = Connection("c", "s", "T", OidcSettings(issuer="i", client_id="f"), trusted_methods=("mfa", "urn:x"))

    def is_trusted(**said: Any) -> bool:
        return is_factor_trusted(one, Assertion("i", "s", **said))

    assert is_trusted(methods=("pwd", "mfa"))
    assert is_trusted(context="urn:x")
    assert not any(is_trusted(**said) for said in ({}, {"methods": ("MFA", "mfa ")}, {"context": "urn:x2"}))
