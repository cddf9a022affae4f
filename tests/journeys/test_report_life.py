"""The life of reports over real sockets: found, grouped, decided on, held. B5 F14 F21"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser
from tests.journeys.pictures import picture
from tests.journeys.team import Visitor, form, person, program, sign_in
from tests.journeys.test_bad_input import consented, manifest

OUTPUT = b"tests/test_till.py:7: in total\nE   assert 3 == 4\n"


@dataclass
class House:
    server: Server
    key: Visitor
    developer: Visitor
    admin: Visitor


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("life")
    with team.served(Server(folder / "data", database_url=new_database())) as server:
        key = program(server, team.found_acme(server)["api_key"])
        developer, admin = person(server, "dev", "developer"), person(server, "admin", "admin")
        with key, sign_in(server, developer) as dev, sign_in(server, admin) as boss:
            yield House(server, key, dev, boss)


def sealed(client: httpx.Client, content: bytes = OUTPUT, **members: object) -> str:
    base = "/api/v1/workspaces/acme/reports"
    begun = client.post(base, json=consented(manifest(content, **members))).json()
    if begun["missing"]:
        digest = hashlib.sha256(content).hexdigest()
        assert client.put(f"{base}/{begun['id']}/artifacts/{digest}", content=content).status_code == 200
        assert client.post(f"{base}/{begun['id']}/seal").status_code == 200
    return str(begun["id"])


def got(client: httpx.Client, path: str) -> Any:
    answer = client.get(f"/api/v1/workspaces/acme/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_failure_is_found_resolved_and_regresses(house: House) -> None:
    first = sealed(house.key, project="till", version="1.0")
    second = sealed(house.key, project="till", version="1.0")
    other = sealed(house.key, b"KeyError: 'konto'\n", project="till", exit_code=3)
    assert [one["id"] for one in got(house.key, "reports?q=konto")["items"]] == [other]
    assert [one["id"] for one in got(house.key, "reports?project=till&exit_code=1")["items"]] == [second, first]
    assert house.key.get("/api/v1/workspaces/acme/reports?since=yesterday").status_code == 400
    [group] = [one for one in got(house.key, "report-groups?project=till")["items"] if one["count"] == 2]
    page = f"/w/acme/report-groups/{group['id']}"
    answer = form(house.developer, page, to=f"{page}/resolve", version="1.1")
    assert (answer.status_code, got(house.key, f"report-groups/{group['id']}")["state"]) == (303, "resolved")
    sealed(house.key, project="till", version="1.0.9")
    sealed(house.key, project="till", version="1.1")
    assert [one["id"] for one in got(house.key, "report-groups?state=regressed")["items"]] == [group["id"]]
    shown = house.developer.get("/w/acme/report-groups")
    assert ("4 times" in shown.text, "regressed" in shown.text) == (True, True)
    found = house.developer.get("/w/acme/reports?q=konto&exit_code=3")
    assert found.status_code == 200, found.text
    assert (found.text.count("/w/acme/reports/0"), "konto" in found.text) == (1, True)
    assert house.developer.get("/w/acme/reports?since=x").status_code == 400


def test_the_pages_fit_a_phone_and_a_desk(house: House) -> None:
    report = sealed(house.key, project="till", version="1.0")
    group = got(house.key, "report-groups")["items"][0]["id"]
    rule = {"name": "seat", "pattern": "ACME-[0-9]{4}", "must_match": ["ACME-4711"], "must_not_match": ["ACME-47"]}
    assert house.key.post("/api/v1/workspaces/acme/redaction-rules", json=rule).status_code == 201
    cookies = [{"name": one.name, "value": one.value or "", "url": house.server.url} for one in house.admin.cookies.jar]
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.add_cookies(cookies)
        page = context.new_page()
        for name, path in (
            ("reports", "reports?q=assert"),
            ("groups", "report-groups"),
            ("group", f"report-groups/{group}"),
            ("report-delete", f"reports/{report}/delete"),
            ("retention", "settings/retention"),
            ("redaction", "settings/redaction"),
            ("usage", "usage"),
        ):
            page.goto(f"{house.server.url}/w/acme/{path}")
            for one in page.locator("details.ask > summary").all():
                one.click()
            for width in (390, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            if name in {"report-delete", "retention", "redaction"}:
                picture(page, name)


def test_a_report_is_deleted_on_its_page_with_a_receipt_and_not_while_it_is_held(house: House) -> None:
    report = sealed(house.key, b"OSError: to be deleted\n")
    base, page = f"/api/v1/workspaces/acme/reports/{report}", f"/w/acme/reports/{report}"
    assert f"{page}/delete" in house.admin.get(page).text
    assert f"{page}/delete" not in house.developer.get(page).text
    assert house.developer.get(f"{page}/delete").status_code == 403
    assert house.key.post(f"{base}/hold", json={"reason": "case 13"}).status_code == 200
    asked = house.admin.get(f"{page}/delete").text
    assert ("case 13" in asked, "for good</button>" in asked) == (True, False)
    assert form(house.admin, f"{page}/hold", to=f"{page}/delete").status_code == 409
    assert house.key.delete(f"{base}/hold").status_code == 204
    assert house.key.post(f"{base}/shares", json={"ttl_seconds": 600}).status_code == 201
    asked = house.admin.get(f"{page}/delete").text
    assert ("1 artifact " in asked, "1 share link ends" in asked) == (True, True)
    receipt = form(house.admin, f"{page}/delete")
    assert (receipt.status_code, report in receipt.text, "Record " in receipt.text) == (200, True, True)
    digest = hashlib.sha256(b"OSError: to be deleted\n").hexdigest()
    assert digest in receipt.text
    assert house.admin.get(f"{page}/delete").status_code == house.key.get(base).status_code == 404


def test_an_agents_page_leads_to_its_reports(house: House) -> None:
    """F21: what an agent uploaded is found from its page, and nothing of others."""
    made = [team.admin(house.server, "agent.create", workspace="acme", name=name) for name in ("busy", "idle")]
    with program(house.server, made[0]["token"]) as busy:
        report = sealed(busy, b"OSError: of an agent\n")
    mine, other = (house.developer.get(f"/w/acme/agents/{one['agent']}").text for one in made)
    assert f"/w/acme/reports/{report}" in mine
    assert f"/w/acme/reports?agent={made[0]['agent']}" in mine
    assert ("/w/acme/reports/0" in other, "None yet" in other) == (False, True)
    assert report in house.developer.get(f"/w/acme/reports?agent={made[0]['agent']}").text


def test_shorter_retention_says_what_it_deletes_and_asks_for_just_that(house: House) -> None:
    page = "/w/acme/settings/retention"
    made, old = sealed(house.key, b"OSError: very old\n"), "01890000-0000-7000-8000-000000000001"
    for table in ("report_artifact", "report_text"):
        team.sql(house.server, f"DELETE FROM {table} WHERE report_id = $1", made)
    team.sql(house.server, "UPDATE report SET id = $1 WHERE id = $2", old, made)
    asked = form(house.admin, page, report="30").text
    assert "1 report with everything in it" in asked
    word = re.findall(r'name="confirm" value="([^"]+)"', asked)[0]
    assert got(house.key, "retention")["days"]["report"] is None, "nothing is saved yet"
    assert "This deletes at once" in form(house.admin, page, report="20", confirm=word).text, "another number"
    assert got(house.key, "retention")["days"]["report"] is None
    assert "Saved." in form(house.admin, page, report="30", confirm=word).text
    assert got(house.key, "retention")["days"]["report"] == 30
    assert "Saved." in form(house.admin, page, report="").text, "longer asks nothing"
    api = "/api/v1/workspaces/acme/retention"
    refused = house.key.post(api, json={"days": {"report": 30}})
    assert (refused.status_code, refused.json()["due"]) == (409, {"report": 1}), "a program is asked too"
    assert got(house.key, "retention")["days"]["report"] is None
    confirmed = house.key.post(api, json={"days": {"report": 30}, "confirm": True})
    assert (confirmed.status_code, confirmed.json()["days"]["report"]) == (200, 30)


def test_usage_is_shown_and_what_is_held_stays(house: House) -> None:
    held = sealed(house.key, b"ValueError: evidence\n")
    usage = got(house.key, "usage")
    assert (usage["reports"] >= 1, usage["bytes_stored"] > 0, usage["days"][-1]["reports"] >= 1) == (True, True, True)
    exported = house.key.get("/api/v1/workspaces/acme/usage.csv")
    assert exported.text.startswith("day,reports,commands")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    shown = house.admin.get("/w/acme/usage")
    assert (shown.status_code, "Stored bytes" in shown.text) == (200, True)
    for path in ("settings", "settings/retention", f"reports/{held}", f"reports/{held}/hold"):
        assert house.admin.get(f"/w/acme/{path}").status_code == 200, path
    base = f"/api/v1/workspaces/acme/reports/{held}"
    assert house.key.post(f"{base}/hold", json={"reason": "case 12"}).json()["reason"] == "case 12"
    assert (house.key.delete(base).status_code, house.admin.get(f"/w/acme/reports/{held}/hold").status_code) == (
        409,
        200,
    )
    assert (house.key.delete(f"{base}/hold").status_code, house.key.delete(base).status_code) == (204, 200)
