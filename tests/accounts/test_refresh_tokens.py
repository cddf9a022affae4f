import asyncio
import re

import pytest

from failgate.accounts.device_grant import GrantRefused
from tests.accounts.conftest import CLIENT

KEY = "0123456789abcdef0123456789abcdef"


async def refresh(room, token: str, key: str | None = None) -> str:
    return (await room.refresh_tokens.refresh(token, CLIENT, "192.0.2.9", key)).token


async def must_be_refused(room, token: str, key: str | None = None, client: str = CLIENT) -> None:
    with pytest.raises(GrantRefused) as caught:
        await room.refresh_tokens.refresh(token, client, "192.0.2.9", key)
    assert caught.value.error == "invalid_grant"


async def test_a_refresh_token_is_recognisable_and_used_once(room) -> None:
    # F10
    account, collected = await room.signed_in()
    assert re.fullmatch(r"fg_ref_\w{22}_\w{43}_\w{6}", collected.refresh_token)
    tokens = [collected.refresh_token]
    for _ in range(3):
        tokens.append(await refresh(room, tokens[-1]))
    assert len(set(tokens)) == 4
    assert len(await room.logins.list(account.id)) == 1
    assert (await room.acts()).count("login.renewed") == 3


@pytest.mark.parametrize("reused", [0, 1])
async def test_a_second_use_ends_the_whole_family_and_is_recorded(room, reused: int) -> None:
    # E26
    account, collected = await room.signed_in()
    first = collected.refresh_token
    second = await refresh(room, first)
    third = await refresh(room, second)
    await must_be_refused(room, (first, second)[reused])
    assert await room.access_tokens.resolve(collected.access.text) is None
    assert await room.logins.list(account.id) == []
    await must_be_refused(room, third)
    [closed] = [record for record in await room.records() if record["act"] == "login.closed"]
    assert closed["data"] == {"reason": "refresh_token_reused"}
    assert closed["out"] == "deny"


@pytest.mark.parametrize("key", [None, KEY])
async def test_of_32_parallel_refreshes_at_most_one_family_lives(room, key) -> None:
    account, collected = await room.signed_in()
    uses = (room.refresh_tokens.refresh(collected.refresh_token, CLIENT, "192.0.2.9", key) for _ in range(32))
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == (1 if key is None else 2)
    assert len(await room.logins.list(account.id)) == 0
    for answer in answers:
        if not isinstance(answer, Exception):
            await must_be_refused(room, answer.token)


async def test_a_lost_answer_may_be_asked_for_once_more_with_its_key(room) -> None:
    account, collected = await room.signed_in()
    lost = await refresh(room, collected.refresh_token, KEY)
    room.clock.advance(10)
    again = await refresh(room, collected.refresh_token, KEY)
    assert again != lost
    await refresh(room, again)
    await must_be_refused(room, lost)  # it does not exist any more: nobody holds it, so nothing ends
    assert len(await room.logins.list(account.id)) == 1


@pytest.mark.parametrize("how", ["another key", "no key", "late", "third", "successor used", "no key at first"])
async def test_any_other_second_use_is_a_theft(room, how: str) -> None:
    account, collected = await room.signed_in()
    token = collected.refresh_token
    following = await refresh(room, token, None if how == "no key at first" else KEY)
    if how == "late":
        room.clock.advance(10.1)
    if how == "third":
        await refresh(room, token, KEY)
    if how == "successor used":
        await refresh(room, following)
    await must_be_refused(room, token, {"another key": "f" * 32, "no key": None}.get(how, KEY))
    assert await room.logins.list(account.id) == []


async def test_what_is_no_refresh_token_of_this_client_is_refused_and_ends_nothing(room) -> None:
    account, collected = await room.signed_in()
    token = collected.refresh_token
    altered = token[:-1] + ("0" if token[-1] != "0" else "1")
    for other in ("", "x", altered, token.swapcase(), "é", token.replace("ref", "usr"), collected.access.text):
        await must_be_refused(room, other)
    await must_be_refused(room, token, client="another")
    assert len(await room.logins.list(account.id)) == 1
    await refresh(room, token)


async def test_a_refresh_token_is_no_credential_at_a_door(room) -> None:
    _, collected = await room.signed_in()
    assert await room.tokens.resolve(collected.refresh_token) is None
    assert await room.access_tokens.resolve(collected.refresh_token) is None


async def test_revoking_ends_the_login_by_any_token_of_it(room) -> None:
    # RFC 7009
    for used in (False, True):
        account, collected = await room.signed_in(f"ann{used}@example.com")
        if used:
            await refresh(room, collected.refresh_token)
        await room.refresh_tokens.revoke(collected.refresh_token, "another")
        assert len(await room.logins.list(account.id)) == 1
        await room.refresh_tokens.revoke(collected.refresh_token, CLIENT)
        await room.refresh_tokens.revoke(collected.refresh_token, CLIENT)
        await room.refresh_tokens.revoke("fg_ref_x", CLIENT)
        assert await room.logins.list(account.id) == []
        assert await room.access_tokens.resolve(collected.access.text) is None


async def test_a_disabled_account_renews_nothing(room) -> None:
    account, collected = await room.signed_in()
    await room.database.write(lambda tx: tx.execute("UPDATE account SET disabled_us = 1 WHERE id = $1", account.id))
    await must_be_refused(room, collected.refresh_token)
