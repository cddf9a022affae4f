"""What an approval takes, checked when it is cast. A denial takes nothing."""

from failgate.access.principal import Principal
from failgate.base.errors import StepUpRequired, Unprocessable
from failgate.gate.terms import CHALLENGES, FACTOR_SECONDS
from failgate.wire.gate import Challenge, Vote


def check_challenge(challenge: Challenge, principal: Principal, vote: Vote, host: str, now_us: int) -> None:
    """Refuse an approval that does not meet `challenge`.

    Raises: Unprocessable (the name of the host was not typed), StepUpRequired (the factor is too old or no passkey).
    """
    if vote.decision == "deny":
        return
    step = CHALLENGES.index(challenge)
    if step >= CHALLENGES.index("host") and vote.confirm != host:
        raise Unprocessable(
            "This approval takes the name of the host on which it runs.", hint="Type it exactly as the page shows it."
        )
    if step >= CHALLENGES.index("factor") and not principal.proved_within(now_us, FACTOR_SECONDS):
        raise StepUpRequired(
            "This approval takes a second factor of the last five minutes.", hint="Show it at /account/step-up."
        )
    if challenge == "passkey" and principal.last_factor != "passkey":
        raise StepUpRequired(
            "This approval takes a passkey of the last five minutes.", hint="Show it at /account/step-up."
        )
