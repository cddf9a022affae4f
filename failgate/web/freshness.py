"""How lately somebody has to have shown what they sign in with: the second factor at all, lately, or everything anew.

The guard asks these at each door, after it knows who speaks. What is fresh says `Principal`, by the time and by the
cookie that went out with the proof: the session's own cookie, which comes along when somebody follows a link here from
another site, makes nothing fresh. Source: OWASP Session Management; RFC 6265bis section 4.1.2.7 (`Strict`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from failgate.access.principal import Principal
from failgate.base.errors import StepUpRequired
from failgate.web.context import Visit
from failgate.web.cookies import FRESH_SECONDS
from failgate.web.door import Door, Reauthentication

if TYPE_CHECKING:
    from failgate.roster import Services

# Where a session that has shown no second factor sets one up, or shows it; doors of everybody stand open besides.
_ENROLMENT: Final = frozenset(
    {
        "page.second_factor", "page.second_factor_begin", "page.second_factor_confirm", "page.passkeys",
        "page.passkey_options", "page.passkey_register", "page.step_up",
    }
)  # fmt: skip


async def check_second_factor(visit: Visit, door: Door, services: Services) -> None:
    """Check that the person behind this session has shown a second factor in it, where the installation demands one.

    A trusted device is one: it was given out for a code. Programs and command lines are no sessions; who let them in
    had shown a factor.

    Raises: StepUpRequired.
    Source: ASVS 5.0 6.3.3.
    """
    if not lacks_second_factor(visit, services) or door.permission.startswith("public:") or door.name in _ENROLMENT:
        return
    if await services.second_factors.has(visit.principal.account_id or ""):
        raise StepUpRequired("This needs your second factor.", hint="Show it at /account/step-up.")
    raise _refused("enrol", "This server is used with a second factor.", "Set one up at /account/second-factor.")


def lacks_second_factor(visit: Visit, services: Services) -> bool:
    """Tell whether this is a session that has to show a second factor and has shown none."""
    principal = visit.principal
    if visit.session is None or principal.kind != "user" or principal.second_factor_us is not None:
        return False
    is_required = services.config.accounts.second_factor == "required" and not services.is_demo
    return is_required and "trusted_device" not in principal.auth


async def check_step_up(visit: Visit, door: Door, services: Services) -> None:
    """Check that the person behind this session has shown a second factor within the last five minutes.

    A backup code is none here: it is for signing in. A person who has no factor, here or at the provider that opened
    the session, is let through only at doors of their own account: there is nothing to show yet.

    Raises: StepUpRequired.
    """
    if is_stepped_up(visit.principal, services.clock.now_us()):
        return
    way = await services.sso.step_ups.way(visit.session)
    is_own_door = door.permission.startswith("account:")
    if await services.second_factors.has(visit.principal.account_id or "") or (
        way is not None and (way.has_shown or not is_own_door)
    ):
        raise StepUpRequired(
            "This needs a second factor of the last five minutes.", hint="Show it at /account/step-up."
        )
    if not is_own_door:
        raise StepUpRequired("This needs a second factor.", hint="Enrol one at /account/second-factor.")


async def check_anew(visit: Visit, wanted: Reauthentication, services: Services) -> None:
    """Check that the person showed `wanted` within the last five minutes: any factor of theirs, or all.

    All are the second factor, here or at the provider, and what the session was signed in by; a passkey and a provider
    that asked anew are both. An account without a second factor has the other one alone.

    Raises: StepUpRequired.
    Source: ASVS 5.0 7.5.1, 7.5.2.
    """
    principal, now_us = visit.principal, services.clock.now_us()
    has_first = principal.showed_first_within(now_us, FRESH_SECONDS)
    has_second = is_stepped_up(principal, now_us)
    if (has_first or has_second) if wanted == "any" else (has_first and has_second):
        return
    if wanted == "all" and has_first:
        way = await services.sso.step_ups.way(visit.session)
        is_shown_there = way is not None and way.has_shown
        if not is_shown_there and not await services.second_factors.has(principal.account_id or ""):
            return  # there is no other
    sentences = {
        "all": "This needs you to sign in anew: it changes how you sign in.",
        "any": "This needs a factor of yours of the last five minutes.",
    }
    raise _refused(wanted, sentences[wanted], "Show it at /account/step-up.")


def is_stepped_up(principal: Principal, now_us: int) -> bool:
    """Tell whether the session of `principal` proved a second factor, not a backup code, in the last five minutes."""
    return principal.proved_within(now_us, FRESH_SECONDS)


def _refused(wants: Literal["any", "all", "enrol"], sentence: str, hint: str) -> StepUpRequired:
    refused = StepUpRequired(sentence, hint=hint)
    refused.wants = wants
    return refused
