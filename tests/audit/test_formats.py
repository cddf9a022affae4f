"""Records as OCSF events and lines of CEF: every act of the catalogue, and hostile text. B11"""

import json
import re
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from failgate.audit.bodies import body_of, commitment
from failgate.audit.cef import cef_of
from failgate.audit.encoding import leaf_of
from failgate.audit.exporter import ExportedRecord, RecordsRefused
from failgate.audit.facts import MEMBERS, Maybe
from failgate.audit.formats import formatted
from failgate.audit.ocsf import event_of
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import canonical
from tests.audit.conftest import WS

TS = 1_700_000_000_123_456
# Required in the classes of schema.ocsf.io 1.3.0, besides what every event has.
REQUIRED = {
    3001: {"user"},
    3002: {"user"},
    3004: {"entity"},
    3006: {"group"},
    6002: {"app"},
    6003: {"actor", "api", "src_endpoint"},
}
ALWAYS = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
ACTIVITIES = {
    3001: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99},
    3002: {0, 1, 2, 3, 4, 5, 6, 99},
    3004: {0, 1, 2, 3, 4, 99},
    3006: {0, 1, 2, 3, 4, 5, 6, 99},
    6002: {0, 1, 2, 3, 4, 5, 6, 7, 99},
    6003: {0, 1, 2, 3, 4, 99},
}


def sample(kind: Any) -> Any:
    """A value of a member of the catalogue."""
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is list:
        return [sample(get_args(kind)[0])]
    for value in (7, "d" * 43):
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            continue
    raise LookupError(kind)


def record_of(
    act: Act, *, obj: str = "o1", out: str = "ok", ip: str | None = "192.0.2.7", **data: Any
) -> ExportedRecord:
    known = {name: sample(kind) for name, kind in MEMBERS.get(act, {}).items() if not isinstance(kind, Maybe)}
    event = Event(act, WS, "thing", obj, Actor("user", "u1", ("pwd", "otp"), "s" * 16), known | data, out, "r1", ip)
    body = None if ip is None else body_of(ip)
    pd = None if body is None else commitment(bytes(32), body)
    return ExportedRecord(WS, 41, leaf_of(event, 41, TS, "A" * 43, pd=pd), body)


@pytest.mark.parametrize("act", list(Act))
def test_every_act_is_an_event_of_its_class(act: Act) -> None:
    record = record_of(act)
    event = event_of(record)
    kind = event["class_uid"]
    assert set(event) >= ALWAYS | REQUIRED[kind]
    assert event["activity_id"] in ACTIVITIES[kind]
    assert event["type_uid"] == kind * 100 + event["activity_id"]
    assert event["category_uid"] == kind // 1000
    assert event["severity_id"] in range(7)
    assert event["time"] == 1_700_000_000_123
    assert event["raw_data"].encode() == record.leaf, "what was mapped can be proven"
    assert event["metadata"]["version"] == "1.3.0"
    assert event["metadata"]["product"]["vendor_name"] == "Failgate"
    assert {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"} <= event.keys()
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["actor"]["user"]["uid"] == "u1"
    assert json.loads(formatted(record, "ocsf")) == event


@pytest.mark.parametrize(
    ("act", "out", "kind", "activity", "severity", "status"),
    [
        (Act.SESSION_OPENED, "ok", 3002, 1, 1, 1),
        (Act.SESSION_REFUSED, "deny", 3002, 1, 3, 2),
        (Act.SESSION_CLOSED, "ok", 3002, 2, 1, 1),
        (Act.ACCOUNT_DISABLED, "ok", 3001, 5, 1, 1),
        (Act.MEMBER_REMOVED, "ok", 3006, 4, 1, 1),
        (Act.RULE_REVOKED, "ok", 3004, 4, 1, 1),
        (Act.COMMAND_CREATED, "ok", 6003, 1, 1, 1),
        (Act.REPORT_READ, "ok", 6003, 2, 1, 1),
        (Act.COMMAND_QUARANTINED, "error", 6003, 99, 4, 2),
        (Act.SERVER_STARTED, "ok", 6002, 3, 1, 1),
    ],
)
def test_what_an_act_becomes(act: Act, out: str, kind: int, activity: int, severity: int, status: int) -> None:
    event = event_of(record_of(act, out=out))
    found = (event["class_uid"], event["activity_id"], event["severity_id"], event["status_id"])
    assert found == (kind, activity, severity, status)
    assert event["activity_name"] == (act if activity == 99 else event["activity_name"])


def test_what_the_server_did_by_itself_came_from_the_service() -> None:
    assert event_of(record_of(Act.COMMAND_EXPIRED, ip=None))["src_endpoint"] == {"svc_name": "failgate"}
    assert event_of(record_of(Act.COMMAND_EXPIRED, ip="2001:db8::7"))["src_endpoint"] == {"ip": "2001:db8::7"}


def test_an_address_that_does_not_leave_is_said_to_be_withheld() -> None:
    stays = replace(record_of(Act.SESSION_OPENED), body=None)
    event = event_of(stays)
    assert (event["src_endpoint"], event["is_remote"]) == ({"name": "withheld"}, True)
    _, extension = read_cef(cef_of(stays).decode())
    assert "src" not in extension
    for form in ("json", "ocsf", "cef"):
        assert b"192.0.2.7" not in formatted(stays, form)
        assert b"192.0.2.7" in formatted(record_of(Act.SESSION_OPENED), form)


def test_a_record_of_version_1_has_its_address_itself() -> None:
    leaf = json.loads(record_of(Act.SESSION_OPENED).leaf)
    del leaf["pd"]
    old = ExportedRecord(WS, 41, canonical(leaf | {"v": 1, "ip": "192.0.2.9"}))
    assert event_of(old)["src_endpoint"] == {"ip": "192.0.2.9"}
    assert read_cef(cef_of(old).decode())[1]["src"] == "192.0.2.9"


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """Read a line as the specification says, by rules of its own."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    pairs = re.findall(r"(\w+)=((?:\\.|[^\\=])*?)(?=\s\w+=|\Z)", parts[7])
    plain = {key: re.sub(r"\\(.)", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), text) for key, text in pairs}
    return parts[:7], plain


@pytest.mark.parametrize("act", list(Act))
def test_every_act_is_a_line_of_cef(act: Act) -> None:
    head, extension = read_cef(cef_of(record_of(act)).decode())
    assert head[:3] == ["CEF:0", "Failgate", "Failgate"]
    assert (head[4], extension["act"]) == (act, act)
    assert int(head[6]) in range(11)
    assert extension["externalId"] == f"{WS}:41"
    assert (extension["src"], extension["suid"], extension["rt"]) == ("192.0.2.7", "u1", "1700000000123")


@pytest.mark.parametrize(
    "hostile", ["a=b", "a\\", "a|b", "a\nCEF:0|x|y|1|z|z|10|act=forged", "a\r\nb", "a src=6.6.6.6", "é\u2028漢"]
)
def test_no_text_of_others_begins_a_line_or_a_field(hostile: str) -> None:
    line = cef_of(record_of(Act.SESSION_REFUSED, obj=hostile, reason=hostile))
    assert b"\n" not in line
    assert b"\r" not in line
    _, extension = read_cef(line.decode())
    assert extension["reason"].startswith(hostile.split(" src=")[0])
    if "src=" not in hostile:
        assert extension["reason"] == hostile
    assert b" src=6.6.6.6" not in line, "the equals sign is escaped"


def test_an_address_of_version_6_has_a_field_of_its_own() -> None:
    _, extension = read_cef(cef_of(record_of(Act.SESSION_OPENED, ip="2001:db8::7")).decode())
    assert (extension["c6a2"], "src" in extension) == ("2001:db8::7", False)


@pytest.mark.parametrize("leaf", [b"{}", b"[]", b"{", b'{"act":1}', b'{"a":\n1}'])
@pytest.mark.parametrize("form", ["ocsf", "cef"])
def test_what_is_no_record_is_refused_and_not_lost(leaf: bytes, form: Any) -> None:
    with pytest.raises(RecordsRefused, match=f"Record 3 of {WS}"):
        formatted(ExportedRecord(WS, 3, leaf), form)


def test_json_is_the_record_byte_for_byte() -> None:
    record = record_of(Act.VOTE_CAST)
    line = formatted(record)
    assert line.endswith(b'"record":' + record.leaf + b"}")
    assert json.loads(line)["seq"] == 41
    assert json.loads(line)["body"] == {"ip": "192.0.2.7"}
    assert "body" not in json.loads(formatted(replace(record, body=None)))
