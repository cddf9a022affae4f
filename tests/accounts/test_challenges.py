import pytest

from failgate.accounts.challenges import ChallengeGone, Challenges
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
