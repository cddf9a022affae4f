"""The step-up page and what leads to it: a factor of ours, the provider's, both, or none yet. B3 F9"""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from failgate.accounts.session import SessionToken
from failgate.base.ids import new_id
from failgate.roster import Services
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Declared, Draft
from failgate.web.csrf import form_token
from failgate.web.pages.doors import PAGES
from tests.web.conftest import OPERATOR, PASSWORD, People, Running, cookies_of, kept, session_of

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
) -> SessionToken:
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


async def get(client: httpx.AsyncClient, path: str, token: SessionToken) -> httpx.Response:
    return await client.get(path, headers={"cookie": cookies_of(token)})


async def post(client: httpx.AsyncClient, path: str, token: SessionToken, **fields: str) -> httpx.Response:
    return await client.post(
        path, data=fields | {"csrf_token": form_token(token)}, headers={"cookie": cookies_of(token)}
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
    cookie = {"cookie": cookies_of(token)}
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


# What changes how one signs in wants all factors anew; what closes sessions wants any. ASVS 5.0 7.5.1, 7.5.2

CHANGES = sorted(door.path for door in PAGES if door.asks_anew == "all")
ENDINGS = sorted(door.path for door in PAGES if door.asks_anew == "any")
ADDRESS = "127.0.0.1"


class Person:
    """Somebody with a password, and with an authenticator when wanted."""

    def __init__(self, services: Services, account_id: str, *, has_factor: bool) -> None:
        self.services, self.account_id, self.has_factor = services, account_id, has_factor

    async def code(self) -> str:
        """Return a code that counts now and was not used yet."""
        return await self.services.second_factors.current_code(self.account_id) or ""

    async def sign_in(self) -> SessionToken:
        token, session = await self.services.sessions.open(self.account_id, ADDRESS, "Browser", ("pwd",))
        return (
            await self.services.second_factors.prove_in_session(session, await self.code())
            if self.has_factor
            else token
        )


async def person(services: Services, *, has_factor: bool) -> Person:
    account = await services.accounts.create("ann@example.org", PASSWORD, OPERATOR)
    if has_factor:
        await services.second_factors.issue(account.id, OPERATOR)
    return Person(services, account.id, has_factor=has_factor)


async def age(services: Services, token: SessionToken, *, first_s: int = 0, second_s: int = 0) -> None:
    """Let the factors of the session have been shown so many seconds earlier."""
    session = await services.sessions.resolve(token)
    assert session is not None

    async def verb(tx):
        await tx.execute(
            "UPDATE session SET first_factor_us = first_factor_us - $1, second_factor_us = second_factor_us - $2"
            " WHERE id = $3",
            first_s * 1_000_000, second_s * 1_000_000, session.id,
        )  # fmt: skip

    await services.db.write(verb)
    services.sessions._live.forget(session.token_sha256)


def led(answer: httpx.Response) -> str:
    """Return for what the answer leads to the page of proofs; nothing when it does not."""
    found = re.fullmatch(r"/account/step-up(?:\?next=[^&]+)?(?:[?&]for=(\w+))?", answer.headers.get("location", ""))
    return (found[1] or "factor") if found and answer.status_code == 303 else ""


def at(path: str) -> str:
    return path.replace("{id}", new_id())


def test_every_door_that_changes_how_one_signs_in_is_known() -> None:
    assert CHANGES == [
        "/account/passkeys/options",
        "/account/passkeys/{id}/remove",
        "/account/second-factor/begin",
        "/account/second-factor/codes",
        "/account/second-factor/remove",
        "/account/sign-ins",
        "/account/sign-ins/{id}/unlink",
    ]
    assert ENDINGS == ["/account/logins/{id}/close", "/account/sessions/close", "/account/sessions/{id}/close"]


@pytest.mark.parametrize("path", CHANGES)
async def test_a_change_wants_password_and_code_of_the_last_five_minutes(
    services: Services, client: httpx.AsyncClient, path: str
) -> None:
    ann = await person(services, has_factor=True)
    token = await ann.sign_in()
    for first_s, second_s, stopped in ((0, 0, ""), (301, 0, "all"), (0, 301, "all")):
        if path == "/account/second-factor/remove" and not stopped:
            continue  # it would succeed, and sign out
        await age(services, token, first_s=first_s, second_s=second_s)
        assert led(await post(client, at(path), token)) == stopped, (first_s, second_s)


@pytest.mark.parametrize("path", CHANGES)
async def test_who_has_no_second_factor_shows_the_password_before_the_first_one_is_made(
    services: Services, client: httpx.AsyncClient, path: str
) -> None:
    ann = await person(services, has_factor=False)
    token = await ann.sign_in()
    assert led(await post(client, at(path), token)) == ""
    await age(services, token, first_s=301)
    assert led(await post(client, at(path), token)) == "all"


@pytest.mark.parametrize("path", ENDINGS)
async def test_sessions_are_closed_after_any_factor_of_the_last_five_minutes(
    services: Services, client: httpx.AsyncClient, path: str
) -> None:
    ann = await person(services, has_factor=True)
    token = await ann.sign_in()
    for first_s, second_s, stopped in ((301, 0, ""), (-301, 301, ""), (301, 0, "any")):
        await age(services, token, first_s=first_s, second_s=second_s)
        assert led(await post(client, at(path), token)) == stopped, (first_s, second_s)


async def test_a_stolen_session_closes_no_other(services: Services, client: httpx.AsyncClient) -> None:
    ann = await person(services, has_factor=False)
    stolen, own = await ann.sign_in(), await ann.sign_in()
    await age(services, stolen, first_s=301)
    await post(client, "/account/sessions/close", stolen)
    assert await services.sessions.resolve(own) is not None
    assert (await client.get("/account/sessions", headers={"cookie": cookies_of(stolen)})).status_code == 200


async def test_password_and_code_typed_together_open_the_change(services: Services, client: httpx.AsyncClient) -> None:
    ann = await person(services, has_factor=True)
    token = await ann.sign_in()
    await age(services, token, first_s=301, second_s=301)
    stopped = await post(client, "/account/second-factor/codes", token)
    page = (await get(client, stopped.headers["location"], token)).text
    assert "Sign in anew" in page
    assert 'name="password"' in page
    assert 'name="for" value="all"' in page
    code = await ann.code()
    wrong = await post(
        client, "/account/step-up", token, code=code, password="not the password at all", **{"for": "all"}
    )
    assert wrong.status_code == 401
    assert 'name="password"' in wrong.text
    # The wrong password used up no code, and proved nothing.
    answer = await post(
        client, "/account/step-up", token, code=code, password=PASSWORD, next="/account/second-factor", **{"for": "all"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/second-factor")
    assert await services.sessions.resolve(token) is None
    shown = await post(client, "/account/second-factor/codes", kept(answer))
    assert shown.status_code == 200
    assert "data-backup-codes" in shown.text


async def test_a_code_alone_opens_no_change_and_closes_sessions(services: Services, client: httpx.AsyncClient) -> None:
    ann = await person(services, has_factor=True)
    token = await ann.sign_in()
    await age(services, token, first_s=301, second_s=301)
    token = kept(await post(client, "/account/step-up", token, code=await ann.code()))
    assert led(await post(client, "/account/second-factor/codes", token)) == "all"
    assert (await post(client, "/account/sessions/close", token)).headers["location"] == "/account/sessions"


async def test_the_password_alone_closes_sessions_and_is_no_second_factor(
    services: Services, client: httpx.AsyncClient
) -> None:
    ann = await person(services, has_factor=True)
    token = await ann.sign_in()
    await age(services, token, first_s=301, second_s=301)
    stopped = await post(client, "/account/sessions/close", token)
    page = (await get(client, stopped.headers["location"], token)).text
    assert page.count('name="password"') == 1
    assert page.count('name="code"') == 1
    answer = await post(
        client, "/account/step-up", token, password=PASSWORD, next="/account/sessions", **{"for": "any"}
    )
    token = kept(answer)
    assert (await post(client, "/account/sessions/close", token)).headers["location"] == "/account/sessions"
    for path in ("/account/second-factor/codes", "/account/password", "/device"):
        assert led(await post(client, path, token)), path


async def test_guesses_at_the_password_are_slowed(services: Services, client: httpx.AsyncClient) -> None:
    ann = await person(services, has_factor=False)
    token = await ann.sign_in()
    answers = [
        (
            await post(client, "/account/step-up", token, password=f"wrong guess number {n}", **{"for": "any"})
        ).status_code
        for n in range(7)
    ]
    assert answers[0] == 401
    assert 429 in answers


async def test_a_session_that_waits_for_its_code_shows_no_password(
    services: Services, client: httpx.AsyncClient
) -> None:
    ann = await person(services, has_factor=True)
    token, _ = await services.sessions.open(ann.account_id, ADDRESS, "Browser", ("pwd",))
    answer = await post(client, "/account/step-up", token, password=PASSWORD, **{"for": "any"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin/code")


async def test_ones_own_session_is_signed_out_without_a_factor(services: Services, client: httpx.AsyncClient) -> None:
    ann = await person(services, has_factor=False)
    token, other = await ann.sign_in(), await ann.sign_in()
    await age(services, token, first_s=301)
    page = (await get(client, "/account/sessions", token)).text
    assert page.count('action="/account/sessions/') == 2  # the other one, and all others
    out = await client.post("/signout", data={"csrf_token": form_token(token)}, headers={"cookie": cookies_of(token)})
    assert out.status_code == 303
    assert await services.sessions.resolve(token) is None
    assert await services.sessions.resolve(other) is not None


async def test_a_provider_that_remembered_the_person_is_asked_anew(
    services: Services, people, client: httpx.AsyncClient
) -> None:
    """Signed in through a provider that is trusted with no factor; no password, no factor of ours."""
    token = await through_provider(
        services, people.accounts["developer"], trusted=(), minutes_ago=None, has_shown=False
    )
    assert led(await post(client, "/account/second-factor/begin", token)) == ""
    await age(services, token, first_s=301)
    stopped = await post(client, "/account/second-factor/begin", token)
    assert led(stopped) == "all"
    page = (await get(client, stopped.headers["location"], token)).text
    assert "Sign in again with Corp" in page
    # Without that word the page is the one for the second factor, and there is none yet.
    assert (await get(client, "/account/step-up", token)).headers["location"] == "/account/second-factor"
