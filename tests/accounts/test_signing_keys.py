from failgate.accounts.signing_keys import SigningKeys

DAY = 86_400


async def test_the_first_key_is_made_when_it_is_needed_and_kept(room) -> None:
    first = await room.signing_keys.current()
    assert await room.signing_keys.current() == first
    again = SigningKeys(room.database, room.audit, room.clock, room.box)
    assert await again.current() == first
    assert await again.private_jwk(first) == await room.signing_keys.private_jwk(first)
    assert (await room.acts()).count("signing_key.rotated") == 1


async def test_the_private_part_lies_sealed_and_is_published_nowhere(room) -> None:
    # E18
    key = await room.signing_keys.current()
    private = await room.signing_keys.private_jwk(key)
    assert private["d"] not in await room.everything()
    [row] = await room.database.fetch("SELECT sealed FROM signing_key")
    assert len(bytes(row["sealed"])) == 32 + 29
    assert [set(one.jwk) for one in await room.signing_keys.published()] == [{"kty", "crv", "x", "kid", "use", "alg"}]


async def test_a_key_changes_after_thirty_days_and_the_old_one_verifies_what_it_signed(room) -> None:
    # F10
    _, collected = await room.signed_in()
    room.clock.advance(30 * DAY - 300)
    token = await room.refresh_tokens.refresh(collected.refresh_token, "failgate-cli", "")
    access = await room.access_tokens.sign(token.login_id, token.account_id, "failgate-cli")
    before = await room.signing_keys.current()
    room.clock.advance(299)
    await room.signing_keys.sweep()
    assert len(await room.signing_keys.published()) == 1
    room.clock.advance(0.5)
    assert await room.access_tokens.resolve(access.text) is not None
    room.clock.advance(0.5)
    await room.signing_keys.sweep()
    fresh, old = await room.signing_keys.published()
    assert (fresh.id, old.id) == ((await room.signing_keys.current()).id, before.id)
    assert old.retired_us == room.clock.now_us()
    room.clock.advance(659)
    assert len(await room.signing_keys.published()) == 2
    room.clock.advance(1)
    await room.signing_keys.sweep()
    assert [one.id for one in await room.signing_keys.published()] == [fresh.id]
    assert len(await room.database.fetch("SELECT id FROM signing_key")) == 1


async def test_an_operator_changes_the_key_now_and_tokens_go_on(room) -> None:
    _, collected = await room.signed_in()
    before = await room.signing_keys.current()
    fresh = await room.signing_keys.rotate(room.operator)
    assert await room.signing_keys.current() == fresh != before
    assert await room.access_tokens.resolve(collected.access.text) is not None
    assert (await room.records())[-1]["data"] == {"reason": "asked"}


async def test_a_compromised_key_ends_at_once_with_what_it_signed(room) -> None:
    account, collected = await room.signed_in()
    assert await room.access_tokens.resolve(collected.access.text) is not None
    fresh = await room.signing_keys.rotate(room.operator, is_compromised=True)
    assert await room.access_tokens.resolve(collected.access.text) is None
    assert await room.signing_keys.published() == [fresh]
    assert len(await room.database.fetch("SELECT id FROM signing_key")) == 1
    assert len(await room.logins.list(account.id)) == 1
    await room.refresh_tokens.refresh(collected.refresh_token, "failgate-cli", "")
