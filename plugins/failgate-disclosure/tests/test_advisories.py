"""From a draft to what everybody reads: every fault at its field, nothing lost, never before the embargo. F25"""

import json
import sqlite3
from datetime import UTC, datetime

import pytest
from failgate_disclosure.checking import range_in
from failgate_disclosure.draft import ENTRIES, GROUPS, draft_in
from failgate_disclosure.published import paragraphs

from failgate.plugin import Conflict, Download, NotFound, SentOn, StorageUnavailable, Unprocessable

NAME = "acme-2026-0001"


def faults_of(view):
    """Return what is marked on the page of a draft, by the names of fields."""
    rows = [line for group in view.groups for row in group.rows for line in row]
    return {
        **{line.name: line.fault for line in (*view.lines, *rows, view.change) if line.fault},
        **{group.name: group.fault for group in view.groups if group.fault},
        **dict(view.elsewhere),
    }


def values_of(view):
    rows = [line for group in view.groups for row in group.rows for line in row]
    return {line.name: line.value for line in (*view.lines, *rows, view.change)}


async def test_a_draft_begins_with_what_is_known_and_once(house) -> None:
    report = await house.report(title="SECRET in the title", credit="Ada")
    with pytest.raises(NotFound):
        await house.ask("advisory_page", report)
    for _ in range(2):
        assert await house.ask("advisory_begin", report) == SentOn(f"{house.here}/{report}/advisory")
    values = values_of(await house.view("advisory_page", report))
    assert (values["title"], values["credits.0.name"]) == ("SECRET in the title", "Ada")
    assert values["tracking_id"].startswith("SA-")
    assert [act for act, _ in house.acts()].count("drafted") == 1
    assert "SECRET" not in str(house.recorded)


async def test_a_whole_draft_is_published_and_read_by_everybody(house) -> None:
    report = await house.drafted()
    view = await house.view("advisory_page", report)
    assert faults_of(view) == {}
    assert (await house.view("advisories")).lines == ()
    assert await house.publish(report) == SentOn(f"{house.here}/{report}/advisory")
    [line] = (await house.view("advisories")).lines
    assert (line.name, line.title, line.severity.word) == (NAME, house.whole["title"], "High")
    page = (await house.public(NAME)).view
    assert page.products == (("Acme Gate", "from 1.0.0 before 1.4.2; 2.0.0", "1.4.2, 2.0.1"),)
    assert page.description == [["The link was marked as used too late."], ["Two requests at once both passed."]]
    file = await house.public(f"{NAME}.json")
    assert (file.name, file.media_type) == (f"{NAME}.json", "application/json")
    document = json.loads(file.content)["document"]
    assert document["tracking"]["status"] == "final"
    assert document["distribution"]["tlp"]["label"] == "WHITE"
    assert document["publisher"] == {
        "category": "vendor", "name": "Acme", "namespace": "https://desk.acme.example",
        "contact_details": "security@acme.example",
    }  # fmt: skip
    assert document["references"][0]["url"] == f"https://desk.acme.example/security/advisories/{NAME}.json"
    [state] = [state for act, state in house.acts() if act == "published"]
    assert state.startswith("ACME-2026-0001 1 sha256:")


async def test_a_draft_is_taken_away_as_csaf_and_markdown_and_that_is_on_record(house) -> None:
    report = await house.drafted(embargo="2126-01-01")
    csaf, text = await house.ask("advisory_csaf", report), await house.ask("advisory_markdown", report)
    assert isinstance(csaf, Download)
    assert isinstance(text, Download)
    assert (csaf.name, text.name) == (f"{NAME}.json", f"{NAME}.md")
    tracking = json.loads(csaf.content)["document"]
    assert (tracking["tracking"]["status"], tracking["distribution"]["tlp"]["label"]) == ("draft", "AMBER")
    assert "Not to be published before" in text.content.decode()
    assert [state for act, state in house.acts() if act == "exported"] == ["csaf", "markdown"]
    await house.ask("advisory_save", report, edit="2", **{**house.whole, "title": ""})
    for name in ("advisory_csaf", "advisory_markdown"):
        with pytest.raises(Unprocessable, match="not whole"):
            await house.ask(name, report)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("tracking_id", "../x"), ("title", ""), ("title", "x" * 301), ("title", "two\u2028lines"), ("summary", ""),
        ("summary", "x" * 5_001), ("description", "safe\u202eexe"), ("description", "x" * 50_001), ("cwe", "CWE-99999"),
        ("cve", "CVE-1"), ("language", "xx"), ("products.0.vendor", ""), ("products.0.name", "x" * 301),
        ("products.0.scheme", "<script>"), ("products.0.purl", "javascript:alert(1)"), ("products.0.affected", ""),
        ("products.0.affected", ">=1 <2 <3"), ("products.0.affected", "1.0 2.0"), ("products.0.affected", ">=" + "1" * 9_000),
        ("products.0.affected", "1.0\n1.0"), ("products.0.affected", "\n".join(f"1.{n}" for n in range(101))),
        ("products.0.fixed", "1.x"), ("products.0.fixed", "2.0.0"), ("products.0.fixed", "<b>"),
        ("remediations.0.kind", "pray"), ("remediations.0.details", ""), ("remediations.0.url", "javascript:alert(1)"),
        ("references.0.summary", ""), ("references.0.url", "https://a b"), ("credits.0.url", "ftp://a.example"),
        ("timeline.0.at", ""), ("timeline.0.at", "yesterday"), ("timeline.0.what", "x" * 301),
    ],
)  # fmt: skip
async def test_each_fault_stands_at_its_field_nothing_is_lost_and_nothing_is_published(house, field, text) -> None:
    report = await house.drafted(**{field: text})
    view = await house.view("advisory_page", report)
    assert list(faults_of(view)) == [field]
    assert values_of(view)[field] == text
    page = await house.publish(report)
    assert page.status == 422
    assert list(faults_of(page.view)) == [field]
    assert (await house.view("advisories")).lines == ()
    assert "published" not in dict(house.acts())


async def test_all_faults_are_shown_at_once(house) -> None:
    wrong = {
        "tracking_id": "", "title": "", "summary": "", "description": "", "cwe": "CWE-0", "cve": "x", "language": "",
        "products.0.vendor": "", "products.0.purl": "x", "products.0.affected": "?", "products.0.fixed": "?",
        "products.1.vendor": "Acme", "products.1.scheme": "npm", "products.1.name": "", "remediations.0.details": "", "references.0.url": "x",
        "credits.0.name": "\u202e", "timeline.0.at": "x", "timeline.0.what": "\u202e",
    }  # fmt: skip
    report = await house.drafted(vector="", embargo="2126-01-01", **wrong)
    found = faults_of(await house.view("advisory_page", report))
    assert set(found) == {*wrong, "products.1.affected", "Severity", "Embargo"} - {
        "products.1.vendor", "products.1.scheme",
    }  # fmt: skip


async def test_lists_as_a_whole_have_faults_too(house) -> None:
    second = {f"products.1.{name}": house.whole[f"products.0.{name}"] for name in ("vendor", "name", "affected")}
    order = {"timeline.0.at": "2026-11-02", "timeline.1.at": "2026-11-01", "timeline.1.what": "Before."}
    none = {f"remediations.0.{name}": "" for name in ("details", "url")}
    report = await house.drafted(**second, **{"products.1.scheme": "pypi"}, **order, **none)
    found = faults_of(await house.view("advisory_page", report))
    assert set(found) == {"products", "timeline", "remediations"}
    assert "twice" in found["products"]


async def test_a_draft_that_was_only_begun_says_what_is_missing(house) -> None:
    report = await house.report()
    await house.ask("advisory_begin", report)
    found = faults_of(await house.view("advisory_page", report))
    assert set(found) == {"summary", "description", "products", "remediations", "Severity"}
    assert found["products"] == "Name at least one product."


async def test_an_empty_entry_goes_and_the_others_close_up(house) -> None:
    moved = {"credits.0.name": "", "credits.3.name": "Bert", "credits.11.organization": "Lab", "credits.12.name": "Eve"}
    report = await house.drafted(**moved)
    view = await house.view("advisory_page", report)
    values = values_of(view)
    assert (values["credits.0.name"], values["credits.1.organization"], values["credits.2.name"]) == ("Bert", "Lab", "")
    assert "credits.3.name" not in values
    assert all(set(draft_in({})) == {entry.name for entry in ENTRIES} | {"change"} for _ in GROUPS)


async def test_nothing_is_published_before_the_embargo_however_often_the_clock_is_asked(house) -> None:
    day = 86_400
    report = await house.drafted()
    now = house.clock.now_us() // 1_000_000
    ends = now - now % day + 10 * day
    until = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    await house.ask("triage_triage", report, edit="1", vector=house.vector, embargo=until)
    for left in (5 * day, 1, 0.5):
        house.clock.step_wall(ends - left - house.clock.now_us() / 1_000_000)
        page = await house.publish(report)
        assert page.status == 422
        assert set(faults_of(page.view)) == {"Embargo"}
        with pytest.raises(NotFound):
            await house.public(NAME)
        assert (await house.view("advisories")).lines == ()
    house.clock.step_wall(ends - house.clock.now_us() / 1_000_000)
    assert isinstance(await house.publish(report), SentOn)
    house.clock.step_wall(-5 * day)  # what is public stays so, and a revision waits for the clock
    assert (await house.public(NAME)).view.line.name == NAME
    page = await house.publish(report)
    assert page.status == 422
    assert "Time" in faults_of(page.view)


async def test_an_embargo_that_is_set_while_somebody_publishes_holds(house) -> None:
    report = await house.drafted()
    advisories = house.doors["advisory_publish"].handler.__self__._advisories
    triaged = await advisories._triaging.of(report)
    checked = await advisories.check(await advisories.draft_of(report), "final")
    kept = (await advisories.draft_of(report), triaged, f"{NAME}.json", b"x")
    await house.ask("triage_triage", report, edit="1", vector=house.vector, embargo="2126-01-01")
    with pytest.raises(Conflict):
        await advisories._database.write(
            lambda tx: advisories._release(tx, kept, checked.advisory, b"{}", (house.clock.now_us(), "ann"))
        )
    assert (await house.view("advisories")).lines == ()


async def test_what_is_published_changes_by_a_further_revision_alone(house) -> None:
    report = await house.drafted()
    await house.publish(report)
    first = (await house.public(f"{NAME}.json")).content
    house.clock.advance(3600)
    changed = {**house.whole, "title": "A share link opened twice", "tracking_id": "OTHER-1"}
    await house.ask("advisory_save", report, edit="3", **changed)
    assert (await house.public(f"{NAME}.json")).content == first
    page = await house.publish(report)
    assert (page.status, set(faults_of(page.view))) == (422, {"change"})
    await house.ask("advisory_save", report, edit="4", **changed, change="The title is right.")
    assert isinstance(await house.publish(report), SentOn)
    second = (await house.public(NAME)).view
    assert second.line.tracking_id == "ACME-2026-0001"
    assert [words for _, words in second.revisions] == ["First publication.", "The title is right."]
    document = json.loads((await house.public(f"{NAME}.json")).content)["document"]
    assert (document["title"], document["tracking"]["version"]) == ("A share link opened twice", "2")
    assert [state[:17] for act, state in house.acts() if act == "published"] == [
        "ACME-2026-0001 1 ",
        "ACME-2026-0001 2 ",
    ]
    with pytest.raises(NotFound):
        await house.public("other-1")
    with pytest.raises(Unprocessable, match="embargo is over"):
        await house.ask("triage_triage", report, edit="1", vector=house.vector, embargo="2126-01-01")


async def test_what_was_published_cannot_be_changed_in_the_database(house, tmp_path) -> None:
    report = await house.drafted()
    await house.publish(report)
    [path] = tmp_path.glob("plugins/disclosure/desk.sqlite")
    with sqlite3.connect(path) as database, pytest.raises(sqlite3.IntegrityError, match="never changed"):
        database.execute("UPDATE advisory_release SET csaf = x''")


async def test_no_word_of_a_draft_lies_open_in_the_file_or_on_record(house, tmp_path) -> None:
    await house.drafted(title="SECRET-TITLE", description="SECRET-TEXT")
    [path] = tmp_path.glob("plugins/disclosure/desk.sqlite")
    assert b"SECRET" not in b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert "SECRET" not in str(house.recorded)


async def test_of_two_who_edit_at_once_one_does_and_the_other_sees_both_texts(house) -> None:
    report = await house.drafted()
    edit = str((await house.view("advisory_page", report)).edit)
    await house.ask(
        "advisory_save", report, edit=edit, **{**house.whole, "title": "Theirs", "credits.1.name": "Theirs too"}
    )
    recorded = len(house.recorded)
    mine = {**house.whole, "title": "Mine", "summary": "Mine alone"}
    page = await house.ask("advisory_save", report, "bob@acme.example", edit=edit, **mine)
    assert (page.status, len(house.recorded)) == (409, recorded)
    assert "ann@acme.example" in page.view.problem
    rows = [line for group in page.view.groups for row in group.rows for line in row]
    both = {line.name: (line.value, line.theirs) for line in (*page.view.lines, *rows) if line.theirs is not None}
    assert both == {
        "title": ("Mine", "Theirs"), "summary": ("Mine alone", house.whole["summary"]), "credits.1.name": ("", "Theirs too"),
    }  # fmt: skip
    assert values_of(await house.view("advisory_page", report))["title"] == "Theirs"
    for stale in (edit, "", "x"):
        page = await house.ask("advisory_publish", report, edit=stale, sure="yes")
        assert (page.status, "meanwhile" in page.view.problem) == (409, True)
    assert (await house.view("advisories")).lines == ()
    await house.ask("advisory_save", report, "bob@acme.example", edit=str(page.view.edit), **mine)
    assert values_of(await house.view("advisory_page", report))["title"] == "Mine"


async def test_nobody_publishes_by_mistake(house) -> None:
    report = await house.drafted()
    page = await house.publish(report, sure="")
    assert (page.status, set(faults_of(page.view))) == (422, {"To publish"})
    assert (await house.view("advisories")).lines == ()


async def test_two_advisories_have_two_identifiers(house) -> None:
    await house.publish(await house.drafted())
    other = await house.drafted(tracking_id="acme-2026-0001")  # the same file name
    with pytest.raises(Conflict, match="has this identifier"):
        await house.publish(other)
    assert len((await house.view("advisories")).lines) == 1
    assert "published" not in dict(house.acts())  # the report of the other one began a new record


async def test_what_cannot_be_recorded_is_not_published(house) -> None:
    async def refuse(*_args, **_more):
        raise StorageUnavailable("The log takes nothing.", hint="Wait.")

    report = await house.drafted()
    advisories = house.doors["advisory_publish"].handler.__self__._advisories
    object.__setattr__(advisories._host, "record", refuse)
    for name, form in (
        ("advisory_save", {"edit": "2"}), ("triage_triage", {"edit": "1"}), ("advisory_csaf", {}),
        ("triage_link", {"kind": "record", "workspace": "acme", "object": "1"}),
        ("advisory_publish", {"edit": "2", "sure": "yes"}),
    ):  # fmt: skip
        with pytest.raises(StorageUnavailable):
            await house.ask(name, report, **form)
    assert (await house.view("advisories")).lines == ()
    assert (await advisories.draft_of(report)).edit == 2


@pytest.mark.parametrize("house", [""], indirect=True)
async def test_without_an_address_nothing_is_published_and_the_mend_is_said(house) -> None:
    report = await house.drafted()
    page = await house.publish(report)
    assert page.status == 422
    assert "`url`" in faults_of(page.view)["Publisher"]


@pytest.mark.parametrize(
    "name", ["x", "x.json", ".json", "a" * 119 + ".json", "a" * 10_000, "..", "%2e%2e", "FG\n", "é", "\udcff", "\0"]
)
async def test_an_advisory_that_is_not_there_is_not_there(house, name) -> None:
    await house.drafted()
    with pytest.raises(NotFound):
        await house.public(name)


@pytest.mark.parametrize(
    ("line", "vers"),
    [
        (">=1.0 <1.4", "vers:semver/>=1.0|<1.4"), ("<1.4", "vers:semver/<1.4"), (">=1, <=2", "vers:semver/>=1|<=2"),
        ("7.0", "vers:semver/7.0"), ("=7.0", "vers:semver/7.0"), ("ALL", "vers:semver/*"), ("*", "vers:semver/*"),
    ],
)  # fmt: skip
def test_a_range_is_read_as_people_write_it(line, vers) -> None:
    assert range_in(line).vers("semver") == vers


def test_paragraphs_are_parted_by_empty_lines() -> None:
    assert paragraphs("a\nb\n\n \nc\n") == [["a", "b"], ["c"]]
