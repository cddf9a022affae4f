"""Receipts: of this request, by its agent, at a time that can be true."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.base.canonical import canonical
from failgate.sealed.receipt import Receipt, sign_receipt, verify_receipt
from failgate.sealed.refusal import Refused
from failgate.sealed.signing import sign
from tests.sealed.parties import AGENT, NOW, OTHER_AGENT, RING, context, decided
from tests.sealed.test_form import JSON_VALUES, refused

RUN = Receipt(started=NOW, ended=NOW + 9, exit=0, out_sha256="A" * 43)
TOKEN = sign_receipt(RUN, context(), AGENT)


def believed(sent: object, **named: Any) -> Receipt:
    return verify_receipt(sent, **{"ctx": context(), "agent": RING[AGENT.jkt], **named})


def made(**changes: Any) -> str:
    ctx = context()
    body = {**RUN._asdict(), "cid": ctx.cid, "commit": ctx.commit, "typ": "failgate-receipt", "v": 1, "ws": ctx.ws}
    return sign(canonical({**body, **changes}), "failgate-receipt+jws", AGENT)


def test_a_receipt_says_how_it_ended() -> None:
    assert believed(TOKEN, out_sha256="A" * 43) == RUN
    assert believed(made(exit=137, ended=NOW)).exit == 137
    refused("output", believed, TOKEN, out_sha256="B" * 42 + "A")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cid": "00000000-0000-4000-8000-000000000000"}, "claims"),
        ({"commit": "A" * 43}, "claims"),
        ({"ws": None}, "claims"),
        ({"exit": "0"}, "value"),
        ({"exit": True}, "value"),
        ({"exit": 256}, "value"),
        ({"exit": -1}, "value"),
        ({"ended": NOW - 1}, "times"),
        ({"started": NOW + 281, "ended": NOW + 281}, "times"),
        ({"started": NOW - 51}, "times"),
        ({"out_sha256": "00" * 32}, "too-large"),
        ({"typ": "failgate-decision"}, "value"),
        ({"v": 2}, "value"),
        ({"extra": 1}, "members"),
    ],
)
def test_what_a_receipt_may_not_say(change: dict[str, Any], reason: str) -> None:
    refused(reason, believed, made(**change))


def test_only_the_agent_of_the_request_signs_it() -> None:
    refused("agent", sign_receipt, RUN, context(), OTHER_AGENT)
    other = sign_receipt(RUN, context(agent=OTHER_AGENT.jkt), OTHER_AGENT)
    refused("unknown-key", believed, other)
    refused("agent", believed, other, agent=RING[OTHER_AGENT.jkt])
    refused("header", believed, decided(AGENT))
    refused("times", sign_receipt, RUN._replace(ended=NOW - 1), context(), AGENT)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=127))
def test_any_changed_character_is_refused(where: int, character: str) -> None:
    if TOKEN[where] != character:
        with pytest.raises(Refused):
            believed(TOKEN[:where] + character + TOKEN[where + 1 :])


@given(JSON_VALUES)
def test_anything_else_is_refused_and_raises_nothing_else(value: object) -> None:
    with pytest.raises(Refused):
        believed(value)
