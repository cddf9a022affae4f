"""Each lifecycle event reads back from the record that states it. E3."""

import pytest

from failgate.audit.encoding import leaf_of, record_of
from failgate.audit.record import SERVER, Actor
from failgate.base.ids import new_id
from failgate.gate import lifecycle as life
from failgate.gate.journal import event_of, record_event

DIGEST, POLICY = "d" * 43, "p" * 43
NOW = 1_700_000_000_123_456
COMMAND = new_id()
BOT, ANN = new_id(), new_id()

EVENTS = [
    (life.Asked(COMMAND, DIGEST, NOW + 60, 2, POLICY, BOT, frozenset({ANN, "o" * 36})), Actor("agent", BOT)),
    (life.Allowed(COMMAND, DIGEST, POLICY, BOT, NOW + 60), Actor("agent", BOT)),
    (life.Refused(COMMAND, DIGEST, POLICY, BOT), Actor("agent", BOT)),
    (life.Observed(COMMAND, DIGEST, POLICY, BOT, NOW + 60, "wait", 2, ANN, "t" * 43, 2), Actor("agent", BOT)),
    (life.Observed(COMMAND, DIGEST, POLICY, BOT, NOW + 60, "deny", 0, ANN), Actor("agent", BOT)),
    (life.VoteCast(ANN, "approve", DIGEST, NOW), Actor("user", ANN)),
    (life.VoteCast(ANN, "deny", DIGEST, NOW), Actor("user", ANN)),
    (life.Approved(DIGEST, NOW, NOW + 60, 2), Actor("user", ANN)),
    (life.GlassBroken(ANN, DIGEST, NOW, NOW + 60), Actor("user", ANN)),
    (life.GlassReviewed(ANN, DIGEST, "unjustified"), Actor("user", ANN)),
    (life.Denied(NOW), Actor("user", ANN)),
    (life.Expired(None), SERVER),
    (life.Lapsed(None), SERVER),
    (life.VoteVoided(ANN), SERVER),
    (life.Cancelled(NOW), Actor("agent", BOT)),
    (life.Consumed(DIGEST, NOW), Actor("agent", BOT)),
    (life.Finished(), Actor("agent", BOT)),
    (life.Quarantined(), SERVER),
]


def through(event, actor, **facts):
    stated = record_event(event, workspace_id=new_id(), command_id=COMMAND, actor=actor, facts=facts)
    return record_of(leaf_of(stated, seq=0, ts_us=NOW, prev="A" * 43))


@pytest.mark.parametrize(("event", "actor"), EVENTS, ids=lambda value: type(value).__name__)
def test_an_event_reads_back_from_its_record(event, actor):
    assert event_of(through(event, actor)) == event


def test_every_event_is_in_the_list():
    assert {type(event) for event, _ in EVENTS} == set(life.Event.__args__)


def test_a_record_about_something_else_is_no_event():
    record = through(*EVENTS[0])
    assert event_of(record | {"act": "report.begun"}) is None
    assert event_of(record | {"obj": {"t": "rule", "id": COMMAND}}) is None
