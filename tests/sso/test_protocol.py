"""No message of a provider counts twice, at whatever moment around its end it is submitted. TOB-PYPI26-1/2

Every kind of message is submitted twice at its end + {-1, 0, 29, 30, 31} s and around the end of its leeway: once fresh,
once after it was used before its end, with what is past any use forgotten before. While it is within its leeway it counts
once; later never.
"""

import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from lxml import etree

from failgate.base.clock import MICROSECONDS
from failgate.base.secretbox import SecretBox
from failgate.sso.connection import Connection
from failgate.sso.oidc.id_token import LEEWAY_SECONDS
from failgate.sso.oidc.logout_token import EVENT, MAX_AGE_SECONDS, check_logout_token
from failgate.sso.oidc.token import SignedToken
from failgate.sso.protocol import REQUEST_SECONDS, Departure, Refusal
from failgate.sso.requests import Errand, Requests
from failgate.sso.saml import instants
from failgate.sso.saml.instants import SKEW_SECONDS, read_instant
from failgate.sso.sso import USED_MARGIN_SECONDS, Client
from tests.sso.conftest import Place
from tests.sso.saml.provider import NS, encoded, now_us, sign
from tests.sso.test_sso import IDP, saml

AROUND = (-1, 0, 29, 30, 31)
LATE = {"request_expired", "expired", "token_expired", "issue_instant"}
TWICE = {"replayed", "request_used"}


@dataclass(frozen=True)
class Message:
    """A message, when it ends, and how it is submitted."""

    end_us: int
    submit: Callable[[], Awaitable[object]]


Kind = Callable[[Place], Awaitable[Message]]


async def school(place: Place) -> Connection:
    found = await place.room.connections.by_slug("school")
    return found or await saml(place, settings={"is_idp_initiated_allowed": True})


async def an_assertion(place: Place) -> Message:
    service = await place.room.speakers.service(await school(place))
    document = IDP.respond(service, None)
    end = etree.fromstring(document).find(".//saml:Conditions", {"saml": NS["a"]}).get("NotOnOrAfter")
    client = Client("127.0.0.1", "Browser", None, has_asked=True)
    return Message(read_instant(end), lambda: place.room.sign_on.finish("school", "saml", encoded(document), client))


async def a_saml_logout(place: Place) -> Message:
    service = await place.room.speakers.service(await school(place))
    demand = IDP.logout_request(service)
    form = {"SAMLRequest": base64.b64encode(sign(demand, IDP.keys[0])).decode()}
    end_us = read_instant(demand.get("IssueInstant")) + instants.MAX_AGE_SECONDS * MICROSECONDS
    return Message(end_us, lambda: place.room.logouts.read_saml("school", query=None, form=form, browser_key=None))


async def a_logout_token(place: Place) -> Message:
    """Its signature is another test's; here it is right."""
    one = await place.room.connections.by_slug("team") or await place.connection()
    now = place.clock.now_us() // MICROSECONDS
    claims = {
        "iss": "https://id.example", "aud": "failgate", "iat": now, "exp": now + 120, "jti": secrets.token_hex(8),
        "sub": "ann", "events": {EVENT: {}},
    }  # fmt: skip

    async def read(connection: Connection, token: str):
        return check_logout_token(SignedToken("RS256", claims), one.settings, place.clock.now_us())

    async def submit() -> int:
        place.room.speakers.read_logout_token = read
        return await place.room.logouts.read_token("team", "token")

    return Message((now + 120) * MICROSECONDS, submit)


async def a_request(place: Place) -> Message:
    """The ID of a SAML request and the state of an OIDC one are kept alike."""
    one = await place.room.connections.by_slug("team") or await place.connection()
    requests, state = Requests(place.database, place.clock, SecretBox(b"k" * 32)), secrets.token_hex(16)
    await requests.keep(one, Departure("https://id.example/", request_id=state), Errand(), "browser")
    end_us = place.clock.now_us() + REQUEST_SECONDS * MICROSECONDS
    return Message(end_us, lambda: requests.take(one, state, "browser"))


async def said_to(message: Message) -> str:
    try:
        await message.submit()
    except Refusal as refusal:
        return refusal.reason
    return "accepted"


@pytest.mark.parametrize(
    ("kind", "leeway"),
    # the age of a logout message may be its limit to the second, other ends exclude it
    [(an_assertion, SKEW_SECONDS), (a_saml_logout, SKEW_SECONDS + 1), (a_logout_token, LEEWAY_SECONDS), (a_request, 0)],
)
async def test_no_message_counts_twice_around_its_end(place: Place, kind: Kind, leeway: int) -> None:
    wrong = []
    for seconds in sorted({*AROUND, leeway - 1, leeway, leeway + 1, USED_MARGIN_SECONDS + 1}):
        # Each begins at the time of this machine, to which the SAML library also looks.
        place.clock.step_wall((now_us() - place.clock.now_us()) / MICROSECONDS)
        fresh, used = await kind(place), await kind(place)
        assert await said_to(used) == "accepted"
        place.clock.advance((fresh.end_us - place.clock.now_us()) / MICROSECONDS + seconds)
        await place.room.sweep()
        first, again, later = await said_to(fresh), await said_to(fresh), await said_to(used)
        is_right = (
            first == "accepted" and {again, later} <= TWICE
            if seconds < leeway
            else first in LATE and {again, later} <= LATE | TWICE
        )
        if not is_right:
            wrong.append((seconds, first, again, later))
    assert wrong == []


def test_what_was_used_is_remembered_for_longer_than_any_leeway() -> None:
    assert 2 * max(SKEW_SECONDS, LEEWAY_SECONDS) <= USED_MARGIN_SECONDS
    assert MAX_AGE_SECONDS <= REQUEST_SECONDS
