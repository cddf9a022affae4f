"""Severity, embargo, credits and links of a report. F25"""

import pytest
from failgate_disclosure.triage import MOST_CREDITS, MOST_LINKS, Link, as_field, link_in, moment_in

from failgate.plugin import Conflict, NotFound, SentOn, Shown, Unprocessable

VECTOR = "CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


async def edit_of(house, report):
    return str((await house.view("triage", report)).edit)


async def test_a_vector_gives_score_and_severity_on_the_report_and_in_the_queue(house) -> None:
    report = await house.report()
    assert (await house.view("report", report)).triage.severity is None
    sent = await house.ask(
        "triage_triage", report, edit="0", vector=f" {VECTOR} ", embargo="2026-12-01", credits="A\r\nB"
    )
    assert sent == SentOn(f"{house.here}/{report}")
    facts = (await house.view("report", report)).triage
    assert (facts.severity.word, facts.severity.value, facts.severity.vector) == ("High", "7.1", VECTOR)
    assert (facts.embargo, facts.credits) == ("2026-12-01 00:00 UTC", ("A", "B"))
    [line] = (await house.view("queue")).lines
    assert line.severity == facts.severity
    assert ("triaged", "severity High embargo 2026-12-01T00:00:00.000000Z") in house.acts()
    again = (await house.view("triage", report)).lines
    assert {name: line.value for name, line in again.items()} == {
        "vector": VECTOR, "embargo": "2026-12-01T00:00", "credits": "A\nB",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("vector", "metric"),
    [
        (VECTOR.replace("PR:L", "PR:X"), "PR"),
        (VECTOR.replace("/VI:N", ""), "VI"),
        (VECTOR + "/AV:N", "AV"),
        (VECTOR.replace("AV:N/AC:L", "AC:L/AV:N"), "AV"),
        (VECTOR + "/<script>:N", "<script>:N"),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N", "CVSS:4.0"),
        ("x" * 200_000, "200000"),
    ],
)
async def test_the_metric_that_is_wrong_is_named_and_nothing_written_is_lost(house, vector, metric) -> None:
    report = await house.report()
    page = await house.ask("triage_triage", report, edit="0", vector=vector, embargo="2026-12-01", credits="Ada")
    assert (type(page), page.status) == (Shown, 422)
    assert metric in page.view.lines["vector"].fault
    assert [line.value for line in page.view.lines.values()] == [vector, "2026-12-01", "Ada"]
    assert (await house.view("triage", report)).lines["vector"].value == ""
    assert "triaged" not in dict(house.acts())


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("embargo", "soon"), ("embargo", "2026-13-01"), ("embargo", "2026-02-30T10:00"), ("embargo", "1999-01-01"),
        ("embargo", "2026-12-01T10:00+02:00"), ("embargo", "9999-12-31"), ("embargo", "٢٠٢٦-12-01"),
        ("credits", "x" * 301), ("credits", "\n".join("x" * (MOST_CREDITS + 1))), ("credits", "safe\u202eexe"),
    ],
)  # fmt: skip
async def test_an_embargo_or_credit_that_is_none_is_shown_at_its_field(house, field, text) -> None:
    report = await house.report()
    page = await house.ask("triage_triage", report, **{"edit": "0", field: text})
    assert page.status == 422
    assert [name for name, line in page.view.lines.items() if line.fault] == [field]
    assert page.view.lines[field].value == text


def test_a_time_of_a_form_is_read_as_it_is_written() -> None:
    for text in ("2026-12-01T10:00", "2026-12-01T10:00:59"):
        moment = moment_in("at", text)
        assert moment is not None
        assert as_field(int(moment.timestamp()) * 1_000_000) == text
    assert moment_in("at", " ") is None
    assert as_field(None) == ""


async def test_of_two_who_triage_at_once_one_does_and_the_other_sees_both_texts(house) -> None:
    report = await house.report()
    edit = await edit_of(house, report)
    await house.ask("triage_triage", report, edit=edit, vector=VECTOR, credits="Ada")
    recorded = len(house.recorded)
    for stale in (edit, "", "-1", "x", "9" * 30, "٠"):
        page = await house.ask(
            "triage_triage", report, "bob@acme.example", edit=stale, credits="Bert", embargo="2027-01-01"
        )
        assert page.status == 409
        assert "ann@acme.example" in page.view.problem
        lines = page.view.lines
        assert (lines["credits"].value, lines["credits"].theirs) == ("Bert", "Ada")
        assert (lines["vector"].value, lines["vector"].theirs) == ("", VECTOR)
        assert (lines["embargo"].value, lines["embargo"].theirs) == ("2027-01-01", "")
    assert len(house.recorded) == recorded
    assert (await house.view("report", report)).triage.credits == ("Ada",)
    sent = await house.ask("triage_triage", report, edit=str(page.view.edit), credits="Ada\nBert", vector=VECTOR)
    assert isinstance(sent, SentOn)
    assert (await house.view("report", report)).triage.credits == ("Ada", "Bert")


async def test_a_report_is_linked_by_identifiers_and_no_content_of_a_workspace_is_shown(house) -> None:
    report = await house.report()
    for kind, written, path in (
        ("command", ID.upper(), f"/w/acme/commands/{ID}"),
        ("report", ID, f"/w/acme/reports/{ID}"),
        ("record", "17", "/w/acme/audit?object=17"),
    ):
        await house.ask("triage_link", report, kind=kind, workspace="acme", object=f" {written} ")
        await house.ask("triage_link", report, kind=kind, workspace="acme", object=written)
        assert (await house.view("report", report)).triage.links[-1].path == path
    assert len((await house.view("report", report)).triage.links) == 3
    await house.ask("triage_unlink", report, kind="record", workspace="acme", object="17")
    assert [one.link.kind for one in (await house.view("report", report)).triage.links] == ["command", "report"]
    assert ("linked", f"command {ID}") in house.acts()
    assert ("unlinked", "record 17") in house.acts()


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "recording", "workspace": "acme", "object": ID},
        {"kind": "", "workspace": "acme", "object": ID},
        {"kind": "command", "workspace": "acme", "object": ID[:-1]},
        {"kind": "command", "workspace": "acme", "object": f"{ID}\n"[1:]},
        {"kind": "command", "workspace": "acme", "object": "../../platform"},
        {"kind": "command", "workspace": "acme", "object": "17"},
        {"kind": "record", "workspace": "acme", "object": ID},
        {"kind": "record", "workspace": "acme", "object": "017"},
        {"kind": "record", "workspace": "acme", "object": "1" * 16},
        {"kind": "record", "workspace": "acme", "object": "1&x=<script>"},
        {"kind": "record", "workspace": "../x", "object": "1"},
        {"kind": "record", "workspace": "Acme", "object": "1"},
        {"kind": "record", "workspace": "a--b", "object": "1"},
        {"kind": "record", "workspace": "a" * 41, "object": "1"},
        {"kind": "record", "workspace": "", "object": "1"},
        {},
    ],
)
async def test_what_is_no_identifier_of_ours_is_no_link(house, form) -> None:
    report = await house.report()
    for name in ("triage_link", "triage_unlink"):
        with pytest.raises(Unprocessable):
            await house.ask(name, report, **form)
    assert house.recorded == []
    assert (await house.view("report", report)).triage.links == ()


async def test_links_have_an_end(house) -> None:
    report = await house.report()
    for number in range(MOST_LINKS):
        await house.ask("triage_link", report, kind="record", workspace="acme", object=str(number))
    with pytest.raises(Conflict, match="is the most"):
        await house.ask("triage_link", report, kind="record", workspace="acme", object="99")
    assert link_in({"kind": "record", "workspace": "acme", "object": "0"}) == Link("record", "acme", "0")


async def test_a_report_that_is_not_there_has_no_triage(house) -> None:
    for name in ("triage", "triage_triage", "triage_link", "triage_unlink"):
        with pytest.raises(NotFound):
            await house.ask(name, ID, edit="0", kind="record", workspace="acme", object="1")
    assert house.recorded == []
