"""An owner adds a redaction rule on its page: what is stored and what comes is quarantined, at a real server. F17 F18."""

import time
from pathlib import Path

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server
from tests.journeys.team import WHERE, form, person, program, sign_in
from tests.journeys.test_access_matrix import CONTENT, SHA
from tests.journeys.test_bad_input import consented, manifest

PAGE = "/w/acme/settings/redaction"
RULE = {"name": "seat", "pattern": "ACME-[0-9]{4}", "must_match": "the seat ACME-4711", "must_not_match": "ACME-47"}


def test_a_rule_from_the_page_quarantines_what_is_stored_and_what_comes(
    tmp_path: Path, new_database: NewDatabase
) -> None:
    with team.served(Server(tmp_path / "data", database_url=new_database())) as server:
        key = team.found_acme(server)["api_key"]
        owner, developer = (person(server, f"{role}-2", role) for role in ("owner", "developer"))
        with program(server, key) as api, sign_in(server, owner) as browser, sign_in(server, developer) as other:
            document = manifest(CONTENT) | {"title": "the seat ACME-4711 is taken"}
            begun = api.post(f"{WHERE}/reports", json=consented(document)).json()
            api.put(f"{WHERE}/reports/{begun['id']}/artifacts/{SHA}", content=CONTENT)
            assert api.post(f"{WHERE}/reports/{begun['id']}/seal").json()["state"] == "sealed"
            assert "Redaction rules" in browser.get("/w/acme/settings").text
            assert other.get(PAGE).status_code == 403
            assert "is matched" in form(browser, PAGE, **RULE | {"must_not_match": "ACME-4712"}).text
            assert form(browser, PAGE, **RULE | {"must_match": ""}).status_code == 422
            assert form(browser, PAGE, **RULE).status_code == 303
            assert "x-seat" in browser.get(PAGE).text
            until = time.monotonic() + 20
            while (state := api.get(f"{WHERE}/redaction-rules").json()["scan"])["state"] != "ended":
                assert time.monotonic() < until, state
            assert state == {"state": "ended", "scanned": 1, "quarantined": 1}
            assert api.get(f"{WHERE}/reports/{begun['id']}").json()["state"] == "quarantined"
            for page in (f"/w/acme/reports/{begun['id']}", "/w/acme/reports"):
                assert "ACME-4711" not in other.get(page).text
            again = api.post(f"{WHERE}/reports", json=consented(manifest(CONTENT) | {"title": "ACME-4712"})).json()
            assert again["state"] == "quarantined"
            shown = browser.get(PAGE).text
            assert "in the one report that stood here: 1 was quarantined" in shown
            assert 'href="/w/acme/reports?state=quarantined"' in shown
            assert '<details class="ask"><summary class="button deny">End<span class="sr"> the rule x-seat' in shown
            assert "What it quarantined stays quarantined" in shown
            (rule,) = api.get(f"{WHERE}/redaction-rules").json()["items"]
            assert form(browser, PAGE, to=f"{PAGE}/{rule['id']}/revoke").status_code == 303
            assert api.delete(f"{WHERE}/redaction-rules/{rule['id']}").status_code == 404
