"""The disclosure desk at a real server, opened over its services as an operator's config would. F22-F26 E27"""

import re
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

import pytest
from failgate_disclosure import plugin

from failgate.accounts.directory import platform_people
from failgate.base.clock import FrozenClock, SystemClock
from failgate.loader.finding import PluginIdentity
from failgate.loader.host import HostMaker
from failgate.loader.keys import PluginKeys
from failgate.loader.slots import OpenedPlugin
from failgate.testing import opened, settings_from
from tests.web.api.test_agents import person
from tests.web.conftest import OPERATOR, on_database, people, running, services

__all__ = ["on_database", "people", "services"]  # fixtures of the server in this process

SETTINGS = """contacts = ["mailto:security@acme.example", "tel:+1-201-555-0123"]
expires = 2027-05-01
changed = 2026-11-20
support = "https://acme.example/help"
scope = ["<b>*.acme.example</b>"]
"""
IDENTITY = PluginIdentity("disclosure", "disclosure", "0.1.0", "failgate-disclosure", "sha256:0", "/nowhere")


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}</textarea></pre>"
FIELDS = ("title", "affected", "steps", "expected", "actual", "impact", "contact", "credit")


@asynccontextmanager
async def desk_at(services, clock):
    """Serve `services` with the desk, opened as the loader does; the time of the desk is that of `clock`."""
    keys = PluginKeys(services.db, services.audit, services.resealing._box)
    who = partial(platform_people, services.db)
    make = HostMaker(services.data_dir, clock, services.outbound, audit=services.audit, keys=keys, people=who)
    host = make("disclosure")
    async with opened(plugin, settings_from(plugin, SETTINGS), host) as provides:
        plugins = (*services.plugins.plugins, OpenedPlugin(IDENTITY, provides))
        async with running(replace(services, plugins=replace(services.plugins, plugins=plugins))) as one:
            yield one


@pytest.fixture
def clock():
    """The time of the desk, which moves when told; the server has its own."""
    return FrozenClock(SystemClock().now_us())


@pytest.fixture
async def server(services, clock):  # the fixture
    async with desk_at(services, clock) as one:
        yield one


def fields_in(page):
    """Return the hidden fields of a form, as a browser without scripts sends them back."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', page.text))


async def report(client, clock, **changes):
    """Send a report as a browser does; return the answer."""
    form = fields_in(await client.get("/security/report"))
    clock.advance(5)
    written = {name: f"what {name} says" for name in FIELDS}
    return await client.post("/security/report", data={**form, **written, **changes})


def as_browser(server):
    return server.client(headers={"sec-fetch-site": "same-origin", "accept": "text/html"})


async def test_programs_and_people_find_where_to_report(server):
    async with server.client() as client:
        text = await client.get("/.well-known/security.txt")
        assert (text.status_code, text.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert text.text.startswith("Contact: mailto:security@acme.example\r\nContact: tel:+1-201-555-0123\r\n")
        assert "\r\nExpires: 2027-05-01T00:00:00Z\r\n" in text.text
        page = await client.get("/security")
        for said in ("Safe harbour", "Out of scope", "48 hours", "2026-11-20", "https://acme.example/help"):
            assert said in page.text, said
        assert "&lt;b&gt;*.acme.example&lt;/b&gt;" in page.text


async def test_a_stranger_reports_without_scripts_and_follows_by_a_private_link(server, clock):
    async with as_browser(server) as client:
        sent = await report(client, clock)
        assert sent.status_code == 303, sent.text
        link = sent.headers["location"]
        page = await client.get(link)
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in page.text
        said = await client.post(link, data={**fields_in(page), "message": "One more thing."})
        assert (said.status_code, said.headers["location"]) == (303, link)
    async with as_browser(server) as other:  # whoever has the address, and nobody else
        assert "One more thing." in (await other.get(link)).text
        assert (await other.get(link[:-1] + ("A" if link[-1] != "A" else "B"))).status_code == 404
    records = [one.record for one in await server.services.audit.records("system", None, 1000)]
    told = [one for one in records if one["act"] == "plugin.acted"]
    assert [one["data"]["act"] for one in told] == ["key.created", "disclosure.received", "disclosure.answered"]
    assert {one["actor"]["t"] for one in told[1:]} == {"anonymous"}
    assert "One more" not in str(records)


async def test_nothing_that_is_written_becomes_a_part_of_a_page(server, clock):
    """XSS in every field, and in what is shown again."""
    async with as_browser(server) as client:
        again = await report(client, clock, title="x", **dict.fromkeys(FIELDS[1:], SCRIPT))
        assert again.status_code == 422
        sent = await report(client, clock, **dict.fromkeys(FIELDS, SCRIPT))
        link = sent.headers["location"]
        page = await client.get(link)
        await client.post(link, data={**fields_in(page), "message": SCRIPT})
        for shown in (again, await client.get(link)):
            assert "<img" not in shown.text
            assert "<script>alert" not in shown.text
            assert "{{ 7*7 }}" in shown.text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.text


async def test_what_is_too_large_or_comes_from_elsewhere_is_not_read(server, clock):
    async with as_browser(server) as client:
        page = await client.get("/security/report")
        form = {**fields_in(page), "title": "A" * 10_000_000}
        kind = {"content-type": "application/x-www-form-urlencoded"}
        large = await client.post("/security/report", content=urlencode(form).encode(), headers=kind)
        assert large.status_code == 413
        files = await client.post("/security/report", files={"title": ("a.zip", b"PK")})
        assert files.status_code == 403
        twice = await client.post("/security/report", content=b"title=a&title=b", headers=kind)
        assert twice.status_code == 400
        many = "&".join(f"f{number}=x" for number in range(1000))
        assert (await client.post("/security/report", content=many.encode(), headers=kind)).status_code == 400
        assert (await report(client, clock, csrf_token="x")).status_code == 403
        foreign = {"sec-fetch-site": "cross-site"}
        sent = await client.post("/security/report", data=fields_in(page), headers=foreign)
        assert sent.status_code == 403


async def test_what_was_reported_is_there_after_the_plugin_was_away_and_after_another_sealing_key(services, clock):
    async with desk_at(services, clock) as server, as_browser(server) as client:
        link = (await report(client, clock, title="It stays")).headers["location"]
    async with running(services) as without, as_browser(without) as client:
        for gone in (link, "/security", "/security/report", "/.well-known/security.txt"):
            assert (await client.get(gone)).status_code == 404, gone
    await services.resealing.rotate(OPERATOR)
    async with desk_at(services, clock) as server, as_browser(server) as client:
        assert "It stays" in (await client.get(link)).text


HERE = "/platform/x/disclosure"


async def test_the_desk_answers_and_the_reporter_reads_it_and_no_more(server, clock, people):
    await server.services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with as_browser(server) as finder, person(server, people, "nobody") as desk:
        link = (await report(finder, clock, title=SCRIPT)).headers["location"]
        queue = await desk.get(HERE)
        assert "48 h left" in queue.text
        assert "<img" not in queue.text
        at = re.search(rf"{HERE}/[0-9a-f-]{{36}}", queue.text)[0]
        page = await desk.get(at)
        assert "<img" not in page.text
        assert "what steps says" in page.text
        token = {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]}
        for name, form in (
            ("take", {}),
            ("note", {"message": "INTERNAL-NOTE"}),
            ("tell", {"message": "Thank you: which version?"}),
            ("move", {"state": "closed", "reason": "out_of_scope"}),
        ):
            sent = await desk.post(f"{at}/{name}", data={**token, **form})
            assert (sent.status_code, sent.headers["location"]) == (303, at), name
        assert "nobody@example.org looks after it" in (await desk.get(at)).text
        assert at in (await desk.get(f"{HERE}/closed")).text
        assert at not in (await desk.get(HERE)).text
        seen = (await finder.get(link)).text
        assert "Thank you: which version?" in seen
        assert "out of the scope of our policy" in seen
        for private in ("INTERNAL-NOTE", "nobody@example.org", at):
            assert private not in seen
    for name in ("owner", "admin", "auditor"):
        async with person(server, people, name) as member:
            for path in (HERE, f"{HERE}/closed", at):
                assert (await member.get(path, headers={"accept": "text/html"})).status_code == 404, (name, path)
    async with person(server, people, "nobody", is_proven=False) as unproven:
        for path in (HERE, f"{HERE}/closed", at):
            assert (await unproven.get(path)).headers["location"].startswith("/signin/code"), path
    records = [one.record for one in await server.services.audit.records("system", None, 1000)]
    told = [(one["data"]["act"], one["actor"]["t"]) for one in records if one["act"] == "plugin.acted"]
    assert told[2:] == [
        ("disclosure.read", "user"), ("disclosure.assigned", "user"), ("disclosure.noted", "user"),
        ("disclosure.told", "user"), ("disclosure.moved", "user"), ("disclosure.moved", "user"),
        ("disclosure.read", "user"),
    ]  # fmt: skip
    assert "INTERNAL" not in str(records)
