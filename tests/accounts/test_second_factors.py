import asyncio

import pytest

from failgate.accounts import totp
from failgate.accounts.throttle import Reservation
from failgate.base.errors import Conflict, FailgateError, NotFound, NotSignedIn, TooManyRequests
from failgate.base.secretbox import SecretBox


class Generous:
    """A throttle without limits, where a test is about what the database decides."""

    def reserve_factor(self, account: str) -> Reservation:
        return Reservation(at=0, keys=(), account=account, address="")

    def succeeded(self, reservation: Reservation) -> None:
        pass

    give_back = succeeded


def code_now(room, secret: str, ago: int = 0) -> str:
    return totp.code_at(secret, totp.step_at(room.clock.now_us()) - ago)


async def enrolled(room, email: str = "ann@example.com") -> tuple[str, str, list[str]]:
    account = await room.account(email)
    enrolment = await room.second_factors.begin_enrolment(account.id)
    codes = await room.second_factors.confirm(account.id, code_now(room, enrolment.secret))
    room.clock.advance(60)
    return account.id, enrolment.secret, codes


def successes(results: list) -> int:
    assert all(isinstance(result, str | NotSignedIn) for result in results), results
    return sum(isinstance(result, str) for result in results)


async def test_enrolment_begins_with_a_secret_and_ends_with_a_code(room) -> None:
    # F7 E4 E22
    account = await room.account()
    enrolment = await room.second_factors.begin_enrolment(account.id)
    assert f"secret={enrolment.secret}" in enrolment.uri
    assert "ann%40example.com" in enrolment.uri
    assert not await room.second_factors.has(account.id)
    codes = await room.second_factors.confirm(account.id, code_now(room, enrolment.secret))
    assert len(set(codes)) == 10
    assert await room.second_factors.has(account.id)
    assert (await room.acts())[-1] == "factor.enrolled"


async def test_no_secret_and_no_code_lies_open_anywhere(room) -> None:
    # E18
    _, secret, codes = await enrolled(room)
    stored = await room.everything()
    for hidden in (secret, *codes, *(code.replace("-", "") for code in codes)):
        assert hidden not in stored


async def test_a_wrong_code_confirms_nothing(room) -> None:
    account = await room.account()
    enrolment = await room.second_factors.begin_enrolment(account.id)
    wrong = f"{(int(code_now(room, enrolment.secret)) + 1) % 1_000_000:06d}"
    with pytest.raises(NotSignedIn):
        await room.second_factors.confirm(account.id, wrong)
    assert not await room.second_factors.has(account.id)
    assert (await room.acts())[-1] == "factor.refused"


async def test_enrolment_has_fifteen_minutes(room) -> None:
    account = await room.account()
    enrolment = await room.second_factors.begin_enrolment(account.id)
    room.clock.advance(900)
    with pytest.raises(Conflict, match="Begin again"):
        await room.second_factors.confirm(account.id, code_now(room, enrolment.secret))


async def test_the_code_of_the_enrolment_is_used_up(room) -> None:
    account = await room.account()
    enrolment = await room.second_factors.begin_enrolment(account.id)
    code = code_now(room, enrolment.secret)
    await room.second_factors.confirm(account.id, code)
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove(account.id, code)


async def test_a_begun_replacement_leaves_the_old_factor_in_use(room) -> None:
    account_id, secret, codes = await enrolled(room)
    with pytest.raises(Conflict):
        await room.second_factors.begin_enrolment(account_id)
    replacement = await room.second_factors.begin_enrolment(account_id, replacing=True)
    assert await room.second_factors.prove(account_id, code_now(room, secret)) == "otp"
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove(account_id, code_now(room, replacement.secret))
    room.clock.advance(60)
    await room.second_factors.confirm(account_id, code_now(room, replacement.secret))
    room.clock.advance(60)
    for old in (code_now(room, secret), codes[0]):
        with pytest.raises(NotSignedIn):
            await room.second_factors.prove(account_id, old)
    assert await room.second_factors.prove(account_id, code_now(room, replacement.secret)) == "otp"


async def test_fifty_parallel_uses_of_one_code_are_one_success(room) -> None:
    # F7 E4 E22
    account_id, secret, _ = await enrolled(room)
    room.second_factors._throttle = Generous()
    code = code_now(room, secret)
    results = await asyncio.gather(
        *(room.second_factors.prove(account_id, code) for _ in range(50)), return_exceptions=True
    )
    assert successes(results) == 1
    assert (await room.acts()).count("session.second_factor_proven") == 1
    room.clock.advance(30)
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove(account_id, code)


async def test_fifty_parallel_uses_pass_the_throttle_at_most_five_times(room) -> None:
    account_id, secret, _ = await enrolled(room)
    code = code_now(room, secret)
    results = await asyncio.gather(
        *(room.second_factors.prove(account_id, code) for _ in range(50)), return_exceptions=True
    )
    assert sum(result == "otp" for result in results) == 1
    assert sum(isinstance(result, TooManyRequests) for result in results) >= 45


async def test_the_code_before_does_not_count(room) -> None:
    """ASVS 5.0 6.5.5: thirty seconds, where the config says so."""
    account_id, secret, _ = await enrolled(room)
    room.second_factors._late_steps = 0
    for ago in (1, 2, -1):
        with pytest.raises(NotSignedIn):
            await room.second_factors.prove(account_id, code_now(room, secret, ago=ago))
    assert await room.second_factors.prove(account_id, code_now(room, secret)) == "otp"


async def test_where_late_codes_count_the_code_before_counts_once_too(room) -> None:
    account_id, secret, _ = await enrolled(room)
    assert await room.second_factors.prove(account_id, code_now(room, secret, ago=1)) == "otp"
    assert await room.second_factors.prove(account_id, code_now(room, secret)) == "otp"
    for ago in (0, 1, 2):
        with pytest.raises(NotSignedIn):
            await room.second_factors.prove(account_id, code_now(room, secret, ago=ago))


async def test_no_code_counts_twice_around_its_end(room) -> None:
    """TOB-PYPI26-1/2: two submissions each at the end of a code's step and window + {-1, 0, 29, 30, 31} s."""
    account_id, secret, _ = await enrolled(room)
    room.second_factors._throttle = Generous()

    async def is_taken(code: str) -> bool:
        try:
            return await room.second_factors.prove(account_id, code) == "otp"
        except NotSignedIn:
            return False

    for seconds in (-1, 0, 29, 30, 31):
        room.clock.advance(3600)
        step = totp.step_at(room.clock.now_us()) + 2
        used, fresh = totp.code_at(secret, step), totp.code_at(secret, step + 1)
        end_us = totp.time_of_step_us(step + 3)  # of the window of the second code; the first one's ended a step before
        room.clock.advance((totp.time_of_step_us(step) - room.clock.now_us()) / 1_000_000)
        assert await is_taken(used)
        room.clock.advance((end_us - room.clock.now_us()) / 1_000_000 + seconds)
        taken = [await is_taken(code) for code in (fresh, fresh, used, used)]
        assert taken == [seconds < 0, False, False, False], seconds


async def test_a_right_code_in_other_digits_is_refused(room) -> None:
    account_id, secret, _ = await enrolled(room)
    room.second_factors._throttle = Generous()
    code = code_now(room, secret)
    for zero in (0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xE50, 0xF20, 0x17E0, 0xFF10, 0x1D7CE, 0x1FBF0):
        with pytest.raises(NotSignedIn):
            await room.second_factors.prove(account_id, "".join(chr(zero + int(digit)) for digit in code))
    assert await room.second_factors.prove(account_id, code) == "otp"


async def test_twenty_parallel_uses_of_a_backup_code_are_one_success(room) -> None:
    account_id, _, codes = await enrolled(room)
    room.second_factors._throttle = Generous()
    spellings = [codes[0], codes[0].upper(), codes[0].replace("-", ""), codes[0].replace("-", " ")] * 5
    results = await asyncio.gather(
        *(room.second_factors.prove(account_id, spelling) for spelling in spellings), return_exceptions=True
    )
    assert successes(results) == 1
    assert "recovery" in results
    assert await room.second_factors.backup_codes_left(account_id) == 9
    assert (await room.acts()).count("backup_code.used") == 1


async def test_renewing_backup_codes_voids_the_old_ones(room) -> None:
    account_id, _, codes = await enrolled(room)
    fresh = await room.second_factors.renew_backup_codes(account_id)
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove(account_id, codes[1])
    assert await room.second_factors.prove(account_id, fresh[1]) == "recovery"
    with pytest.raises(Conflict):
        await room.second_factors.renew_backup_codes((await room.account("bob@example.com")).id)


async def test_a_backup_code_signs_in_and_does_not_step_up(room) -> None:
    account_id, secret, codes = await enrolled(room)
    token, session = await room.sessions.open(account_id, "192.0.2.1", "", ("pwd",))
    fresh = await room.second_factors.prove_in_session(session, codes[0])
    assert await room.sessions.resolve(token) is None
    signed_in = await room.sessions.resolve(fresh)
    assert signed_in.auth == ("pwd", "recovery")
    assert not signed_in.awaits_second_factor
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove_in_session(signed_in, codes[1])
    assert await room.second_factors.backup_codes_left(account_id) == 9
    stepped_up = await room.second_factors.prove_in_session(signed_in, code_now(room, secret))
    assert (await room.sessions.resolve(stepped_up)).auth == ("pwd", "recovery", "otp")


async def test_a_code_is_not_used_up_for_a_session_that_has_ended(room) -> None:
    account_id, secret, _ = await enrolled(room)
    _, session = await room.sessions.open(account_id, "192.0.2.1", "", ("pwd",))
    await room.sessions.close(session)
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove_in_session(session, code_now(room, secret))
    assert await room.second_factors.prove(account_id, code_now(room, secret)) == "otp"


async def test_guessing_codes_is_slowed_down_and_counted(room) -> None:
    account_id, secret, _ = await enrolled(room)
    evaluated = 0
    for guess in range(3600):
        try:
            await room.second_factors.prove(account_id, "not a code")
        except TooManyRequests:
            pass
        except NotSignedIn:
            evaluated += 1
        room.clock.advance(1)
        if guess > 60 and evaluated >= 30:
            break
    assert evaluated <= 30
    with pytest.raises(TooManyRequests):
        await room.second_factors.prove(account_id, code_now(room, secret))


async def test_an_account_without_a_factor_proves_nothing(room) -> None:
    account = await room.account()
    with pytest.raises(NotSignedIn, match="The code does not fit"):
        await room.second_factors.prove(account.id, "123456")
    with pytest.raises(NotFound):
        await room.second_factors.begin_enrolment("absent")


async def test_removing_the_factor_ends_sessions_and_voids_codes(room) -> None:
    account_id, secret, codes = await enrolled(room)
    token, _ = await room.sessions.open(account_id, "192.0.2.1", "", ("pwd",))
    assert await room.second_factors.has(account_id)
    await room.second_factors.remove(account_id, room.operator)
    assert not await room.second_factors.has(account_id)
    assert await room.sessions.resolve(token) is None
    for code in (code_now(room, secret), codes[0]):
        with pytest.raises(NotSignedIn):
            await room.second_factors.prove(account_id, code)
    with pytest.raises(Conflict):
        await room.second_factors.remove(account_id, room.operator)


async def test_an_operator_hands_out_a_secret_that_is_in_use(room) -> None:
    account = await room.account()
    secret = await room.second_factors.issue(account.id, room.operator)
    assert await room.second_factors.prove(account.id, code_now(room, secret)) == "otp"
    with pytest.raises(Conflict):
        await room.second_factors.issue(account.id, room.operator)


async def test_the_demo_shows_codes_that_are_not_used_yet(room) -> None:
    account_id, secret, _ = await enrolled(room)
    shown = [await room.second_factors.current_code(account_id) for _ in range(2)]
    assert shown == [code_now(room, secret)] * 2
    for _ in range(2):
        assert await room.second_factors.prove(account_id, await room.second_factors.current_code(account_id)) == "otp"
    assert await room.second_factors.current_code(account_id) is None
    assert await room.second_factors.current_code("absent") is None


async def test_a_secret_moved_to_another_account_does_not_open(room) -> None:
    _, secret, _ = await enrolled(room)
    bob = await room.account("bob@example.com")

    async def steal(tx) -> None:
        await tx.execute("UPDATE totp_secret SET account_id = $1", bob.id)

    await room.database.write(steal)
    with pytest.raises(FailgateError, match="does not open"):
        await room.second_factors.prove(bob.id, code_now(room, secret))


async def test_a_lost_key_file_is_named(room) -> None:
    account_id, secret, _ = await enrolled(room)
    room.second_factors._box = SecretBox(b"x" * 32)
    with pytest.raises(FailgateError, match=r"secrets\.key"):
        await room.second_factors.prove(account_id, code_now(room, secret))


async def test_a_flood_of_wrong_codes_does_not_fill_the_log(room) -> None:
    room.second_factors._throttle = Generous()
    account_id, _, _ = await enrolled(room)
    for _ in range(100):
        with pytest.raises(NotSignedIn):
            await room.second_factors.prove(account_id, "000000x")
    room.clock.advance(10)
    await room.second_factors.sweep()
    refused = [record for record in await room.records() if record["act"] == "factor.refused"]
    assert len(refused) == 21
    assert sum(record["data"]["count"] for record in refused) == 100
