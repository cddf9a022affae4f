"""Reports over a real server: ranges, digests, and the headers of a download. # F2 F3 F15"""

import asyncio
import contextlib
import hashlib
from dataclasses import replace

import msgspec
import pytest

from failgate.administration.doctor import CHECKS, Examination
from failgate.assembly import open_services
from failgate.base.canonical import canonical
from failgate.base.ids import new_id
from failgate.config.load import load_config
from failgate.config.scan import ScanSection
from failgate.web.api.reports import byte_range, download_headers
from failgate.web.errors import OtherStatus
from tests.peers import clamav
from tests.web.conftest import OPERATOR, at_free_port, cookies_of, populate, running, session_of, with_optional_factor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=0-500", (0, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=9-0", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(text, expected):
    assert byte_range(text, 100) == expected


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_416_and_names_the_size(text):
    with pytest.raises(OtherStatus) as caught:
        byte_range(text, 100)
    assert caught.value.other_status == 416
    assert caught.value.headers == {"content-range": "bytes */100"}


@pytest.mark.parametrize(
    "name", ['a"b.txt', "a\r\nSet-Cookie: x=y", "../../etc/passwd", ".bashrc", "", "ü.html", "a;b", "x" * 5000]
)
def test_a_file_name_cannot_break_out_of_its_header(name):
    headers = download_headers(name, "a" * 64, 0, 10, 10, is_part=False)
    text = headers["content-disposition"]
    assert text.startswith("attachment; ")
    assert text.isascii()
    assert text.count('"') == 2
    assert not set("\r\n/\\") & set(text)
    assert "sandbox" in headers["content-security-policy"]
    assert len(text) < 1000


def test_a_part_names_its_place():
    headers = download_headers("a", "a" * 64, 10, 20, 100, is_part=True)
    assert headers["content-range"] == "bytes 10-19/100"
    assert headers["content-length"] == "10"


WHERE = "/api/v1/workspaces/acme/reports"


def document(content, name="<b>.html", media_type="text/html"):
    return {
        "v": 1, "id": new_id(), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["pytest"], "cwd": "/src",
        "host": "h", "exit_code": 1, "duration_ms": 12, "redactions": [], "redaction_rules": "1",
        "environment": {"names": ["PATH"], "values": {}, "platform": "Linux"},
        "artifacts": [
            {"name": name, "kind": "file", "media_type": media_type, "size_bytes": len(content),
             "sha256": hashlib.sha256(content).hexdigest()}
        ],
    }  # fmt: skip


def consented(manifest):
    digest = hashlib.sha256(canonical(manifest)).hexdigest()
    return {"manifest": manifest, "consent": {"manifest_sha256": digest, "by": "person", "at": "2026-01-02T03:04:06Z"}}


@pytest.fixture
async def client(server, people):
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as one:
        yield one


async def uploaded(client, content, *named):
    begun = (await client.post(WHERE, json=consented(document(content, *named)))).json()
    [digest] = begun["missing"]
    path = f"{WHERE}/{begun['id']}/artifacts/{digest}"
    answer = await client.put(path, content=content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["missing"] == []
    sealed = await client.post(f"{WHERE}/{begun['id']}/seal")
    assert sealed.json()["state"] == "sealed", sealed.text
    return begun["id"], path


async def test_a_report_goes_up_and_its_bytes_come_back_as_a_harmless_download(client):
    content = b"<script>alert(1)</script>" * 10_000
    identifier, path = await uploaded(client, content)
    answer = await client.get(path)
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    part = await client.get(path, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    behind = await client.get(path, headers={"range": "bytes=99999999-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == f"bytes */{len(content)}"
    listed = (await client.get(WHERE)).json()
    assert [one["id"] for one in listed["items"]] == [identifier]
    assert (await client.get(f"{WHERE}/{identifier}")).json()["manifest"]["argv"] == ["pytest"]
    receipt = await client.delete(f"{WHERE}/{identifier}")
    assert receipt.status_code == 200
    assert (await client.get(path)).status_code == (await client.get(f"{WHERE}/{identifier}")).status_code == 404


async def test_an_interrupted_download_goes_on_only_where_the_bytes_are_the_same(client):
    content = b"0123456789" * 1000
    _, path = await uploaded(client, content)
    etag = (await client.get(path)).headers["etag"]
    assert etag == f'"{hashlib.sha256(content).hexdigest()}"'
    part = await client.get(path, headers={"range": "bytes=9990-", "if-range": etag})
    assert (part.status_code, part.content) == (206, content[9990:])
    for other in ('"other"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        whole = await client.get(path, headers={"range": "bytes=9990-", "if-range": other})
        assert (whole.status_code, whole.content) == (200, content)
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        same = await client.get(path, headers={"if-none-match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert (await client.get(path, headers={"if-none-match": '"x"'})).status_code == 200


async def test_the_head_of_a_download_reads_no_byte_of_it(client):
    content = b"0123456789" * 1000
    _, path = await uploaded(client, content)
    answer = await client.head(path, headers={"range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "10000"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert (await client.head(f"{path[:-1]}x")).status_code == 404


ACTIVE = {
    ("a.html", "text/html"): b"<script>alert(1)</script>",
    ("a.svg", "image/svg+xml"): b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    (
        "a.xml",
        "application/xml",
    ): b'<?xml-stylesheet href="x"?><html xmlns="http://www.w3.org/1999/xhtml"><script>1</script></html>',
    (
        "a.xhtml",
        "application/xhtml+xml",
    ): b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>',
    ("a.pdf", "application/pdf"): b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>",
    ("a.js", "text/javascript"): b"alert(1)",
    ("a.png", "image/png"): b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
}


@pytest.mark.parametrize(("named", "content"), ACTIVE.items(), ids=[name for name, _ in ACTIVE])
async def test_no_file_is_shown_inline_whatever_it_says_it_is(client, named, content):
    _, path = await uploaded(client, content, *named)
    for headers in ({}, {"accept": named[1]}, {"range": "bytes=0-3"}, {"sec-fetch-dest": "iframe"}):
        answer = await client.get(path, headers=headers)
        assert answer.status_code in {200, 206}
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert {"default-src 'none'", "sandbox"} <= set(answer.headers["content-security-policy"].split("; "))


async def test_no_key_of_an_object_shows_any_of_500_names(client, server, tmp_path):
    names = [
        f"{word}-{number}.log" for number in range(125) for word in ("acme", "payroll", "secret project", "jane.doe")
    ]
    contents, kept = [b"a", b"b", b"c", b"d"], list(names)
    for first in range(0, 500, 125):
        manifest = document(b"")
        manifest["artifacts"] = [
            {"name": name, "kind": "file", "media_type": "text/plain", "size_bytes": 1, "sha256": hashlib.sha256(contents[place % 4]).hexdigest()}
            for place, name in enumerate(names[first : first + 125])
        ]  # fmt: skip
        begun = await client.post(WHERE, json=consented(manifest))
        assert begun.status_code == 201, begun.text
        place = f"{WHERE}/{begun.json()['id']}"
        kept.append(begun.json()["id"])
        for digest in begun.json()["missing"]:
            [octets] = [one for one in contents if hashlib.sha256(one).hexdigest() == digest]
            assert (await client.put(f"{place}/artifacts/{digest}", content=octets)).status_code == 200
        assert (await client.post(f"{place}/seal")).status_code == 200
    objects = [one for one in (tmp_path / "data" / "plugins").rglob("*") if one.is_file()]
    assert len(objects) >= len(contents)
    shown = " ".join(str(one.relative_to(tmp_path)) for one in objects)
    kept += ["acme", "payroll", "jane", *(hashlib.sha256(octets).hexdigest() for octets in contents)]
    assert [word for word in kept if word in shown] == []


async def test_bytes_that_do_not_match_their_digest_leave_nothing(client):
    content = b"expected"
    begun = (await client.post(WHERE, json=consented(document(content)))).json()
    [digest] = begun["missing"]
    path = f"{WHERE}/{begun['id']}/artifacts/{digest}"
    answer = await client.put(path, content=b"tampered")
    assert answer.status_code == 422
    assert (await client.get(path)).status_code == 404
    assert (await client.post(f"{WHERE}/{begun['id']}/seal")).status_code == 409


async def test_without_consent_to_this_very_manifest_nothing_begins(client):
    body = consented(document(b"x"))
    assert (await client.post(WHERE, json={"manifest": body["manifest"]})).status_code == 403
    body["consent"]["manifest_sha256"] = "0" * 64
    assert (await client.post(WHERE, json=body)).status_code == 422


async def test_a_foreign_report_is_absent(client, server, people):
    identifier, path = await uploaded(client, b"mine")
    key = await server.services.tokens.mint("usr", people.accounts["foreign"], people.other, label="k", actor=OPERATOR)
    async with server.client(headers={"authorization": f"Bearer {key}"}) as stranger:
        for own in (f"{WHERE}/{identifier}", path):
            foreign = await stranger.get(own.replace("/acme/", "/other/"))
            absent = await stranger.get(own.replace("/acme/", "/other/").replace(identifier, new_id()))
            assert foreign.status_code == absent.status_code == 404
            assert foreign.content == absent.content


async def test_a_program_is_told_of_a_report_within_its_budget(client):
    content = b"x\n" * 9000 + b"ValueError: no price\n"
    manifest = document(content, "output.txt", "text/plain")
    manifest["artifacts"][0]["kind"] = "output"
    begun = (await client.post(WHERE, json=consented(manifest))).json()
    await client.put(f"{WHERE}/{begun['id']}/artifacts/{begun['missing'][0]}", content=content)
    await client.post(f"{WHERE}/{begun['id']}/seal")
    told = (await client.get(f"{WHERE}/{begun['id']}/context?budget=500")).json()
    assert "ValueError: no price" in told["markdown"]
    assert len(told["markdown"].encode()) <= 4 * 500
    assert told["tokens"] <= told["budget"] == 500
    for wrong in ("1", "-5", "x", "999999999"):
        assert (await client.get(f"{WHERE}/{begun['id']}/context?budget={wrong}")).status_code == 400
    assert (await client.get(f"{WHERE}/{new_id()}/context")).status_code == 404


@contextlib.asynccontextmanager
async def scanned(folder, clamd):
    """A server whose artifacts a clamd looks through: its services, a program's client, and what its owner opens."""
    config = with_optional_factor(load_config(None, {}))
    section = msgspec.structs.replace(config.artifacts, scan=ScanSection(clamd=clamd))
    with at_free_port(replace(config, artifacts=section)) as config:
        async with open_services(config, folder / "data") as services:
            people = await populate(services)
            cookie = cookies_of(await session_of(services, people.accounts["owner"], is_proven=True))
            async with (
                running(services) as server,
                server.client(headers={"authorization": f"Bearer {people.key}"}) as program,
                server.client(headers={"accept": "text/html", "cookie": cookie}) as owner,
                server.client(headers={"accept": "text/html"}) as visitor,
            ):
                yield services, program, owner, visitor


async def sent(program, content):
    """Upload a report with the content as output, file and recording, which are one artifact; return id and digest."""
    manifest = document(content)
    [file] = manifest["artifacts"]
    manifest["artifacts"] = [{**file, "kind": kind, "name": f"{kind}.html"} for kind in ("output", "file", "recording")]
    begun = (await program.post(WHERE, json=consented(manifest))).json()
    await program.put(f"{WHERE}/{begun['id']}/artifacts/{begun['missing'][0]}", content=content)
    assert (await program.post(f"{WHERE}/{begun['id']}/seal")).json()["state"] == "sealed"
    return begun["id"], begun["missing"][0]


async def told(services):
    [found] = [one for check in CHECKS for one in await check(services, Examination()) if one.name == "virus scanner"]
    return found


async def assert_withheld(program, owner, visitor, identifier, digest, reason, words):
    """No door gives the bytes: neither to programs and members nor behind a link, and each page says why."""
    path = f"{WHERE}/{identifier}/artifacts/{digest}"
    for headers in ({}, {"range": "bytes=0-0"}, {"if-none-match": "*"}):
        answer = await program.get(path, headers=headers)
        assert (answer.status_code, answer.json()["withheld"]) == (409, reason)
    assert (await program.head(path)).status_code == 409
    views = [(await program.get(f"{WHERE}/{identifier}")).json(), (await program.get(WHERE)).json()["items"][0]]
    assert [one["withheld"] for view in views for one in view["artifacts"]] == [reason] * 6
    assert (await program.get(f"{WHERE}/{identifier}/context")).status_code == 200
    page = await owner.get(f"/w/acme/reports/{identifier}")
    assert page.status_code == 200
    assert page.text.count(words) >= 3
    assert digest + '" download' not in page.text
    assert (await owner.get(f"/w/acme/reports/{identifier}/playback")).status_code == 404
    link = (await program.post(f"{WHERE}/{identifier}/shares", json={"artifacts": [digest]})).json()
    shown = await visitor.get("/s/" + link["url"].rpartition("#")[2], follow_redirects=True)
    assert (shown.status_code, words in shown.text, "download>" in shown.text) == (200, True, False)
    assert (await visitor.get(f"/s/{link['id']}/artifacts/{digest}")).status_code == 409


async def test_what_a_virus_scanner_finds_nobody_gets_by_any_door(tmp_path):
    with clamav.running() as peer:
        async with scanned(tmp_path, peer.socket) as (services, program, owner, visitor):
            identifier, digest = await sent(program, clamav.EICAR)
            _, clean = await uploaded(program, b"1 failed")
            async with asyncio.timeout(20):
                while (await program.get(clean)).status_code != 200 or services.report_room.scanning.problem:
                    await asyncio.sleep(0.02)
            while "waiting" in (await program.get(f"{WHERE}/{identifier}")).text:
                await asyncio.sleep(0.02)
            await program.delete(clean.partition("/artifacts/")[0])
            words = "withheld: Eicar-Test-Signature"
            await assert_withheld(program, owner, visitor, identifier, digest, "malware", words)
            assert "a virus scan found malware" in (await owner.get(f"/w/acme/reports/{identifier}")).text
            found = await told(services)
            assert found.verdict == "ok"
            assert "ClamAV" in found.sentence
            peer.stop()
            assert (await told(services)).verdict == "fail"


async def test_what_no_virus_scanner_saw_nobody_gets_by_any_door(tmp_path):
    async with scanned(tmp_path, str(tmp_path / "nobody")) as (services, program, owner, visitor):
        identifier, digest = await sent(program, b"1 failed")
        await assert_withheld(program, owner, visitor, identifier, digest, "waiting", "withheld: being scanned")
        found = await told(services)
        assert found.verdict == "fail"
        assert "cannot be asked" in found.sentence
        assert "withheld" in found.sentence
