"""What arrived elsewhere against the log: one that accepts and loses is found out. B11"""

import pytest

from failgate.audit.exported import compare
from failgate.audit.exporter import ExportedRecord
from failgate.audit.formats import formatted
from tests.audit.conftest import WS, event, fill


@pytest.fixture
async def lines(database, audit):
    await fill(database, audit, 1500)
    await audit.record(event(ws="system"))
    stored = [*await audit.records(WS, None, 1000), *await audit.records(WS, 999, 1000), *await audit.records("system")]
    return [formatted(ExportedRecord(one.log, one.seq, one.leaf)) + b"\n" for one in stored]


def said(comparison):
    return {one.log: one.sentence.partition(": ")[2] for one in comparison.logs}


async def test_what_arrived_whole_is_whole_in_any_order_and_twice(audit, lines):
    comparison = await compare(audit, [*reversed(lines), *lines])
    assert said(comparison) == {WS: "all 1500 records are there", "system": "all 1 records are there"}
    assert comparison.unread == 0


async def test_a_body_that_came_along_makes_no_difference(audit, lines):
    stored = await audit.records(WS, None, 1000)
    beside = [formatted(ExportedRecord(one.log, one.seq, one.leaf, b'{"ip":"192.0.2.7"}')) for one in stored]
    assert said(await compare(audit, [*beside, *lines[1000:]])) == {
        WS: "all 1500 records are there", "system": "all 1 records are there",
    }  # fmt: skip
    beside[3] = beside[3].replace(b"approve", b"denied!")
    assert said(await compare(audit, [*beside, *lines[1000:1500]]))[WS] == "1 differ: 3"


async def test_what_was_lost_is_named(audit, lines):
    kept = [line for number, line in enumerate(lines) if number not in {0, 7, *range(998, 1003)}]
    comparison = await compare(audit, kept)
    assert said(comparison)[WS] == "7 of 1500 records are missing: 0, 7, 998 to 1002"


async def test_a_lost_end_is_found_when_it_is_known_what_was_delivered(audit, lines):
    assert said(await compare(audit, lines[:1400]))[WS] == "all 1400 records are there"
    comparison = await compare(audit, lines[:1400], {WS: 1500, "system": 1})
    assert said(comparison) == {
        WS: "100 of 1500 records are missing: 1400 to 1499",
        "system": "1 of 1 records are missing: 0",
    }


async def test_what_was_edited_or_invented_is_no_record_of_ours(audit, lines):
    edited = [*lines]
    edited[5] = edited[5].replace(b"approve", b"denied!")
    edited.append(b'{"log":"system","seq":9,"record":{"act":"forged"}}\n')
    edited.append(b'{"log":"nowhere","seq":0,"record":{}}')
    found = said(await compare(audit, edited))
    assert found[WS] == "1 differ: 5"
    assert found["system"] == "1 the log does not have: 9"
    assert found["nowhere"] == "1 the log does not have: 0"


async def test_lines_of_syslog_are_read_test_records_passed_over_and_others_counted(audit, lines):
    syslog = [b"<110>1 2026-11-23T02:19:21.000123Z gate failgate - vote.cast - " + line for line in lines]
    other = [b"hello\n", b"\n", b'{"log":"test","seq":0,"record":{}}\n', b'{"log":"system","seq":-1,"record":{}}\n']
    comparison = await compare(audit, [*syslog, *other])
    assert all(one.is_whole for one in comparison.logs)
    assert [one.log for one in comparison.logs] == [WS, "system"]
    assert comparison.unread == 2
