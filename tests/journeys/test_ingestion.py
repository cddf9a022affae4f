"""An ordinary Sentry SDK sends real exceptions over a real socket; hostile envelopes get statuses that SDKs understand."""

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import brotli
import httpx
import pytest

from tests.journeys.harness import NewDatabase, Server, clean_environment
from tests.journeys.team import PASSWORD, WHERE, served

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
PROGRAM = f"""
import sys, sentry_sdk
sentry_sdk.init(dsn=sys.argv[1], release="shop@1.2.3", environment="staging", server_name="web-1", debug=True)
sentry_sdk.set_tag("team", "cart")
sentry_sdk.add_breadcrumb(category="http", message="asked with token={GITHUB}")
sentry_sdk.get_current_scope().add_attachment(bytes=b"log of token={GITHUB}\\n", filename="app.log", content_type="text/plain")
def pay(total):
    try:
        return {{}}["price"]
    except KeyError:
        raise RuntimeError("the card was refused: {GITHUB}")
try:
    pay(3)
except RuntimeError as error:
    print(sentry_sdk.capture_exception(error))
sentry_sdk.flush(10)
"""
ID = "9ec79c33ec9942ab8353589fcb2e04dc"


def envelope(identifier: str = ID, **members: object) -> bytes:
    event = {"event_id": identifier, "platform": "other", "message": "it broke"} | members
    return b"\n".join(json.dumps(part).encode() for part in ({"event_id": identifier}, {"type": "event"}, event))


@dataclass
class Place:
    server: Server
    key: str
    sdk: dict
    web: httpx.Client

    @property
    def dsn(self) -> str:
        return self.server.url.replace("://", f"://{self.public}@") + f"/{self.sdk['number']}"

    @property
    def public(self) -> str:
        return self.sdk["dsn"].partition("://")[2].partition("@")[0]

    def send(self, body: bytes, **headers: str) -> httpx.Response:
        auth = {"x-sentry-auth": f"Sentry sentry_key={self.public}, sentry_version=7, sentry_client=test/1"}
        return self.web.post(f"/api/{self.sdk['number']}/envelope/", content=body, headers=auth | headers)

    def ask(self, path: str) -> dict:
        return self.web.get(f"{WHERE}{path}", headers={"authorization": f"Bearer {self.key}"}).json()

    def reports(self) -> list[dict]:
        return self.ask("/reports")["items"]


@pytest.fixture(scope="module")
def place(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    config = '[reports]\nformats = ["capture", "sentry", "junit", "sarif"]\n[limits]\ningest_per_minute = 60\n'
    data = tmp_path_factory.mktemp("ingestion") / "data"
    server = Server(data, database_url=new_database(), config=config)
    with served(server):
        made = server.admin(
            "bootstrap", "--email", "ada@example.org", "--workspace", "acme", "--password-stdin", stdin=PASSWORD
        )
        sdk = server.admin("ingest-key", "create", "--workspace", "acme", "--project", "shop")
        with httpx.Client(base_url=server.url, timeout=30) as web:
            yield Place(server, made["api_key"], sdk, web)


def test_a_real_sdk_sends_an_exception_that_becomes_a_clean_report(place):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, place.dsn], env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    identifier = done.stdout.strip()
    found = [one for one in place.reports() if one["title"].startswith("RuntimeError: the card was refused")]
    assert len(found) == 1, done.stderr
    report = place.ask(f"/reports/{found[0]['id']}")
    manifest = report["manifest"]
    assert report["state"] == "sealed"
    assert report["uploaded_by"] == "shop (SDK)"
    assert manifest["id"].replace("-", "") == identifier
    assert (manifest["source"], manifest["project"], manifest["version"]) == ("sentry", "shop", "shop@1.2.3")
    assert manifest["environment"]["values"]["tag.team"] == "cart"
    assert [one["name"] for one in report["artifacts"]] == ["event.txt", "app.log"]
    texts = []
    for one in report["artifacts"]:
        path = f"{WHERE}/reports/{report['id']}/artifacts/{one['sha256']}"
        texts.append(place.web.get(path, headers={"authorization": f"Bearer {place.key}"}).text)
    assert "=== KeyError" in texts[0]
    assert "in pay" in texts[0]
    assert "total = 3" in texts[0]
    assert "[redacted:" in texts[1]
    assert GITHUB not in json.dumps(report) + "".join(texts)


@pytest.mark.parametrize("algorithm", ["br", "gzip"])
def test_a_real_sdk_packs_by_brotli_by_itself_and_nothing_is_lost(place, algorithm):
    """The SDK chooses Brotli where the package is installed, and gzip where it is not."""
    said = {"br": "", "gzip": "sys.modules['brotli'] = None; "}[algorithm]
    text = f"packed by {algorithm} itself"
    program = PROGRAM.replace("import sys, sentry_sdk", f"import sys; {said}import sentry_sdk")
    program = program.replace("the card was refused", text).replace(
        "sentry_sdk.flush(10)",
        "client = sentry_sdk.get_client()\nsentry_sdk.flush(10)\nprint(client.transport._compression_algo)",
    )
    done = subprocess.run(
        [sys.executable, "-c", program, place.dsn], env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[1:] == [algorithm], done.stderr
    assert [one["title"] for one in place.reports() if text in one["title"]], done.stderr


def test_a_repeated_envelope_is_one_report_also_with_another_content(place):
    for members in ({}, {}, {"message": "it broke otherwise"}):
        answer = place.send(envelope("1" * 32, **members))
        assert (answer.status_code, answer.json()) == (200, {"id": "1" * 32})
    assert [one["title"] for one in place.reports() if one["title"].startswith("it broke")] == ["it broke"]


def test_bodies_may_be_compressed_and_the_key_may_stand_in_the_query(place):
    raw = zlib.compressobj(wbits=-15)
    for number, (body, encoding) in enumerate(
        [
            (gzip.compress(envelope("a0" * 16, message="packed 0")), "gzip"),
            (zlib.compress(envelope("a1" * 16, message="packed 1")), "deflate"),
            (raw.compress(envelope("a2" * 16, message="packed 2")) + raw.flush(), "deflate"),
            (brotli.compress(envelope("a4" * 16, message="packed 3")), "br"),
        ]
    ):
        assert place.send(body, **{"content-encoding": encoding}).status_code == 200
        assert any(one["title"] == f"packed {number}" for one in place.reports())
    path = f"/api/{place.sdk['number']}/envelope/?sentry_key={place.public}&sentry_version=7"
    answer = place.web.post(
        path, content=envelope("a3" * 16), headers={"content-type": "text/plain", "origin": "https://shop.example"}
    )
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_what_is_no_failure_is_answered_counted_and_dropped(place):
    before = len(place.reports())
    session = b'{}\n{"type":"session"}\n{"init":true}\n{"type":"client_report"}\n{}'
    assert place.send(session).status_code == 200
    assert len(place.reports()) == before
    metrics = place.web.get("/metrics").text
    assert 'failgate_ingest_passed_over{kind="session"}' in metrics


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"no envelope", {}, 400),
        (b'{}\n{"type":"event","length":999}\n{}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (envelope(), {"content-encoding": "br"}, 400),
        (brotli.compress(envelope())[:-3], {"content-encoding": "br"}, 400),
        (brotli.compress(b"\0" * 40_000_000, quality=4), {"content-encoding": "br"}, 413),
        (envelope(), {"content-encoding": "zstd"}, 400),
        (envelope(), {"content-encoding": "gzip"}, 400),
        (gzip.compress(envelope())[:-9], {"content-encoding": "gzip"}, 400),
        (gzip.compress(envelope()) + b"more", {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"\0" * 40_000_000), {"content-encoding": "gzip"}, 413),
        (b"x" * (20 * 1024 * 1024 + 1), {}, 413),
        (envelope(), {"x-sentry-auth": ""}, 401),
        (envelope(), {"x-sentry-auth": "Sentry sentry_key=" + "0" * 32}, 403),
        (envelope(), {"x-sentry-auth": "Sentry sentry_key=short"}, 403),
    ],
    ids=["empty", "text", "length", "bytes", "not brotli", "cut brotli", "brotli bomb", "zstd", "not gzip", "cut", "more", "bomb", "large", "no key", "other key", "odd key"],
)  # fmt: skip
def test_hostile_envelopes_get_statuses_that_sdks_understand(place, body, headers, status):
    before = len(place.reports())
    assert place.send(body, **headers).status_code == status
    assert len(place.reports()) == before


def test_a_key_sends_to_its_own_project_alone_and_opens_no_other_door(place):
    auth = {"x-sentry-auth": f"Sentry sentry_key={place.public}"}
    for number in (place.sdk["number"] + 1, "x", "0" + str(place.sdk["number"])):
        assert place.web.post(f"/api/{number}/envelope/", content=envelope(), headers=auth).status_code == 403
    for credential in (place.public, f"fg_agt_{place.public}"):
        answer = place.web.get(f"{WHERE}/reports", headers={"authorization": f"Bearer {credential}"} | auth)
        assert answer.status_code == 401


def test_a_revoked_key_ends_at_once_and_all_of_it_is_on_record(place):
    made = place.server.admin("ingest-key", "create", "--workspace", "acme", "--project", "old")
    other = Place(place.server, place.key, made, place.web)
    assert other.send(envelope("b" * 32)).status_code == 200
    listed = place.server.admin("ingest-key", "list", "--workspace", "acme")["keys"]
    assert {"shop", "old"} == {one["project"] for one in listed}
    assert other.public not in json.dumps(listed)
    place.server.admin("ingest-key", "revoke", "--workspace", "acme", made["key"])
    assert other.send(envelope("c" * 32)).status_code == 403
    file = place.server.data / "failgate.sqlite"  # of PostgreSQL: tests/reports/test_ingest_keys.py
    assert not file.exists() or other.public.encode() not in file.read_bytes()


def test_who_sends_too_much_is_told_to_wait(place):
    made = place.server.admin("ingest-key", "create", "--workspace", "acme", "--project", "loud")
    loud = Place(place.server, place.key, made, place.web)
    answers = [loud.send(b'{}\n{"type":"session"}\n{}') for _ in range(61)]
    last = answers[-1]
    assert [one.status_code for one in answers[:60]] == [200] * 60
    assert last.status_code == 429
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["x-sentry-rate-limits"] == f"{last.headers['retry-after']}::key"
    assert place.send(b'{}\n{"type":"session"}\n{}').status_code == 200


def test_a_document_of_another_tool_is_posted_with_a_token(place):
    junit = f"<testsuite><testcase name='t'><failure message='token={GITHUB}'/></testcase></testsuite>".encode()
    headers = {"authorization": f"Bearer {place.key}", "content-type": "application/xml"}
    answer = place.web.post(f"{WHERE}/reports/documents/junit", content=junit, headers=headers)
    assert answer.status_code == 201, answer.text
    (identifier,) = answer.json()["reports"]
    assert place.ask(f"/reports/{identifier}")["title"].startswith("t: token=[redacted:")
    for name, body, status in (("junit", b"<a/>", 422), ("nothing", junit, 404), ("sentry", b"{}", 422)):
        assert place.web.post(f"{WHERE}/reports/documents/{name}", content=body, headers=headers).status_code == status
    assert place.web.post(f"{WHERE}/reports/documents/junit", content=junit).status_code == 401


def test_the_same_findings_are_one_group_wherever_their_lines_moved_to(place):
    """B5: what a scanner fingerprints is what groups its reports."""

    def posted(line: int, message: str, *prints: str) -> dict:
        results = [
            {
                "ruleId": "TNT1", "level": "error", "message": {"text": f"{message} token={GITHUB}"},
                "partialFingerprints": {"line/v1": one},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.py"}, "region": {"startLine": line}}}],
            }
            for one in prints
        ]  # fmt: skip
        document = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scan"}}, "results": results}]}
        headers = {"authorization": f"Bearer {place.key}"}
        answer = place.web.post(f"{WHERE}/reports/documents/sarif", content=json.dumps(document), headers=headers)
        assert answer.status_code == 201, answer.text
        (identifier,) = answer.json()["reports"]
        return place.ask(f"/reports/{identifier}")

    first, moved, more = (
        posted(3, "At three", "ab"),
        posted(90, "Now at ninety", "ab"),
        posted(3, "At three", "ab", "cd"),
    )
    assert first["group_id"] == moved["group_id"] != more["group_id"]
    assert (first["state"], first["source"]) == ("sealed", "sarif")
    assert GITHUB not in json.dumps([first, moved, more])
