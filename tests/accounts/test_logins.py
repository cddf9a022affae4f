import pytest

from failgate.accounts.logins import Logins
from failgate.base.errors import NotFound

DAY = 86_400


async def test_a_login_is_found_in_memory_after_the_first_time(room, monkeypatch) -> None:
    account, _ = await room.signed_in()
    [login] = await room.logins.list(account.id)
    reads = []
    real = room.database.fetch_one

    async def counted(query, *args):
        reads.append(query)
        return await real(query, *args)

    monkeypatch.setattr(room.database, "fetch_one", counted)
    for _ in range(5):
        found = await room.logins.find(login.id)
        assert found is not None
        assert found.email == "ann@example.com"
    assert len(reads) == 1


@pytest.mark.parametrize("cause", ["closed", "password_changed", "account_disabled", "second_factor_removed"])
async def test_a_login_ends_with_what_it_rests_on_and_tells_open_sockets(room, cause: str) -> None:
    # F10 B3
    account, collected = await room.signed_in()
    _, other = await room.signed_in("bob@example.com")
    [login] = await room.logins.list(account.id)
    assert await room.access_tokens.resolve(collected.access.text) is not None
    told: list[str] = []
    stop = room.logins.on_closed(told.append)
    if cause == "closed":
        await room.logins.close_own(account.id, login.id, room.operator)
    elif cause == "password_changed":
        await room.accounts.set_password(account.id, "another long pass phrase", room.operator)
    elif cause == "account_disabled":
        await room.accounts.disable(account.id, room.operator)
    else:
        await room.database.write(lambda tx: room.sessions.end_all(tx, account.id, room.operator, cause))
    stop()
    assert told == [login.id]
    assert await room.access_tokens.resolve(collected.access.text) is None
    assert await room.logins.list(account.id) == []
    assert await room.access_tokens.resolve(other.access.text) is not None
    closed = [record for record in await room.records() if record["act"] == "login.closed"]
    assert [record["data"]["reason"] for record in closed] == [cause]
    assert await room.database.fetch("SELECT id FROM refresh_token WHERE login_id = $1", login.id) == []


async def test_somebody_elses_login_cannot_be_closed(room) -> None:
    account, collected = await room.signed_in()
    bob = await room.account("bob@example.com")
    [login] = await room.logins.list(account.id)
    for login_id in (login.id, "absent"):
        with pytest.raises(NotFound, match="There is no such login"):
            await room.logins.close_own(bob.id, login_id, room.operator)
    assert await room.access_tokens.resolve(collected.access.text) is not None


async def test_a_login_ends_after_thirty_days_however_often_it_was_renewed(room) -> None:
    account, collected = await room.signed_in()
    token = collected.refresh_token
    for _ in range(29):
        room.clock.advance(DAY)
        token = (await room.refresh_tokens.refresh(token, "failgate-cli", "192.0.2.9")).token
    [login] = await room.logins.list(account.id)
    assert login.seen_us - login.opened_us == 29 * DAY * 1_000_000
    assert login.seen_address == "192.0.2.9"
    room.clock.advance(DAY)
    assert await room.logins.list(account.id) == []
    told: list[str] = []
    room.logins.on_closed(told.append)
    await room.logins.sweep()
    assert told == [login.id]
    assert (await room.records())[-1]["data"] == {"reason": "expired"}


async def test_a_login_outlives_a_restart(room) -> None:
    account, _ = await room.signed_in()
    [login] = await room.logins.list(account.id)
    fresh = Logins(room.database, room.audit, room.clock)
    assert (await fresh.find(login.id)).principal == (await room.logins.find(login.id)).principal


async def test_a_login_reaches_no_further_than_the_session_that_approved_it(room) -> None:
    account = await room.account()
    collected = await room.signed_in_as(account, workspace_id="acme", connection_id="idp")
    plain = await room.signed_in_as(account)
    principal = await room.access_tokens.resolve(collected.access.text)
    assert (principal.workspace_id, principal.connection_id) == ("acme", "idp")
    confined, free = sorted(await room.logins.list(account.id), key=lambda one: one.confined_to is None)
    for workspace in ("acme", "other"):
        with pytest.raises(NotFound):
            await room.logins.close_own(account.id, free.id, room.operator, confined_to=workspace)
    with pytest.raises(NotFound):
        await room.logins.close_own(account.id, confined.id, room.operator, confined_to="other")
    await room.database.write(lambda tx: room.logins.end_through(tx, "idp", room.operator, "somebody else"))
    assert await room.access_tokens.resolve(collected.access.text) is not None
    await room.database.write(lambda tx: room.logins.end_through(tx, "idp", room.operator))
    assert await room.access_tokens.resolve(collected.access.text) is None
    assert await room.access_tokens.resolve(plain.access.text) is not None
