import asyncio
import hashlib

import pytest

from failgate.access.principal import ANONYMOUS
from failgate.accounts.sessions import MOST, Sessions
from failgate.base.errors import NotFound, NotSignedIn, StepUpRequired

HOUR = 3600


async def opened(room, email: str = "ann@example.com"):
    account = await room.account(email)
    return await room.sessions.open(account.id, "192.0.2.1", "Browser/1.0", ("pwd",))


def count_reads(room, monkeypatch) -> list[object]:
    reads: list[object] = []
    real = room.database.fetch_one

    async def counted(query, *args):
        reads.append(query)
        return await real(query, *args)

    monkeypatch.setattr(room.database, "fetch_one", counted)
    return reads


async def test_a_session_is_found_by_its_token_alone(room) -> None:
    # F6 E21
    token, session = await opened(room)
    assert len(token) == 43  # 256 bits in base64url
    found = await room.sessions.resolve(token)
    assert found is not None
    assert found.id == session.id
    assert found.principal.kind == "user"
    assert found.principal.account_id == session.account_id
    assert found.principal.label == "ann@example.com"
    for other in ("", "x" * 43, token[:-1], token + "A", token.swapcase(), "é" * 43, "\ud800" * 43, session.id):
        assert await room.sessions.resolve(other) is None


async def test_only_the_sha256_of_a_token_is_stored(room) -> None:
    # E18
    token, session = await opened(room)
    rows = await room.database.fetch("SELECT * FROM session")
    assert rows[0]["token_sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in await room.everything()
    assert token not in repr(session)
    assert rows[0]["token_sha256"] not in repr(session)


async def test_a_live_session_is_resolved_without_a_query(room, monkeypatch) -> None:
    token, _ = await opened(room)
    reads = count_reads(room, monkeypatch)
    for _ in range(100):
        assert await room.sessions.resolve(token) is not None
    assert reads == []


async def test_a_session_outlives_a_restart(room, monkeypatch) -> None:
    token, session = await opened(room)
    fresh = Sessions(room.database, room.audit, room.clock)
    reads = count_reads(room, monkeypatch)
    for _ in range(3):
        found = await fresh.resolve(token)
        assert found == session
    assert len(reads) == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_session_ends_after_an_hour_without_a_request(room, restarted: bool) -> None:
    token, _ = await opened(room)
    room.clock.advance(HOUR - 1)
    assert await room.sessions.resolve(token) is not None
    await room.sessions.sweep()
    sessions = Sessions(room.database, room.audit, room.clock) if restarted else room.sessions
    room.clock.advance(HOUR)
    assert await sessions.resolve(token) is None


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_session_ends_twelve_hours_after_it_was_opened(room, restarted: bool) -> None:
    token, _ = await opened(room)
    for _ in range(24):
        assert await room.sessions.resolve(token) is not None
        await room.sessions.sweep()
        room.clock.advance(HOUR / 2)
    sessions = Sessions(room.database, room.audit, room.clock) if restarted else room.sessions
    assert await sessions.resolve(token) is None


async def test_a_clock_that_is_set_back_does_not_lengthen_a_session(room) -> None:
    token, _ = await opened(room)
    room.clock.advance(HOUR - 1)
    room.clock.step_wall(-10 * HOUR)
    room.clock.advance(1)
    assert await room.sessions.resolve(token) is None


async def test_sweeping_ends_what_is_over_records_it_and_tells_open_sockets(room) -> None:
    token, session = await opened(room)
    told: list[str] = []
    room.sessions.on_closed(told.append)
    room.clock.advance(HOUR)
    await room.sessions.sweep()
    assert told == [session.id]
    assert await room.database.fetch("SELECT id FROM session") == []
    assert (await room.acts())[-1] == "session.closed"
    assert await room.sessions.resolve(token) is None


async def test_sweeping_ends_what_only_the_monotonic_clock_calls_over(room) -> None:
    await opened(room)
    room.clock.step_wall(-10 * HOUR)
    room.clock.advance(HOUR)
    await room.sessions.sweep()
    assert await room.database.fetch("SELECT id FROM session") == []


async def test_the_last_sign_of_life_is_written_by_the_sweep_alone(room) -> None:
    token, session = await opened(room)
    room.clock.advance(30)
    await room.sessions.resolve(token)
    assert (await room.sessions.list(session.account_id))[0].seen_us == session.opened_us
    await room.sessions.sweep()
    assert (await room.sessions.list(session.account_id))[0].seen_us == session.opened_us + 30_000_000


async def test_closing_ends_a_session_at_once_and_tells_once(room) -> None:
    # B3
    token, session = await opened(room)
    told: list[str] = []
    stop = room.sessions.on_closed(told.append)
    await room.sessions.close(session)
    assert await room.sessions.resolve(token) is None
    await room.sessions.close(session.id)
    assert told == [session.id]
    assert (await room.acts()).count("session.closed") == 1
    stop()
    _, other = await room.sessions.open(session.account_id, "192.0.2.1", "", ("pwd",))
    await room.sessions.close(other)
    assert told == [session.id]


async def test_somebody_elses_session_cannot_be_closed(room) -> None:
    token, session = await opened(room)
    bob = await room.account("bob@example.com")
    for session_id in (session.id, "absent"):
        with pytest.raises(NotFound, match="There is no such session"):
            await room.sessions.close_own(bob.id, session_id, room.operator)
    assert await room.sessions.resolve(token) is not None
    await room.sessions.close_own(session.account_id, session.id, room.operator)
    assert await room.sessions.resolve(token) is None


async def test_proving_a_second_factor_changes_the_token(room) -> None:
    token, session = await opened(room)
    room.clock.advance(5)
    fresh = await room.sessions.prove_second_factor(session, "otp")
    assert await room.sessions.resolve(token) is None
    found = await room.sessions.resolve(fresh)
    assert found is not None
    assert found.id == session.id
    assert found.second_factor_us == found.principal.second_factor_us == room.clock.now_us()
    assert found.auth == found.principal.auth == ("pwd", "otp")
    assert await Sessions(room.database, room.audit, room.clock).resolve(fresh) == found
    again = await room.sessions.prove_second_factor(found, "otp")
    assert (await room.sessions.resolve(again)).auth == ("pwd", "otp")


async def test_the_first_factor_shown_anew_changes_the_token_and_nothing_of_the_second(room) -> None:
    token, session = await opened(room)
    assert session.first_factor_us == session.principal.first_factor_us == session.opened_us
    token = await room.sessions.prove_second_factor(session, "otp")
    proven = await room.sessions.resolve(token)
    assert proven.first_factor_us == session.opened_us  # a code is not the password
    room.clock.advance(400)
    fresh = await room.sessions.show_first_factor(proven)
    assert await room.sessions.resolve(token) is None
    found = await room.sessions.resolve(fresh)
    assert found.first_factor_us == found.principal.first_factor_us == room.clock.now_us()
    assert (found.second_factor_us, found.auth) == (proven.second_factor_us, proven.auth)
    principal = found.principal_with(fresh.fresh)
    assert principal.showed_first_within(room.clock.now_us(), 300)
    assert not principal.proved_within(room.clock.now_us(), 300)
    assert await Sessions(room.database, room.audit, room.clock).resolve(fresh) == found
    assert (await room.acts()).count("session.reauthenticated") == 1


@pytest.mark.parametrize(("method", "is_first"), [("otp", False), ("passkey", True), ("provider", True)])
async def test_a_passkey_and_a_provider_that_asked_anew_are_both_factors(room, method: str, is_first: bool) -> None:
    _, session = await opened(room)
    room.clock.advance(400)
    token = await room.sessions.prove_second_factor(session, method)
    principal = (await room.sessions.resolve(token)).principal_with(token.fresh)
    assert principal.proved_within(room.clock.now_us(), 300)
    assert principal.showed_first_within(room.clock.now_us(), 300) is is_first


async def test_what_was_shown_is_fresh_to_who_brings_the_token_that_went_out_with_it(room) -> None:
    """The session's own token alone, a token of another proof, and one that a later proof replaced make nothing fresh."""
    first, session = await opened(room)
    other, _ = await opened(room, "other@example.com")
    now_us = room.clock.now_us()
    assert session.principal_with(first.fresh).showed_first_within(now_us, 300)
    second = await room.sessions.prove_second_factor(session, "otp")
    assert len({first, first.fresh, second, second.fresh}) == 4
    for sessions in (room.sessions, Sessions(room.database, room.audit, room.clock)):
        found = await sessions.resolve(second)
        assert found is not None
        for brought in (None, "", first.fresh, second, other.fresh, second.fresh + "x", second.fresh[:-1], "\u00e9"):
            principal = found.principal_with(brought)
            assert principal == found.principal
            assert not principal.proved_within(now_us, 300)
            assert not principal.showed_first_within(now_us, 300)
        principal = found.principal_with(second.fresh)
        assert principal.proved_within(now_us, 300)
        assert principal.showed_first_within(now_us, 300)
        assert not principal.proved_within(now_us + 301_000_000, 300)
    rows = [dict(row) for row in await room.database.fetch("SELECT * FROM session")]
    assert second.fresh not in repr(rows)
    assert second.fresh not in repr(found)


async def test_a_session_of_before_there_were_such_tokens_is_not_fresh(room) -> None:
    token, session = await opened(room)
    await room.database.write(lambda tx: tx.execute("UPDATE session SET fresh_sha256 = NULL WHERE id = $1", session.id))
    found = await Sessions(room.database, room.audit, room.clock).resolve(token)
    assert found is not None
    assert not found.principal_with(token.fresh).showed_first_within(room.clock.now_us(), 300)
    assert not found.principal_with("").showed_first_within(room.clock.now_us(), 300)


async def test_who_only_knew_the_password_is_nobody_with_that_token_too(room) -> None:
    account = await room.account("ann@example.org")
    token, session = await room.sessions.open(account.id, "127.0.0.1", "Browser", ("pwd",), awaits_second_factor=True)
    assert session.principal_with(token.fresh) == ANONYMOUS


async def test_a_session_that_waits_for_its_second_factor_takes_no_password_for_it(room) -> None:
    account = await room.account()
    await room.second_factors.issue(account.id, room.operator)
    _, session = await room.sessions.open(account.id, "192.0.2.1", "", ("pwd",))
    with pytest.raises(NotSignedIn):
        await room.sessions.show_first_factor(session)


async def test_parallel_proofs_of_one_session_give_one_token(room) -> None:
    _, session = await opened(room)
    results = await asyncio.gather(
        *(room.sessions.prove_second_factor(session, "otp") for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, str) for result in results) == 1
    assert sum(isinstance(result, NotSignedIn) for result in results) == 9
    assert (await room.acts()).count("session.second_factor_proven") == 1


async def test_an_ended_session_proves_nothing(room) -> None:
    _, session = await opened(room)
    await room.sessions.close(session)
    with pytest.raises(NotSignedIn):
        await room.sessions.prove_second_factor(session, "otp")


async def test_a_backup_code_is_no_step_up(room) -> None:
    _, session = await opened(room)
    with pytest.raises(StepUpRequired):
        await room.sessions.prove_second_factor(session, "recovery")


async def test_a_session_that_awaits_its_second_factor_speaks_for_nobody(room) -> None:
    # F7 E4 E22
    account = await room.account()
    await room.second_factors.issue(account.id, room.operator)
    token, session = await room.sessions.open(account.id, "192.0.2.1", "", ("pwd",))
    assert session.awaits_second_factor
    assert (await room.sessions.resolve(token)).principal == ANONYMOUS
    fresh = await room.sessions.prove_second_factor(session, "otp")
    assert (await room.sessions.resolve(fresh)).principal.account_id == account.id


async def test_no_session_opens_for_a_disabled_or_absent_account(room) -> None:
    account = await room.account()
    await room.accounts.disable(account.id, room.operator)
    for account_id in (account.id, "absent"):
        with pytest.raises(NotSignedIn):
            await room.sessions.open(account_id, "192.0.2.1", "", ("pwd",))


async def test_the_list_shows_the_live_sessions_of_one_account(room) -> None:
    _, first = await opened(room)
    await opened(room, "bob@example.com")
    room.clock.advance(HOUR - 60)
    _, second = await room.sessions.open(first.account_id, "192.0.2.2", "Browser\x1b[31m", ("pwd",))
    listed = await room.sessions.list(first.account_id)
    assert [session.id for session in listed] == [second.id, first.id]
    assert listed[0].user_agent == "Browser?[31m"
    room.clock.advance(60)
    assert [session.id for session in await room.sessions.list(first.account_id)] == [second.id]


async def test_a_session_read_while_it_is_closed_does_not_come_back(room) -> None:
    token, session = await opened(room)
    fresh = Sessions(room.database, room.audit, room.clock)
    await asyncio.gather(
        *(fresh.resolve(token) for _ in range(5)), fresh.close(session), *(fresh.resolve(token) for _ in range(5))
    )
    assert await fresh.resolve(token) is None


async def test_the_config_shortens_both_limits(room) -> None:
    sessions = Sessions(room.database, room.audit, room.clock, lifetime_seconds=120, idle_seconds=60)
    account = await room.account()
    token, _ = await sessions.open(account.id, "192.0.2.1", "", ("pwd",))
    room.clock.advance(59)
    assert await sessions.resolve(token) is not None
    room.clock.advance(59)
    assert await sessions.resolve(token) is not None
    room.clock.advance(2)
    assert await sessions.resolve(token) is None
    token, _ = await sessions.open(account.id, "192.0.2.1", "", ("pwd",))
    room.clock.advance(60)
    assert await sessions.resolve(token) is None
    await sessions.sweep()
    assert await room.database.fetch("SELECT id FROM session") == []


async def test_a_rotation_after_the_wall_clock_went_back_lengthens_nothing(room) -> None:
    _, session = await opened(room)
    room.clock.step_wall(-10 * HOUR)
    room.clock.advance(60)
    token = await room.sessions.prove_second_factor(session, "otp")
    for _ in range(13):
        room.clock.advance(HOUR - 120)
        await room.sessions.resolve(token)
    assert await room.sessions.resolve(token) is None


async def test_a_factor_that_somebody_else_saw_is_as_fresh_as_they_say_and_never_of_the_future(room) -> None:
    for ago_seconds, seen in ((120, 120), (0, 0), (-50, 0)):
        _, session = await opened(room, f"p{ago_seconds + 50}@example.com")
        at_us = room.clock.now_us() - ago_seconds * 1_000_000
        token = await room.database.write(
            lambda tx, session=session, at_us=at_us: room.sessions.rotate(tx, session, "provider", proven_us=at_us)
        )
        for sessions in (room.sessions, Sessions(room.database, room.audit, room.clock)):
            found = await sessions.resolve(token)
            assert found is not None
            assert found.second_factor_us == found.principal.second_factor_us == room.clock.now_us() - seen * 1_000_000
            assert found.seen_us == room.clock.now_us()
            assert found.auth == ("pwd", "provider")


async def test_a_session_is_found_by_its_id_as_long_as_it_lives(room) -> None:
    token, session = await opened(room)

    async def found(sessions: Sessions):
        return await room.database.write(lambda tx: sessions.alive_within(tx, session.id))

    fresh = Sessions(room.database, room.audit, room.clock)
    for _ in range(3):  # it is alive by what memory knows, although nothing wrote its last sign of life down
        room.clock.advance(HOUR / 2)
        await room.sessions.resolve(token)
        assert (await found(room.sessions)).id == session.id
    assert await found(fresh) is None
    await room.sessions.sweep()
    assert (await found(fresh)).id == session.id
    room.clock.advance(HOUR)
    assert [await found(sessions) for sessions in (room.sessions, fresh)] == [None, None]


async def test_no_session_of_a_disabled_account_is_found_by_its_id(room) -> None:
    _, session = await opened(room)
    query = "UPDATE account SET disabled_us = 1 WHERE id = $1"
    await room.database.write(lambda tx: tx.execute(query, session.account_id))
    assert await room.database.write(lambda tx: room.sessions.alive_within(tx, session.id)) is None
    assert await room.database.write(lambda tx: room.sessions.alive_within(tx, "")) is None


async def test_of_more_sessions_than_an_account_may_have_the_first_opened_ends(room) -> None:
    # ASVS 7.1.2
    ended: list[str] = []
    room.sessions.on_closed(ended.append)
    ann, bob = await room.account(), await room.account("bob@example.com")
    bobs, _ = await room.sessions.open(bob.id, "192.0.2.1", "Browser/1.0", ("pwd",))
    tokens = []
    for _ in range(MOST + 2):
        room.clock.advance(1)
        tokens.append(await room.sessions.open(ann.id, "192.0.2.1", "Browser/1.0", ("pwd",)))
    assert ended == [session.id for _, session in tokens[:2]]
    assert [await room.sessions.resolve(token) is not None for token, _ in tokens] == [False] * 2 + [True] * MOST
    assert len(await room.sessions.list(ann.id)) == MOST
    assert await room.sessions.resolve(bobs) is not None
    closed = [record["data"] for record in await room.records() if record["act"] == "session.closed"]
    assert closed == [{"reason": "too_many"}] * 2


async def test_who_knows_the_password_alone_pushes_out_nobody(room) -> None:
    ann = await room.account()
    await room.second_factors.issue(ann.id, room.operator)
    whole, _ = await room.sessions.open(ann.id, "192.0.2.1", "Browser/1.0", ("pwd", "otp"), awaits_second_factor=False)
    for _ in range(2 * MOST):
        room.clock.advance(1)
        _, session = await room.sessions.open(ann.id, "203.0.113.9", "Guesser/1.0", ("pwd",))
        assert session.awaits_second_factor
    assert await room.sessions.resolve(whole) is not None
    assert len(await room.sessions.list(ann.id)) == MOST + 1

    for _ in range(MOST - 1):
        await room.sessions.open(ann.id, "192.0.2.1", "Browser/1.0", ("pwd", "otp"), awaits_second_factor=False)
    assert await room.sessions.resolve(whole) is not None
    assert await room.sessions.prove_second_factor(session, "otp"), (
        "the one that has shown the factor counts from now on"
    )
    assert await room.sessions.resolve(whole) is None


async def test_twenty_sign_ins_at_once_leave_as_many_as_there_may_be(room, database, clock) -> None:
    ann = await room.account()
    sessions = Sessions(database, room.audit, clock, most=3)
    opened = await asyncio.gather(*(sessions.open(ann.id, "192.0.2.1", "ua", ("pwd",)) for _ in range(20)))
    assert sum([await sessions.resolve(token) is not None for token, _ in opened]) == 3
