import pytest

from failgate.accounts.challenges import LIFETIME_SECONDS, ChallengeGone, Challenges
from failgate.base.clock import FrozenClock
from failgate.base.secretbox import SecretBox


def test_a_challenge_opens_for_its_purpose_its_browser_and_five_minutes(clock: FrozenClock) -> None:
    challenges = Challenges(SecretBox(b"k" * 32), clock)
    challenge = challenges.mint("sign-in", "browser")
    assert len(challenge) >= 16
    assert challenges.mint("sign-in", "browser") != challenge
    challenges.check(challenge, "sign-in", "browser")
    for purpose, binding in (("prove", "browser"), ("sign-in", "other"), ("sign-in", "")):
        with pytest.raises(ChallengeGone):
            challenges.check(challenge, purpose, binding)
    with pytest.raises(ChallengeGone):
        Challenges(SecretBox(b"l" * 32), clock).check(challenge, "sign-in", "browser")
    for changed in (b"", challenge[:-1], challenge + b"x", bytes([challenge[0] ^ 1]) + challenge[1:]):
        with pytest.raises(ChallengeGone):
            challenges.check(changed, "sign-in", "browser")
    clock.advance(299)
    challenges.check(challenge, "sign-in", "browser")
    clock.advance(1)
    with pytest.raises(ChallengeGone):
        challenges.check(challenge, "sign-in", "browser")


async def test_a_challenge_is_used_up_once(room) -> None:
    challenges = Challenges(room.box, room.clock)
    challenge = challenges.mint("prove", "s")
    await room.database.write(lambda tx: challenges.use_up(tx, challenge))
    with pytest.raises(ChallengeGone):
        await room.database.write(lambda tx: challenges.use_up(tx, challenge))


async def test_no_challenge_is_answered_twice_around_its_end(room) -> None:
    """TOB-PYPI26-1/2: two answers each at the end + {-1, 0, 29, 30, 31} s, fresh and used before, swept in between."""
    challenges = Challenges(room.box, room.clock)

    async def is_taken(challenge: bytes) -> bool:
        try:
            challenges.check(challenge, "prove", "s")
            await room.database.write(lambda tx: challenges.use_up(tx, challenge))
        except ChallengeGone:
            return False
        return True

    for seconds in (-1, 0, 29, 30, 31):
        fresh, used = challenges.mint("prove", "s"), challenges.mint("prove", "s")
        assert await is_taken(used)
        room.clock.advance(LIFETIME_SECONDS + seconds)
        await room.database.write(challenges.sweep)
        assert [await is_taken(one) for one in (fresh, fresh, used, used)] == [seconds < 0, False, False, False]
