"""F13: a share link at a real server: what opens, what does not, and what it leaves behind."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from failgate.base.canonical import canonical
from failgate.base.ids import new_id
from failgate.roster import Services
from tests.web.conftest import People, Running, cookies_of, running, session_of, with_server

CONTENT = b"1 failed in 0.1s\n"
HIDDEN = b"<script>alert(1)</script>\n"
CAST = (
    b'{"version": 2, "width": 40, "height": 4, "title": "private title"}\n'
    b'[0.1, "o", "\\u001b]52;c;ZXZpbA==\\u0007one \\u001b[31mred\\u001b[0m <b>"]\n[0.9, "o", " two"]\n'
)
SHA, HIDDEN_SHA, CAST_SHA = (hashlib.sha256(one).hexdigest() for one in (CONTENT, HIDDEN, CAST))
WHERE = "/api/v1/workspaces/acme"
PASSPHRASE = "four words in a row"


def manifest() -> dict[str, object]:
    def entry(content: bytes, name: str, kind: str) -> dict[str, object]:
        sha256 = hashlib.sha256(content).hexdigest()
        return {"name": name, "kind": kind, "media_type": "text/html", "size_bytes": len(content), "sha256": sha256}

    return {
        "v": 1, "id": new_id(), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["pytest", "-q"],
        "cwd": "/src/private", "host": "build-1", "exit_code": 1, "duration_ms": 12, "redactions": [],
        "environment": {"names": ["HOUSE_ONLY"], "values": {"LANG": "C"}, "platform": "Linux-private"},
        "artifacts": [entry(CONTENT, "output.txt", "output"), entry(HIDDEN, "<b>page.html", "file"), entry(CAST, "run.cast", "recording")],
        "redaction_rules": "1",
    }  # fmt: skip


class Desk:
    """A workspace with a report, a program that makes links, and strangers that open them."""

    def __init__(self, server: Running, services: Services, people: People) -> None:
        self.server, self.services, self.people = server, services, people
        self.api = server.client(headers={"authorization": f"Bearer {people.key}"})
        self.report_id = ""

    def stranger(self, **headers: str) -> httpx.AsyncClient:
        return self.server.client(headers={"accept": "text/html", "origin": self.server.origin, **headers})

    async def upload(self) -> None:
        document = manifest()
        sha256 = hashlib.sha256(canonical(document)).hexdigest()
        consent = {"manifest_sha256": sha256, "by": "person", "at": "2026-01-02T03:04:06Z"}
        begun = (await self.api.post(f"{WHERE}/reports", json={"manifest": document, "consent": consent})).json()
        self.report_id = begun["id"]
        for content in (CONTENT, HIDDEN, CAST):
            sha256 = hashlib.sha256(content).hexdigest()
            await self.api.put(f"{WHERE}/reports/{self.report_id}/artifacts/{sha256}", content=content)
        sealed = await self.api.post(f"{WHERE}/reports/{self.report_id}/seal")
        assert sealed.json()["state"] == "sealed"

    async def link(self, **wish: object) -> dict[str, str]:
        answer = await self.api.post(f"{WHERE}/reports/{self.report_id}/shares", json=wish)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
async def desk(server: Running, services: Services, people: People) -> AsyncIterator[Desk]:
    made = Desk(server, services, people)
    async with made.api:
        await made.upload()
        yield made


def path_of(link: dict[str, str]) -> str:
    return "/s/" + link["url"].rpartition("#")[2]


def shape(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    kept = [(name, value) for name, value in answer.headers.multi_items() if name not in {"date", "x-request-id"}]
    return answer.status_code, answer.content, kept


async def test_a_link_shows_its_report_and_the_token_is_gone_from_every_address(desk: Desk) -> None:
    link = await desk.link()
    token = path_of(link).removeprefix("/s/")
    async with desk.stranger() as visitor:
        first = await visitor.get(path_of(link))
        assert (first.status_code, first.headers["location"]) == (303, f"/s/{link['id']}")
        [cookie] = first.headers.get_list("set-cookie")
        assert re.fullmatch(rf"fg_share=[\w-]+; HttpOnly; Path=/s/{link['id']}; SameSite=Lax; Max-Age=3600", cookie), (
            cookie
        )
        shown = await visitor.get(first.headers["location"])
        assert shown.status_code == 200
        for answer in (first, shown):
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-robots-tag"].startswith("noindex")
            assert answer.headers["cache-control"] == "no-store"
            assert token not in answer.text
        assert "1 failed in 0.1s" in shown.text
        for hidden in ("build-1", "/src/private", "HOUSE_ONLY", "Linux-private", HIDDEN_SHA, "owner@", "/w/", "key"):
            assert hidden not in shown.text.replace("keyboard", ""), hidden
        [href] = re.findall(r'href="(/s/[^"]+)"', shown.text)
        loaded = await visitor.get(href)
        assert loaded.content == CONTENT
        assert loaded.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in loaded.headers["content-security-policy"]
        part = await visitor.get(href, headers={"range": "bytes=0-0"})
        assert (part.status_code, part.content) == (206, b"1")
        assert (await visitor.get(href.replace(SHA, HIDDEN_SHA))).status_code == 404


async def test_a_html_artifact_that_was_chosen_is_only_ever_an_attachment(desk: Desk) -> None:
    link = await desk.link(artifacts=[HIDDEN_SHA])
    async with desk.stranger() as visitor:
        shown = await visitor.get(path_of(link), follow_redirects=True)
        assert "<script>alert(1)" not in shown.text
        loaded = await visitor.get(f"/s/{link['id']}/artifacts/{HIDDEN_SHA}")
        assert (loaded.headers["content-type"], loaded.content) == ("application/octet-stream", HIDDEN)
        assert "<b>" not in loaded.headers["content-disposition"]


async def test_a_recording_plays_by_a_link_that_lists_it_and_by_no_other(desk: Desk) -> None:
    link, without = await desk.link(artifacts=[CAST_SHA]), await desk.link()
    async with desk.stranger() as visitor, desk.stranger() as other, desk.stranger() as nobody:
        never = shape(await nobody.get(f"/s/{'x' * 80}"))
        shown = await visitor.get(path_of(link), follow_redirects=True)
        assert f'data-playback="/s/{link["id"]}/playback"' in shown.text
        assert "playback.js" in shown.text
        assert 'name="robots"' in shown.text
        assert 'one <span class="f1">red</span> &lt;b&gt; two' in shown.text
        played = await visitor.get(f"/s/{link['id']}/playback")
        assert (played.status_code, played.headers["content-type"]) == (200, "application/json")
        assert next(frame[1]["0"] for frame in played.json()["frames"]) == [["one ", ""], ["red", "f1"], [" <b>", ""]]
        for answer in (shown, played):
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "\\u001b" not in answer.text
            assert "ZXZpbA" not in answer.text
            assert "private title" not in answer.text
            assert "script-src 'nonce-" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
        unlisted = await other.get(path_of(without), follow_redirects=True)
        assert "data-playback" not in unlisted.text
        for client in (other, nobody):
            for one in (without, link):
                assert shape(await client.get(f"/s/{one['id']}/playback")) == never
        await revoke(desk, link)
        assert shape(await visitor.get(f"/s/{link['id']}/playback")) == never


async def nobodys(desk: Desk, _: dict[str, str]) -> None:
    """Nothing happens to the link."""


async def revoke(desk: Desk, link: dict[str, str]) -> None:
    where = f"{WHERE}/reports/{desk.report_id}/shares/{link['id']}"
    assert (await desk.api.delete(where)).status_code == 204


async def expire(desk: Desk, link: dict[str, str]) -> None:
    await desk.services.db.write(lambda tx: tx.execute("UPDATE share SET expires_us = 1 WHERE id = $1", link["id"]))


async def switch_off(desk: Desk, _: dict[str, str]) -> None:
    await desk.services.db.write(
        lambda tx: tx.execute("INSERT INTO sharing_stop (workspace_id, stopped_us) VALUES ($1, 1)", desk.people.acme)
    )


async def quarantine(desk: Desk, _: dict[str, str]) -> None:
    await desk.services.db.write(lambda tx: tx.execute("UPDATE report SET state = 'quarantined'"))


async def delete(desk: Desk, _: dict[str, str]) -> None:
    assert (await desk.api.delete(f"{WHERE}/reports/{desk.report_id}")).status_code == 200


ENDS: list[Callable[[Desk, dict[str, str]], Awaitable[None]]] = [revoke, expire, switch_off, quarantine, delete]


@pytest.mark.parametrize("ended", ENDS, ids=lambda one: one.__name__)
async def test_a_link_that_ended_answers_as_one_that_never_was(
    desk: Desk, ended: Callable[[Desk, dict[str, str]], Awaitable[None]]
) -> None:
    """Byte for byte, at the token, at the visit, at its download; also for somebody who has the page open."""
    link = await desk.link()
    async with desk.stranger() as visitor, desk.stranger() as nobody:
        never = shape(await nobody.get(f"/s/{'x' * 80}"))
        assert never[0] == 404
        assert (await visitor.get(path_of(link), follow_redirects=True)).status_code == 200
        await ended(desk, link)
        for client in (visitor, nobody):
            for path in (path_of(link), f"/s/{link['id']}", f"/s/{link['id']}/artifacts/{SHA}"):
                assert shape(await client.get(path)) == never, path


async def test_what_was_never_a_link_is_nothing(desk: Desk) -> None:
    link = await desk.link()
    token = path_of(link).removeprefix("/s/")
    async with desk.stranger() as nobody, desk.stranger() as other:
        never = shape(await nobody.get(f"/s/{'x' * 80}"))
        await other.get(path_of(await desk.link()))
        kept = other.cookies["fg_share"]
        for path in (
            f"/s/{token[:-1]}", f"/s/{token}0", f"/s/{token.upper()}", f"/s/{token.replace('shr', 'usr')}", f"/s/{new_id()}",
            f"/s/{link['id']}", f"/s/{desk.report_id}", f"/s/{desk.people.key}", "/s/%00", "/s/%F0%9F%92%A9",
            f"/s/{link['id']}/artifacts/{SHA}",
        ):  # fmt: skip
            assert shape(await nobody.get(path)) == never, path
            assert shape(await nobody.get(path, headers={"cookie": f"fg_share={kept}"})) == never, path


async def test_a_share_token_is_no_session_and_no_bearer_token_anywhere(desk: Desk) -> None:
    link = await desk.link()
    token = path_of(link).removeprefix("/s/")
    async with desk.stranger() as visitor:
        await visitor.get(path_of(link), follow_redirects=True)
        visit = next(cookie.value for cookie in visitor.cookies.jar if cookie.name == "fg_share")
    for secret in (token, visit):
        for headers in ({"authorization": f"Bearer {secret}"}, {"cookie": f"fg_session={secret}; fg_share={visit}"}):
            async with desk.server.client(headers=headers) as program:
                for path in (
                    "/api/v1/whoami",
                    f"{WHERE}/reports",
                    f"{WHERE}/reports/{desk.report_id}",
                    "/scim/v2/Users",
                ):
                    assert (await program.get(path)).status_code == 401, path
                for path in ("/account", "/w/acme/queue", f"/w/acme/reports/{desk.report_id}"):
                    assert (await program.get(path)).status_code == 303, path


async def test_a_passphrase_stands_before_the_report_and_its_files(desk: Desk) -> None:
    link = await desk.link(passphrase=PASSPHRASE)
    async with desk.stranger() as visitor:
        asked = await visitor.get(path_of(link), follow_redirects=True)
        assert (asked.status_code, "passphrase" in asked.text, "1 failed" in asked.text) == (200, True, False)
        for hidden in (f"artifacts/{SHA}", "playback"):
            assert (await visitor.get(f"/s/{link['id']}/{hidden}")).status_code == 404
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', asked.text)
        assert csrf is not None
        fields = {"csrf_token": csrf[1], "passphrase": "wrong"}
        wrong = await visitor.post(f"/s/{link['id']}", data=fields)
        assert (wrong.status_code, "not the passphrase" in wrong.text) == (403, True)
        bare = await visitor.post(f"/s/{link['id']}", data=fields | {"csrf_token": "", "passphrase": PASSPHRASE})
        assert bare.status_code == 403
        right = await visitor.post(f"/s/{link['id']}", data=fields | {"passphrase": PASSPHRASE})
        assert right.status_code == 303
        assert "1 failed" in (await visitor.get(f"/s/{link['id']}")).text
    listed = (await desk.api.get(f"{WHERE}/reports/{desk.report_id}/shares")).json()
    assert [(one["views"], one["has_passphrase"]) for one in listed["items"]] == [(1, True)]


async def test_neither_token_nor_passphrase_is_in_the_log_the_records_or_the_database(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    link = await desk.link(passphrase=PASSPHRASE)
    token = path_of(link).removeprefix("/s/")
    async with desk.stranger() as visitor:
        asked = await visitor.get(path_of(link), follow_redirects=True)
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', asked.text)
        assert csrf is not None
        await visitor.post(f"/s/{link['id']}", data={"csrf_token": csrf[1], "passphrase": PASSPHRASE})
        await visitor.get(f"/s/{link['id']}", headers={"referer": f"{desk.server.origin}{path_of(link)}"})
    said = "".join(capfd.readouterr())
    records = json.dumps([one.record for one in await desk.services.audit.records(desk.people.acme)])
    database = b"".join(path.read_bytes() for path in desk.services.data_dir.glob("failgate.sqlite*"))
    assert "share.viewed" in records
    for secret in (token, token.split("_")[3], PASSPHRASE):
        assert secret not in said
        assert secret not in records
        assert secret.encode() not in database
    assert "198.51" not in records


async def test_members_make_links_and_only_owners_switch(desk: Desk) -> None:
    accounts = desk.people.accounts
    for name, may_share, may_switch in (
        ("owner", True, True), ("admin", True, False), ("developer", True, False), ("auditor", False, False),
    ):  # fmt: skip
        session = await session_of(desk.services, accounts[name], is_proven=True)
        async with desk.stranger(cookie=cookies_of(session)) as browser:
            made = await browser.post(
                f"{WHERE}/reports/{desk.report_id}/shares", json={}, headers={"sec-fetch-site": "same-origin"}
            )
            assert made.status_code == (201 if may_share else 403), name
            shown = await browser.get("/w/acme/settings/sharing")
            assert shown.status_code == (200 if may_switch else 403), name
    agent = desk.server.client(headers={"authorization": f"Bearer {desk.people.agent}"})
    async with agent:
        assert (await agent.post(f"{WHERE}/reports/{desk.report_id}/shares", json={})).status_code == 403


async def test_a_link_is_opened_without_its_token_in_any_address(services: Services, people: People) -> None:
    """ASVS 5.0 14.2.1: as a server is without a word in its config."""
    async with running(with_server(services, tokens_in_addresses=False)) as server:
        desk = Desk(server, services, people)
        async with desk.api, desk.stranger() as visitor, desk.stranger() as nobody:
            await desk.upload()
            link = await desk.link()
            assert re.fullmatch(r"http://[^/]+/link#fg_shr_\w+", link["url"])
            token = link["url"].rpartition("#")[2]
            before = await visitor.get(f"/s/{token}")
            assert (before.status_code, before.headers["location"]) == (303, "/link")
            never = shape(await nobody.get(f"/s/{'x' * 80}"))
            assert shape(await nobody.get(f"/s/{token[:-1]}")) == never
            for given in (token, link["url"], f"http://old.example/s/{token}"):
                csrf = re.search(r'name="csrf_token" value="([^"]+)"', (await visitor.get("/link")).text)
                assert csrf is not None
                opened = await visitor.post("/link", data={"csrf_token": csrf[1], "token": given})
                assert (opened.status_code, opened.headers["location"]) == (303, f"/s/{link['id']}"), given
                assert "fg_link" not in visitor.cookies
            assert "1 failed in 0.1s" in (await visitor.get(f"/s/{link['id']}")).text
            unknown = await visitor.post("/link", data={"csrf_token": csrf[1], "token": f"{token[:-6]}000000"})
            assert (unknown.status_code, unknown.content) == never[:2]
