"""F8: what a trusted device skips, and everything that ends it."""

import asyncio
import contextlib

import pytest

from failgate.accounts.devices import Devices
from failgate.base.errors import NotFound, StepUpRequired, TooManyRequests
from tests.accounts.authenticator import Authenticator
from tests.accounts.conftest import BASE_URL
from tests.accounts.test_second_factors import code_now, enrolled

ADDRESS, DAY = "192.0.2.1", 86_400


async def trusted(room) -> tuple[str, str, str]:
    """Sign in with a code and trust the browser; return account id, TOTP secret, the device's token."""
    return await trusted_of(room, "ann@example.com")


async def trusted_of(room, email: str) -> tuple[str, str, str]:
    account_id, secret, _ = await enrolled(room, email)
    _, session = await room.sessions.open(account_id, ADDRESS, "Firefox", ("pwd",))
    proven = await room.second_factors.prove_in_session(session, code_now(room, secret))
    device = await room.devices.trust(await room.sessions.resolve(proven), "Firefox on Linux")
    room.clock.advance(60)
    return account_id, secret, device


async def awaits(room, account_id: str, token: str | None) -> bool:
    admission = await room.devices.admit(account_id, token, ADDRESS, "Firefox", ("pwd",))
    return admission.session.awaits_second_factor


async def test_a_trusted_device_skips_the_code_and_proves_no_factor(room) -> None:
    account_id, _, device = await trusted(room)
    admission = await room.devices.admit(account_id, device, "192.0.2.7", "Firefox", ("pwd",))
    session = admission.session
    assert (session.awaits_second_factor, session.second_factor_us) == (False, None)
    assert session.auth == ("pwd", "trusted_device")
    (row,) = await room.devices.list(account_id)
    assert (row.name, row.address, row.last_used_us) == ("Firefox on Linux", "192.0.2.7", room.clock.now_us())
    assert await room.devices.find(account_id, admission.device_token) == row.id
    assert device not in await room.everything()


async def test_its_token_changes_at_every_use_and_a_copy_ends_it(room) -> None:
    account_id, _, first = await trusted(room)
    second = (await room.devices.admit(account_id, first, ADDRESS, "", ("pwd",))).device_token
    assert second not in {None, first}
    assert await awaits(room, account_id, first), "the copy skips nothing"
    assert await awaits(room, account_id, second), "and the device has ended"
    assert await room.devices.list(account_id) == []
    last = [record for record in await room.records() if record["act"] == "device.revoked"][-1]
    assert last["data"] == {"reason": "replayed"}


async def test_twenty_parallel_uses_of_one_token_skip_the_code_once(room) -> None:
    account_id, _, device = await trusted(room)
    asked = await asyncio.gather(*(awaits(room, account_id, device) for _ in range(20)))
    assert asked.count(False) == 1


async def test_it_is_of_one_account(room) -> None:
    _, _, device = await trusted(room)
    bob = await room.account("bob@example.com")
    await room.second_factors.issue(bob.id, room.operator)
    assert await awaits(room, bob.id, device)
    assert await room.devices.find(bob.id, device) is None


async def test_it_lasts_thirty_days_and_not_a_second_more(room) -> None:
    account_id, _, device = await trusted(room)
    room.clock.advance(30 * DAY - 61)
    admission = await room.devices.admit(account_id, device, ADDRESS, "", ("pwd",))
    assert not admission.session.awaits_second_factor, "using it does not lengthen it"
    room.clock.advance(1)
    assert await awaits(room, account_id, admission.device_token)
    await room.devices.sweep()
    assert await room.database.fetch("SELECT id FROM trusted_device") == []


async def test_strangers_who_guess_do_not_lock_its_person_out(room) -> None:
    """Ten thousand guesses from everywhere; in the trusted device, at an address that nobody knows, the password counts."""
    account_id, _, device = await trusted(room)
    _, _, foreign = await trusted_of(room, "bob@example.com")
    room.throttle.succeeded(room.throttle.reserve("ann@example.com", "198.51.100.1"))
    for number in range(10_000):
        with contextlib.suppress(TooManyRequests):
            room.throttle.reserve("ann@example.com", f"203.0.113.{number % 200}")
        room.clock.advance(0.3)
    for other in (None, foreign, "x", "x" * 43, device[:-1] + "_"):
        with pytest.raises(TooManyRequests):
            await room.accounts.sign_in("ann@example.com", room.password, "192.0.2.200", other)
    assert (await room.accounts.sign_in("ann@example.com", room.password, "192.0.2.200", device)).id == account_id


async def test_it_lets_nobody_guess_more_once_it_is_over(room) -> None:
    account_id, _, device = await trusted(room)
    assert await room.devices.is_of(account_id, device)
    assert not await room.devices.is_of(None, device)
    shorter = Devices(room.database, room.audit, room.clock, sessions=room.sessions, lifetime_days=1)
    room.clock.advance(DAY)
    assert not await shorter.is_of(account_id, device)
    room.clock.advance(29 * DAY)
    assert not await room.devices.is_of(account_id, device)


async def test_a_shorter_time_in_the_config_holds_for_devices_that_are_there(room) -> None:
    account_id, _, device = await trusted(room)
    room.clock.advance(2 * DAY)
    for days in (0, 1):
        shorter = Devices(room.database, room.audit, room.clock, sessions=room.sessions, lifetime_days=days)
        admission = await shorter.admit(account_id, device, ADDRESS, "", ("pwd",))
        assert admission.session.awaits_second_factor
    assert not await awaits(room, account_id, device)
    off = Devices(room.database, room.audit, room.clock, sessions=room.sessions, lifetime_days=0)
    token, _ = await room.sessions.open(account_id, ADDRESS, "", ("passkey",), awaits_second_factor=False)
    with pytest.raises(NotFound):
        await off.trust(await room.sessions.resolve(token), "x")


async def change_password(room, account_id: str) -> None:
    await room.accounts.set_password(account_id, "another long and plain passphrase", room.operator)


async def disable_and_enable(room, account_id: str) -> None:
    await room.accounts.disable(account_id, room.operator)
    await room.accounts.enable(account_id, room.operator)


async def replace_authenticator(room, account_id: str) -> None:
    begun = await room.second_factors.begin_enrolment(account_id, replacing=True)
    await room.second_factors.confirm(account_id, code_now(room, begun.secret))


async def remove_authenticator(room, account_id: str) -> None:
    await room.second_factors.remove(account_id, room.operator)
    await room.second_factors.issue(account_id, room.operator)


async def reset_factors(room, account_id: str) -> None:
    await room.second_factors.reset(account_id, room.operator, "met")
    await room.second_factors.issue(account_id, room.operator)


async def add_passkey(room, account_id: str) -> None:
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",), awaits_second_factor=False)
    answer = Authenticator(BASE_URL).make(await room.passkeys.registration_options(session))
    await room.passkeys.register(session, answer, "Key")


async def revoke_all(room, account_id: str) -> None:
    await room.devices.revoke_all(account_id, room.operator)


@pytest.mark.parametrize(
    "ending",
    [
        change_password,
        disable_and_enable,
        replace_authenticator,
        remove_authenticator,
        reset_factors,
        add_passkey,
        revoke_all,
    ],
)
async def test_what_ends_a_trusted_device(room, ending) -> None:
    account_id, _, device = await trusted(room)
    await ending(room, account_id)
    assert await awaits(room, account_id, device)
    assert await room.devices.list(account_id) == []


async def test_one_is_revoked_by_its_owner_alone(room) -> None:
    account_id, _, device = await trusted(room)
    bob = await room.account("bob@example.com")
    (row,) = await room.devices.list(account_id)
    with pytest.raises(NotFound):
        await room.devices.revoke(bob.id, row.id, room.operator)
    await room.devices.revoke(account_id, row.id, room.operator)
    assert await awaits(room, account_id, device)
    with pytest.raises(NotFound):
        await room.devices.revoke(account_id, row.id, room.operator)


async def test_a_backup_code_or_a_trusted_device_trusts_no_device(room) -> None:
    account_id, _, codes = await enrolled(room)
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    recovered = await room.second_factors.prove_in_session(session, codes[0])
    with pytest.raises(StepUpRequired):
        await room.devices.trust(await room.sessions.resolve(recovered), "x")
    _, unproven = await room.sessions.open(
        account_id, ADDRESS, "", ("pwd", "trusted_device"), awaits_second_factor=False
    )
    with pytest.raises(StepUpRequired):
        await room.devices.trust(unproven, "x")


async def test_an_account_trusts_twenty_devices_and_the_oldest_leaves(room) -> None:
    account_id, secret, device = await trusted(room)
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    session = await room.sessions.resolve(await room.second_factors.prove_in_session(session, code_now(room, secret)))
    for _ in range(20):
        await room.devices.trust(session, "x")
    assert len(await room.devices.list(account_id)) == 20
    assert await awaits(room, account_id, device)


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é" * 43, "x" * 5000])
async def test_any_other_text_is_no_device(room, token: str) -> None:
    account_id, _, _ = await trusted(room)
    assert await awaits(room, account_id, token)
    assert await room.devices.find(account_id, token) is None
