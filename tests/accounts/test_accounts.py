import asyncio
import statistics
import time
from itertools import combinations

import argon2
import bcrypt
import pytest

from failgate.accounts.accounts import Accounts
from failgate.accounts.password import Passwords
from failgate.audit.record import Actor
from failgate.base.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    NotSignedIn,
    StorageUnavailable,
    TooManyRequests,
)
from tests.ranks import rank_test

ANN = "ann@example.com"


def imported(cost: int) -> str:
    return bcrypt.hashpw(b"correct horse battery staple", bcrypt.gensalt(cost)).decode()


async def refusal(room, email: str, password: str, address: str = "192.0.2.1") -> str:
    with pytest.raises(NotSignedIn) as caught:
        await room.accounts.sign_in(email, password, address)
    return f"{caught.value} {caught.value.facts} {caught.value.status}"


async def test_an_account_signs_in_with_its_password(room) -> None:
    # F6 E21
    account = await room.account()
    assert await room.accounts.sign_in("  ANN@example.COM ", room.password, "192.0.2.1") == account
    assert await room.accounts.by_email("Ann@Example.com") == account
    assert await room.accounts.by_id(account.id) == account
    assert await room.acts() == ["account.created"]


async def test_the_address_is_taken_once_in_any_case_of_letters(room) -> None:
    await room.account()
    with pytest.raises(Conflict):
        await room.account("ANN@EXAMPLE.COM")
    results = await asyncio.gather(*(room.account("bob@example.com") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 4
    assert (await room.acts()).count("account.created") == 2


async def test_a_bad_address_or_password_makes_no_account(room) -> None:
    for email, password in (("ann", room.password), (ANN, "short"), (ANN, "ann@example.com1")):
        with pytest.raises(BadInput):
            await room.accounts.create(email, password, room.operator)
    assert not await room.accounts.exist()
    assert await room.acts() == []


async def test_unknown_wrong_and_disabled_are_one_answer(room, monkeypatch) -> None:
    await room.account()
    disabled = await room.account("bob@example.com")
    await room.accounts.disable(disabled.id, room.operator)
    hashes: list[str] = []
    real = Passwords._verify

    def counted(self, *what):
        hashes.append("one")
        return real(self, *what)

    monkeypatch.setattr(Passwords, "_verify", counted)
    answers = {
        await refusal(room, "nobody@example.com", room.password),
        await refusal(room, ANN, "wrong horse battery staple"),
        await refusal(room, "bob@example.com", room.password),
        await refusal(room, "not an address", room.password),
        await refusal(room, ANN, ""),
    }
    assert len(answers) == 1
    assert len(hashes) == 5
    reasons = [record["data"]["reason"] for record in await room.records() if record["act"] == "session.refused"]
    assert reasons == ["unknown_account", "wrong_password", "account_disabled", "unknown_account", "wrong_password"]


async def test_hostile_input_signs_nobody_in_and_breaks_nothing(room) -> None:
    await room.account()
    for number, (email, password) in enumerate(
        [("\ud800@x", "\ud800"), ("a" * 100_000, "b" * 100_000), ("\0", "\0"), ("", ""), ("' OR 1=1 --", "x")]
    ):
        await refusal(room, email, password, f"192.0.2.{number}")


async def test_no_password_lies_open_anywhere(room) -> None:
    # E18
    await room.account()
    await refusal(room, ANN, "wrong horse battery staple")
    stored = await room.everything()
    assert "horse" not in stored
    assert "ann@example.com" not in str(await room.records())


async def test_two_hundred_parallel_guesses_are_looked_at_five_times(room) -> None:
    await room.account()
    results = await asyncio.gather(
        *(room.accounts.sign_in(ANN, f"wrong horse battery staple {n}", "192.0.2.1") for n in range(200)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, NotSignedIn) for result in results) == 5
    assert sum(isinstance(result, TooManyRequests) for result in results) == 195
    assert len([act for act in await room.acts() if act == "session.refused"]) == 20


async def test_an_unknown_address_is_throttled_like_a_known_one(room) -> None:
    await room.account()
    answers = []
    for email in (ANN, "nobody@example.com"):
        for _ in range(5):
            await refusal(room, email, "wrong horse battery staple")
        with pytest.raises(TooManyRequests) as caught:
            await room.accounts.sign_in(email, "wrong horse battery staple", "192.0.2.1")
        answers.append(str(caught.value))
    assert answers[0] == answers[1]


async def test_a_full_queue_of_hashes_costs_no_guess(room) -> None:
    await room.account()
    room.passwords._waiting = 10_000
    for _ in range(20):
        with pytest.raises(TooManyRequests):
            await room.accounts.sign_in(ANN, room.password, "192.0.2.1")
    room.passwords._waiting = 0
    await room.accounts.sign_in(ANN, room.password, "192.0.2.1")


async def test_a_hash_of_less_cost_is_made_anew_at_the_next_sign_in(room) -> None:
    account = await room.account()
    dearer = Passwords(memory_kib=16, passes=2)
    accounts = Accounts(
        room.database, room.audit, room.clock, dearer,
        throttle=room.throttle, sessions=room.sessions, tokens=room.tokens, devices=room.devices,
    )  # fmt: skip
    await accounts.sign_in(ANN, room.password, "192.0.2.1")
    row = await room.database.fetch_one("SELECT password_hash FROM account WHERE id = $1", account.id)
    assert "m=16,t=2" in row["password_hash"]
    await accounts.sign_in(ANN, room.password, "192.0.2.1")
    dearer.close()


async def credentials(room, account):
    workspace = await room.workspaces.create("payments", "Payments", account.id, room.operator)
    agent = await room.agents.create(workspace.id, "build-bot", account.id, room.operator)
    session, _ = await room.sessions.open(account.id, "192.0.2.1", "", ("pwd",))
    key = await room.tokens.mint("usr", account.id, workspace.id, "laptop", actor=room.operator)
    of_agent = await room.tokens.mint("agt", agent.id, workspace.id, "bot", actor=room.operator)
    assert await room.sessions.resolve(session)
    assert await room.tokens.resolve(key)
    assert await room.tokens.resolve(of_agent)
    return session, key, of_agent


async def test_disabling_ends_sessions_keys_and_agents_tokens_before_it_returns(room) -> None:
    # B1 B3
    account, bystander = await room.account(), await room.account("bob@example.com")
    session, key, of_agent = await credentials(room, account)
    other, _ = await room.sessions.open(bystander.id, "192.0.2.1", "", ("pwd",))
    closed: list[str] = []
    room.sessions.on_closed(closed.append)
    await room.accounts.disable(account.id, room.operator)
    assert await room.sessions.resolve(session) is None
    assert await room.tokens.resolve(key) is None
    assert await room.tokens.resolve(of_agent) is None
    assert len(closed) == 1
    assert await room.sessions.resolve(other) is not None
    await refusal(room, ANN, room.password)
    await room.accounts.disable(account.id, room.operator)
    assert (await room.acts()).count("account.disabled") == 1


async def test_enabling_brings_no_ended_credential_back(room) -> None:
    account = await room.account()
    session, key, of_agent = await credentials(room, account)
    await room.accounts.disable(account.id, room.operator)
    await room.accounts.enable(account.id, room.operator)
    assert await room.sessions.resolve(session) is None
    assert await room.tokens.resolve(key) is None
    assert await room.tokens.resolve(of_agent) is None
    assert (await room.accounts.sign_in(ANN, room.password, "192.0.2.1")).is_enabled


async def test_changing_the_password_ends_sessions_and_keys_and_leaves_agents(room) -> None:
    account = await room.account()
    session, key, of_agent = await credentials(room, account)
    await room.accounts.set_password(account.id, "another horse in a new stable", room.operator)
    assert await room.sessions.resolve(session) is None
    assert await room.tokens.resolve(key) is None
    assert await room.tokens.resolve(of_agent) is not None
    await refusal(room, ANN, room.password)
    await room.accounts.sign_in(ANN, "another horse in a new stable", "192.0.2.1")
    with pytest.raises(BadInput):
        await room.accounts.set_password(account.id, "short", room.operator)


async def test_what_other_rooms_end_ends_in_the_same_transaction(room) -> None:
    ended: list[str] = []

    async def ending(tx, account_id: str, actor) -> None:
        ended.append(account_id)
        if len(ended) == 1:
            raise StorageUnavailable("no")

    accounts = Accounts(
        room.database, room.audit, room.clock, room.passwords,
        throttle=room.throttle, sessions=room.sessions, tokens=room.tokens, devices=room.devices, endings=(ending,),
    )  # fmt: skip
    account = await room.account()
    session, _ = await room.sessions.open(account.id, "192.0.2.1", "", ("pwd",))
    with pytest.raises(StorageUnavailable):
        await accounts.disable(account.id, room.operator)
    assert (await accounts.by_id(account.id)).is_enabled
    assert await room.sessions.resolve(session) is not None
    await accounts.disable(account.id, room.operator)
    assert ended == [account.id] * 2
    assert await room.sessions.resolve(session) is None


async def test_the_platform_role_is_given_once(room) -> None:
    # F12
    account = await room.account()
    assert not account.is_platform_admin
    await room.accounts.grant_platform_role(account.id, room.operator)
    await room.accounts.grant_platform_role(account.id, room.operator)
    assert (await room.accounts.by_id(account.id)).is_platform_admin
    assert (await room.acts()).count("platform_role.granted") == 1


async def test_an_absent_account_is_not_found(room) -> None:
    assert await room.accounts.by_id("absent") is None
    assert await room.accounts.by_email("absent@example.com") is None
    assert await room.accounts.by_email("\ud800") is None
    assert await room.accounts.by_ids([]) == {}
    for verb in (room.accounts.disable, room.accounts.enable, room.accounts.grant_platform_role):
        with pytest.raises(NotFound):
            await verb("absent", room.operator)
    with pytest.raises(NotFound):
        await room.accounts.set_password("absent", room.password, room.operator)


async def test_with_passwords_switched_off_nobody_signs_in_by_one(room) -> None:
    """`[accounts] password = false`: the right one is not even looked at; making accounts goes on."""
    await room.account()
    accounts = Accounts(
        room.database, room.audit, room.clock, room.passwords,
        throttle=room.throttle, sessions=room.sessions, tokens=room.tokens, devices=room.devices, is_password_enabled=False,
    )  # fmt: skip
    for password in (room.password, "wrong horse battery staple"):
        with pytest.raises(Forbidden, match="switched off"):
            await accounts.sign_in(ANN, password, "192.0.2.1")
    assert await room.acts() == ["account.created", "session.refused", "session.refused"]
    assert (await room.records())[-1]["data"]["reason"] == "password_switched_off"
    await accounts.create("new@example.com", room.password, room.operator)


async def test_a_sign_in_that_a_password_change_overtook_opens_no_session(room) -> None:
    """E22: what was checked is the old password; the change ended everything that it had opened."""
    await room.account()
    checked = await room.accounts.sign_in(ANN, room.password, "192.0.2.1")
    room.clock.advance(1)
    await room.accounts.set_password(checked.id, "another horse in a new stable", room.operator)
    with pytest.raises(NotSignedIn):
        await room.sessions.open(checked.id, "192.0.2.1", "", ("pwd",), password_changed_us=checked.password_changed_us)
    assert await room.sessions.list(checked.id) == []
    fresh = await room.accounts.sign_in(ANN, "another horse in a new stable", "192.0.2.1")
    await room.sessions.open(fresh.id, "192.0.2.1", "", ("pwd",), password_changed_us=fresh.password_changed_us)
    assert len(await room.sessions.list(checked.id)) == 1


async def test_an_imported_account_signs_in_and_keeps_nothing_but_argon2id(room) -> None:
    """E21."""
    password = "old and short"
    stored = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    account = await room.accounts.create_imported("Old@example.com", stored, room.operator)
    with pytest.raises(NotSignedIn):
        await room.accounts.sign_in("old@example.com", "old and wrong", "192.0.2.1")
    assert stored in await room.everything()
    assert (await room.accounts.sign_in("old@example.com", password, "192.0.2.1")).id == account.id
    rows = await room.database.fetch("SELECT password_hash FROM account")
    assert [row["password_hash"].split("$")[1] for row in rows] == ["argon2id"]
    assert (await room.accounts.sign_in("old@example.com", password, "192.0.2.1")).id == account.id


async def test_the_last_platform_administrator_stays_unless_the_operator_says_so(room) -> None:
    """F12."""
    one, two = await room.account("one@example.com"), await room.account("two@example.com")
    for each in (one, two):
        await room.accounts.grant_platform_role(each.id, room.operator)
    by_one = Actor(t="user", id=one.id)
    await room.accounts.revoke_platform_role(two.id, by_one)
    await room.accounts.revoke_platform_role(two.id, by_one)
    with pytest.raises(Conflict, match="last account"):
        await room.accounts.revoke_platform_role(one.id, by_one)
    assert (await room.accounts.by_id(one.id)).is_platform_admin
    await room.accounts.revoke_platform_role(one.id, room.operator)
    assert (await room.acts()).count("platform_role.revoked") == 2


async def test_an_unknown_account_takes_as_long_as_a_known_or_an_imported_one(room) -> None:
    """E22: a thousand interleaved tries; the medians lie less than 5 ms apart, or no rank test tells them apart.

    At a real server, 1,000 of each, with figures: `python contrib/security timing`.
    """
    await room.account()
    await room.accounts.create_imported("old@example.com", imported(4), room.operator)
    hasher = Passwords(memory_kib=1024, passes=2)
    accounts = Accounts(
        room.database, room.audit, room.clock, hasher,
        throttle=room.throttle, sessions=room.sessions, tokens=room.tokens, devices=room.devices,
    )  # fmt: skip
    await accounts.set_password((await room.accounts.by_email(ANN)).id, "another long and plain one", room.operator)
    took: dict[str, list[float]] = {ANN: [], "nobody@example.com": [], "old@example.com": []}
    said: set[str] = set()
    for _ in range(334):
        for email, times in took.items():
            room.clock.advance(3600)  # so that no guess waits for the one before
            began = time.perf_counter()
            with pytest.raises(NotSignedIn) as refused:
                await accounts.sign_in(email, "not the password", "192.0.2.1")
            times.append(time.perf_counter() - began)
            said.add(str(refused.value))
    hasher.close()
    for one, other in combinations(took.values(), 2):
        difference = abs(statistics.median(one) - statistics.median(other))
        assert difference < 0.005 or rank_test(one, other) > 0.01
    assert len(said) == 1


async def test_the_work_of_a_sign_in_is_one_for_all_accounts_until_the_last_imported_hash_is_gone(
    room, monkeypatch
) -> None:
    """Counted in rounds of bcrypt and in hashes of Argon2id, so that no busy machine hides a difference."""
    work = {"bcrypt": 0, "argon2": 0}
    hash_bcrypt, check_bcrypt, verify = bcrypt.hashpw, bcrypt.checkpw, argon2.PasswordHasher.verify

    def hashed(password, salt):
        work["bcrypt"] += 2 ** int(salt[4:6])
        return hash_bcrypt(password, salt)

    def checked(password, stored):
        work["bcrypt"] += 2 ** int(stored[4:6])
        return check_bcrypt(password, stored)

    def verified(self, stored, password):
        work["argon2"] += 1
        return verify(self, stored, password)

    cheap = await room.accounts.create_imported("cheap@example.com", imported(4), room.operator)
    costly = await room.accounts.create_imported("costly@example.com", imported(6), room.operator)
    await room.account()
    monkeypatch.setattr(bcrypt, "hashpw", hashed)
    monkeypatch.setattr(bcrypt, "checkpw", checked)
    monkeypatch.setattr(argon2.PasswordHasher, "verify", verified)

    async def works(password: str) -> set[tuple[int, int]]:
        seen = set()
        for email in (ANN, "nobody@example.com", cheap.email, costly.email):
            work.update(bcrypt=0, argon2=0)
            room.clock.advance(3600)
            await refusal(room, email, password)
            seen.add((work["bcrypt"], work["argon2"]))
        return seen

    assert await works("not the password") == {(64, 1)}
    assert await works("x" * 73) == await works("a\0b") == {(64, 1)}
    assert await works("zwo\u0308lf") == {(64, 1)}  # as it came, and in no other normal form
    assert await works("x" * 5000) == {(64, 1)}
    room.clock.advance(3600)
    await room.accounts.sign_in(costly.email, "correct horse battery staple", "192.0.2.1")
    assert await works("not the password") == {(16, 1)}
    await room.accounts.set_password(cheap.id, "another long and plain one", room.operator)
    assert await works("not the password") == {(0, 1)}
