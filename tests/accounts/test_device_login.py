import asyncio

import pytest

from failgate.accounts.device_grant import GrantRefused
from failgate.base.errors import Conflict, NotFound, TooManyRequests
from tests.accounts.conftest import CLIENT, browser

WHERE = {"host": "builder", "address": "192.0.2.7", "user_agent": "failgate-client"}


async def begun(room, **changes):
    return await room.device_login.begin(CLIENT, **{**WHERE, **changes})


async def refused(room, device_code: str, client_id: str = CLIENT) -> str:
    with pytest.raises(GrantRefused) as caught:
        await room.device_login.poll(device_code, client_id, "192.0.2.7")
    return caught.value.error


async def test_a_command_line_is_signed_in_once_by_who_approves(room) -> None:
    # F9
    account = await room.account()
    codes = await begun(room)
    assert await refused(room, codes.device_code) == "authorization_pending"
    shown = await room.device_login.look_up(codes.user_code.lower(), browser(account.id))
    assert (shown.host, shown.address, shown.client_id) == ("builder", "192.0.2.7", CLIENT)
    await room.device_login.decide(codes.user_code, "approve", browser(account.id))
    collected = await room.device_login.poll(codes.device_code, CLIENT, "192.0.2.8")
    principal = await room.access_tokens.resolve(collected.access.text)
    assert principal is not None
    assert (principal.kind, principal.account_id, principal.auth) == ("user", account.id, ("device",))
    assert principal.second_factor_us is None
    assert principal.label == "ann@example.com"
    [login] = await room.logins.list(account.id)
    assert (login.id, login.host, login.address) == (principal.session_id, "builder", "192.0.2.8")
    assert await refused(room, codes.device_code) == "invalid_grant"
    acts = await room.acts()
    assert acts[-2:] == ["login.approved", "login.opened"] or "signing_key.rotated" in acts[-3:]
    assert acts.count("login.opened") == 1


async def test_parallel_polls_open_one_login(room) -> None:
    account = await room.account()
    codes = await begun(room)
    await room.device_login.decide(codes.user_code, "approve", browser(account.id))
    polls = (room.device_login.poll(codes.device_code, CLIENT, "192.0.2.7") for _ in range(16))
    answers = await asyncio.gather(*polls, return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert len(await room.logins.list(account.id)) == 1


@pytest.mark.parametrize("whose", [None, "the account"])
async def test_what_was_approved_through_a_connection_opens_nothing_after_its_end(room, whose) -> None:
    """B1 E24: approved in its session, and fetched when the connection or the link to it had ended."""
    account, other = await room.account(), await room.account("bob@example.com")
    codes, kept = await begun(room), await begun(room)
    await room.device_login.decide(codes.user_code, "approve", browser(account.id, connection_id="idp"))
    await room.device_login.decide(kept.user_code, "approve", browser(other.id, connection_id="another"))
    only = account.id if whose else None
    await room.database.write(lambda tx: room.logins.end_through(tx, "idp", room.operator, only))
    assert await refused(room, codes.device_code) == "invalid_grant"
    assert await room.logins.list(account.id) == []
    assert await room.device_login.poll(kept.device_code, CLIENT, "192.0.2.7")


async def test_a_denial_is_told_and_final(room) -> None:
    account = await room.account()
    codes = await begun(room)
    await room.device_login.decide(codes.user_code, "deny", browser(account.id))
    assert await refused(room, codes.device_code) == "access_denied"
    with pytest.raises(NotFound):
        await room.device_login.decide(codes.user_code, "approve", browser(account.id))
    assert await refused(room, codes.device_code) == "access_denied"
    assert (await room.acts())[-2] == "login.denied"


async def test_of_two_who_decide_at_once_one_does(room) -> None:
    ann, bob = await room.account(), await room.account("bob@example.com")
    codes = await begun(room)
    answers = await asyncio.gather(
        *(
            room.device_login.decide(codes.user_code, "approve", browser(one.id, one.email))
            for one in (ann, bob)
        ),
        return_exceptions=True,
    )  # fmt: skip
    assert sum(answer is None for answer in answers) == 1
    assert sum(isinstance(answer, (NotFound, Conflict)) for answer in answers) == 1


async def test_a_poll_that_is_too_fast_makes_the_next_ones_slower(room) -> None:
    codes = await begun(room)
    answers = []
    for seconds in (0, 1, 5, 9.5, 9.5):
        room.clock.advance(seconds)
        answers.append(await refused(room, codes.device_code))
    assert answers == ["authorization_pending", "slow_down", "slow_down", "slow_down", "slow_down"]
    room.clock.advance(25)
    assert await refused(room, codes.device_code) == "authorization_pending"


async def test_a_code_ends_after_ten_minutes_for_both_sides(room) -> None:
    account = await room.account()
    codes, approved = await begun(room), await begun(room)
    await room.device_login.decide(approved.user_code, "approve", browser(account.id))
    room.clock.advance(600)
    assert await refused(room, codes.device_code) == "expired_token"
    assert await refused(room, approved.device_code) == "expired_token"
    with pytest.raises(NotFound, match="No command line waits"):
        await room.device_login.look_up(codes.user_code, browser(account.id))
    await room.device_login.sweep()
    assert await refused(room, codes.device_code) == "expired_token"
    room.clock.advance(600)
    await room.device_login.sweep()
    assert await room.database.fetch("SELECT id FROM device_request") == []
    assert await refused(room, codes.device_code) == "invalid_grant"


async def test_only_the_client_that_asked_is_answered(room) -> None:
    codes = await begun(room)
    assert await refused(room, codes.device_code, "another") == "invalid_client"
    with pytest.raises(GrantRefused, match="no such client"):
        await room.device_login.begin("another", **WHERE)
    for unknown in ("", "x" * 43, "é" * 43, codes.device_code + "A", codes.user_code):
        assert await refused(room, unknown) == "invalid_grant"


async def test_only_hashes_of_the_codes_and_tokens_are_stored(room) -> None:
    # E18
    codes = await begun(room)
    _, collected = await room.signed_in()
    kept = await room.everything()
    for secret in (codes.device_code, codes.user_code, collected.access.text, collected.refresh_token):
        assert secret not in kept
    assert codes.device_code not in repr(codes)
    assert collected.refresh_token not in repr(collected)


async def test_a_session_may_be_wrong_five_times(room) -> None:
    account = await room.account()
    codes = await begun(room)
    wrong = "BBBBBBBB" if codes.user_code != "BBBBBBBB" else "CCCCCCCC"
    for _ in range(3):
        await room.device_login.look_up(codes.user_code, browser(account.id))
    for _ in range(5):
        with pytest.raises(NotFound):
            await room.device_login.look_up(wrong, browser(account.id))
    for code in (wrong, codes.user_code):
        with pytest.raises(TooManyRequests):
            await room.device_login.look_up(code, browser(account.id))
        with pytest.raises(TooManyRequests):
            await room.device_login.decide(code, "approve", browser(account.id))
    assert [record["data"]["reason"] for record in await room.records() if record["act"] == "login.refused"] == [
        *["wrong_code"] * 5,
        *["throttled"] * 4,
    ]
    with pytest.raises(NotFound, match="eight letters"):
        await room.device_login.look_up("not a code", browser(account.id))


async def test_what_a_client_says_of_itself_cannot_draw(room) -> None:
    account = await room.account()
    codes = await begun(room, host="ci\x1b[31m\u202eevil" + "x" * 100, user_agent="<b>\n")
    shown = await room.device_login.look_up(codes.user_code, browser(account.id))
    assert shown.host == "ci?[31m?evil" + "x" * 52
    assert shown.user_agent == "<b>?"


async def test_so_many_wait_at_one_place_and_no_more(room) -> None:
    codes = [await begun(room) for _ in range(20)]
    with pytest.raises(TooManyRequests):
        await begun(room)
    await begun(room, address="198.51.100.1")
    account = await room.account()
    await room.device_login.decide(codes[0].user_code, "deny", browser(account.id))
    await begun(room)
    room.clock.advance(600)
    await begun(room)


async def test_an_approval_ends_with_the_password_that_stood_behind_it(room) -> None:
    account = await room.account()
    codes = await begun(room)
    await room.device_login.decide(codes.user_code, "approve", browser(account.id))
    await room.accounts.set_password(account.id, "another long pass phrase", room.operator)
    assert await refused(room, codes.device_code) == "invalid_grant"
    assert await room.logins.list(account.id) == []


async def test_a_disabled_account_fetches_nothing(room) -> None:
    account = await room.account()
    codes = await begun(room)
    await room.device_login.decide(codes.user_code, "approve", browser(account.id))
    await room.database.write(lambda tx: tx.execute("UPDATE account SET disabled_us = 1 WHERE id = $1", account.id))
    assert await refused(room, codes.device_code) == "invalid_grant"
    assert await room.database.fetch("SELECT id FROM login") == []
