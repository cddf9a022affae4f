"""Reports over a real server: ranges, digests, and the headers of a download. # F2 F3 F15"""

import hashlib

import pytest

from failgate.base.canonical import canonical
from failgate.base.ids import new_id
from failgate.web.api.reports import byte_range, download_headers
from failgate.web.errors import OtherStatus
from tests.web.conftest import OPERATOR


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


def document(content):
    return {
        "v": 1, "id": new_id(), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["pytest"], "cwd": "/work",
        "host": "h", "exit_code": 1, "duration_ms": 12, "redactions": [], "redaction_rules": "1",
        "environment": {"names": ["PATH"], "values": {}, "platform": "Linux"},
        "artifacts": [
            {"name": "<b>.html", "kind": "file", "media_type": "text/html", "size_bytes": len(content),
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


async def uploaded(client, content):
    begun = (await client.post(WHERE, json=consented(document(content)))).json()
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
