"""Without a second factor a session does nothing but set one up. ASVS 5.0 6.3.3 (what is asked anew: test_step_up.py)"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from failgate.accounts.session import SessionToken
from failgate.accounts.token_text import digest_of
from failgate.assembly import open_services
from failgate.config.load import load_config
from failgate.roster import Services
from failgate.web.csrf import form_token
from failgate.web.door import Door
from failgate.web.freshness import _ENROLMENT
from failgate.web.routes import DOORS
from tests.web.conftest import (
    OPERATOR,
    OnDatabase,
    People,
    Running,
    at_free_port,
    cookies_of,
    kept,
    populate,
    running,
    session_of,
)
from tests.web.pages.test_step_up import age, through_provider

ABSENT = "01890000-0000-7000-8000-000000000000"
HERE = "/account/second-factor"


@pytest.fixture
async def services(tmp_path: Path, on_database: OnDatabase) -> AsyncIterator[Services]:
    """A server as it begins: nothing is said of second factors."""
    with at_free_port(on_database(load_config(None, {}))) as config:
        async with open_services(config, tmp_path / "data") as opened:
            yield opened


@pytest.fixture
async def people(services: Services) -> People:
    return await populate(services)


@contextlib.asynccontextmanager
async def signed_in(server: Running, token: SessionToken) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"origin": server.origin, "sec-fetch-site": "same-origin", "cookie": cookies_of(token)}
    async with server.client(headers=headers) as one:
        yield one


def address_of(path: str) -> str:
    names = {"workspace": "acme", "sha256": "0" * 64, "connection": "corp"}
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        path = f"{before}{names.get(name.partition(':')[0], ABSENT)}{after}"
    return path


OWN = [
    door
    for door in DOORS
    if "cookie" in door.accepted and door.method != "WS" and not door.permission.startswith("public:")
]


async def test_every_door_but_those_of_the_first_factor_is_shut(
    services: Services, people: People, server: Running
) -> None:
    assert len(OWN) > 150
    token = await session_of(services, people.accounts["owner"])
    wrong = []
    async with signed_in(server, token) as client:
        for door in OWN:
            if door.name in _ENROLMENT or door.is_open_to_loopback:
                continue
            how = {"data": {"csrf_token": form_token(token)}} if door.kind == "page" else {"json": {}}
            more = how if door.method in {"POST", "PUT", "PATCH"} else {}
            answer = await client.request(door.method, address_of(door.path), **more)
            if door.kind == "page":
                where = answer.headers.get("location", "")
                is_shut = answer.status_code == 303 and where.partition("?")[0] == HERE
            else:
                is_shut = answer.status_code == 403 and answer.json()["type"] == "urn:failgate:error:step-up-required"
            if not is_shut:
                wrong.append(f"{door.name}: {answer.status_code} {answer.text[:80]}")
    assert wrong == []


async def test_a_socket_is_not_opened_without_one(services: Services, people: People, server: Running) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    token = await session_of(services, people.accounts["owner"])
    url = f"{server.origin.replace('http', 'ws', 1)}/api/v1/live?workspace=acme"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers={"cookie": cookies_of(token)}, origin=server.origin, proxy=None):
            pass
    assert refused.value.response.status_code == 403


async def test_a_person_sets_one_up_and_goes_on_where_they_wanted_to(
    services: Services, people: People, server: Running
) -> None:
    account_id = people.accounts["owner"]
    token = await session_of(services, account_id)
    async with signed_in(server, token) as client:
        led = await client.get("/w/acme/queue")
        assert (led.status_code, led.headers["location"]) == (303, f"{HERE}?next=/w/acme/queue")
        page = await client.get(led.headers["location"])
        assert "Set one up to go on" in page.text
        assert (await client.get("/account/passkeys")).status_code == 200
        begun = await client.post(f"{HERE}/begin", data={"csrf_token": form_token(token), "next": "/w/acme/queue"})
        assert begun.status_code == 200
        secret = begun.text.partition('data-secret="')[2].partition('"')[0]
        from failgate.accounts import totp

        code = totp.code_at(secret, totp.step_at(services.clock.now_us()))
        done = await client.post(HERE, data={"csrf_token": form_token(token), "code": code, "next": "/w/acme/queue"})
        assert "data-backup-codes" in done.text
        fresh = kept(done)
    async with signed_in(server, fresh) as client:
        assert (await client.get("/w/acme/queue")).status_code == 200
        assert (await client.get("/api/v1/whoami")).status_code == 200


async def test_a_session_from_before_the_factor_shows_it(services: Services, people: People, server: Running) -> None:
    """Another browser of the same person was signed in by the password alone when the factor came."""
    account_id = people.accounts["owner"]
    token = await session_of(services, account_id)
    await services.second_factors.issue(account_id, OPERATOR)
    async with signed_in(server, token) as client:
        led = await client.get("/w/acme/queue")
        assert led.headers["location"] == "/account/step-up?next=/w/acme/queue"
        code = await services.second_factors.current_code(account_id)
        shown = await client.post(
            "/account/step-up", data={"csrf_token": form_token(token), "code": code, "next": "/w/acme/queue"}
        )
        assert shown.headers["location"] == "/w/acme/queue"


async def test_a_trusted_device_and_a_backup_code_are_second_factors(
    services: Services, people: People, server: Running
) -> None:
    account_id = people.accounts["owner"]
    await services.second_factors.issue(account_id, OPERATOR)
    _, session = await services.sessions.open(account_id, "127.0.0.1", "tests", ("pwd",))
    code = await services.second_factors.current_code(account_id) or ""
    token = await services.second_factors.prove_in_session(session, code)
    proven = await services.sessions.resolve(token)
    assert proven is not None
    device = await services.devices.trust(proven, "Browser")
    admission = await services.devices.admit(account_id, device, "127.0.0.1", "tests", ("pwd",))
    _, waiting = await services.sessions.open(account_id, "127.0.0.1", "tests", ("pwd",))
    by_code = await services.sessions.prove_second_factor(waiting, "recovery")
    for one in (token, admission.token, by_code):
        async with signed_in(server, one) as client:
            assert (await client.get("/w/acme/queue")).status_code == 200


async def test_a_providers_factor_counts_where_it_is_trusted(
    services: Services, people: People, server: Running
) -> None:
    token = await through_provider(services, people.accounts["developer"])
    async with signed_in(server, token) as client:
        assert (await client.get("/w/acme/queue")).status_code == 200
    bare = await session_of(services, people.accounts["reviewer"])
    async with signed_in(server, bare) as client:
        assert (await client.get("/w/acme/queue")).headers["location"].startswith(HERE)


async def test_programs_are_not_asked(services: Services, people: People, server: Running) -> None:
    for token in (people.agent, people.key):
        async with server.client(headers={"authorization": f"Bearer {token}"}) as client:
            assert (await client.get("/api/v1/whoami")).status_code == 200


async def test_where_it_is_optional_a_password_signs_in_and_reads(
    services: Services, people: People, tmp_path: Path
) -> None:
    from dataclasses import replace

    import msgspec

    accounts = msgspec.structs.replace(services.config.accounts, second_factor="optional")
    optional = replace(services, config=replace(services.config, accounts=accounts))
    token = await session_of(services, people.accounts["owner"])
    async with running(optional) as server, signed_in(server, token) as client:
        assert (await client.get("/w/acme/queue")).status_code == 200
        assert "Nobody votes on a command without one" in (await client.get(HERE)).text


FRESH_DOORS = [
    door
    for door in DOORS
    if (door.is_sensitive or door.asks_anew) and "cookie" in door.accepted and door.method != "WS"
]


def is_stopped(door: Door, answer: httpx.Response) -> bool:
    """Tell whether the answer is the one that asks for a proof."""
    if door.kind == "page":
        return answer.status_code == 303 and answer.headers["location"].startswith("/account/step-up")
    return answer.status_code == 403 and answer.json()["type"] == "urn:failgate:error:step-up-required"


async def test_every_door_that_wants_a_fresh_proof_wants_the_cookie_of_the_last_one(
    services: Services, people: People, server: Running
) -> None:
    """Signed in and proven in this minute, with no such cookie, with another one, with the one of the proof before."""
    owner = people.accounts["owner"]
    await services.accounts.grant_platform_role(owner, OPERATOR)
    await services.second_factors.issue(owner, OPERATOR)
    old = await session_of(services, owner, is_proven=True)
    other = await session_of(services, owner, is_proven=True)
    session = await services.sessions.resolve(old)
    assert session is not None
    token = await services.sessions.prove_second_factor(session, "otp")
    own, right = f"fg_session={token}", cookies_of(token)
    held = {
        "none": own,
        "empty": f"{own}; fg_fresh=",
        "made up": f"{own}; fg_fresh={'x' * 43}",
        "of the proof before": f"{own}; fg_fresh={old.fresh}",
        "of another session of the same person": f"{own}; fg_fresh={other.fresh}",
        "the session's own token": f"{own}; fg_fresh={token}",
        "its digest": f"{own}; fg_fresh={digest_of(token.fresh)}",
        "planted beside": f"{right}; fg_fresh=planted",
        "with a letter more": f"{right}x",
        "under the name of https": f"{own}; __Host-fg_fresh={token.fresh}",
        "right": right,
    }
    assert len(FRESH_DOORS) > 90
    wrong = []
    async with server.client(headers={"origin": server.origin, "sec-fetch-site": "same-origin"}) as client:
        for name, cookie in held.items():
            for door in FRESH_DOORS:
                how = {"data": {"csrf_token": form_token(token)}} if door.kind == "page" else {"json": {}}
                more = how if door.method in {"POST", "PUT", "PATCH"} else {}
                answer = await client.request(door.method, address_of(door.path), **more, headers={"cookie": cookie})
                if is_stopped(door, answer) is (name == "right"):
                    wrong.append(f"{door.name}, {name}: {answer.status_code} {answer.text[:80]}")
                elif name != "right":
                    assert "set-cookie" not in answer.headers, f"{door.name}, {name}"
    assert wrong == [], "\n".join(wrong)


async def test_the_cookie_of_a_proof_outlives_it_in_no_session(
    services: Services, people: People, server: Running
) -> None:
    """Neither a browser that keeps it longer than it was told to, nor one that signed out and in again."""
    owner = people.accounts["owner"]
    secret = await services.second_factors.issue(owner, OPERATOR)
    assert secret
    token = await session_of(services, owner, is_proven=True)
    await age(services, token, first_s=301, second_s=301)
    async with signed_in(server, token) as client:
        led = await client.get("/account/password")
        assert led.headers["location"] == "/account/step-up?next=/account/password"
        code = await services.second_factors.current_code(owner)
        proven = await client.post("/account/step-up", data={"csrf_token": form_token(token), "code": code})
    again = kept(proven)
    assert again.fresh != token.fresh
    async with signed_in(server, again) as client:
        assert (await client.get("/account/password")).status_code == 200
        out = await client.post("/signout", data={"csrf_token": form_token(again)})
        ended = [line.partition("; ") for line in out.headers.get_list("set-cookie")]
        assert [name for name, _, _ in ended] == ['fg_session=""', 'fg_fresh=""']
        assert all("Max-Age=0" in attributes for _, _, attributes in ended)
    later = await session_of(services, owner, is_proven=True)
    mixed = {"cookie": f"fg_session={later}; fg_fresh={again.fresh}"}
    async with server.client(headers=mixed) as client:
        assert (await client.get("/account/password")).status_code == 303
