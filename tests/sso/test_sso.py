"""A sign-in from beginning to end, with a SAML provider that signs: one use, one browser, one account. E24"""

import asyncio
import json
from dataclasses import replace

import pytest

from failgate.access.role import Role
from failgate.base.errors import Conflict, NotFound
from failgate.sso.connection import SamlSettings
from failgate.sso.protocol import Refusal
from failgate.sso.requests import Errand
from failgate.sso.speaking import _with_strong_keys
from failgate.sso.sso import Client, NotLinked, Outcome
from tests.sso.conftest import OPERATOR, Place
from tests.sso.saml.provider import Provider, encoded, key_pair, with_settings

IDP = Provider()
BROWSER = Client("127.0.0.1", "Browser", "browser key")


async def saml(place: Place, **changes):
    settings = SamlSettings(
        entity_id=IDP.entity_id, sso_url="https://idp.example.org/sso", slo_url="https://idp.example.org/slo",
        certificates=tuple(key.certificate for key in changes.pop("keys", IDP.keys)), **changes.pop("settings", {}),
    )  # fmt: skip
    one = await place.connection("school", settings=settings, client_secret=None, **changes)
    await place.verify(one, "example.org")
    return one


async def answer_to(
    place: Place, errand: Errand | None = None, subject: str = "ada@example.org", **how
) -> dict[str, str]:
    departure = await place.room.sign_on.begin("school", errand or Errand(), "browser key")
    found = await place.room.connections.by_slug("school")
    assert found is not None
    service = await place.room.speakers.service(found)
    document = IDP.respond(service, departure.request_id, subject=subject, **how)
    return encoded(document) | {"RelayState": departure.request_id}


async def finish(place: Place, fields: dict[str, str], client: Client = BROWSER) -> Outcome:
    return await place.room.sign_on.finish("school", "saml", fields, client)


async def reason(work) -> str:
    with pytest.raises((Refusal, NotLinked)) as refused:
        await work
    return refused.value.reason


async def test_a_person_is_signed_in_with_account_role_and_session(place: Place) -> None:
    await saml(place, roles=(("staff", "reviewer"),))
    outcome = await finish(place, await answer_to(place, Errand(return_to="/w/acme/queue")))
    assert outcome.token is not None
    session = await place.sessions.resolve(outcome.token)
    assert session is not None
    assert (session.email, session.auth, outcome.return_to) == ("ada@example.org", ("saml",), "/w/acme/queue")
    assert (session.principal.workspace_id, session.second_factor_us) == (place.acme.id, None)
    assert await place.workspaces.role_of(place.acme.id, session.account_id) is Role.REVIEWER
    assert {"account.created", "identity.linked", "session.opened"} <= set(await place.acts())


async def test_a_connection_from_before_whose_key_is_too_short_signs_nobody_in(place: Place) -> None:
    # ASVS 5.0 11.2.3: what was taken in once is judged again at each use
    short, strong = key_pair("short idp", 2048), IDP.keys[0]
    provider = replace(IDP, keys=(short,))
    one = await saml(place, keys=(short,))

    async def answer() -> dict[str, str]:
        departure = await place.room.sign_on.begin("school", Errand(), "browser key")
        service = await place.room.speakers.service(one)
        return encoded(provider.respond(service, departure.request_id)) | {"RelayState": departure.request_id}

    assert await reason(finish(place, await answer())) == "key_length"
    place.room.speakers._rsa_bits = 2048
    assert (await finish(place, await answer())).token is not None
    both = with_settings(one, certificates=(short.certificate, strong.certificate))
    assert _with_strong_keys(both, 3072).settings.certificates == (strong.certificate,)


async def test_of_many_answers_at_once_one_signs_in(place: Place) -> None:
    await saml(place)
    fields = await answer_to(place)
    outcomes = await asyncio.gather(*(finish(place, fields) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(each, Outcome) for each in outcomes) == 1
    assert (await place.acts()).count("session.opened") == 1


async def test_an_assertion_is_used_once_also_under_another_request(place: Place) -> None:
    """Unsolicited answers have no request that could be used up: the assertion's own id is."""
    one = await saml(place, settings={"is_idp_initiated_allowed": True})
    service = await place.room.speakers.service(one)
    fields = encoded(IDP.respond(service, None))
    said = replace(BROWSER, has_asked=True)
    assert (await finish(place, fields, said)).token is not None
    assert await reason(finish(place, fields, said)) == "replayed"
    assert await reason(finish(place, fields, replace(said, user_agent="Other", browser_key=None))) == "replayed"


async def test_an_answer_that_nobody_asked_for_does_nothing_before_the_person_says_so(place: Place) -> None:
    """ASVS 7.6.2."""
    one = await saml(place, settings={"is_idp_initiated_allowed": True})
    service = await place.room.speakers.service(one)
    fields = encoded(IDP.respond(service, None))
    before = await place.acts()
    for _ in range(2):
        outcome = await finish(place, fields)
        assert (outcome.asks, outcome.token, outcome.session) == (True, None, None)
    assert await place.acts() == before
    outcome = await finish(place, fields, replace(BROWSER, has_asked=True))
    assert not outcome.asks
    assert outcome.token is not None
    spoiled = encoded(IDP.respond(service, None, signs="none"))
    assert await reason(finish(place, spoiled)) != "replayed"  # refused before anybody is asked


async def test_what_is_refused_leaves_nothing_behind(place: Place) -> None:
    await saml(place)
    fields = await answer_to(place, subject="ada@elsewhere.example")
    assert await reason(finish(place, fields)) == "domain_not_covered"
    assert await place.accounts.by_email("ada@elsewhere.example") is None
    assert "session.opened" not in await place.acts()
    (record,) = [each for each in await place.records(place.acme.id) if each["act"] == "sso.refused"]
    assert record["data"]["reason"] == "domain_not_covered"
    assert "ada@" not in json.dumps(await place.records(place.acme.id))


async def test_every_refusal_reads_alike(place: Place) -> None:
    await saml(place)
    good = await answer_to(place)
    spoilt = [
        {}, {"RelayState": "x"}, good | {"SAMLResponse": "AAAA"}, await answer_to(place, signs="none"),
        await answer_to(place) | {"RelayState": good["RelayState"]},
    ]  # fmt: skip
    said = set()
    for fields in spoilt:
        with pytest.raises(Refusal) as refused:
            await finish(place, fields)
        said.add((refused.value.status, str(refused.value)))
    assert len(said) == 1


async def test_a_flood_of_refusals_is_counted_not_written(place: Place) -> None:
    await saml(place)
    for _ in range(60):
        await reason(finish(place, {"RelayState": "x"}))
    place.clock.advance(11)
    await place.room.sweep()
    found = [each for each in await place.records(place.acme.id) if each["act"] == "sso.refused"]
    assert len(found) == 21
    assert found[-1]["data"] == {"reason": "many", "count": 40}


async def test_an_existing_account_is_not_taken_over_and_is_linked_by_its_own_session(place: Place) -> None:
    await saml(place)
    ada = await place.account("ada@example.org", Role.DEVELOPER)
    assert await reason(finish(place, await answer_to(place))) == "account_exists"
    _, session = await place.sessions.open(ada.id, "127.0.0.1", "b", ("pwd",), awaits_second_factor=False)
    errand = Errand("link", "/account/sign-ins", ada.id, session.id)
    assert (await finish(place, await answer_to(place, errand))).purpose == "link"
    outcome = await finish(place, await answer_to(place))
    assert outcome.session is not None
    assert outcome.session.account_id == ada.id
    assert not outcome.session.principal.may_change_account


async def test_a_link_whose_session_has_ended_is_refused(place: Place) -> None:
    await saml(place)
    ada = await place.account("ada@example.org")
    _, session = await place.sessions.open(ada.id, "127.0.0.1", "b", ("pwd",), awaits_second_factor=False)
    fields = await answer_to(place, Errand("link", "/account/sign-ins", ada.id, session.id))
    await place.sessions.close(session)
    assert await reason(finish(place, fields)) == "session_ended"
    assert await place.room.linking.identities(ada.id) == []


async def test_somebody_elses_sign_in_is_not_linked(place: Place) -> None:
    await saml(place)
    await finish(place, await answer_to(place))
    eve = await place.account("eve@x.example")
    _, session = await place.sessions.open(eve.id, "127.0.0.1", "b", ("pwd",), awaits_second_factor=False)
    with pytest.raises(Conflict):
        await finish(place, await answer_to(place, Errand("link", "/account/sign-ins", eve.id, session.id)))


async def test_a_test_changes_nothing(place: Place) -> None:
    one = await saml(place, roles=(("staff", "admin"),))
    errand = Errand("test", "/w/acme/settings/sign-in/x/tests", place.owner.id, "s")
    outcome = await finish(place, await answer_to(place, errand))
    assert outcome.token is None
    assert await place.accounts.by_email("ada@example.org") is None
    trial = await place.room.sign_on.trials.one(one.id, place.owner.id, outcome.trial_id or "")
    assert trial is not None
    assert (trial.account, trial.email, trial.groups, trial.steps) == (
        "new", "ada@example.org", ("staff", "ops"), (("acme", None, "admin", "group"),)
    )  # fmt: skip
    assert await place.room.sign_on.trials.one(one.id, "somebody else", outcome.trial_id or "") is None


async def test_a_test_of_a_spoilt_answer_says_why(place: Place) -> None:
    one = await saml(place)
    errand = Errand("test", "/x", place.owner.id, "s")
    outcome = await finish(place, await answer_to(place, errand, signs="none"))
    trial = await place.room.sign_on.trials.one(one.id, place.owner.id, outcome.trial_id or "")
    assert trial is not None
    assert (trial.issuer, bool(trial.reason), bool(trial.detail)) == (None, True, True)
    kept = await place.room.connections.one_of(place.acme.id, one.id)
    assert kept.tested_us is None


async def test_a_connection_that_is_off_signs_nobody_in_and_can_be_tested(place: Place) -> None:
    one = await saml(place)
    early = await answer_to(place)
    await place.room.connections.disable(place.acme.id, one.id, OPERATOR)
    assert await reason(finish(place, early)) == "request_unknown"
    with pytest.raises(NotFound):
        await place.room.sign_on.begin("school", Errand(), "browser key")
    assert (await finish(place, await answer_to(place, Errand("test", "/x", place.owner.id, "s")))).trial_id


@pytest.mark.parametrize("end", ["disable", "remove"])
async def test_a_connection_that_ends_while_its_answer_is_looked_at_signs_nobody_in(
    place: Place, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The token endpoint of a provider may take seconds: what its owner switched off meanwhile opens nothing."""
    one = await saml(place)
    fields = await answer_to(place)
    look = place.room.speakers.finish

    async def slow(*asked):
        checked = await look(*asked)
        await getattr(place.room.connections, end)(place.acme.id, one.id, OPERATOR)
        return checked

    monkeypatch.setattr(place.room.speakers, "finish", slow)
    assert await reason(finish(place, fields)) == "connection_disabled"
    assert await place.accounts.by_email("ada@example.org") is None
    assert "session.opened" not in await place.acts()


async def test_a_trusted_method_counts_as_the_second_factor(place: Place) -> None:
    context = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    await saml(place, trusted_methods=(context,))
    outcome = await finish(place, await answer_to(place))
    assert outcome.session is not None
    assert outcome.session.second_factor_us is not None
    assert outcome.session.second_factor_us <= place.clock.now_us()


async def test_the_session_of_before_ends(place: Place) -> None:
    await saml(place)
    token, session = await place.sessions.open(place.owner.id, "127.0.0.1", "b", ("pwd",))
    await finish(place, await answer_to(place, Errand(session_id=session.id)))
    assert await place.sessions.resolve(token) is None
