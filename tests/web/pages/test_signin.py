"""Signing in through the page, with and without passwords."""

import asyncio
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest

from failgate.accounts import totp
from failgate.accounts.password import Passwords
from failgate.assembly import open_services
from failgate.base.clock import FrozenClock
from failgate.config.load import load_config
from tests.web.conftest import OPERATOR, PASSWORD, at_free_port, running

EMAIL = "ann@example.org"


@pytest.fixture
def config(on_database):
    with at_free_port(on_database(load_config(None, {}))) as config:
        yield config


async def form_token(client):
    return re.search(r'name="csrf_token" value="([^"]+)"', (await client.get("/signin/link")).text)[1]


async def post(client, path, origin, **fields):
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    return await client.post(path, data={**fields, "csrf_token": await form_token(client)}, headers=headers)


async def test_without_passwords_the_page_says_so_and_refuses_the_right_one(config, tmp_path):
    accounts = msgspec.structs.replace(config.accounts, password=False)
    async with open_services(replace(config, accounts=accounts), tmp_path / "data") as services:
        await services.accounts.create(EMAIL, PASSWORD, OPERATOR)
        async with running(services) as one, one.client() as client:
            page = await client.get("/signin")
            assert "switched off" in page.text
            assert 'name="password"' not in page.text
            answer = await post(client, "/signin", one.origin, email=EMAIL, password=PASSWORD)
        assert answer.status_code == 403
        assert "Signing in by password is switched off on this server." in answer.text
        assert "fg_session" not in answer.headers.get("set-cookie", "")


async def test_without_passwords_the_setup_link_still_makes_the_first_account(config, tmp_path):
    accounts = msgspec.structs.replace(config.accounts, password=False)
    async with open_services(replace(config, accounts=accounts), tmp_path / "data") as services:
        token = await services.setup_links.mint()
        async with running(services) as one, one.client() as client:
            given = {"token": token, "email": EMAIL, "password": PASSWORD, "workspace": "acme", "workspace_name": "A"}
            answer = await post(client, "/setup", one.origin, **given)
        assert answer.status_code == 303
        assert "fg_session=" in answer.headers["set-cookie"]
        assert await services.accounts.by_email(EMAIL) is not None


async def test_a_password_changed_between_check_and_session_lets_nobody_in(config, tmp_path, monkeypatch):
    """E22: the sign-in was right when it was looked at, and void when the session would have been opened."""
    async with open_services(config, tmp_path / "data") as services:
        account = await services.accounts.create(EMAIL, PASSWORD, OPERATOR)
        check, checked, changed = services.accounts.sign_in, asyncio.Event(), asyncio.Event()

        async def slow(*arguments):
            found = await check(*arguments)
            checked.set()
            await changed.wait()
            return found

        monkeypatch.setattr(services.accounts, "sign_in", slow)
        async with running(services) as one, one.client() as client:
            asking = asyncio.create_task(post(client, "/signin", one.origin, email=EMAIL, password=PASSWORD))
            await checked.wait()
            await services.accounts.set_password(account.id, "another horse in a new stable", OPERATOR)
            changed.set()
            answer = await asking
        assert answer.status_code == 401
        assert await services.sessions.list(account.id) == []


@pytest.mark.parametrize("claimed", [1, 200])
async def test_a_guesser_has_five_tries_whatever_address_they_claim_and_a_trusted_device_goes_on(
    config, tmp_path, claimed
):
    """F6 F8: `X-Forwarded-For` of somebody who is no trusted proxy; the hour's number is tests/accounts/test_throttle.py."""
    async with open_services(config, tmp_path / "data") as services:
        account = await services.accounts.create(EMAIL, PASSWORD, OPERATOR)
        _, session = await services.sessions.open(account.id, "198.51.100.1", "tests", ("pwd",))
        session = await services.sessions.resolve(await services.sessions.prove_second_factor(session, "otp"))
        device = await services.devices.trust(session, "Firefox")
        looked_at, verify = [], services.accounts._passwords.verify

        async def counted(stored, password, **how):
            looked_at.append(password)
            return await verify(stored, password, **how)

        services.accounts._passwords.verify = counted
        services.accounts._throttle._clock = FrozenClock()  # no wait ends meanwhile
        async with running(services) as one, one.client() as client:
            form = {"csrf_token": await form_token(client), "email": EMAIL}

            async def guess(number):
                headers = {"origin": one.origin, "x-forwarded-for": f"203.0.113.{number % claimed}"}
                body = form | {"password": f"guess number {number} at it"}
                return (await client.post("/signin", data=body, headers=headers)).status_code

            statuses = [
                status for n in range(0, 200, 20) for status in await asyncio.gather(*map(guess, range(n, n + 20)))
            ]
            assert set(statuses) == {401, 429}
            assert len(looked_at) == 5
            right = await post(client, "/signin", one.origin, email=EMAIL, password=PASSWORD)
            assert right.status_code == 429
            client.cookies.set("fg_device", device)
            right = await post(client, "/signin", one.origin, email=EMAIL, password=PASSWORD)
            assert right.status_code == 303


async def test_nobody_signs_in_to_a_session_that_somebody_else_chose(config, tmp_path):
    """ASVS 7.2.4: an invented cookie, one of another person's live session, and the token from before the code."""
    async with open_services(config, tmp_path / "data") as services:
        ann = await services.accounts.create(EMAIL, PASSWORD, OPERATOR)
        mallory = await services.accounts.create("mallory@example.org", PASSWORD, OPERATOR)
        theirs, _ = await services.sessions.open(mallory.id, "192.0.2.1", "tests", ("pwd",))
        secret = await services.second_factors.issue(ann.id, OPERATOR)
        async with running(services) as one:
            for planted in (theirs, "planted", "A" * 43):
                async with one.client(cookies={"fg_session": planted}) as client:
                    answer = await post(client, "/signin", one.origin, email=EMAIL, password=PASSWORD)
                    first = re.search(r"fg_session=([^;]+)", answer.headers["set-cookie"])[1]
                    assert first != planted
                    assert (await services.sessions.resolve(first)).account_id == ann.id
                    assert await services.sessions.resolve(planted) is None
            async with one.client(cookies={"fg_session": first}) as client:
                step = totp.step_at(services.clock.now_us())
                answer = await post(client, "/signin/code", one.origin, code=totp.code_at(secret, step))
                proven = re.search(r"fg_session=([^;]+)", answer.headers["set-cookie"])[1]
            assert await services.sessions.resolve(first) is None
            assert not (await services.sessions.resolve(proven)).awaits_second_factor


def resident_bytes():
    """What of this process lies in memory now; 0 where no `/proc` says it."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


async def test_two_hundred_who_sign_in_at_once_are_hashed_two_at_a_time_and_the_server_answers(config, tmp_path):
    """ASVS 11.4.2: at most four hashes run together, in less than 200 MiB; contrib/bench row 19 holds the times."""
    server = msgspec.structs.replace(config.server, trusted_proxies=["127.0.0.1"])
    passwords, running_now, most, lock = Passwords(passes=1), 0, 0, threading.Lock()
    verify = passwords._verify

    def counted(*what):
        nonlocal running_now, most
        with lock:
            running_now += 1
            most = max(most, running_now)
        try:
            return verify(*what)
        finally:
            with lock:
                running_now -= 1

    passwords._verify = counted
    async with open_services(replace(config, server=server), tmp_path / "data") as services:
        services.accounts._passwords = passwords
        stored = await passwords.hash(PASSWORD)
        people = [f"person{number}@example.org" for number in range(200)]
        for email in people:
            await services.db.write(
                lambda tx, email=email: services.accounts.create_within(tx, email, stored, OPERATOR)
            )
        limits = httpx.Limits(max_connections=220)
        async with running(services) as one, one.client(limits=limits) as client, one.client() as watcher:
            form = {"csrf_token": await form_token(client), "password": PASSWORD}
            client.timeout = 120

            async def enter(number):
                headers = {"origin": one.origin, "x-forwarded-for": f"203.0.113.{number}"}
                answer = await client.post("/signin", data=form | {"email": people[number]}, headers=headers)
                return answer.status_code

            before = peak = resident_bytes()
            entering = asyncio.gather(*map(enter, range(200)))
            alive = 0
            while not entering.done():
                assert (await watcher.get("/healthz")).status_code == 200
                alive, peak = alive + 1, max(peak, resident_bytes())
                await asyncio.sleep(0.05)
            assert set(await entering) == {303}
    passwords.close()
    assert 1 <= most <= 4
    assert alive >= 3, "the server answered others meanwhile"
    assert peak - before < 200 * 2**20
