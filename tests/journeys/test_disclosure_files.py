"""Attachments at a real server: taken whole, never in part, downloaded at the desk alone. F24 E27"""

import gzip
import re
import sqlite3

import pytest

from tests.journeys.test_disclosure import FIELDS, HERE, as_browser, clock, desk_at, fields_in, server
from tests.web.api.test_agents import person
from tests.web.conftest import OPERATOR, on_database, people, services

__all__ = ["clock", "on_database", "people", "server", "services"]  # fixtures

TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
BOMB = gzip.compress(b"\n" * 60_000_000)
LOG = f"SECRET-LINE\ntoken={TOKEN}\n".encode()


async def attach(client, clock, *files, **changes):
    """Send a report with `files` as a browser does; return the answer."""
    form = fields_in(await client.get("/security/report"))
    clock.advance(5)
    written = {name: f"what {name} says" for name in FIELDS}
    return await client.post(
        "/security/report", data={**form, **written, **changes}, files=[("files", one) for one in files]
    )


def kept_in(server):
    """Return how many reports and attachments the desk keeps."""
    [path] = server.services.data_dir.glob("plugins/disclosure/desk.sqlite")
    with sqlite3.connect(path) as opened:
        return tuple(opened.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in ("report", "attachment"))


async def test_a_reporter_attaches_and_the_desk_downloads(server, clock, people):
    await server.services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with as_browser(server) as finder, person(server, people, "nobody") as desk:
        sent = await attach(finder, clock, ("../run.log", LOG), ("<img src=x onerror=alert(1)>.png", PNG))
        assert sent.status_code == 303, sent.text
        link = sent.headers["location"]
        page = await finder.get(link)
        assert "run.log" in page.text
        assert "secrets taken out" in page.text
        assert "<img" not in page.text
        assert "/files/" not in page.text
        said = await finder.post(
            link, data={**fields_in(page), "message": "And this."}, files=[("files", ("more.png", PNG))]
        )
        assert said.status_code == 303
        at = re.search(rf"{HERE}/[0-9a-f-]{{36}}", (await desk.get(HERE)).text)[0]
        report = await desk.get(at)
        places = re.findall(rf'href="({at}/files/[0-9a-f-]{{36}})"', report.text)
        assert len(places) == 3
        log = await desk.get(places[0])
        assert TOKEN.encode() not in log.content
        assert log.content.startswith(b"SECRET-LINE\ntoken=[redacted:")
        assert (await desk.get(places[2])).content == PNG
        assert log.headers["content-type"] == "application/octet-stream"
        assert log.headers["content-disposition"].startswith('attachment; filename="run.log"; ')
        assert "sandbox" in log.headers["content-security-policy"]
        other = places[0].replace(at.rpartition("/")[2], "01890a5d-ac96-774b-bcce-b302099a8057")
        for nowhere in (other, f"{at}/files/x", f"{at}/files/..%2f"):
            assert (await desk.get(nowhere)).status_code == 404, nowhere
        assert (await finder.get(places[0])).status_code == 303  # to the page of the sign-in
    for name in ("owner", "auditor"):
        async with person(server, people, name) as member:
            assert (await member.get(places[0], headers={"accept": "text/html"})).status_code == 404
    [path] = server.services.data_dir.glob("plugins/disclosure/desk.sqlite")
    octets = b"".join(each.read_bytes() for each in path.parent.iterdir())
    for open_text in (b"SECRET-LINE", b"IHDR", b"run.log", b"more.png"):
        assert open_text not in octets, open_text
    records = [one.record for one in await server.services.audit.records("system", None, 1000)]
    acts = [one["data"]["act"] for one in records if one["act"] == "plugin.acted"]
    assert acts[1:] == [
        "disclosure.received", "disclosure.answered", "disclosure.read", "attachment.downloaded",
        "attachment.downloaded",
    ]  # fmt: skip
    assert "run.log" not in str(records)


@pytest.mark.parametrize(
    ("files", "changes", "status", "says"),
    [
        ([("a.txt", b"x")] * 6, {}, 413, "too many files"),
        ([("a.txt", b"x")] * 1000, {}, 413, "too many files"),
        ([("a.txt", b"x" * 10_000_000)], {}, 413, "larger than"),
        ([("a.txt", b"x")], {"steps": "A" * 10_000_000}, 413, "larger than"),
        ([("a.txt", b"x"), ("bomb.gz", BOMB)], {}, 422, "bomb.gz is not taken"),
        ([("a.txt", b"x"), ("a.png", b"\x7fELF\x00")], {}, 422, "a.png is not taken"),
        ([("a.txt", b"")], {}, 422, "a.txt is not taken: it is empty"),
    ],
)
async def test_what_is_refused_says_so_and_nothing_is_kept(server, clock, files, changes, status, says):
    async with as_browser(server) as client:
        answer = await attach(client, clock, *files, **changes)
        assert (answer.status_code, says in answer.text) == (status, True), answer.text[-800:]
        assert kept_in(server) == (0, 0)
        if status == 422:
            assert "what steps says" in answer.text
            assert "Choose your files once more" in answer.text
        link = (await attach(client, clock)).headers["location"]
        page = await client.get(link)
        form = {**fields_in(page), "message": "x", **changes}
        said = await client.post(link, data=form, files=[("files", one) for one in files])
        assert (said.status_code, says in said.text) == (status, True)
        assert "And" not in (await client.get(link)).text
        assert kept_in(server) == (1, 0)


async def test_who_sends_too_many_forms_is_turned_away_before_they_are_read(server, clock):
    async with as_browser(server) as client:
        for _ in range(30):
            assert (await client.post("/security/report", data={"title": "x"})).status_code == 403
        answer = await client.post("/security/report", data={"title": "A" * 10_000_000})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        clock.advance(60)
        link = (await attach(client, clock)).headers["location"]
        for _ in range(4):
            assert (await attach(client, clock)).status_code == 303
        full = await attach(client, clock)
        assert (full.status_code, int(full.headers["retry-after"]) > 3000) == (429, True)
        assert "what steps says" in full.text
        assert (await client.get(link)).status_code == 200


async def test_attachments_are_there_after_another_start(services, clock, people):
    await services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with desk_at(services, clock) as one, as_browser(one) as client:
        assert (await attach(client, clock, ("a.png", PNG))).status_code == 303
    await services.resealing.rotate(OPERATOR)
    async with desk_at(services, clock) as one, person(one, people, "nobody") as desk:
        at = re.search(rf"{HERE}/[0-9a-f-]{{36}}", (await desk.get(HERE)).text)[0]
        place = re.search(rf"{at}/files/[0-9a-f-]{{36}}", (await desk.get(at)).text)[0]
        assert (await desk.get(place)).content == PNG
