"""End to end: an agent's process, a reviewer's process, a server between them that may be malicious (E10 E13 E15 P3)."""

import base64
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from failgate.base.canonical import canonical, digest_of
from failgate.client.pins import load_pins
from failgate.sealed.keys import SigningKey, safety_number
from failgate.sealed.manifest import sign_manifest
from failgate.sealed.rules import sign_head
from failgate.testing import Receiver, receiving
from tests.journeys import team
from tests.journeys.agent_machine import waited_for
from tests.journeys.harness import NewDatabase, Server, clean_environment, failgate
from tests.journeys.meddling import Meddler
from tests.journeys.team import WHERE, Person, Visitor, person, program
from tests.journeys.test_device_login import log_in
from tests.journeys.test_notifications import NOTIFYING, Mailbox, delivering_to
from tests.relay.parties import MARKER

POLICY = {"deny": "wins", "id": "default", "need": 1, "require": {}, "v": 1}


class Sealed(ExitStack):
    """A sealed workspace on a real server: its administrator, a reviewer's machine, an agent's machine.

    Whatever is told of it goes to `receiver` and `mailbox`.
    """

    receiver: Receiver
    mailbox: Mailbox

    def __init__(self, server: Server, folder: Path) -> None:
        super().__init__()
        self.server, self.folder = server, folder
        self.key: str = team.found_acme(server)["api_key"]
        self.owner: Visitor = self.enter_context(program(server, self.key))
        made = team.admin(server, "agent.create", workspace="acme", name="builder", owner="owner@acme.example")
        self.token = made["token"]
        self.lead: Person = person(server, "lead", "reviewer")
        self.pin = ""
        self.before: set[str] = set()
        self.reviewer_home, self.agent_home = folder / "reviewer", folder / "agent"
        log_in(server, self.lead, self.reviewer_home)
        self.meddler = Meddler(server)
        self.callback(self.meddler.close)

    def as_reviewer(self, *words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        env = {"FAILGATE_HOME": str(self.reviewer_home), "FAILGATE_URL": self.server.url, "FAILGATE_WORKSPACE": "acme"}
        return failgate(*words, env=env, cwd=self.folder, **more)

    def environment(self, home: Path | None = None) -> dict[str, str]:
        return clean_environment(
            FAILGATE_HOME=str(home or self.agent_home), FAILGATE_URL=self.meddler.url, FAILGATE_TOKEN=self.token,
            FAILGATE_WORKSPACE="acme", FAILGATE_UPLOAD="never",
        )  # fmt: skip

    def as_agent(self, *words: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "failgate", *words], env=self.environment(home), cwd=self.folder,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def begun(self, *argv: str, ttl: str = "60s") -> "subprocess.Popen[str]":
        self.before = self.pending()
        return subprocess.Popen(
            [sys.executable, "-m", "failgate", "run", "--ttl", ttl, "--", *argv], env=self.environment(),
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def as_admin(self, *words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        env = {"FAILGATE_HOME": str(self.folder / "admin"), "FAILGATE_URL": self.server.url, "FAILGATE_TOKEN": self.key}
        return failgate("sealed", *words, env=env | {"FAILGATE_WORKSPACE": "acme"}, cwd=self.folder, **more)

    def manifest(self) -> str:
        """Sign the next manifest of what is enrolled, and return what was said."""
        said = self.as_admin("manifest", "--root", "root.json", stdin="y\n")
        assert said.returncode == 0, said.stderr
        self.pin = self.pin or said.stdout.split()[-1]
        return said.stdout

    def enrol(self) -> None:
        """Enrol both machines, sign the first manifest, pin it on both."""
        for said in (self.as_reviewer("review", "enroll"), self.as_agent("agent", "enroll")):
            assert said.returncode == 0, said.stderr
        assert self.as_admin("root", "root.json").returncode == 0
        shown = self.manifest()
        pins = [load_pins(str(home)) for home in (self.reviewer_home, self.agent_home)]
        for number in [safety_number(one.key.jkt) for one in pins if one is not None]:
            assert number in shown  # which the administrator compares
        for said in (self.as_reviewer("review", "pin", self.pin), self.as_agent("agent", "pin", self.pin)):
            assert said.returncode == 0, said.stderr

    def be_told(self) -> None:
        """Have everything told by every notifier that there is."""
        admin = self.enter_context(team.sign_in(self.server, person(self.server, "chief", "admin")))
        for name in ("webhook", "slack", "teams"):
            body = {"url": self.receiver.url, "notifier": name, "details": True}
            assert admin.post(f"{WHERE}/webhooks", json=body).status_code == 201
        with team.sign_in(self.server, self.lead) as lead:
            told = {"event command.pending": "1", "event command.decided": "1"}
            assert team.form(lead, "/account/notifications", workspace="acme", **told).status_code < 400

    def waiting(self) -> str:
        """Return the request that was asked for since `begun`."""

        def look() -> str | None:
            return next(iter(self.pending() - self.before), None)

        return waited_for(look)

    def pending(self) -> set[str]:
        items = self.owner.get(f"{WHERE}/sealed-commands").json()["items"]
        return {one["id"] for one in items if one["state"] == "pending"}


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    folder = tmp_path_factory.mktemp("sealed")
    box = Mailbox()
    with delivering_to(box) as port, receiving() as receiver:
        server = Server(
            folder / "data",
            database_url=new_database(),
            config='[gate]\nrelay = "e2ee"\n' + NOTIFYING.format(port=port),
        )
        with team.served(server), Sealed(server, folder) as made:
            made.receiver, made.mailbox = receiver, box
            made.enrol()
            made.be_told()
            yield made


@pytest.fixture
def sealed(house: Sealed) -> Iterator[Sealed]:
    yield house
    house.meddler.meddle, house.meddler.is_hasty = (lambda method, path, answer: answer), False


def records(sealed: Sealed, cid: str, act: str) -> list[dict[str, Any]]:
    """Return the records of one act about a request."""
    found = [one["record"] for one in sealed.owner.get(f"{WHERE}/audit/records?limit=1000").json()["records"]]
    return [one for one in found if one["act"] == act and one["obj"]["id"] == cid]


def holding(folder: Path, text: str) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and text.encode() in one.read_bytes()]


def test_a_sealed_command_is_asked_read_approved_executed_and_receipted(sealed: Sealed) -> None:
    """The whole path; what was asked for is in no byte of the server's, and on no way to it."""
    told = json.loads(sealed.as_agent("agent", "status", "--json").stdout)
    assert (told["state"], told["epoch"], told["reviewers"]) == ("ready", 1, 1)
    sealed.meddler.seen.clear()
    made = sealed.folder / "made"
    agent = sealed.begun("touch", str(made), MARKER)
    cid = sealed.waiting()
    assert sealed.as_reviewer("review", "list").stdout.split()[0] == cid
    shown = sealed.as_reviewer("review", "show", cid)
    assert shown.returncode == 0, shown.stderr
    assert f"argv[1]  {made}" in shown.stdout
    assert f"argv[2]  {MARKER}" in shown.stdout
    digest = re.search(r"digest +(\S+)", shown.stdout)
    assert digest is not None
    wrong = sealed.as_reviewer("review", "approve", cid, "--digest", "A" * 43)
    assert (wrong.returncode, "not the command" in wrong.stderr) == (76, True)
    assert not made.exists()
    signed = sealed.as_reviewer("review", "approve", cid, "--digest", digest[1])
    assert (signed.returncode, signed.stdout.splitlines()[-1]) == (0, "state    approved"), signed.stderr
    _, said = agent.communicate(timeout=60)
    assert (agent.returncode, made.exists()) == (0, True), said
    view = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()
    assert (view["state"], view["digest"]) == ("executed", digest[1])
    assert MARKER.encode() not in b"".join(sealed.meddler.seen)
    assert holding(sealed.server.data, MARKER) == []

    def told() -> list[bytes]:
        return [one.body for one in sealed.receiver.posted if b"builder" in one.body]

    waited_for(lambda: len(told()) >= 6)  # by each of three: that it waits, how it was decided
    waited_for(lambda: [one for one in sealed.mailbox.letters if "sealed command of builder waits" in one["subject"]])
    assert sum(cid.encode() in one for one in told()) >= 3
    letters = b"".join(one.as_bytes() + one.get_payload(decode=True) for one in sealed.mailbox.letters)
    for said_of_it in (*told(), letters):
        assert MARKER.encode() not in said_of_it
        assert str(sealed.folder).encode() not in said_of_it
    assert MARKER not in "".join(sealed.server.logs)
    records = sealed.owner.get(f"{WHERE}/audit/records?limit=200").text
    assert (cid in records, MARKER in records) == (True, False)


def test_a_denial_ends_it_and_the_exit_code_of_the_command_is_kept(sealed: Sealed) -> None:
    agent = sealed.begun("touch", "never")
    cid = sealed.waiting()
    digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
    assert sealed.as_reviewer("review", "deny", cid, "--digest", digest).returncode == 0
    agent.communicate(timeout=60)
    assert (agent.returncode, (sealed.folder / "never").exists()) == (77, False)
    failing = sealed.begun("ls", str(sealed.folder / "absent"))
    cid = sealed.waiting()
    digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
    assert sealed.as_reviewer("review", "approve", cid, "--digest", digest).returncode == 0
    failing.communicate(timeout=60)
    assert failing.returncode == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_withdraws_its_command_and_a_late_reviewer_is_told(
    sealed: Sealed, number: int, code: int
) -> None:
    agent = sealed.begun("touch", "interrupted")
    cid = sealed.waiting()
    agent.send_signal(number)
    _, said = agent.communicate(timeout=60)
    assert (agent.returncode, "the request is withdrawn" in said) == (code, True), said
    view = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()
    assert view["state"] == "cancelled"
    late = sealed.as_reviewer("review", "approve", cid, "--digest", view["digest"])
    assert (late.returncode, "its agent withdrew it" in late.stderr) == (75, True), late.stderr
    assert f"{cid}  " not in sealed.as_reviewer("review", "list").stdout
    listed = sealed.as_reviewer("review", "list", "--all").stdout
    assert any(line.startswith(cid) and line.endswith("cancelled") for line in listed.splitlines()), listed
    [record] = records(sealed, cid, "sealed_command.cancelled")
    assert record["data"] == {"digest": view["digest"]}
    assert not (sealed.folder / "interrupted").exists()


def test_a_run_whose_listener_is_gone_withdraws_its_command(sealed: Sealed) -> None:
    """Nobody reads what it says any more: the connection that ran it was killed."""
    sealed.before = sealed.pending()
    hears, tells = os.pipe()
    agent = subprocess.Popen(
        [sys.executable, "-m", "failgate", "run", "--message-fd", str(tells), "--", "touch", "unheard"],
        env=sealed.environment(), cwd=sealed.folder, pass_fds=(tells,),
    )  # fmt: skip
    os.close(tells)
    cid = sealed.waiting()
    os.close(hears)
    assert agent.wait(60) == 129

    def ended() -> bool:
        return sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["state"] == "cancelled"

    waited_for(ended)
    assert not (sealed.folder / "unheard").exists()


def test_what_nobody_decides_expires_on_record_and_a_late_reviewer_is_told(sealed: Sealed) -> None:
    agent = sealed.begun("touch", "expired", ttl="2s")
    cid = sealed.waiting()
    digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
    agent.communicate(timeout=60)
    assert (agent.returncode, (sealed.folder / "expired").exists()) == (75, False)
    record = waited_for(lambda: next(iter(records(sealed, cid, "sealed_command.expired")), None))
    assert (record["actor"]["t"], record["data"]) == ("system", {"digest": digest})
    late = sealed.as_reviewer("review", "approve", cid, "--digest", digest)
    assert (late.returncode, "nobody decided in time" in late.stderr) == (75, True), late.stderr
    listed = sealed.as_reviewer("review", "list", "--all").stdout
    assert any(line.startswith(cid) and line.endswith("expired") for line in listed.splitlines()), listed


def test_nothing_is_asked_in_the_clear_from_a_pinned_machine(sealed: Sealed) -> None:
    sealed.meddler.seen.clear()
    name = f"{MARKER}-clear"
    code = f"from failgate.client import Gate\nGate().ask(['touch', {name!r}])"
    python = subprocess.run(
        [sys.executable, "-c", code], env=sealed.environment(), cwd=sealed.folder, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    explained = sealed.as_agent("policy", "explain", "--", "touch", name)
    hook = subprocess.run(
        [sys.executable, "-m", "failgate", "hook", "claude-code"], env=sealed.environment(), cwd=sealed.folder,
        input=json.dumps({
            "session_id": "s", "transcript_path": "/t", "cwd": str(sealed.folder), "hook_event_name": "PreToolUse",
            "tool_name": "Bash", "tool_input": {"command": f"touch {name}"}, "tool_use_id": "t",
        }), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "sealed" in python.stderr
    assert (explained.returncode, "sealed" in explained.stderr) == (76, True)
    assert hook.returncode == 2 or '"deny"' in hook.stdout
    assert MARKER.encode() not in b"".join(sealed.meddler.seen)
    assert not (sealed.folder / name).exists()


def test_a_script_is_not_sealed_for_its_bytes_have_no_place_in_the_form(sealed: Sealed) -> None:
    script = sealed.folder / "script"
    script.write_text("#!/bin/sh\ntouch scripted\n")
    script.chmod(0o755)
    for argv in ((str(script),), ("sh", str(script))):
        said = sealed.as_agent("run", "--", *argv)
        assert (said.returncode, "script" in said.stderr) == (76, True), said.stderr
    assert not (sealed.folder / "scripted").exists()


Lie = Callable[[str, str, Any], Any]


def about(path: str, *, decided: Callable[[dict[str, Any]], dict[str, Any]]) -> Lie:
    """Lie in the answers about a sealed command, and in no other."""

    def lie(method: str, asked: str, answer: Any) -> Any:
        return decided(answer) if method == "GET" and path in asked else answer

    return lie


def approved(answer: dict[str, Any], decisions: list[Any]) -> dict[str, Any]:
    return answer | {"state": "approved", "decisions": decisions}


def refused(sealed: Sealed, name: str, lie: Lie) -> str:
    """Ask for a command while the server lies; return what the agent said. Nothing ran."""
    sealed.meddler.meddle, sealed.meddler.is_hasty = lie, True
    said = sealed.as_agent("run", "--ttl", "60s", "--", "touch", name)
    assert (said.returncode, (sealed.folder / name).exists()) == (76, False), (said.returncode, said.stderr)
    assert said.stderr.startswith("failgate: ")
    return said.stderr


def test_a_server_that_says_approved_without_a_signature_has_nothing_run(sealed: Sealed) -> None:
    said = refused(sealed, "unsigned", about("/sealed-commands/", decided=lambda answer: approved(answer, [])))
    assert "Too few people have approved" in said
    forged = "a.b.c"
    refused(sealed, "garbage", about("/sealed-commands/", decided=lambda answer: approved(answer, [forged])))
    refused(sealed, "shapeless", about("/sealed-commands/", decided=lambda answer: approved(answer, None)))


def test_a_decision_about_another_request_has_nothing_run(sealed: Sealed) -> None:
    """Replayed: a good decision of the pinned reviewer, about what ran before."""
    agent = sealed.begun("touch", "good")
    cid = sealed.waiting()
    digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
    assert sealed.as_reviewer("review", "approve", cid, "--digest", digest).returncode == 0
    agent.communicate(timeout=60)
    assert (agent.returncode, (sealed.folder / "good").exists()) == (0, True)
    old = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()
    replayed = about("/sealed-commands/", decided=lambda answer: approved(answer, old["decisions"]))
    assert "another request" in refused(sealed, "replayed", replayed)
    whole = about("/sealed-commands/", decided=lambda answer: old | {"state": "approved"})
    assert "another request" in refused(sealed, "whole", whole)


def test_keys_that_the_server_made_have_nothing_run_and_nothing_read(sealed: Sealed) -> None:
    """Swapped: the server's own key in place of the reviewer's, for opening and for deciding."""
    thief = SigningKey.generate()

    def own_keys(method: str, path: str, answer: Any) -> Any:
        if "/key-manifests" in path:
            kept = [one for one in answer["keys"] if one["kty"] == "EC"]
            from failgate.sealed.keys import OpeningKey

            return answer | {"keys": [*kept, OpeningKey.generate().public_jwk(), thief.public_jwk()]}
        return answer

    sealed.meddler.seen.clear()
    said = refused(sealed, "swapped", own_keys)
    assert "withholds 1 of the reviewers' keys" in said
    assert not any(b"sealed" in one for one in sealed.meddler.seen)

    def own_decision(method: str, path: str, answer: Any) -> Any:
        if "/key-manifests" in path:
            return answer | {"keys": [*answer["keys"], thief.public_jwk()]}
        if method == "GET" and "/sealed-commands/" in path:
            from failgate.sealed.decision import decision_payload, sign_decision
            from failgate.sealed.sealing import read_outer

            ctx = read_outer(answer["sealed"]).ctx
            payload = decision_payload(ctx, "approve", jti=secrets.token_hex(8), iat=ctx.iat, exp=ctx.exp)
            return approved(answer, [sign_decision(payload, thief)])
        return answer

    assert "not one that is trusted" in refused(sealed, "forged", own_decision)


def signed_rules(sealed: Sealed, *argvs: list[str]) -> Path:
    """Sign rules that allow exactly these commands; return their body, which nobody brought anywhere yet."""
    number = len(list(sealed.folder.glob("body-*")))
    listed, body = sealed.folder / f"listed-{number}.json", sealed.folder / f"body-{number}.json"
    rules = [{"id": f"r{place}", "kind": "exact", "argv": argv} for place, argv in enumerate(argvs)]
    listed.write_text(json.dumps(rules))
    said = sealed.as_admin("rules", "--root", "root.json", "--body", str(body), str(listed))
    assert said.returncode == 0, said.stderr
    return body


def brought(sealed: Sealed, body: Path) -> None:
    said = sealed.as_agent("agent", "rules", str(body))
    assert (said.returncode, said.stdout.startswith("rules ")) == (0, True), said.stderr


def ruled(sealed: Sealed, *argv: str) -> "subprocess.CompletedProcess[str]":
    return sealed.as_agent("run", "--ttl", "2s", "--", *argv)


def test_what_signed_rules_allow_runs_at_once_and_leaves_a_signed_word_of_nothing_in_it(sealed: Sealed) -> None:
    made = sealed.folder / "ruled"
    allowed = ["touch", str(made), f"{MARKER}-ruled"]
    brought(sealed, signed_rules(sealed, allowed))
    sealed.meddler.seen.clear()
    before = {one["id"] for one in sealed.owner.get(f"{WHERE}/sealed-commands").json()["items"]}
    ran = ruled(sealed, *allowed)
    assert (ran.returncode, made.exists()) == (0, True), ran.stderr
    assert {one["id"] for one in sealed.owner.get(f"{WHERE}/sealed-commands").json()["items"]} == before
    [run] = sealed.owner.get(f"{WHERE}/sealed-runs").json()["items"]
    assert run["exit_code"] == 0
    payload = json.loads(base64.urlsafe_b64decode(run["run"].split(".")[1] + "=="))
    assert (payload["commit"], payload["rid"], payload["rules"]) == (run["digest"], run["id"], run["rules"])
    [record] = records(sealed, run["id"], "sealed_run.finished")
    assert (record["data"]["digest"], record["data"]["exit_code"]) == (run["digest"], 0)
    assert MARKER.encode() not in b"".join(sealed.meddler.seen)
    assert holding(sealed.server.data, MARKER) == []
    asked = sealed.as_agent("run", "--ttl", "1s", "--", *allowed, "more")  # exactly means exactly
    assert asked.returncode == 75


Head = Callable[[dict[str, Any]], Any]


def test_a_server_that_lies_about_the_rules_has_people_asked(sealed: Sealed) -> None:
    """Withheld, older, forged, of another body: the command is sealed, and nothing runs without a person."""
    name = str(sealed.folder / "lied")
    old = signed_rules(sealed, ["touch", name])
    old_head = sealed.owner.get(f"{WHERE}/key-manifests").json()["rules"]
    brought(sealed, old)
    assert ruled(sealed, "touch", name).returncode == 0
    Path(name).unlink()
    thief = SigningKey.generate()
    payload = json.loads(base64.urlsafe_b64decode(old_head["payload"] + "=="))
    forged = {**sign_head(payload | {"epoch": payload["epoch"] + 1}, [thief]), "keys": [thief.public_jwk()]}
    lies: dict[str, Head] = {
        "withheld": lambda given: None,
        "forged": lambda given: forged,
        "shapeless": lambda given: [],
        "unsigned": lambda given: given | {"signatures": []},
    }
    for lie, given in lies.items():
        sealed.meddler.meddle = lambda method, path, answer, given=given: (
            answer | {"rules": given(answer["rules"])} if "/key-manifests" in path else answer
        )
        said = ruled(sealed, "touch", name)
        assert (said.returncode, Path(name).exists()) == (75, False), (lie, said.stderr)
        assert "people are asked" in said.stderr, lie
    sealed.meddler.meddle = lambda method, path, answer: answer
    signed_rules(sealed)  # all taken back: the machine keeps the body of before
    said = ruled(sealed, "touch", name)
    assert (said.returncode, Path(name).exists()) == (75, False), said.stderr
    sealed.meddler.meddle = lambda method, path, answer: (
        answer | {"rules": old_head} if "/key-manifests" in path else answer
    )
    said = ruled(sealed, "touch", name)  # rolled back to the head that allowed it, which has not expired
    assert (said.returncode, Path(name).exists()) == (75, False), said.stderr


def test_rules_that_allow_too_much_are_neither_signed_nor_kept(sealed: Sealed) -> None:
    listed, body = sealed.folder / "wide.json", sealed.folder / "wide-body.json"
    listed.write_text(json.dumps([{"id": "wide", "kind": "prefix", "argv": ["sh"]}]))
    said = sealed.as_admin("rules", "--root", "root.json", "--body", str(body), str(listed))
    assert (said.returncode, "The rule wide is none" in said.stderr, body.exists()) == (78, True, False), said.stderr
    listed.write_text("{}")
    said = sealed.as_admin("rules", "--root", "root.json", "--body", str(body), str(listed))
    assert (said.returncode, "These are no rules" in said.stderr) == (78, True), said.stderr
    body.write_text("[]")
    said = sealed.as_agent("agent", "rules", str(body))
    assert (said.returncode, "no body of rules" in said.stderr) == (78, True), said.stderr
    said = sealed.as_agent("agent", "rules", str(body), home=sealed.folder / "unpinned")
    assert (said.returncode, "pinned" in said.stderr) == (78, True), said.stderr


def test_a_manifest_that_the_roots_did_not_sign_is_not_believed(sealed: Sealed) -> None:
    """The server names itself as the reviewer, in the next epoch."""
    pins = load_pins(str(sealed.agent_home))
    assert pins is not None
    thief, last = SigningKey.generate(), pins.manifest
    now = int(time.time())
    payload = {
        "typ": "failgate-keys", "v": 1, "ws": last.ws, "epoch": last.epoch + 1, "prev": last.digest, "iat": now,
        "exp": now + 3600, "roots": {"keys": [thief.jkt], "m": 1}, "policies": {"default": digest_of(POLICY)},
        "members": [{"uid": "thief", "enc": last.people[0].enc, "roles": ["reviewer"],
                     "sig": [{"class": "native", "jkt": thief.jkt}]}], "e2ee": "required",
    }  # fmt: skip
    signed = {**sign_manifest(payload, [thief]), "keys": [thief.public_jwk()]}

    def takes_over(method: str, path: str, answer: Any) -> Any:
        return answer | {"items": [signed]} if "/key-manifests" in path else answer

    assert "The manifest is not believed" in refused(sealed, "taken", takes_over)
    kept = load_pins(str(sealed.agent_home))
    assert kept is not None
    assert kept.manifest == last
    other = sealed.folder / "other"
    assert sealed.as_agent("agent", "pin", digest_of(payload), home=other).returncode == 78
    assert sealed.as_agent("agent", "pin", digest_of(payload)).returncode == 76


def test_what_was_used_is_durable_and_a_damaged_memory_runs_nothing(sealed: Sealed) -> None:
    path = sealed.agent_home / "sealed-used"
    kept = path.read_bytes()
    assert kept.endswith(b"\n")
    ids = {name for line in kept.splitlines() for name in json.loads(line)["ids"]}
    executed = [
        one["id"] for one in sealed.owner.get(f"{WHERE}/sealed-commands").json()["items"] if one["state"] == "executed"
    ]
    assert set(executed) <= ids
    try:
        path.write_bytes(canonical({"ids": 7, "counters": {}}) + b"\n")
        agent = sealed.begun("touch", "forgotten")
        cid = sealed.waiting()
        digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
        assert sealed.as_reviewer("review", "approve", cid, "--digest", digest).returncode == 0
        _, said = agent.communicate(timeout=60)
        assert (agent.returncode, (sealed.folder / "forgotten").exists()) == (76, False)
        assert "damaged" in said
    finally:
        path.write_bytes(kept)


def test_after_the_next_manifest_the_agent_goes_on_and_does_not_go_back(sealed: Sealed) -> None:
    first = sealed.owner.get(f"{WHERE}/key-manifests").json()["items"]
    assert "new" not in sealed.manifest()
    agent = sealed.begun("touch", "second")
    cid = sealed.waiting()
    digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
    assert sealed.as_reviewer("review", "approve", cid, "--digest", digest).returncode == 0
    agent.communicate(timeout=60)
    assert (agent.returncode, (sealed.folder / "second").exists()) == (0, True)
    assert json.loads(sealed.as_agent("agent", "status", "--json").stdout)["epoch"] == 2

    def rolls_back(method: str, path: str, answer: Any) -> Any:
        return answer | {"items": first} if "/key-manifests" in path else answer

    assert "The manifest is not believed" in refused(sealed, "back", rolls_back)
    assert (sealed.agent_home / "sealed.json").stat().st_mode & 0o077 == 0


def test_an_approval_under_keys_that_changed_meanwhile_has_nothing_run(sealed: Sealed) -> None:
    """The server shows the approval once the next manifest is signed: somebody may have been removed by it."""
    is_shown = threading.Event()

    def late(method: str, path: str, answer: Any) -> Any:
        is_about = method == "GET" and "/sealed-commands/" in path
        return answer | {"state": "pending"} if is_about and not is_shown.is_set() else answer

    sealed.meddler.meddle, sealed.meddler.is_hasty = late, True
    agent = sealed.begun("touch", "late")
    cid = sealed.waiting()
    digest = sealed.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["digest"]
    assert sealed.as_reviewer("review", "approve", cid, "--digest", digest).returncode == 0
    sealed.manifest()
    is_shown.set()
    _, said = agent.communicate(timeout=60)
    assert (agent.returncode, (sealed.folder / "late").exists()) == (76, False), said
    assert "not of the epoch that is in force" in said


def test_an_administrator_signs_nothing_that_a_server_changed_behind_the_root(sealed: Sealed) -> None:
    """A root that remembers another last manifest than the server gives signs nothing, and so does a foreign root."""
    assert sealed.as_admin("root", "other.json").returncode == 0
    assert sealed.as_admin("root", "other.json").returncode == 78
    said = sealed.as_admin("manifest", "--root", "other.json", "--yes")
    assert (said.returncode, "manifest that this root did not sign" in said.stderr) == (76, True)
    kept = json.loads((sealed.folder / "root.json").read_text())
    old = kept | {"last": sealed.owner.get(f"{WHERE}/key-manifests").json()["items"][0]}
    (sealed.folder / "old.json").write_text(json.dumps(old))
    (sealed.folder / "old.json").chmod(0o600)
    count = len(sealed.owner.get(f"{WHERE}/key-manifests").json()["items"])
    if count > 1:
        said = sealed.as_admin("manifest", "--root", "old.json", "--yes")
        assert (said.returncode, "did not sign" in said.stderr) == (76, True)
    refused = sealed.as_admin("manifest", "--root", "root.json", stdin="n\n")
    assert (refused.returncode, "nothing was signed" in refused.stderr) == (1, True)
    assert len(sealed.owner.get(f"{WHERE}/key-manifests").json()["items"]) == count


def test_the_next_manifest_takes_all_rules_with_it(sealed: Sealed) -> None:
    name = str(sealed.folder / "outlived")
    brought(sealed, signed_rules(sealed, ["touch", name]))
    assert ruled(sealed, "touch", name).returncode == 0
    Path(name).unlink()
    sealed.manifest()
    said = ruled(sealed, "touch", name)
    assert (said.returncode, Path(name).exists()) == (75, False), said.stderr
    brought(sealed, signed_rules(sealed, ["touch", name]))
    assert ruled(sealed, "touch", name).returncode == 0
