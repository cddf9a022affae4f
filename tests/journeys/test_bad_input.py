"""What goes wrong at the doors of a real server: each answer names what, where and the mend, and nothing is half done."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import socket
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from failgate.base.canonical import canonical
from failgate.base.data_folder import hold_data_folder
from failgate.base.ids import new_id
from failgate.base.migrate import core_migrations, read_migrations
from tests.journeys import team
from tests.journeys.harness import Server, failgate, old_path
from tests.journeys.team import PASSWORD, WHERE, ask, form, person, program, sign_in, slug, stranger
from tests.pace import busy
from tests.third_party import Distribution

BODY_BYTES = 1_048_576  # [limits] json_body, unless the operator says otherwise


@pytest.fixture(scope="module")
def house(new_database, tmp_path_factory):
    """A server with a workspace, its people and an agent, once for all tests of this file and each database."""
    data = tmp_path_factory.mktemp("house") / "data"
    with team.served(Server(data, database_url=new_database())) as server, House(server) as one:
        yield one


class House(contextlib.ExitStack):
    """A workspace, its owner's key, its agent and a reviewer with a second factor, and their open connections."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.key = team.found_acme(server)["api_key"]
        self.keeper = person(server, "keeper", "developer", with_totp=False)
        self.agent_token = team.admin(server, "agent.create", workspace="acme", name="ci", owner=self.keeper.email)[
            "token"
        ]
        self.agent = self.enter_context(program(server, self.agent_token))
        self.owner = self.enter_context(program(server, self.key))
        self.reviewer = self.enter_context(sign_in(server, person(server, "lead", "reviewer")))

    def known(self) -> list[str]:
        """Return the newest commands, whatever became of them."""
        return [item["id"] for item in self.owner.get(f"{WHERE}/commands").json()["items"]]

    def created(self) -> int:
        """Return how many commands the log says were taken in."""
        found = self.owner.get(f"{WHERE}/audit/records?limit=1000").json()["records"]
        return [one["record"]["act"] for one in found].count("command.created")


def refused(result, code: int, *words: str) -> str:
    """Check how a program ends that does not start; return its message."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    message = "".join(line for line in result.stderr.splitlines(keepends=True) if not line.startswith('{"'))  # its log
    assert message.startswith("failgate: ")
    for word in words:
        assert word in message, message
    assert "listening" not in result.stdout
    return message


# The start


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_misspelt_config_key_is_shown_with_its_line_a_caret_and_the_nearest_name(
    tmp_path: Path, command: str
) -> None:
    config = tmp_path / "failgate.toml"
    config.write_text('[server]\nlisten = "127.0.0.1:0"\nheader_timeuot = "5s"\n\n[gate]\npolicys = []\n')
    message = refused(
        failgate(command, "--config", str(config), "--data", str(tmp_path / "data")),
        2,
        "failgate.toml:3: server.header_timeuot",
        "header_timeout",
        "failgate.toml:6: gate.policys",
        "policies",
    )
    lines = message.splitlines()
    shown = next(place for place, line in enumerate(lines) if line.strip().startswith("header_timeuot ="))
    assert lines[shown + 1].strip() == "^" * len("header_timeuot")
    assert lines[shown].index("header_timeuot") == lines[shown + 1].index("^")
    assert not (tmp_path / "data").exists()


def test_an_unknown_plugin_is_named_with_its_line_and_the_nearest_installed_one(tmp_path: Path) -> None:
    config = tmp_path / "failgate.toml"
    config.write_text('[gate]\npolicies = ["allowlist", "quorun"]\n')
    refused(
        failgate("serve", "--config", str(config), "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"),
        2,
        "failgate.toml:2: ",
        "quorun",
        "quorum",
    )
    assert not (tmp_path / "data").exists()


def test_a_plugin_of_another_api_version_says_which_version_it_is_for(tmp_path: Path) -> None:
    """It is refused without being imported."""
    site = tmp_path / "site"
    site.mkdir()
    Distribution(
        site, "acme-later", module="raise SystemExit('imported')\n", plugin="later", group="failgate.plugins.v2"
    ).write()
    config = tmp_path / "failgate.toml"
    config.write_text('[gate]\npolicies = ["later"]\n')
    message = refused(
        failgate(
            "serve", "--config", str(config), "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0",
            env={"PYTHONPATH": str(site)},
        ),
        2,
        "failgate.toml:2: ",
        "later",
        "v2",
    )  # fmt: skip
    assert "imported" not in message
    assert not (tmp_path / "data").exists()


def unusable_folders(tmp_path: Path) -> list[Path]:
    """Places where nobody, not even root, can make a folder or write in it."""
    plain = tmp_path / "file"
    plain.write_text("mine")
    (tmp_path / "round").symlink_to("round")
    return [plain / "data", tmp_path / "round", Path("/proc/failgate")]


@pytest.mark.parametrize("number", range(3), ids=["below a file", "a link to itself", "the kernel's files"])
def test_a_data_folder_that_cannot_be_written_is_named_with_the_mend(tmp_path: Path, number: int) -> None:
    folder = unusable_folders(tmp_path)[number]
    refused(failgate("serve", "--data", str(folder), "--listen", "127.0.0.1:0"), 78, str(folder), "--data DIR")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_in_place_of_the_data_folder_stays_as_it_is(tmp_path: Path) -> None:
    plain = tmp_path / "data"
    plain.write_text("mine")
    refused(failgate("serve", "--data", str(plain), "--listen", "127.0.0.1:0"), 2, str(plain), "is a file")
    assert plain.read_text() == "mine"


def test_every_other_command_refuses_an_unusable_folder_too(tmp_path: Path) -> None:
    folder = str(unusable_folders(tmp_path)[0])
    for words in (
        ("migrate",),
        ("audit", "verify"),
        ("admin", "user", "disable", "--email", "a@b.example"),
    ):
        result = failgate(*words, "--data", folder)
        assert result.returncode not in {0, 1}, words
        assert "Traceback" not in result.stderr
        assert folder in result.stderr, (words, result.stderr)


def test_a_database_that_is_none_is_named_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "failgate.sqlite").write_bytes(b"not a database, but somebody's file\n" * 300)
    before = (folder / "failgate.sqlite").read_bytes()
    refused(failgate("serve", "--data", str(folder), "--listen", "127.0.0.1:0"), 78, str(folder / "failgate.sqlite"))
    assert (folder / "failgate.sqlite").read_bytes() == before


def test_a_taken_port_leaves_both_servers_as_they_were(house: House, tmp_path: Path) -> None:
    """The port may stand in the config as well; what was begun for the second start can be used afterwards."""
    address = house.server.url.removeprefix("http://")
    config = tmp_path / "failgate.toml"
    config.write_text(f'[server]\nlisten = "{address}"\n')
    refused(
        failgate("serve", "--config", str(config), "--data", str(tmp_path / "other")),
        78,
        address.rpartition(":")[2],
        "taken by another program",
        "--listen HOST:PORT",
    )
    assert house.owner.get("/readyz").status_code == 200
    with hold_data_folder(tmp_path / "other"):
        assert not (tmp_path / "other" / "control.sock").exists()


def test_a_database_of_a_newer_version_is_refused_and_not_touched(server: Server) -> None:
    """Serving and migrating refuse it; the version that wrote it goes on with it."""
    server.start()
    team.found_acme(server)
    assert server.stop() == 0
    team.sql(
        server, "INSERT INTO schema_migration (name, sha256, applied_us) VALUES ('9901_tomorrow', $1, 1)", "0" * 64
    )
    place = ("--data", str(server.data), "--config", str(server.config))
    dialect = "postgres" if "postgresql" in server.config.read_text() else "sqlite"
    newest = read_migrations(core_migrations(), dialect)[-1].name
    for words in (
        ("serve", "--listen", "127.0.0.1:0"),
        ("migrate",),
    ):
        refused(failgate(*words, *place), 78, "9901_tomorrow", newest, "newer version")
    team.sql(server, "DELETE FROM schema_migration WHERE name = '9901_tomorrow'")
    server.start()
    with stranger(server, origin=server.url) as browser:
        signed_in = form(browser, "/signin", email="owner@acme.example", password=PASSWORD)
    assert signed_in.status_code == 303
    assert server.stop() == 0


# Signing in


def without_nonces(answer: httpx.Response) -> str:
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    text = answer.text.replace(nonce[1], "NONCE")
    return re.sub(r'name="csrf(_token" value|-token" content)="[^"]+"', "", text)


def test_a_wrong_password_says_the_same_as_an_unknown_address_and_opens_nothing(house: House) -> None:
    """F6: nobody learns by it who has an account."""
    known = person(house.server, f"wrong{secrets.token_hex(4)}", "reviewer")
    answers = []
    for email, password in ((known.email, PASSWORD + "!"), ("nobody@acme.example", PASSWORD)):
        with stranger(house.server, origin=house.server.url) as browser:
            answer = form(browser, "/signin", email=email, password=password)
            assert answer.status_code == 401
            assert "fg_session" not in browser.cookies
            assert browser.get("/account").headers["location"].startswith("/signin")
            answers.append(without_nonces(answer).replace(email, "EMAIL"))
    assert answers[0] == answers[1]
    assert "e-mail" in answers[0].lower()
    with stranger(house.server, origin=house.server.url) as browser:
        assert form(browser, "/signin", email=known.email, password=PASSWORD).status_code == 303


def test_a_code_that_was_used_signs_nobody_in_again(house: House) -> None:
    """F7 E4: the same digits in a second browser, and in another spelling, are worth nothing."""
    who = person(house.server, f"twice{secrets.token_hex(4)}", "reviewer")
    assert who.totp is not None
    code = next(team.codes(who.totp))
    with (
        sign_in(house.server, who, with_factor=False) as first,
        sign_in(house.server, who, with_factor=False) as second,
    ):
        passed = form(first, "/signin/code", code=code)
        assert passed.status_code == 303, passed.text
        wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
        for spelling in (code, f"{code[:3]} {code[3:]}", wide):
            again = form(second, "/signin/code", code=spelling)
            assert again.status_code == 401
            assert "Each code works once" in again.text
        assert second.get("/api/v1/whoami").status_code == 401
        assert first.get("/api/v1/whoami").status_code == 200


def test_an_expired_setup_link_names_the_mend_and_makes_nobody(server: Server) -> None:
    """F6: the next start prints a good one."""
    server.start()
    link = server.line(r"first start: open (\S+)")[1]
    path = old_path(link)
    fields = {
        "token": path.partition("token=")[2],
        "email": "owner@acme.example",
        "password": PASSWORD,
        "workspace": "acme",
        "workspace_name": "Acme",
    }
    with stranger(server, origin=server.url) as browser:
        shown = browser.get(path)
        assert shown.status_code == 200
        token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)[1]
        team.sql(server, "UPDATE setup_link SET minted_us = 1, expires_us = $1", int(time.time() * 1_000_000) - 1)
        for answer in (browser.get(path), browser.post("/setup", data=fields | {"csrf_token": token})):
            assert answer.status_code == 409
            assert "This setup link has expired." in answer.text
            assert "failgate serve" in answer.text
            assert "fg_session" not in browser.cookies
        assert form(browser, "/signin", email=fields["email"], password=PASSWORD).status_code == 401
        unknown = browser.get("/setup?token=" + secrets.token_urlsafe(32))
        assert unknown.status_code == 404
    assert server.stop() == 0
    server.start()
    fresh = server.line(r"first start: open (\S+)")[1]
    assert fresh != link
    path = old_path(fresh)
    with stranger(server, origin=server.url) as browser:
        done = form(browser, path, **(fields | {"token": path.partition("token=")[2]}))
        assert done.status_code == 303, done.text
        used = browser.get(path)
        assert used.status_code == 409
        assert "set up already" in used.text
    assert team.failures_in(server) == []


# Commands and votes


def test_a_vote_with_a_foreign_digest_leaves_the_request_as_it_is(house: House) -> None:
    """E8: the digest of another command, a missing one and one of another spelling."""
    view, other = ask(house.agent), ask(house.agent)
    for digest in (other["digest"], view["digest"] + "=", view["digest"][:-1], ""):
        for decision in ("approve", "deny"):
            body = {"decision": decision, "digest": digest}
            answer = house.reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json=body)
            assert answer.status_code == 409
            assert answer.json()["state"] == "pending"
            assert "digest" in answer.json()["detail"]
            assert answer.json()["hint"]
    missing = house.reviewer.post(f"{WHERE}/commands/{view['id']}/votes", json={"decision": "approve"})
    assert (missing.status_code, missing.json()["member"]) == (400, "digest")
    seen = house.reviewer.get(f"{WHERE}/commands/{view['id']}").json()
    assert (seen["state"], seen["votes"]) == ("pending", [])
    assert team.vote(house.reviewer, view).json()["state"] == "approved"


UNUSABLE = [
    ([["/bin/echo", "a\0b"]], 422, "unprocessable", "argv[1] holds NUL at character 1"),
    ([["/bin/echo", "a", "\ud800"]], 422, "unprocessable", "argv[2] holds the lone surrogate U+D800"),
    ([["/bin/echo", "x" * 100_000]], 413, "too-large", "argv has 100009 bytes; the limit is 65536"),
    ([["/bin/echo", *["x" * 100] * 1000]], 413, "too-large", "argv has 100009 bytes; the limit is 65536"),
    ([["/bin/echo"] * 5000], 413, "too-large", "argv has 5000 arguments; the limit is 4096"),
    ([[]], 422, "unprocessable", "argv is empty"),
]


@pytest.mark.parametrize(
    ("given", "status", "kind", "words"), UNUSABLE, ids=["NUL", "surrogate", "100 kB", "1000 x 100 B", "5000", "none"]
)
def test_a_command_that_cannot_be_executed_is_refused_by_name_and_not_kept(
    house: House, given: list[list[str]], status: int, kind: str, words: str
) -> None:
    """E8: also when its digest would fit; by HTTP, by the socket, and when only explained."""
    [argv] = given
    before = house.known(), house.created()
    body = {"command": team.command() | {"argv": argv}, "digest": "A" * 43}
    content, headers = json.dumps(body), {"content-type": "application/json"}
    answer = house.agent.post(f"{WHERE}/commands", content=content, headers=headers)
    assert (answer.status_code, slug(answer)) == (status, kind)
    assert words in answer.json()["detail"]
    assert answer.json()["hint"]
    explained = house.agent.post(
        f"{WHERE}/policy/explain", content=json.dumps({"command": body["command"]}), headers=headers
    )
    assert (explained.status_code, slug(explained)) == (status, kind)
    if len(content) < 60_000:
        with agent_socket(house) as socket:
            socket.send(json.dumps({"type": "submit", "ref": 1, **body}))
            told = json.loads(socket.recv(5))
            assert (told["type"], told["ref"], told["problem"]["status"]) == ("error", 1, status)
    assert (house.known(), house.created()) == before


def agent_socket(house: House, **headers: str):
    url = house.server.url.replace("http", "ws", 1) + "/api/v1/agent"
    named = {"authorization": f"Bearer {house.agent_token}"} | headers
    return connect(url, additional_headers=named, proxy=None, close_timeout=2)


@pytest.mark.parametrize("argument", [b"\xff\xfe", b"x" * 100_000], ids=["not UTF-8", "100 kB"])
def test_an_agent_whose_command_cannot_be_asked_for_executes_nothing(
    house: House, tmp_path: Path, argument: bytes
) -> None:
    """E12: `failgate run` fails closed and says why."""
    done, before = tmp_path / "done", house.known()
    result = failgate(
        "run", "--reason", "try it", "--", "touch", str(done), os.fsdecode(argument),
        env={
            "FAILGATE_URL": house.server.url, "FAILGATE_TOKEN": house.agent_token, "FAILGATE_WORKSPACE": "acme",
            "FAILGATE_HOME": str(tmp_path / "home"),
        },
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode in {78, 126}, (result.returncode, result.stderr)
    assert result.stderr.startswith("failgate: ")
    assert "Traceback" not in result.stderr
    assert "argv" in result.stderr or "argument" in result.stderr
    assert not done.exists()
    assert house.known() == before


@pytest.mark.parametrize(
    ("changes", "arguments", "says"),
    [
        ({"FAILGATE_WORKSPACE": "acmee"}, ["run", "--", "true"], ["'acmee'", "FAILGATE_WORKSPACE", "failgate whoami"]),
        ({"FAILGATE_WORKSPACE": "acmee"}, ["report", "list", "--remote"], ["'acmee'", "FAILGATE_WORKSPACE"]),
        ({"FAILGATE_TOKEN": "fg_agt_wrong"}, ["run", "--", "true"], ["does not accept this token", "FAILGATE_TOKEN"]),
        ({"FAILGATE_URL": "ftp://x"}, ["run", "--", "true"], ["FAILGATE_URL is 'ftp://x'", "https://"]),
        ({"FAILGATE_URL": "https://me:word@x"}, ["run", "--", "true"], ["FAILGATE_URL has credentials"]),
        ({}, ["login", "ftp://x"], ["The URL is 'ftp://x'", "https://"]),
    ],
)
def test_what_a_client_was_told_wrong_is_named_with_the_mend(
    house: House, tmp_path: Path, changes: dict[str, str], arguments: list[str], says: list[str]
) -> None:
    """E12: which variable, what stands in it, at which server."""
    env = {
        "FAILGATE_URL": house.server.url, "FAILGATE_TOKEN": house.agent_token, "FAILGATE_WORKSPACE": "acme",
        "FAILGATE_HOME": str(tmp_path / "home"),
    }  # fmt: skip
    result = failgate(*arguments, env=env | changes, cwd=tmp_path)
    assert result.returncode == 78, result.stderr
    assert result.stderr.startswith("failgate: ")
    assert all(word in result.stderr for word in says), result.stderr
    assert "word@" not in result.stderr
    assert "fg_agt" not in result.stderr


# Reports


def manifest(content: bytes, **members: object) -> dict[str, object]:
    return {
        "v": 1, "id": new_id(), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["pytest"], "cwd": "/src",
        "host": "h", "exit_code": 1, "duration_ms": 12, "redactions": [], "redaction_rules": "1",
        "environment": {"names": ["PATH"], "values": {}, "platform": "Linux"},
        "artifacts": [
            {"name": "output.txt", "kind": "output", "media_type": "text/plain", "size_bytes": len(content),
             "sha256": hashlib.sha256(content).hexdigest()}
        ],
    } | members  # fmt: skip


def consented(document: dict[str, object]) -> dict[str, object]:
    digest = hashlib.sha256(canonical(document)).hexdigest()  # type: ignore[arg-type]  # JSON by construction
    consent = {"manifest_sha256": digest, "by": "person", "at": "2026-01-02T03:04:06Z"}
    return {"manifest": document, "consent": consent}


def stored_objects(server: Server) -> list[Path]:
    return [one for one in (server.data / "plugins" / "filesystem").rglob("*") if one.is_file()]


def test_a_report_whose_bytes_do_not_match_their_digest_is_not_taken_and_leaves_no_byte(house: House) -> None:
    """F3: other bytes, fewer, more; then the right ones are still welcome."""
    content = b"1 failed: " + secrets.token_bytes(16).hex().encode() * 100
    begun = house.agent.post(f"{WHERE}/reports", json=consented(manifest(content)))
    assert begun.status_code == 201, begun.text
    [digest] = begun.json()["missing"]
    place = f"{WHERE}/reports/{begun.json()['id']}"
    before = stored_objects(house.server)
    for wrong in (b"X" + content[1:], content[:-1], b""):
        answer = house.agent.put(f"{place}/artifacts/{digest}", content=wrong)
        assert (answer.status_code, slug(answer)) == (422, "unprocessable"), answer.text
        assert answer.json()["hint"]
    longer = house.agent.put(f"{place}/artifacts/{digest}", content=content + b"more")
    assert longer.status_code in {413, 422}
    foreign = house.agent.put(f"{place}/artifacts/{'0' * 64}", content=content)
    assert foreign.status_code == 404
    assert stored_objects(house.server) == before
    early = house.agent.post(f"{place}/seal")
    assert early.status_code == 409
    assert digest in early.text
    assert house.owner.get(f"{place}/artifacts/{digest}").status_code == 404
    assert house.agent.put(f"{place}/artifacts/{digest}", content=content).json()["missing"] == []
    assert house.agent.post(f"{place}/seal").json()["state"] == "sealed"
    assert house.owner.get(f"{place}/artifacts/{digest}").content == content


# Bodies


def raw(server: Server, head: str, *pieces: bytes) -> bytes:
    """Send a request as it stands; return the beginning of the answer."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n")
        for piece in pieces:
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        found = b""
        while b"too-large" not in found:
            more = connection.recv(65_536)
            if not more:
                break
            found += more
    return found


@pytest.mark.parametrize("framing", ["announced", "lied about", "chunked"])
def test_a_body_that_is_too_large_is_413_however_it_is_framed(house: House, framing: str) -> None:
    head = f"POST {WHERE}/commands HTTP/1.1\nHost: localhost\nAuthorization: Bearer {house.agent_token}\n"
    head += "Content-Type: application/json\n"
    before = house.known()
    if framing == "announced":
        answer = raw(house.server, head + f"Content-Length: {2**40}\n", b"{")
    elif framing == "lied about":
        answer = raw(house.server, head + f"Content-Length: {BODY_BYTES + 1}\n", b"[" + b" " * BODY_BYTES)
    else:
        pieces = [b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 17
        answer = raw(house.server, head + "Transfer-Encoding: chunked\n", *pieces)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert b"urn:failgate:error:too-large" in answer
    assert str(BODY_BYTES).encode() in answer
    assert house.known() == before


def test_a_form_that_is_too_large_is_a_page_and_signs_nobody_in(house: House) -> None:
    with stranger(house.server, origin=house.server.url) as browser:
        answer = form(browser, "/signin", email="a@b.example", password="x" * 70_000)
        assert answer.status_code == 413
        assert answer.headers["content-type"].startswith("text/html")
        assert "65536" in answer.text


DEEP = 200_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"command":' + "[" * DEEP + "]" * DEEP + ',"digest":""}', "nested more than 32"),
        ('{"":' * DEEP + "1" + "}" * DEEP, "nested more than 32"),
        ("[" * DEEP, "nested more than 32"),
        ('{"digest":"a","command":{},"digest":"b"}', "'digest' stands twice"),
        ('{"digest":"a","command":{"argv":[],"argv":["x"]}}', "'argv' stands twice"),
        ('{"digest":"a","command":{},"d\\u0069gest":"b"}', "'digest' stands twice"),
        ('{"digest":"a","command":{}} {}', "not JSON"),
        ('{"digest":NaN,"command":{}}', "NaN"),
    ],
    ids=["arrays", "objects", "unclosed", "twice", "twice inside", "twice, escaped", "two values", "NaN"],
)
def test_json_with_two_meanings_or_without_bottom_is_400_and_names_the_place(
    house: House, body: str, words: str
) -> None:
    """Deep bodies are within the limit of their size: the depth is what stops them."""
    assert len(body) <= BODY_BYTES
    before, began = house.known(), time.monotonic()
    for path in ("commands", "policy/explain", "reports"):
        answer = house.agent.post(f"{WHERE}/{path}", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, slug(answer)) == (400, "bad-input"), answer.text
        assert words in answer.json()["detail"]
    assert time.monotonic() - began < busy(5)
    assert house.known() == before


def test_a_frame_that_is_malformed_is_answered_and_one_that_is_too_large_ends_the_socket_alone(house: House) -> None:
    """E12: the next socket works."""
    with agent_socket(house) as one:
        for frame, words in (
            ('{"type":"submit","ref":1,"ref":2}', "'ref' stands twice"),
            ('{"type":"submit","command":' + "[" * 60_000, "nested more than 32"),
            ("\ud800".encode("utf-16", "surrogatepass").decode("latin-1"), "not JSON"),
        ):
            one.send(frame)
            told = json.loads(one.recv(5))
            assert told["type"] == "error"
            assert words in told["problem"]["detail"], told
        one.send('{"type":"submit","command":' + "[" * DEEP)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    with agent_socket(house) as next_one:
        next_one.send(json.dumps({"type": "submit", "ref": "again", **team.submission(), "ttl_seconds": 1}))
        assert json.loads(next_one.recv(5))["type"] == "submitted"


# Sockets of other sites


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"]
)
def test_a_page_of_another_site_opens_neither_socket(house: House, origin: str) -> None:
    """B3: not even with the visitor's own cookie or an agent's token."""
    ws = house.server.url.replace("http", "ws", 1)
    doors = (
        ("/api/v1/live?workspace=acme", {"cookie": f"fg_session={team.session_of(house.reviewer)}"}),
        ("/api/v1/agent", {"authorization": f"Bearer {house.agent_token}"}),
    )
    for path, headers in doors:
        with pytest.raises(InvalidStatus) as caught:
            with connect(ws + path, additional_headers=headers, origin=origin, proxy=None):
                pass
        answer = caught.value.response
        assert answer.status_code == 403
        problem = json.loads(answer.body or b"")
        assert problem["type"] == "urn:failgate:error:cross-site"
        assert problem["hint"]
    own = house.server.url
    for path, headers in doors:
        with connect(ws + path, additional_headers=headers, origin=own, proxy=None):
            pass


def test_a_browser_without_an_origin_does_not_open_the_reviewers_socket(house: House) -> None:
    ws = house.server.url.replace("http", "ws", 1) + "/api/v1/live?workspace=acme"
    with pytest.raises(InvalidStatus) as caught:
        with connect(ws, additional_headers={"cookie": f"fg_session={team.session_of(house.reviewer)}"}, proxy=None):
            pass
    assert caught.value.response.status_code == 403


# Ends without a goodbye


def test_a_kill_in_the_middle_leaves_whole_things_and_a_retry_finds_them(server: Server) -> None:
    """E1 P1: what was acknowledged is there once, what was not is not; also a report that was half sent."""
    server.start()
    body, key = team.submission(ttl_seconds=600), {"idempotency-key": "once"}
    content = b"1 failed\n" * 50_000
    with House(server) as house:
        asked = house.agent.post(f"{WHERE}/commands", json=body, headers=key).json()
        begun = house.agent.post(f"{WHERE}/reports", json=consented(manifest(content))).json()
    [digest] = begun["missing"]
    place = f"{WHERE}/reports/{begun['id']}/artifacts/{digest}"
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"PUT {place} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {house.agent_token}\n"
        head += f"Content-Length: {len(content)}\n\n"
        connection.sendall(head.replace("\n", "\r\n").encode() + content[:200_000])
        time.sleep(0.2)
        server.kill()
    server.start()
    with program(server, house.agent_token) as agent:
        again = agent.post(f"{WHERE}/commands", json=body, headers=key)
        assert (again.status_code, again.json()["id"], again.json()["state"]) == (201, asked["id"], "pending")
        with program(server, house.key) as owner:
            listed = owner.get(f"{WHERE}/commands").json()["items"]
            assert [one["id"] for one in listed] == [asked["id"]]
            assert owner.get(place).status_code == 404
            sent = agent.put(place, content=content)
            assert sent.json()["missing"] == [], sent.text
            assert agent.post(f"{WHERE}/reports/{begun['id']}/seal").json()["state"] == "sealed"
            assert owner.get(place).content == content
    assert server.stop() == 0
    assert team.failures_in(server) == []
    assert server.verify("--gate").returncode == 0
    assert len(stored_objects(server)) == 1
