"""The catalogue: what may be recorded, and how it stands in the bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.access.principal import ANONYMOUS, SYSTEM, Principal
from failgate.audit.bodies import body_of
from failgate.audit.encoding import LARGEST_LEAF, EventRefused, body_in, leaf_of, record_of, timestamp
from failgate.audit.facts import MEMBERS, Maybe
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import canonical
from failgate.base.clock import to_rfc3339
from failgate.base.log import RequestContext

ACTOR = Actor("user", "u1")
PREV = "A" * 43


def leaf(act=Act.COMMAND_CONSUMED, data=None, **members):
    data = {"digest": "d" * 43} if data is None else data
    event = Event(**({"act": act, "ws": "w", "obj_t": "t", "obj_id": "i", "actor": ACTOR, "data": data} | members))
    return leaf_of(event, 7, 1_700_000_000_000_001, PREV)


def sample(kind):
    text = str(kind)
    if "Literal" in text:
        return kind.__args__[0]
    if "list" in text:
        return ["x"]
    return "x" * 43 if "str" in text else 5


@pytest.mark.parametrize("act", list(Act))
def test_each_act_is_recorded_canonically_with_all_its_members_and_with_the_required_ones(act):
    shape = MEMBERS.get(act, {})
    everything = {name: sample(kind.kind if isinstance(kind, Maybe) else kind) for name, kind in shape.items()}
    required = {name: everything[name] for name, kind in shape.items() if not isinstance(kind, Maybe)}
    for data in (everything, required):
        found = leaf(act, data)
        assert record_of(found)["data"] == data
        assert canonical(record_of(found)) == found
    for name in required:
        with pytest.raises(EventRefused, match=name):
            leaf(act, {key: value for key, value in required.items() if key != name})
    with pytest.raises(EventRefused, match="zzz"):
        leaf(act, required | {"zzz": 1})


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"digest": 5}, "digest"),
        ({"digest": "short"}, "digest"),
        ({"digest": "d" * 72}, "digest"),
        ({"digest": None}, "digest"),
        ({"digest": "d" * 42 + "\ud800"}, "surrogate"),
        ({"digest": b"d" * 43}, "digest"),
    ],
)
def test_a_member_of_another_kind_is_refused(data, word):
    with pytest.raises(EventRefused, match=word):
        leaf(data=data)


def test_numbers_beyond_what_json_carries_exactly_are_refused():
    facts = {"from_us": 1, "to_us": 2**53}
    with pytest.raises(EventRefused, match="to_us"):
        leaf(Act.CLOCK_STEP, facts)
    with pytest.raises(EventRefused, match="to_us"):
        leaf(Act.CLOCK_STEP, facts | {"to_us": 1.5})
    with pytest.raises(EventRefused, match="to_us"):
        leaf(Act.CLOCK_STEP, facts | {"to_us": True})


def test_an_act_outside_the_catalogue_is_refused():
    with pytest.raises(EventRefused, match=r"command\.obeyed"):
        leaf("command.obeyed")


def test_a_record_of_more_than_65535_bytes_is_refused():
    room = LARGEST_LEAF - len(leaf(obj_id=""))
    assert len(leaf(obj_id="x" * room)) == LARGEST_LEAF
    with pytest.raises(EventRefused, match="65536 bytes"):
        leaf(obj_id="x" * (room + 1))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=5))
def test_any_text_in_a_record_is_written_canonically(obj_id, ip, method):
    found = leaf(obj_id=obj_id, actor=Actor("user", obj_id, (method,), ip))
    assert canonical(record_of(found)) == found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_any_text_in_a_body_is_written_canonically(ip):
    assert body_of(ip) == canonical({"ip": ip})


@given(st.integers(0, 4_102_444_800_000_000))
def test_timestamps_are_those_of_the_clock(us):
    assert timestamp(us) == to_rfc3339(us)


def test_the_request_stands_in_unless_the_event_names_its_own():
    context = RequestContext("r1", "192.0.2.1")
    event = Event(Act.RULE_REVOKED, "w", "rule", "i", ACTOR)
    assert record_of(leaf_of(event, 0, 0, PREV, context))["req"] == "r1"
    assert body_in(event, context) == b'{"ip":"192.0.2.1"}'
    own = Event(Act.RULE_REVOKED, "w", "rule", "i", ACTOR, req="r2", ip="192.0.2.2")
    assert record_of(leaf_of(own, 0, 0, PREV, context))["req"] == "r2"
    assert body_in(own, context) == b'{"ip":"192.0.2.2"}'
    assert body_in(own, None) == b'{"ip":"192.0.2.2"}'
    assert body_in(event, None) is None


def test_an_actor_is_its_principal_with_the_session_as_a_hash_only():
    actor = Actor.of(Principal("user", account_id="u1", session_id="s1", auth=("pwd", "otp")))
    assert (actor.t, actor.id, actor.auth) == ("user", "u1", ("pwd", "otp"))
    assert actor.sid_h is not None
    assert "s1" not in actor.sid_h
    assert len(actor.sid_h) == 16
    assert actor != Actor.of(Principal("user", account_id="u1", session_id="s2", auth=("pwd", "otp")))
    assert Actor.of(ANONYMOUS) == Actor("anonymous", "anonymous")
    assert Actor.of(SYSTEM) == Actor("system", "system")
    assert Actor.of(Principal("agent", agent_id="a1", owner_account_id="u1")).id == "a1"
