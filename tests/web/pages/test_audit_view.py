from typing import Any

import pytest

from failgate.base.errors import BadInput
from failgate.web.pages.audit_filter import NAMES, AuditFilter, clock_of
from failgate.web.pages.audit_view import AuditView, Shown, audit_view, record_row

NOTE = "failgate.example/acme\n18204\nqTz8n3Yk1vUoB5cXhJ2mWfR7eLsA0pDgKx9iZtQyN4E=\n\n— failgate.example/acme Az3xGV0k9dQ=\n"


def record(seq: int, **changes: Any) -> dict[str, Any]:
    return {
        "v": 1, "seq": seq, "ts": "2026-09-21T14:13:10.000000Z", "act": "vote.cast", "out": "ok",
        "actor": {"t": "user", "id": "account-0001", "auth": ["pwd", "otp"]}, "obj": {"t": "command", "id": "c1"},
        "data": {"digest": "d" * 43, "decision": "approve"},
    } | changes  # fmt: skip


def shown(now_us: int, records: list[dict[str, Any]], **changes: Any) -> AuditView:
    given: dict[str, Any] = {
        "slug": "acme", "size": 18204, "checkpoint": NOTE, "names": {"account-0001": "mara@acme.example"}, "asked": AuditFilter(),
        "older": None, "is_first": True, "now_us": now_us,
    } | changes  # fmt: skip
    return audit_view([Shown(one, "{}", "hash" * 11) for one in records], **given)


def test_a_record_names_who_did_what_to_which(now_us: int) -> None:
    row = shown(now_us, [record(7)]).rows[0]
    assert (row.seq, row.act, row.actor, row.auth) == (7, "vote.cast", "mara@acme.example", "pwd, otp")
    assert row.object_href == "/w/acme/commands/c1"
    assert row.facts == "decision approve"


def test_an_actor_without_a_name_keeps_its_kind_and_number(now_us: int) -> None:
    row = shown(now_us, [record(7, actor={"t": "agent", "id": "019e2b40-7c01-7a10-9d44-5b6f1a2c3d01"})]).rows[0]
    assert row.actor == "agent …1a2c3d01"
    row = shown(now_us, [record(7, actor={"t": "anonymous", "id": "anonymous"})]).rows[0]
    assert row.actor == "anonymous"


def test_the_checkpoint_tells_its_size_and_root(now_us: int) -> None:
    view = shown(now_us, [])
    assert (view.checkpoint_size, view.root_short) == (18204, "qTz8n3Yk1vUoB5cX")


def test_what_the_server_does_is_said_to_be_the_servers(now_us: int) -> None:
    assert shown(now_us, [record(7, actor={"t": "system", "id": "failgate"})]).rows[0].actor == "Failgate"


def test_a_record_says_everything_when_it_is_opened(now_us: int) -> None:
    data = {
        "account": "account-0001",
        "until_us": 1_800_000_000_000_000,
        "accounts": ["x", "account-0001"],
        "rule": None,
    }
    row = shown(now_us, [record(7, data=data, ip="10.0.0.9", req="r1")]).rows[0]
    facts = {fact.name: (fact.text, fact.title) for fact in row.all_facts}
    assert facts["account"] == ("mara@acme.example", "account-0001")
    assert facts["until"] == ("15 Jan 2027, 08:00:00 UTC", "1800000000000000")
    assert facts["accounts"] == ("x, mara@acme.example", "")
    assert facts["rule"] == ("none", "")
    assert (row.ip, row.request, row.words) == ("10.0.0.9", "r1", "voted on a command")
    assert row.of_actor_href == "/w/acme/audit?actor=account-0001"
    assert row.proof_href == "/api/v1/workspaces/acme/audit/proof/inclusion?seq=7"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"ip": "10.0.0.9"}, "10.0.0.9"),
        ({"erased": "2026-11-23T19:00:00.000000Z"}, "erased on 2026-11-23"),
        (None, "not there"),
    ],
)
def test_the_address_beside_a_record_is_shown_or_what_became_of_it(now_us: int, body: Any, said: str) -> None:
    row = record_row(Shown(record(7, v=2, pd="c" * 43), "{}", "h", body), "acme", {}, now_us)
    assert row.ip == said
    assert record_row(Shown(record(7, v=2, pd=None), "{}", "h"), "acme", {}, now_us).ip == ""


def test_characters_that_turn_or_hide_are_shown_by_their_names(now_us: int) -> None:
    view = audit_view(
        [Shown(record(7), '{"a":"\u202e"}', "h")], slug="acme", size=1, checkpoint=NOTE, names={}, asked=AuditFilter(),
        older=None, is_first=True, now_us=now_us,
    )  # fmt: skip
    assert [piece.text for piece in view.rows[0].leaf] == ['{"a":"', "⟨U+202E⟩", '"}']


def test_a_filter_stays_on_older_pages(now_us: int) -> None:
    view = shown(now_us, [record(7)], asked=AuditFilter(object="c1", actor="a&b=ü"), older=7, is_first=False)
    assert view.older_href == "/w/acme/audit?actor=a%26b%3D%C3%BC&object=c1&before=7"
    assert view.newer_href == "/w/acme/audit?actor=a%26b%3D%C3%BC&object=c1"
    assert shown(now_us, [record(7)], older=7).older_href == "/w/acme/audit?before=7"


PEOPLE = {"account-0001": "mara@acme.example", "agent-1": "deploy bot"}


def test_a_filter_says_what_is_wanted() -> None:
    asked = AuditFilter.of(
        {"type": "emergency", "actor": " Mara@acme.example ", "object": "c1", "since": "1970-01-01T00:01", "x": "y"}
    )
    wanted = asked.wanted(PEOPLE)
    assert "glass.broken" in wanted.acts
    assert (wanted.actor_id, wanted.object_id, wanted.from_us, wanted.to_us) == ("account-0001", "c1", 60_000_000, None)
    assert AuditFilter(object="deploy bot").wanted(PEOPLE).object_id == "agent-1"
    assert AuditFilter.of({}).query == ""


@pytest.mark.parametrize(
    ("text", "seq"), [("17", 17), ("#17", 17), ("0", 0), ("c1", None), ("9" * 14, None), ("١٧", None), ("", None)]
)
def test_digits_are_the_number_of_a_record(text: str, seq: int | None) -> None:
    asked = AuditFilter(object=text)
    assert asked.seq == seq
    assert asked.wanted(PEOPLE).object_id == (text if text and seq is None else None)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"type": "nothing.done"}, "no type of event 'nothing.done'"),
        ({"since": "yesterday"}, "From 'yesterday' is no time"),
        ({"until": "2026-13-01"}, "Until '2026-13-01' is no time"),
        ({"since": "2026-11-02", "until": "2026-11-02"}, "From is not before Until"),
        ({"actor": "x" * 201}, "Who is longer than 200 characters"),
    ],
)
def test_what_cannot_be_looked_for_is_named(fields: dict[str, str], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        AuditFilter.of(fields).wanted(PEOPLE)


def test_a_filter_is_its_own_address() -> None:
    asked = AuditFilter(type="vote.cast", actor="a", object="b c", since="2026-11-01", until="2026-11-02")
    assert asked.query == "type=vote.cast&actor=a&object=b+c&since=2026-11-01&until=2026-11-02"
    assert set(NAMES) == {"type", "actor", "object", "since", "until"}


def test_a_time_fills_its_field() -> None:
    assert clock_of("2026-11-01T10:00:00+02:00") == "2026-11-01T08:00:00"
    assert clock_of("yesterday") == ""


def test_a_page_that_was_cut_says_where(now_us: int) -> None:
    view = shown(now_us, [], older=900, is_cut=True)
    assert (view.cut_at, view.older_href) == (900, "/w/acme/audit?before=900")
