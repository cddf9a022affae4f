from typing import Any

from failgate.web.pages.audit_view import AuditView, audit_view

NOTE = "failgate.example/acme\n18204\nqTz8n3Yk1vUoB5cXhJ2mWfR7eLsA0pDgKx9iZtQyN4E=\n\n— failgate.example/acme Az3xGV0k9dQ=\n"


def record(seq: int, **changes: Any) -> dict[str, Any]:
    return {
        "v": 1, "seq": seq, "ts": "2026-09-21T14:13:10.000000Z", "act": "vote.cast", "out": "ok",
        "actor": {"t": "user", "id": "account-0001", "auth": ["pwd", "otp"]}, "obj": {"t": "command", "id": "c1"},
        "data": {"digest": "d" * 43, "decision": "approve"},
    } | changes  # fmt: skip


def shown(now_us: int, records: list[dict[str, Any]], **changes: Any) -> AuditView:
    given: dict[str, Any] = {
        "slug": "acme", "size": 18204, "checkpoint": NOTE, "names": {"account-0001": "mara@acme.example"}, "object_id": "",
        "older": None, "is_first": True, "now_us": now_us,
    } | changes  # fmt: skip
    return audit_view([(one, "hash" * 11) for one in records], **given)


def test_a_record_names_who_did_what_to_which(now_us: int) -> None:
    row = shown(now_us, [record(7)]).rows[0]
    assert (row.seq, row.act, row.actor, row.auth) == (7, "vote.cast", "mara@acme.example", "pwd, otp")
    assert row.object_href == "/w/acme/commands/c1"
    assert row.facts == "digest=dddddddddddd… decision=approve"


def test_an_actor_without_a_name_keeps_its_kind_and_number(now_us: int) -> None:
    row = shown(now_us, [record(7, actor={"t": "agent", "id": "019e2b40-7c01-7a10-9d44-5b6f1a2c3d01"})]).rows[0]
    assert row.actor == "agent …1a2c3d01"
    row = shown(now_us, [record(7, actor={"t": "anonymous", "id": "anonymous"})]).rows[0]
    assert row.actor == "anonymous"


def test_the_checkpoint_tells_its_size_and_root(now_us: int) -> None:
    view = shown(now_us, [])
    assert (view.checkpoint_size, view.root_short) == (18204, "qTz8n3Yk1vUoB5cX")


def test_a_filter_stays_on_older_pages(now_us: int) -> None:
    view = shown(now_us, [record(7)], object_id="c1", older=7, is_first=False)
    assert view.older_href == "/w/acme/audit?object=c1&before=7"
    assert view.newer_href == "/w/acme/audit?object=c1"
