FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def opened(room, account_id: str, address: str, user_agent: str):
    _, session = await room.sessions.open(account_id, address, user_agent, ("pwd",))
    return session


async def test_the_first_place_is_no_news_and_another_one_is_once(room) -> None:
    account = await room.account()
    assert not (await opened(room, account.id, "192.0.2.1", FIREFOX)).is_new_place
    assert not (await opened(room, account.id, "192.0.2.1", FIREFOX.replace("140", "141"))).is_new_place
    assert (await opened(room, account.id, "192.0.2.9", FIREFOX)).is_new_place
    assert not (await opened(room, account.id, "192.0.2.9", FIREFOX)).is_new_place
    assert (await opened(room, account.id, "192.0.2.9", "curl")).is_new_place
    room.clock.advance(91 * 86_400)
    assert not (await opened(room, account.id, "192.0.2.1", FIREFOX)).is_new_place, "nothing is known any more"
    assert (await opened(room, account.id, "192.0.2.9", "curl")).is_new_place


async def test_who_only_knew_the_password_makes_no_place_known(room) -> None:
    account = await room.account()
    await opened(room, account.id, "192.0.2.1", FIREFOX)
    for _ in range(2):
        _, session = await room.sessions.open(account.id, "192.0.2.9", FIREFOX, ("pwd",), awaits_second_factor=True)
    token = await room.sessions.prove_second_factor(session, "otp")
    assert (await room.sessions.resolve(token)).is_new_place
    (listed,) = [one for one in await room.sessions.list(account.id) if one.id == session.id]
    assert listed.is_new_place
    await room.sessions.recognise(account.id, session.id, room.operator)
    assert not any(one.is_new_place for one in await room.sessions.list(account.id))
    assert (await room.acts())[-1] == "session.recognised"
