"""The step-up page and what leads to it: a factor of ours, the provider's, both, or none yet. B3 F9"""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from failgate.base.ids import new_id
from failgate.roster import Services
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Declared, Draft
from failgate.web.csrf import form_token
from tests.web.conftest import OPERATOR, People, Running, session_of

CONFIRM = "Confirm with Corp"
MINUTE_US = 60_000_000


@pytest.fixture
async def client(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client(headers={"origin": server.origin}) as one:
        yield one


async def through_provider(
    services: Services,
    account_id: str,
    *,
    minutes_ago: int | None = 30,
    trusted: tuple[str, ...] = ("mfa",),
    preset: str = "generic",
    has_shown: bool = True,
    is_confined_to: str | None = None,
    may_change_account: bool = True,
) -> str:
    """Open a session as a sign-in through the connection `corp` does; the factor was shown `minutes_ago`, or never."""
    from failgate.accounts.session import Origin

    draft = Draft(
        title="Corp",
        settings=OidcSettings(issuer="https://id.example", client_id="failgate", preset=preset),
        trusted_methods=trusted,
    )
    await services.sso.connections.declare([Declared("corp", (), draft)])
    connection = await services.sso.connections.by_slug("corp")
    assert connection is not None
    now_us = services.clock.now_us()
    shown_us = now_us - minutes_ago * MINUTE_US if minutes_ago is not None else None

    async def verb(tx):
        await tx.execute(
            "INSERT INTO sso_identity (id, connection_id, issuer, subject, account_id, is_origin, linked_us, factor_us)"
            " VALUES ($1, $2, 'https://id.example', 'ann', $3, 1, 1, $4)",
            new_id(), connection.id, account_id, shown_us if has_shown else None,
        )  # fmt: skip
        origin = Origin(connection.id, is_confined_to, may_change_account, shown_us)
        token, session = await services.sessions.open_within(
            tx, account_id, "127.0.0.1", "Browser", ("oidc",), origin=origin
        )
        await tx.execute(
            "INSERT INTO sso_session (id, connection_id, account_id, issuer, subject, opened_us)"
            " VALUES ($1, $2, $3, 'https://id.example', 'ann', 1)",
            session.id, connection.id, account_id,
        )  # fmt: skip
        return token

    return await services.db.write(verb)


async def get(client: httpx.AsyncClient, path: str, token: str) -> httpx.Response:
    return await client.get(path, headers={"cookie": f"fg_session={token}"})


async def post(client: httpx.AsyncClient, path: str, token: str, **fields: str) -> httpx.Response:
    return await client.post(
        path, data=fields | {"csrf_token": form_token(token)}, headers={"cookie": f"fg_session={token}"}
    )


async def test_who_has_the_providers_factor_alone_is_sent_there(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    token = await through_provider(services, people.accounts["developer"])
    led = await get(client, "/device", token)
    assert (led.status_code, led.headers["location"]) == (303, "/account/step-up?next=/device")
    page = (await get(client, led.headers["location"], token)).text
    assert CONFIRM in page
    assert 'name="next" value="/device"' in page
    assert "Code of your authenticator" not in page
    assert "Set one up here" not in page
    assert "Your passkeys do not work" not in page


async def test_who_has_both_sees_both(services: Services, people: People, client: httpx.AsyncClient) -> None:
    token = await through_provider(services, people.accounts["developer"])
    await services.second_factors.issue(people.accounts["developer"], OPERATOR)
    page = (await get(client, "/account/step-up", token)).text
    assert CONFIRM in page
    assert "Code of your authenticator" in page
    assert "Set one up here" not in page


async def test_who_has_none_is_led_to_one(services: Services, people: People, client: httpx.AsyncClient) -> None:
    token = await session_of(services, people.accounts["developer"])
    led = await get(client, "/account/step-up?next=/device", token)
    assert (led.status_code, led.headers["location"]) == (303, "/account/second-factor?next=/device")
    answer = await post(client, "/account/step-up/provider", token, next="/device")
    assert answer.headers["location"] == "/account/step-up?next=/device"


@pytest.mark.parametrize("how", [{"preset": "github"}, {"trusted": ()}])
async def test_a_provider_that_says_nothing_of_factors_is_not_offered(
    services: Services, people: People, client: httpx.AsyncClient, how: dict
) -> None:
    token = await through_provider(services, people.accounts["developer"], **how)
    assert (await get(client, "/account/step-up", token)).headers["location"] == "/account/second-factor"
    answer = await post(client, "/account/step-up/provider", token)
    assert answer.headers["location"] == "/account/step-up"
    await services.second_factors.issue(people.accounts["developer"], OPERATOR)
    assert CONFIRM not in (await get(client, "/account/step-up", token)).text


async def test_a_stolen_session_enrols_no_factor_of_its_own_where_the_provider_has_one(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    """The first factor of ours may be set up without showing any, but not by who has one at the provider."""
    token = await through_provider(services, people.accounts["developer"])
    for path in ("/account/second-factor/begin", "/account/passkeys", "/account/sign-ins"):
        answer = await post(client, path, token, connection="corp")
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/account/step-up?next=/account/"), path


async def test_who_was_never_asked_for_a_factor_there_may_set_up_one_here(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    token = await through_provider(services, people.accounts["developer"], minutes_ago=None, has_shown=False)
    page = (await get(client, "/account/step-up?next=/device", token)).text
    assert CONFIRM in page
    assert 'href="/account/second-factor?next=/device"' in page
    assert (await post(client, "/account/second-factor/begin", token)).status_code == 200
    device = await get(client, "/device", token)
    assert device.status_code == 403
    assert CONFIRM in device.text
    assert "Set up a second factor" in device.text
    assert 'name="user_code"' not in device.text


async def test_a_factor_that_the_provider_just_saw_opens_what_is_sensitive(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    token = await through_provider(services, people.accounts["developer"], minutes_ago=1)
    assert 'name="user_code"' in (await get(client, "/device", token)).text
    begun = await services.device_login.begin("failgate-cli", host="h", address="127.0.0.1", user_agent="c")
    decided = await post(client, "/device/decision", token, user_code=begun.user_code, decision="approve", mine="yes")
    assert "signed in" in decided.text


async def test_a_stale_factor_of_a_provider_that_is_trusted_no_more_approves_nothing(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    token = await through_provider(services, people.accounts["developer"], has_shown=False)
    assert (await get(client, "/device", token)).status_code == 403


async def test_a_confined_session_is_offered_no_factor_that_it_may_not_set_up(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    token = await through_provider(
        services, people.accounts["developer"], minutes_ago=None, has_shown=False, is_confined_to=people.acme,
        may_change_account=False,
    )  # fmt: skip
    page = (await get(client, "/account/step-up", token)).text
    assert CONFIRM in page
    assert "Set one up here" not in page
    assert "Set up a second factor" not in (await get(client, "/device", token)).text


async def test_backup_codes_stand_beside_a_proof_of_the_provider(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    """A session that a backup code completed is stepped up by the provider as by any other factor."""
    token = await through_provider(services, people.accounts["developer"], minutes_ago=1)
    session = await services.sessions.resolve(token)
    assert session is not None
    for method, passes in (("recovery", False), ("provider", True)):
        token = await services.db.write(lambda tx, method=method: services.sessions.rotate(tx, session, method))
        assert ('name="user_code"' in (await get(client, "/device", token)).text) is passes
        session = await services.sessions.resolve(token)
        assert session is not None


@pytest.mark.parametrize("path", ["/", "/account", "/account/second-factor"])
async def test_the_pages_know_the_providers_factor(
    services: Services, people: People, client: httpx.AsyncClient, path: str
) -> None:
    plain = await session_of(services, people.accounts["reviewer"])
    token = await through_provider(services, people.accounts["developer"])
    text = re.sub(r"\s+", " ", (await get(client, path, token)).text)
    assert "no second factor yet" not in text
    assert "None yet. Voting" not in text
    assert ("no second factor yet" in (await get(client, path, plain)).text) is (path != "/account")
    assert ("Corp" in text) is (path != "/")


async def test_the_way_to_the_provider_takes_a_form_of_this_session(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    token = await through_provider(services, people.accounts["developer"])
    cookie = {"cookie": f"fg_session={token}"}
    assert (await client.get("/account/step-up/provider", headers=cookie)).status_code == 405
    answer = await client.post("/account/step-up/provider", data={"next": "/"}, headers=cookie)
    assert answer.status_code == 403
    foreign = cookie | {"origin": "https://evil.example"}
    sent = {"csrf_token": form_token(token)}
    assert (await client.post("/account/step-up/provider", data=sent, headers=foreign)).status_code == 403
    assert await services.db.fetch("SELECT id FROM sso_request") == []


async def test_members_are_shown_with_their_providers_factor(
    services: Services, people: People, client: httpx.AsyncClient
) -> None:
    owner = await session_of(services, people.accounts["owner"])
    before = (await get(client, "/w/acme/members", owner)).text.count("none: cannot vote")
    await through_provider(services, people.accounts["developer"])
    page = (await get(client, "/w/acme/members", owner)).text
    assert page.count("at the provider") == 1
    assert page.count("none: cannot vote") == before - 1
    listed = (await get(client, "/api/v1/workspaces/acme/members", owner)).json()["items"]
    assert [one["email"] for one in listed if one["has_second_factor"]] == ["developer@example.org"]
