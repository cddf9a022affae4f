"""The audit page in a browser: looked through by filters that stand in its address, by keys, on a phone. E3 E7 E20"""

import csv
import json
import os
import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from failgate.base.canonical import base64url
from failgate.evidence.packs import PACKS
from tests.handmade import verify
from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, Person, admin, ask, enter, form, found_acme, person, program, sign_in, vote

PLACE = "/w/acme/audit"


@pytest.fixture
def acme(server: Server) -> Server:
    server.start()
    found_acme(server)
    return server


@pytest.fixture
def ada(acme: Server) -> Iterator[Person]:
    """An auditor, after a day on which a command was approved, another denied, a reviewer came and went."""
    auditor, rita = person(acme, "ada", "auditor"), person(acme, "rita", "reviewer")
    with program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"]) as bot:
        views = [ask(bot, "make", word, ttl_seconds=600) for word in ("deploy", "drop")]
        with sign_in(acme, rita) as reviewer:
            for view, decision in zip(views, ("approve", "deny"), strict=True):
                assert vote(reviewer, view, decision).status_code == 200
    person(acme, "gone", "reviewer")
    with sign_in(acme, person(acme, "olga", "owner")) as owner:
        [left] = [one for one in owner.get(f"{WHERE}/members").json()["items"] if one["email"] == "gone@acme.example"]
        assert owner.delete(f"{WHERE}/members/{left['id']}").status_code in {200, 204}
    return auditor


def fits(page: Page, name: str) -> None:
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
    picture(page, name)


def acts(page: Page) -> list[str]:
    return page.locator("[data-records] .record-facts .mono").all_inner_texts()


def test_an_auditor_finds_what_they_look_for_and_sends_the_address_on(acme: Server, ada: Person, chromium) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    enter(page, acme, ada)
    page.goto(f"{acme.url}{PLACE}")
    assert {"vote.cast", "workspace.created", "member.removed"} <= set(acts(page))
    expect(page.locator("[data-records]")).to_contain_text("rita@acme.example voted on a command")
    fits(page, "audit")

    page.get_by_label("Event").select_option("vote.cast")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/audit?**type=vote.cast**")
    assert acts(page) == ["vote.cast", "vote.cast"]
    page.get_by_label("Event").select_option("All: People and roles")
    page.get_by_label("Who", exact=True).fill("olga@acme.example")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("[data-records] > li")).to_have_count(1)
    assert acts(page) == ["member.removed"]
    expect(page.locator("[data-records]")).to_contain_text("gone@acme.example (left)")

    shared = page.url
    with sign_in(acme, person(acme, "otto", "owner")) as other:  # a colleague opens the address
        assert "member.removed" in other.get(shared.removeprefix(acme.url)).text

    page.get_by_role("link", name="Show all").click()
    page.get_by_label("From (UTC)").fill("2030-01-01T00:00:00")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("heading", name="No record of that")).to_be_visible()
    fits(page, "audit-empty")
    page.get_by_label("Until (UTC)").fill("2029-01-01T00:00:00")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("alert")).to_contain_text("From is not before Until")
    expect(page.get_by_label("From (UTC)")).to_have_value(re.compile("2030-01-01T00:00"))
    fits(page, "audit-wrong")


def test_a_record_opens_to_its_bytes_by_keys_alone(acme: Server, ada: Person, chromium) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    enter(page, acme, ada)
    page.goto(f"{acme.url}{PLACE}?type=vote.cast")
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    first = page.locator("[data-records] > li").first
    expect(first.locator("[data-leaf]")).to_be_visible()
    leaf = first.locator("[data-leaf]").inner_text()
    assert base64url(sha256(b"\0" + leaf.encode()).digest()) == first.locator("[data-hash]").inner_text()
    said = json.loads(leaf)
    assert said["data"]["decision"] == "deny"
    fits(page, "audit-open")
    page.keyboard.press("/")
    page.keyboard.type(f"{said['seq']}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**object={said['seq']}**")
    expect(page.locator("[data-records] > li")).to_have_count(1)
    expect(page.locator(f"#r{said['seq']} [data-leaf]")).to_be_visible()  # one alone is open at once


def test_a_filter_is_kept_under_a_name_for_oneself_and_then_for_all(acme: Server, ada: Person, chromium) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    enter(page, acme, ada)
    page.goto(f"{acme.url}{PLACE}?type=vote.cast")
    page.get_by_text("Save this view").click()
    page.get_by_label("Name").fill("Every vote")
    fits(page, "audit-save")
    page.get_by_role("button", name="Save").click()
    saved = page.get_by_role("navigation", name="Saved views")
    expect(saved.get_by_role("link", name="Every vote")).to_have_attribute("aria-current", "true")
    with sign_in(acme, person(acme, "otto", "owner")) as owner:
        assert "Every vote" not in owner.get(PLACE).text
        page.get_by_text("Change “Every vote”").click()
        page.get_by_label("Name").fill("Votes")
        page.get_by_label("Show it to all owners and auditors").check()
        fits(page, "audit-change")
        page.get_by_role("button", name="Save").click()
        expect(saved.get_by_role("link", name="Votes")).to_be_visible()
        assert "Votes</a>" in owner.get(PLACE).text
        page.goto(f"{acme.url}{PLACE}?type=evidence")
        assert acts(page) == ["audit_view.shared"]
        page.get_by_text("Save this view").click()
        page.get_by_label("Name").fill("votes")  # is taken
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("There is a view 'votes' already")
        saved.get_by_role("link", name="Votes").click()
        page.get_by_text("Change “Votes”").click()
        expect(page.locator("details[open]")).to_contain_text("It is gone for all owners and auditors.")
        page.get_by_role("button", name="Remove the view").click()
        expect(saved).to_have_count(0)
        assert "Votes</a>" not in owner.get(PLACE).text
    context = page.context
    context.close()


def test_a_period_is_taken_along_and_proven_without_the_server(
    acme: Server, ada: Person, chromium, tmp_path: Path
) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    enter(page, acme, ada)
    page.goto(f"{acme.url}{PLACE}?since=2020-01-01")
    page.get_by_role("link", name="Export").first.click()
    expect(page.get_by_label("From (UTC)")).to_have_value(re.compile("2020-01-01T00:00"))
    expect(page.get_by_role("heading", name="How it is verified")).to_be_visible()
    fits(page, "audit-export")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export").click()
    name = taken.value.suggested_filename
    assert name == "failgate-acme-bundle-2020-01-01.tar"
    taken.value.save_as(tmp_path / name)
    vkey = re.search(r"--vkey '([^']+)'", page.inner_text("main"))
    assert vkey is not None
    answer = verify("full", tmp_path / name, "--vkey", vkey[1])
    assert answer["exit_code"] == 0, answer
    page.goto(f"{acme.url}/verify")  # the second verifier, of which test_verifier_page.py has every damage
    page.locator("#bundle").set_input_files(tmp_path / name)
    page.locator("#vkey").fill(vkey[1])
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("[data-verdict]")).to_have_attribute("data-state", "intact")
    with sign_in(acme, ada) as auditor:
        records = [one["record"] for one in auditor.get(f"{WHERE}/audit/records?limit=1000").json()["records"]]
        last = records[-1]
        assert (last["act"], last["actor"]["id"]) == ("audit.exported", ada.id)
        assert (last["data"]["last"], last["data"]["size"]) == (last["seq"] - 1, last["seq"])
        assert (answer["first"], answer["last"], answer["size"]) == (0, last["seq"] - 1, last["seq"])
        for fields, says in (
            ({"kind": "bundle", "since": "2030-01-01"}, "no record in this period"),
            ({"kind": "bundle", "since": "2026-01-02", "until": "2026-01-01"}, "From is not before Until"),
            ({"kind": "bundle", "since": "soon"}, "is no time"),
            ({"kind": "everything"}, "nothing of this kind"),
        ):
            refused = form(auditor, f"{PLACE}/export", **fields)
            assert (refused.status_code, says in refused.text) == (400, True), fields
    with sign_in(acme, person(acme, "cora", "auditor", with_totp=False)) as other:  # who has no second factor
        assert other.get(PLACE).status_code == 200
        for answer in (other.get(f"{PLACE}/export"), form(other, PLACE, to=f"{PLACE}/export", kind="bundle")):
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/account/step-up")


def test_pages_follow_each_other_and_what_is_wrong_is_said(acme: Server, ada: Person) -> None:
    with sign_in(acme, ada) as auditor:
        records = [one["record"] for one in auditor.get(f"{WHERE}/audit/records?limit=1000").json()["records"]]
        got, where = list[int](), PLACE
        while where:
            page = auditor.get(where)
            got += [int(seq) for seq in re.findall(r'<li id="r(\d+)">', page.text)]
            found = re.search(r'href="([^"]+)" rel="next"', page.text)
            where = found[1].replace("&amp;", "&") if found else ""
        assert got == [one["seq"] for one in reversed(records)]
        middle = records[len(records) // 2]
        at = datetime.fromisoformat(middle["ts"])
        for field, kept in (
            ("since", [one["seq"] for one in records if one["ts"] >= middle["ts"]]),
            ("until", [one["seq"] for one in records if one["ts"] < middle["ts"]]),
        ):
            text = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
            page = auditor.get(PLACE, params={field: text})
            assert [int(seq) for seq in re.findall(r'<li id="r(\d+)">', page.text)] == kept[::-1][:50]
        tomorrow = (at + timedelta(days=1)).date().isoformat()
        assert auditor.get(PLACE, params={"since": tomorrow}).status_code == 200
        for query, says in (
            ("type=nothing.done", "There is no type of event"),
            ("since=yesterday", "From &#39;yesterday&#39; is no time"),
            ("since=2026-11-02&until=2026-11-01", "From is not before Until"),
            (f"actor={'x' * 300}", "longer than 200 characters"),
            ("object=%00", "holds a NUL character"), ("type=vote.cast&type=rule.created", ""), ("object=9999999999999", ""),
        ):  # fmt: skip
            answer = auditor.get(f"{PLACE}?{query}")
            assert (answer.status_code, says in answer.text) == (400 if says else 200, True), query


def test_a_log_is_for_owners_and_auditors_of_its_workspace(acme: Server, ada: Person) -> None:
    admin(acme, "workspace.create", workspace="other", owner=person(acme, "eve").email)
    with sign_in(acme, ada) as auditor:
        foreign, missing = auditor.get("/w/other/audit?type=vote.cast"), auditor.get("/w/nothing/audit?type=vote.cast")
        assert (foreign.status_code, missing.status_code) == (404, 404)
        strip = re.compile(r'nonce="[^"]*"|nonce-[^\']*|csrf[^>]*>|Reference.*?</')
        assert strip.sub("", foreign.text).replace("other", "nothing") == strip.sub("", missing.text)
    for name, role in (("dev", "developer"), ("rex", "reviewer"), ("ann", "admin")):
        with sign_in(acme, person(acme, name, role)) as other:
            assert other.get(PLACE).status_code == 403


@pytest.mark.parametrize("pack", [one.id for one in PACKS])
def test_an_evidence_pack_is_taken_along_read_and_proven(
    acme: Server, ada: Person, chromium, tmp_path: Path, pack: str
) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    enter(page, acme, ada)
    page.goto(f"{acme.url}{PLACE}/export")
    page.locator(f"input[value={pack}]").check()
    page.get_by_label("From (UTC)").fill("2020-01-01T00:00:00")
    fits(page, f"evidence-form-{pack}")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export").click()
    name = taken.value.suggested_filename
    assert name == f"failgate-acme-{pack}-2020-01-01.tar"
    taken.value.save_as(tmp_path / name)
    vkey = re.search(r"--vkey '([^']+)'", page.inner_text("main"))
    assert vkey is not None
    answer = verify("evidence", tmp_path / name, "--vkey", vkey[1])
    assert (answer["exit_code"], answer["pack"]) == (0, pack), answer
    assert answer["count"] > 0
    folder = tmp_path / "taken"
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(folder, filter="data")
    manifest = json.loads((folder / "manifest.json").read_text())
    for section, count in manifest["lines"].items():
        with (folder / f"{section}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        assert len(rows) == count
    context = chromium.new_context()  # whoever opens it: nothing is asked for, nothing is refused by its own policy
    document = context.new_page()
    said, asked = list[str](), list[str]()
    document.on("console", lambda message: said.append(message.text))
    document.on("request", lambda one: asked.append(one.url))
    document.goto((folder / f"{pack}.html").as_uri())
    expect(document.get_by_role("heading", level=1)).to_contain_text("acme")
    expect(document.get_by_text("No line in this period.")).to_have_count(list(manifest["lines"].values()).count(0))
    assert document.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
    fits(document, f"evidence-{pack}")
    assert (said, [url for url in asked if not url.startswith("file:")]) == ([], [])
    printed = document.pdf(prefer_css_page_size=True, path=pictures_at(f"evidence-{pack}.pdf", tmp_path))
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") + printed.count(b"/Type /Page/") >= 3
    context.close()
    with sign_in(acme, ada) as auditor:
        for fields, says in (
            ({"kind": pack, "since": "2030-01-01"}, "no record in this period"),
            ({"kind": pack, "since": "2026-01-02", "until": "2026-01-01"}, "From is not before Until"),
        ):
            refused = form(auditor, f"{PLACE}/export", **fields)
            assert (refused.status_code, says in refused.text) == (400, True), fields
            assert re.search(rf'value="{pack}" checked', refused.text)
        records = [one["record"] for one in auditor.get(f"{WHERE}/audit/records?limit=1000").json()["records"]]
        [exported] = [one for one in records if one["act"] == "audit.exported"]
        assert (exported["data"]["kind"], exported["actor"]["id"]) == (pack, ada.id)


def pictures_at(name: str, folder: Path) -> Path:
    """Return where a file is kept that people look at."""
    return Path(os.environ.get("FAILGATE_SCREENSHOTS") or folder) / name
