"""For whom, from when, until when, and in answer to what an assertion holds. Pure.

Source: saml-core-2.0-os sections 2.4.1.2, 2.5, 2.7.2; saml-profiles-2.0-os section 4.1.4.
"""

from dataclasses import dataclass
from typing import Final

from failgate.base.clock import MICROSECONDS
from failgate.sso.saml.instants import (
    MAX_SIGNED_IN_SECONDS,
    SKEW_SECONDS,
    check_not_before,
    check_not_on_or_after,
    read_instant,
)
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.tree import SAML, SAMLP, Element, only_child, whole_text

BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_CANCELLED: Final = frozenset(
    f"urn:oasis:names:tc:SAML:2.0:status:{word}" for word in ("AuthnFailed", "RequestDenied", "NoAvailableIDP")
)
_KNOWN_CONDITIONS: Final = frozenset(
    f"{SAML}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")
)


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the AuthnStatement says. Times in microseconds since 1970."""

    at_us: int
    context: str | None
    session_index: str | None
    session_ends_us: int | None


def check_status(message: Element) -> None:
    """Check that the provider reports success.

    Raises: Refusal (`cancelled` when the person was not signed in or did not agree; `status` otherwise).
    """
    status = only_child(message, f"{SAMLP}Status", Reason.MALFORMED)
    code = only_child(status, f"{SAMLP}StatusCode", Reason.MALFORMED)
    if code.get("Value") == SUCCESS:
        return
    inner = {child.get("Value") for child in code.iter(f"{SAMLP}StatusCode")}
    raise refused(Reason.CANCELLED if inner & _CANCELLED else Reason.STATUS)


def check_issuer(element: Element, entity_id: str) -> None:
    """Check that `element` names the connection's provider as its issuer.

    Raises: Refusal.
    """
    issuer = only_child(element, f"{SAML}Issuer", Reason.ISSUER)
    if whole_text(issuer, Reason.ISSUER) != entity_id or issuer.get("Format", ENTITY) != ENTITY:
        raise refused(Reason.ISSUER)


def check_in_response_to(element: Element, request_id: str | None) -> None:
    """Check that `element` answers `request_id`, or nothing at all when there was no request.

    Raises: Refusal.
    """
    if element.get("InResponseTo") != request_id:
        raise refused(Reason.IN_RESPONSE_TO)


def check_conditions(assertion: Element, entity_id: str, issued_us: int, now_us: int) -> int:
    """Return when the assertion ends; it is for us, has begun and has not ended.

    Every AudienceRestriction must name us: they are joined by "and", their audiences by "or" (section 2.5.1.4).

    Raises: Refusal.
    """
    conditions = only_child(assertion, f"{SAML}Conditions", Reason.CONDITIONS)
    end_us = check_not_on_or_after(
        conditions.get("NotOnOrAfter"), now_us, absent=Reason.CONDITIONS, issued_us=issued_us
    )
    check_not_before(conditions.get("NotBefore"), now_us)
    if any(child.tag not in _KNOWN_CONDITIONS for child in conditions):
        raise refused(Reason.CONDITIONS)
    restrictions = conditions.findall(f"{SAML}AudienceRestriction")
    for restriction in restrictions:
        audiences = [whole_text(audience, Reason.AUDIENCE) for audience in restriction.findall(f"{SAML}Audience")]
        if entity_id not in audiences:
            raise refused(Reason.AUDIENCE)
    if not restrictions:
        raise refused(Reason.AUDIENCE)
    return end_us


def check_confirmations(subject: Element, acs_url: str, request_id: str | None, issued_us: int, now_us: int) -> int:
    """Return when the last confirmation ends; all of them say: whoever brings this, to us, for that request.

    Raises: Refusal.
    """
    ends_us = []
    for confirmation in subject.findall(f"{SAML}SubjectConfirmation"):
        if confirmation.get("Method") != BEARER:
            raise refused(Reason.CONFIRMATION)
        held = only_child(confirmation, f"{SAML}SubjectConfirmationData", Reason.CONFIRMATION)
        if held.get("Recipient") != acs_url:
            raise refused(Reason.RECIPIENT)
        ends_us.append(
            check_not_on_or_after(held.get("NotOnOrAfter"), now_us, absent=Reason.CONFIRMATION, issued_us=issued_us)
        )
        check_not_before(held.get("NotBefore"), now_us)
        check_in_response_to(held, request_id)
    if not ends_us:
        raise refused(Reason.CONFIRMATION)
    return max(ends_us)


def read_authentication(assertion: Element, now_us: int) -> Authentication:
    """Return how and when the person signed in to the provider.

    Raises: Refusal (not one statement; in the future or over a year ago; the session has ended).
    """
    statement = only_child(assertion, f"{SAML}AuthnStatement", Reason.AUTHN_STATEMENT)
    at_us = read_instant(statement.get("AuthnInstant"))
    age_us = now_us - at_us
    if not -SKEW_SECONDS * MICROSECONDS <= age_us <= MAX_SIGNED_IN_SECONDS * MICROSECONDS:
        raise refused(Reason.AUTHN_INSTANT)
    ends = statement.get("SessionNotOnOrAfter")
    ends_us = None if ends is None else read_instant(ends)
    if ends_us is not None and ends_us <= now_us:
        raise refused(Reason.SESSION_EXPIRED)
    context = statement.find(f"{SAML}AuthnContext/{SAML}AuthnContextClassRef")
    return Authentication(
        at_us=at_us,
        context=None if context is None else whole_text(context, Reason.AUTHN_STATEMENT).strip() or None,
        session_index=statement.get("SessionIndex") or None,
        session_ends_us=ends_us,
    )
