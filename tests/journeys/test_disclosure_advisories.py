"""Triage and advisories at a real server: who passes, what every field does with markup, what is too large. F25"""

import json
import re
from urllib.parse import urlencode

import pytest

from tests.journeys import test_disclosure as desks
from tests.journeys.test_disclosure import HERE, SCRIPT, as_browser, desk_at, report
from tests.web.api.test_agents import person
from tests.web.conftest import OPERATOR, on_database, people, services

__all__ = ["on_database", "people", "services"]  # fixtures of the server in this process
VECTOR = "CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"
WHOLE = {
    "tracking_id": "ACME-2026-0001", "title": f"Title {SCRIPT}", "summary": SCRIPT, "description": SCRIPT, "cwe": "CWE-79",
    "cve": "CVE-2026-12345", "language": "en", "products.0.vendor": SCRIPT, "products.0.name": SCRIPT,
    "products.0.scheme": "semver", "products.0.purl": "pkg:pypi/gate", "products.0.affected": "<1.4.2",
    "products.0.fixed": "1.4.2", "remediations.0.kind": "vendor_fix", "remediations.0.details": SCRIPT,
    "remediations.0.url": "https://acme.example/download?a=1&b='(x)", "references.0.summary": SCRIPT,
    "references.0.url": "https://acme.example/changes/17", "credits.0.name": SCRIPT, "credits.0.organization": SCRIPT,
    "credits.0.summary": SCRIPT, "credits.0.url": "https://ada.example/", "timeline.0.at": "2026-11-01",
    "timeline.0.what": SCRIPT, "change": SCRIPT,
}  # fmt: skip
clock = desks.clock


@pytest.fixture
async def server(services, clock, monkeypatch):
    monkeypatch.setattr(desks, "SETTINGS", desks.SETTINGS + 'url = "https://desk.acme.example"\n')
    async with desk_at(services, clock) as one:
        yield one


async def begun(server, clock, people, desk):
    """Report something and begin its advisory; return the report's address and the token of forms."""
    await server.services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with as_browser(server) as finder:
        assert (await report(finder, clock, title=SCRIPT, credit=SCRIPT)).status_code == 303
    at = re.search(rf"{HERE}/[0-9a-f-]{{36}}", (await desk.get(HERE)).text)[0]
    token = re.search(r'name="csrf_token" value="([^"]+)"', (await desk.get(at)).text)[1]
    assert (await desk.post(f"{at}/advisory/begin", data={"csrf_token": token})).status_code == 303
    return at, {"csrf_token": token}


def inert(answer):
    """Say that nothing of SCRIPT became a part of the page."""
    assert "<img" not in answer.text
    assert "<script>alert" not in answer.text
    return answer.text


async def test_markup_in_every_field_stays_text_from_the_draft_to_the_public_page(server, clock, people):
    async with person(server, people, "nobody") as desk:
        at, token = await begun(server, clock, people, desk)
        triage = {**token, "edit": "0", "vector": VECTOR, "credits": SCRIPT}
        wrong = await desk.post(f"{at}/triage", data={**triage, "vector": SCRIPT, "embargo": SCRIPT})
        assert (wrong.status_code, SCRIPT[:8] in wrong.text) == (422, False)
        assert inert(wrong).count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
        assert (await desk.post(f"{at}/triage", data=triage)).status_code == 303
        inert(await desk.get(f"{at}/triage"))
        inert(await desk.get(at))
        all_wrong = dict.fromkeys(WHOLE, SCRIPT)
        assert (await desk.post(f"{at}/advisory", data={**token, **all_wrong, "edit": "1"})).status_code == 303
        assert inert(await desk.get(f"{at}/advisory")).count("{{ 7*7 }}") >= len(WHOLE)
        stale = await desk.post(f"{at}/advisory", data={**token, **WHOLE, "edit": "1"})
        assert (stale.status_code, "Kept now" in inert(stale)) == (409, True)
        assert (await desk.post(f"{at}/advisory", data={**token, **WHOLE, "edit": "2"})).status_code == 303
        text = await desk.get(f"{at}/advisory/markdown")
        assert text.headers["content-disposition"].startswith('attachment; filename="acme-2026-0001.md";')
        assert "<script" not in text.text
        sent = await desk.post(f"{at}/advisory/publish", data={**token, "edit": "3", "sure": "yes"})
        assert sent.status_code == 303, sent.text
        inert(await desk.get(f"{at}/advisory"))
    async with as_browser(server) as anybody:
        inert(await anybody.get("/security/advisories"))
        page = await anybody.get("/security/advisories/acme-2026-0001")
        assert inert(page).count("{{ 7*7 }}") >= 10
        file = await anybody.get("/security/advisories/acme-2026-0001.json")
        assert file.headers["content-type"].startswith("application/json")
        assert file.headers["content-disposition"].startswith("attachment")
        assert b"<" not in file.content
        assert json.loads(file.content)["document"]["title"] == WHOLE["title"]
        assert (await anybody.get("/security/advisories/acme-2026-0002")).status_code == 404
    records = [one.record for one in await server.services.audit.records("system", None, 1000)]
    told = [one["data"]["act"] for one in records if one["act"] == "plugin.acted"]
    assert {"disclosure.triaged", "disclosure.drafted", "disclosure.edited", "disclosure.exported",
            "disclosure.published"} <= set(told)  # fmt: skip
    assert "alert(1)" not in str(records)


async def test_nobody_but_the_platform_role_with_a_second_factor_triages_exports_or_publishes(server, clock, people):
    async with person(server, people, "nobody") as desk:
        at, token = await begun(server, clock, people, desk)
        await desk.post(f"{at}/triage", data={**token, "edit": "0", "vector": VECTOR})
        await desk.post(f"{at}/advisory", data={**token, **WHOLE, "edit": "1"})
        without = await desk.post(f"{at}/advisory/publish", data={"edit": "2", "sure": "yes"})
        assert without.status_code == 403
    gets = (f"{at}/triage", f"{at}/advisory", f"{at}/advisory/csaf", f"{at}/advisory/markdown")
    posts = (f"{at}/triage", f"{at}/assign", f"{at}/link", f"{at}/unlink", f"{at}/advisory", f"{at}/advisory/publish")
    form = {"edit": "2", "sure": "yes"}

    async def try_all(visitor, own):
        for path in gets:
            assert (await visitor.get(path, headers={"accept": "text/html"})).status_code in {303, 404}, path
        for path in posts:
            sent = await visitor.post(path, data={**form, **own})
            assert sent.status_code != 200, path
            assert sent.headers.get("location", "").split("?")[0] in {"", "/signin", "/signin/code"}, path

    async with as_browser(server) as stranger:
        await try_all(stranger, {})
    async with person(server, people, "owner") as owner:
        page = await owner.get("/account")
        await try_all(owner, {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]})
    async with person(server, people, "nobody", is_proven=False) as unproven:
        await try_all(unproven, token)
    async with as_browser(server) as anybody:
        assert "acme-2026-0001" not in (await anybody.get("/security/advisories")).text
        for name in ("acme-2026-0001", "acme-2026-0001.json"):
            assert (await anybody.get(f"/security/advisories/{name}")).status_code == 404
    records = [one.record for one in await server.services.audit.records("system", None, 1000)]
    assert "disclosure.published" not in str(records)


async def test_what_is_too_large_or_too_much_is_refused_and_the_draft_stays(server, clock, people):
    async with person(server, people, "nobody") as desk:
        at, token = await begun(server, clock, people, desk)
        await desk.post(f"{at}/advisory", data={**token, **WHOLE, "edit": "1"})
        kind = {"content-type": "application/x-www-form-urlencoded"}
        for text, status in (
            (urlencode({**token, **WHOLE, "edit": "2", "description": "A" * 10_000_000}), 413),
            (urlencode(token) + "&edit=2" + "".join(f"&credits.{number}.name=x" for number in range(1000)), 400),
            (urlencode({**token, "edit": "2"}) + "&title=a&title=b", 400),
        ):
            assert (await desk.post(f"{at}/advisory", content=text.encode(), headers=kind)).status_code == status
        kept = await desk.get(f"{at}/advisory")
        assert 'name="edit" value="2"' in kept.text
        # The largest text that a form carries is kept as it was written, and what is wrong with it is said.
        long = {**token, **WHOLE, "edit": "2", "description": "ä" * 60_000, "title": "x" * 100_000}
        assert (await desk.post(f"{at}/advisory", data=long)).status_code == 303
        page = await desk.get(f"{at}/advisory")
        assert "ä" * 60_000 in page.text
        assert "Has 100000 characters, and 300 are the most." in page.text
        csaf = await desk.get(f"{at}/advisory/csaf", headers={"accept": "text/html"})
        assert (csaf.status_code, "is not whole yet" in csaf.text) == (422, True)
