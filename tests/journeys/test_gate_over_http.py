"""The gate as a stranger's program uses it: by the words of the contract alone, at a real server."""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from failgate.audit.tree import leaf_hash, verify_consistency, verify_inclusion
from failgate.base.canonical import canonical
from failgate.base.ids import is_id, new_id
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server
from tests.journeys.team import (
    WHERE,
    Person,
    Visitor,
    ask,
    person,
    program,
    sign_in,
    slug,
    submission,
    vote,
)
from tests.journeys.test_bad_input import consented, manifest
from tests.pace import busy


class House(contextlib.ExitStack):
    """A workspace with an agent and reviewers, and their open connections."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.key = team.found_acme(server)["api_key"]
        keeper = person(server, "keeper", "developer", with_totp=False)
        made = team.admin(server, "agent.create", workspace="acme", name="ci", owner=keeper.email)
        self.agent_id, self.token = made["agent"], made["token"]
        self.agent = self.enter_context(program(server, self.token))
        self.owner = self.enter_context(program(server, self.key))
        self.people: dict[str, Person] = {}

    def reviewer(self, name: str, role: str = "reviewer") -> Visitor:
        self.people[name] = person(self.server, name, role)
        return self.enter_context(sign_in(self.server, self.people[name]))

    def state(self, view: dict[str, Any]) -> str:
        return self.agent.get(f"{WHERE}/commands/{view['id']}").json()["state"]

    def acts_about(self, view: dict[str, Any]) -> list[str]:
        return [one["act"] for one in self.records() if one["obj"]["id"] == view["id"]]

    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.owner.get(f"{WHERE}/audit/records?limit=1000{after}").json()
            found += [one["record"] for one in page["records"]]
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"

    def socket(self, path: str, **headers: str):
        return connect(
            self.server.url.replace("http", "ws", 1) + path,
            additional_headers=headers,
            origin=self.server.url,  # type: ignore[arg-type]  # any text does
            proxy=None,
            close_timeout=2,
        )


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("house") / "data"
    with team.served(Server(data, database_url=new_database())) as server, House(server) as one:
        one.lead = one.reviewer("lead")
        one.boss = one.reviewer("boss", "owner")
        yield one


@pytest.fixture(scope="module")
def pair_house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that asks for two people."""
    data = tmp_path_factory.mktemp("pair") / "data"
    asking = Server(data, database_url=new_database(), config="[plugins.quorum]\nneed = 2\n")
    with team.served(asking) as server, House(server) as one:
        yield one


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# From asking to the outcome


def test_a_command_goes_from_its_program_to_a_person_and_back(house: House) -> None:
    """E1 E7 E8 E12: ask, wait, vote, use once, tell how it ended; every answer is about the digest that was asked."""
    body = {
        "v": 1, "argv": ["/usr/bin/make", "déploiement", "--to", "staging"], "cwd": "/srv/shop", "env": {"LANG": "C"},
        "host": "builder-7", "uid": 1000, "nonce": new_id(), "cwd_dev_ino": "2049:77",
        "exe": {"path": "/usr/bin/make", "sha256": "ab" * 32},
    }  # fmt: skip
    # Computed as the contract says, by nobody's library but hashlib and json: its members are plain.
    octets = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = base64url(hashlib.sha256(octets).digest())
    asked = house.agent.post(
        f"{WHERE}/commands", json={"command": body, "digest": digest, "reason": "release", "ttl_seconds": 120}
    )
    assert asked.status_code == 201
    view = asked.json()
    assert view["digest"] == digest
    assert view["state"] == "pending"
    assert is_id(view["id"])
    assert len(view["rendering"]) == 4
    assert set(view["risk"]) == {"score", "reasons"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", view["expires_at"])
    assert view.get("verdict") is None

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(house.agent.get, f"{WHERE}/commands/{view['id']}?wait=30", timeout=40)
        seen = house.lead.get(f"{WHERE}/commands/{view['id']}").json()
        assert seen["command"] == body
        decided = vote(house.lead, view, note="as planned")
        assert decided.status_code == 200, decided.text
        told = waiting.result(10).json()
    verdict = told["verdict"]
    assert (told["state"], verdict["decision"], verdict["id"], verdict["digest"]) == (
        "approved", "approve", view["id"], digest,
    )  # fmt: skip
    assert verdict["by"] == ["lead@acme.example"]
    assert verdict["note"] == "as planned"
    assert verdict["use_by"] > verdict["decided_at"]

    late = vote(house.boss, view, "deny")
    assert (late.status_code, slug(late), late.json()["state"]) == (409, "conflict", "approved")

    place = f"{WHERE}/commands/{view['id']}"
    for foreign in (ask(house.agent)["digest"], digest + "=", ""):
        refused = house.agent.post(f"{place}/consume", json={"digest": foreign})
        assert (refused.status_code, refused.json()["state"]) == (409, "approved")
    for stranger in (house.owner, house.lead):
        assert stranger.post(f"{place}/consume", json={"digest": digest}).status_code == 404
    used = house.agent.post(f"{place}/consume", json={"digest": digest})
    assert (used.status_code, used.json()["state"]) == (200, "executed")
    twice = house.agent.post(f"{place}/consume", json={"digest": digest})
    assert (twice.status_code, twice.json()["state"]) == (409, "executed")

    outcome = {"digest": digest, "exit_code": 137, "duration_ms": 1200, "signal": 9}
    assert house.agent.post(f"{place}/outcome", json=outcome | {"digest": "x"}).status_code == 409
    assert house.agent.post(f"{place}/outcome", json=outcome | {"duration_ms": -1}).status_code == 422
    finished = house.agent.post(f"{place}/outcome", json=outcome)
    assert finished.status_code == 200
    assert finished.json()["outcome"]["signal"] == 9
    assert house.agent.post(f"{place}/outcome", json=outcome | {"exit_code": 0}).status_code == 409
    assert house.acts_about(view) == [
        "command.created", "vote.cast", "command.approved", "command.mismatched", "command.consumed",
        "command.finished",
    ]  # fmt: skip


def test_a_digest_of_another_call_is_422_and_nothing_is_kept(house: House) -> None:
    """E8: every member is covered, also one that nobody shows."""
    body = submission()
    before = house.owner.get(f"{WHERE}/commands?limit=1").json()["items"]
    for change in (
        {"argv": ["/bin/true"]},
        {"cwd": "/"},
        {"env": {"A": "1"}},
        {"host": "h"},
        {"nonce": "n"},
        {"uid": 0},
    ):
        answer = house.agent.post(f"{WHERE}/commands", json=body | {"command": body["command"] | change})
        assert (answer.status_code, slug(answer)) == (422, "unprocessable")
        assert answer.json()["hint"]
    assert house.owner.get(f"{WHERE}/commands?limit=1").json()["items"] == before


def test_the_same_key_is_the_same_command_also_when_sent_at_once(house: House) -> None:
    body, headers = submission(), {"idempotency-key": new_id()}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: house.agent.post(f"{WHERE}/commands", json=body, headers=headers), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = house.agent.post(f"{WHERE}/commands", json=submission(), headers=headers)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]
    somebody_else = house.owner.post(f"{WHERE}/commands", json=body, headers=headers)
    assert somebody_else.status_code == 201
    assert somebody_else.json()["id"] != answers[0].json()["id"], "a key is its sender's alone"


def test_an_answer_to_consume_that_was_lost_is_given_again_and_used_once_all_the_same(house: House) -> None:
    """CONTRACT: `Idempotency-Key` is honoured on every POST; what another key asks for is a second use."""
    view = ask(house.agent)
    assert vote(house.lead, view).status_code == 200
    place, body = f"{WHERE}/commands/{view['id']}/consume", {"digest": view["digest"]}
    key = {"idempotency-key": f"consume-{view['id']}"}
    answers = [house.agent.post(place, json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["state"] == answers[1].json()["state"] == "executed"
    assert house.agent.post(place, json=body, headers={"idempotency-key": new_id()}).status_code == 409
    assert house.agent.post(place, json=body).status_code == 409
    assert house.acts_about(view).count("command.consumed") == 1


def test_waiting_ends_with_the_answer_or_with_its_time(house: House) -> None:
    began = time.monotonic()
    asked = house.agent.post(f"{WHERE}/commands?wait=1", json=submission())
    assert (asked.status_code, asked.json()["state"]) == (201, "pending")
    assert 0.9 < time.monotonic() - began < busy(5)
    for wrong in ("-1", "56", "x", "1e9"):
        answer = house.agent.get(f"{WHERE}/commands/{asked.json()['id']}?wait={wrong}")
        assert (answer.status_code, answer.json()["member"]) == (400, "wait")


def test_a_request_of_one_second_expires_in_time_and_for_good(house: House) -> None:
    """E8: nobody answered; a late approval changes nothing."""
    began = time.monotonic()
    view = ask(house.agent, ttl_seconds=1)
    told = house.agent.get(f"{WHERE}/commands/{view['id']}?wait=10").json()
    assert told["state"] == "expired"
    assert 0.9 < time.monotonic() - began < busy(4)
    for decision in ("approve", "deny"):
        late = vote(house.lead, view, decision)
        assert (late.status_code, late.json()["state"]) == (409, "expired")
    used = house.agent.post(f"{WHERE}/commands/{view['id']}/consume", json={"digest": view["digest"]})
    assert (used.status_code, used.json()["state"]) == (409, "expired")
    assert house.acts_about(view) == ["command.created", "command.expired"]
    for seconds in (0, -1, 86_401):
        assert house.agent.post(f"{WHERE}/commands", json=submission(ttl_seconds=seconds)).status_code == 422


def test_a_denial_reaches_the_program_with_its_reason(house: House) -> None:
    """B8."""
    view = ask(house.agent)
    vote(house.lead, view, "deny", note="not on a Friday")
    told = house.agent.get(f"{WHERE}/commands/{view['id']}").json()
    assert (told["state"], told["verdict"]["decision"], told["verdict"]["note"]) == (
        "denied",
        "deny",
        "not on a Friday",
    )
    assert told["verdict"]["use_by"] is None
    for verb in ("consume", "cancel"):
        body = {"digest": view["digest"]} if verb == "consume" else {}
        answer = house.agent.post(f"{WHERE}/commands/{view['id']}/{verb}", json=body)
        assert (answer.status_code, answer.json()["state"]) == (409, "denied")


def test_a_program_withdraws_its_own_request_and_nobody_else_does(house: House) -> None:
    view = ask(house.agent)
    assert house.lead.post(f"{WHERE}/commands/{view['id']}/cancel").status_code == 403
    assert house.agent.post(f"{WHERE}/commands/{view['id']}/cancel").json()["state"] == "cancelled"
    late = vote(house.lead, view)
    assert (late.status_code, late.json()["state"]) == (409, "cancelled")


def test_a_vote_of_a_browser_comes_from_a_page_of_ours(house: House) -> None:
    view = ask(house.agent)
    body = {"decision": "approve", "digest": view["digest"]}
    cookies = {"cookie": f"fg_session={team.session_of(house.lead)}"}
    with httpx.Client(base_url=house.server.url, trust_env=False) as browser:
        for headers in ({}, {"origin": "null"}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = browser.post(f"{WHERE}/commands/{view['id']}/votes", json=body, headers=cookies | headers)
            assert (answer.status_code, slug(answer)) == (403, "cross-site")
    assert house.state(view) == "pending"
    assert vote(house.lead, view).status_code == 200


def test_lists_are_items_and_next_and_every_command_is_in_one_page_alone(house: House) -> None:
    made = [ask(house.agent)["id"] for _ in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = house.owner.get(f"{WHERE}/commands{query}").json()
        assert set(page) == {"items", "next"}
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None or set(made) <= set(seen):
            break
        query = f"?limit=2&after={page['next']}"
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))
    only = house.owner.get(f"{WHERE}/commands?state=denied&limit=200").json()["items"]
    assert {item["state"] for item in only} <= {"denied"}
    for wrong in ("limit=0", "limit=201", "limit=x", "after=x", "state=nothing"):
        answer = house.owner.get(f"{WHERE}/commands?{wrong}")
        assert (answer.status_code, slug(answer)) == (400, "bad-input"), wrong
        assert wrong.partition("=")[0] in answer.json()["detail"]


# Policies and rules


def test_a_rule_lets_exactly_its_command_pass_and_ends_when_it_is_deleted(house: House) -> None:
    """E2 E28: made by a person with a fresh second factor, or by a key; explained before anything is asked."""
    argv = ["/usr/bin/git", "fetch", new_id()]
    rule = {"kind": "exact", "effect": "allow", "argv": argv, "note": "reads only", "max_uses": 2}

    def explained(*words: str) -> str:
        answer = house.agent.post(f"{WHERE}/policy/explain", json={"command": team.command(*words)})
        assert answer.status_code == 200
        assert all(set(one) >= {"policy", "says", "reason"} for one in answer.json()["findings"])
        return answer.json()["decision"]

    assert explained(*argv) == "ask"
    made = house.boss.post(f"{WHERE}/rules", json=rule)
    assert made.status_code == 201, made.text
    listed = house.lead.get(f"{WHERE}/rules").json()
    assert set(listed) == {"items", "next"}
    assert [one["argv"] for one in listed["items"] if one["id"] == made.json()["id"]] == [argv]
    assert explained(*argv) == "allow"
    for other in ([*argv, "x"], argv[:-1], [argv[0], f"{argv[1]} {argv[2]}"], [argv[0] + " ", *argv[1:]]):
        assert explained(*other) == "ask", other
    view = ask(house.agent, *argv)
    assert (view["state"], view["verdict"]["by"]) == ("approved", ["allowlist"])
    used = house.agent.post(f"{WHERE}/commands/{view['id']}/consume", json={"digest": view["digest"]})
    assert used.status_code == 200
    place = f"{WHERE}/rules/{made.json()['id']}"
    assert house.lead.delete(place).status_code == 403
    assert house.boss.delete(place).status_code == 204
    assert house.boss.delete(place).status_code == 404
    assert explained(*argv) == "ask"
    assert ask(house.agent, *argv)["state"] == "pending"


def test_a_rule_of_a_person_needs_a_second_factor(house: House) -> None:
    """B3: an owner without one is sent to enrol, and no rule is made; a refused rule is refused by name."""
    owner = person(house.server, "plain-owner", "owner", with_totp=False)
    rule = {"kind": "exact", "effect": "allow", "argv": ["/bin/sh"]}
    with sign_in(house.server, owner) as browser:
        answer = browser.post(f"{WHERE}/rules", json=rule)
        assert (answer.status_code, slug(answer)) == (403, "step-up-required")
        assert answer.json()["hint"]
    assert ["/bin/sh"] not in [one["argv"] for one in house.owner.get(f"{WHERE}/rules?limit=200").json()["items"]]
    for wrong, member in (
        ({"kind": "glob"}, "kind"), ({"effect": "ask"}, "effect"), ({"argv": "sh"}, "argv"), ({"pattern": "x"}, "pattern"),
    ):  # fmt: skip
        answer = house.owner.post(f"{WHERE}/rules", json=rule | wrong)
        assert (answer.status_code, answer.json()["member"]) == (400, member)
    for unusable in ({"argv": []}, {"argv": ["a\0"]}, {"max_uses": 0}, {"ttl_seconds": 0}):
        assert house.owner.post(f"{WHERE}/rules", json=rule | unusable).status_code == 422, unusable


# The log


def test_what_happened_is_proven_offline(house: House) -> None:
    """E3 B10: leaves, the chain and the tree are checked with the published arithmetic, against two checkpoints."""

    def head() -> tuple[int, bytes]:
        note = house.owner.get(f"{WHERE}/audit/checkpoint")
        assert note.headers["content-type"].startswith("text/plain")
        lines = note.text.split("\n")
        assert lines[3] == ""
        assert lines[4].startswith("— ")
        return int(lines[1]), base64.b64decode(lines[2])

    def hashes(path: str) -> list[bytes]:
        answer = house.owner.get(f"{WHERE}/audit/proof/{path}")
        assert answer.status_code == 200, answer.text
        return [base64.b64decode(one) for one in answer.json()["hashes"]]

    old_size, old_root = head()
    view = ask(house.agent)
    vote(house.lead, view, "deny")
    size, root = head()
    assert size >= old_size + 3
    leaves: list[bytes] = []
    while len(leaves) < size:
        after = f"&after={len(leaves) - 1}" if leaves else ""
        page = house.owner.get(f"{WHERE}/audit/records?limit=7{after}").json()["records"]
        for one in page:
            leaf = unpadded(one["leaf"])
            assert json.loads(leaf) == one["record"]
            assert canonical(one["record"]) == leaf
            before = leaf_hash(leaves[-1]) if leaves else bytes(32)
            assert one["record"]["prev"] == base64url(before)
            assert one["seq"] == one["record"]["seq"] == len(leaves)
            leaves.append(leaf)
    for seq in {0, 1, old_size - 1, old_size, size - 1}:
        verify_inclusion(leaf_hash(leaves[seq]), seq, size, hashes(f"inclusion?seq={seq}&size={size}"), root)
    verify_consistency(old_size, size, hashes(f"consistency?old={old_size}&new={size}"), old_root, root)
    about = [json.loads(leaf) for leaf in leaves[old_size:size] if json.loads(leaf)["obj"]["id"] == view["id"]]
    assert [one["act"] for one in about] == ["command.created", "vote.cast", "command.denied"]
    assert about[1]["actor"]["id"] == house.people["lead"].id
    assert about[0]["data"]["digest"] == view["digest"]
    assert b"/usr/bin/rm" not in b"".join(leaves), "the log holds digests, never the call"
    for verb in ("DELETE", "PUT", "PATCH", "POST"):
        assert house.owner.request(verb, f"{WHERE}/audit/records").status_code == 405


# Reports

HOSTILE_NAMES = [
    "../../etc/passwd", "a/b.txt", "C:\\x", "nul\0.txt", "a\r\nSet-Cookie: x=y", ".", "", "x" * 5000, "\u202etxt.exe", "a\ud800",
]  # fmt: skip


def test_a_report_goes_up_and_comes_down_in_ranges(house: House) -> None:
    """F2 F3 F15: begin with consent, put, seal, get; a download is an attachment that no browser runs."""
    content = b"".join(b"line %06d of the output\n" % number for number in range(20_000))
    document = manifest(content, argv=["pytest", new_id()])
    document["artifacts"][0]["name"] = 'très "long" <b>.html'
    assert house.agent.post(f"{WHERE}/reports", json={"manifest": document}).status_code == 403
    view = ask(house.agent)
    begun = house.agent.post(f"{WHERE}/reports", json=consented(document) | {"command_id": view["id"]})
    assert begun.status_code == 201, begun.text
    [digest] = begun.json()["missing"]
    assert digest == hashlib.sha256(content).hexdigest()
    place = f"{WHERE}/reports/{begun.json()['id']}"
    assert house.agent.put(f"{place}/artifacts/{digest}", content=content).json()["missing"] == []
    sealed = house.agent.post(f"{place}/seal").json()
    assert (sealed["state"], sealed["command_id"]) == ("sealed", view["id"])
    whole = house.lead.get(f"{place}/artifacts/{digest}")
    assert whole.content == content
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"].startswith("attachment; ")
    assert whole.headers["content-disposition"].isascii()
    assert "sandbox" in whole.headers["content-security-policy"]
    assert "script-src" not in whole.headers["content-security-policy"]
    for asked, code, start, stop in (
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-199", 206, 100, 200),
        ("bytes=-10", 206, len(content) - 10, len(content)),
        (f"bytes={len(content) - 1}-", 206, len(content) - 1, len(content)),
        ("bytes=5-2", 200, 0, len(content)),
        ("bytes=0-1,4-5", 200, 0, len(content)),
    ):
        part = house.lead.get(f"{place}/artifacts/{digest}", headers={"range": asked})
        assert (part.status_code, part.content) == (code, content[start:stop]), asked
        if code == 206:
            assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(content)}"
    behind = house.lead.get(f"{place}/artifacts/{digest}", headers={"range": f"bytes={len(content)}-"})
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{len(content)}")
    read = [one for one in house.records() if one["act"] == "artifact.read" and one["data"]["sha256"] == digest]
    assert read, "a download is on record"
    assert house.agent.get(place).status_code == 403, "an agent uploads and does not read"
    assert house.boss.delete(place).json()["removed"] == [digest]
    assert house.lead.get(f"{place}/artifacts/{digest}").status_code == 404


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=[f"{name[:12]!a}" for name in HOSTILE_NAMES])
def test_a_report_with_a_harmful_name_does_not_begin(house: House, name: str) -> None:
    document = manifest(b"x")
    document["artifacts"][0]["name"] = name
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    body = {"manifest": document, "consent": {"manifest_sha256": digest, "by": "person", "at": "2026-01-02T03:04:06Z"}}
    with contextlib.suppress(Exception):
        body = consented(document)
    answer = house.agent.post(
        f"{WHERE}/reports", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert "name" in answer.json()["detail"] or "surrogate" in answer.json()["detail"]


# Sockets


def hear(socket: Any) -> dict[str, Any]:
    return json.loads(socket.recv(10))


def test_an_agent_lives_on_its_socket_alone(house: House) -> None:
    """E12: submit, verdict, consume, outcome, by frames with a mark of their own."""
    with house.socket("/api/v1/agent", authorization=f"Bearer {house.token}") as socket:
        bodies = {ref: submission() for ref in ("one", "two")}
        for ref, body in bodies.items():
            socket.send(json.dumps({"type": "submit", "ref": ref, **body}))
        asked = {told["ref"]: told for told in (hear(socket), hear(socket))}
        assert {one["type"] for one in asked.values()} == {"submitted"}
        assert {one["state"] for one in asked.values()} == {"pending"}
        vote(house.lead, asked["two"], "deny", note="no")
        vote(house.lead, asked["one"])
        told = {one["ref"]: one for one in (hear(socket), hear(socket))}
        assert {one["type"] for one in told.values()} == {"verdict"}
        assert told["two"]["verdict"]["note"] == "no"
        approved = told["one"]["verdict"]
        assert (approved["decision"], approved["digest"]) == ("approve", bodies["one"]["digest"])
        use = {"type": "consume", "id": asked["one"]["id"], "digest": approved["digest"]}
        socket.send(json.dumps(use | {"ref": 1, "digest": asked["two"]["digest"]}))
        assert hear(socket)["problem"]["status"] == 409
        socket.send(json.dumps(use | {"ref": 2}))
        assert hear(socket) == {"type": "consumed", "id": use["id"], "state": "executed", "ref": 2}
        socket.send(json.dumps(use | {"ref": 3}))
        again = hear(socket)
        assert (again["type"], again["ref"], again["problem"]["status"]) == ("error", 3, 409)
        ended = {"type": "outcome", "id": use["id"], "digest": use["digest"], "exit_code": 0, "duration_ms": 5}
        socket.send(json.dumps(ended | {"ref": 4}))
        assert hear(socket)["type"] == "finished"
        socket.send(json.dumps({"type": "submit", "ref": 5, **submission()}))
        withdrawn = hear(socket)
        socket.send(json.dumps({"type": "cancel", "ref": 6, "id": withdrawn["id"]}))
        assert {one["type"] for one in (hear(socket), hear(socket))} == {"cancelled", "verdict"}


def test_a_page_sees_live_what_happens_in_its_workspace_and_nothing_else(house: House) -> None:
    """B9: asked, voted, used, told; without a request of the page's own."""
    team.admin(house.server, "workspace.create", workspace=f"ws-{new_id()[-8:]}", owner="boss@acme.example")
    cookie = {"cookie": f"fg_session={team.session_of(house.lead)}"}
    with house.socket("/api/v1/live?workspace=acme", **cookie) as page:
        view = ask(house.agent)
        vote(house.lead, view)
        house.agent.post(f"{WHERE}/commands/{view['id']}/consume", json={"digest": view["digest"]})
        house.agent.post(
            f"{WHERE}/commands/{view['id']}/outcome",
            json={"digest": view["digest"], "exit_code": 0, "duration_ms": 1},
        )
        events = [hear(page) for _ in range(4)]
    assert [one["event"] for one in events] == ["created", "approved", "consumed", "finished"]
    assert {one["type"] for one in events} == {"command"}
    assert {one["command"]["id"] for one in events} == {view["id"]}


# Who is not there any more


def end_of(socket: Any) -> int:
    """Wait for the socket's end, before which no event is told; return its code."""
    with pytest.raises(ConnectionClosed) as closed:
        pytest.fail(f"told after the end: {socket.recv(5)}")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_a_disabled_account_is_out_within_a_second_with_all_that_it_holds(house: House) -> None:
    """B3: pages, sockets, keys, and the agents that it answers for."""
    name = "leaver"
    browser = house.reviewer(name)
    who = house.people[name]
    key = team.admin(house.server, "api_key.create", email=who.email, workspace="acme", label="k")["api_key"]
    made = team.admin(house.server, "agent.create", workspace="acme", name="his", owner=who.email)
    live = ("/api/v1/live?workspace=acme", {"cookie": f"fg_session={team.session_of(browser)}"})
    agents = [("/api/v1/agent", {"authorization": f"Bearer {token}"}) for token in (key, made["token"])]
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(house.socket(path, **headers)) for path, headers in [*[live] * 10, *agents]]
        began = time.monotonic()
        team.admin(house.server, "user.disable", email=who.email)
        ask(house.agent)  # an event that none of them may see
        assert {end_of(socket) for socket in open_ones} == {4401}
        assert time.monotonic() - began < busy(1)
    assert browser.get("/api/v1/whoami").status_code == 401
    for token in (key, made["token"]):
        with program(house.server, token) as client:
            assert client.get("/api/v1/whoami").status_code == 401
            assert client.post(f"{WHERE}/commands", json=submission()).status_code == 401


def lose_role(house: House, who: Person) -> None:
    team.sql(house.server, "UPDATE membership SET role = 'developer' WHERE account_id = $1", who.id)


def lose_membership(house: House, who: Person) -> None:
    team.sql(house.server, "DELETE FROM membership WHERE account_id = $1", who.id)


def lose_factor(house: House, who: Person) -> None:
    team.sql(house.server, "DELETE FROM totp_secret WHERE account_id = $1", who.id)


def be_disabled(house: House, who: Person) -> None:
    team.admin(house.server, "user.disable", email=who.email)


@pytest.mark.parametrize("lose", [lose_role, lose_membership, lose_factor, be_disabled])
def test_an_approval_is_void_when_its_person_may_not_decide_any_more(pair_house: House, lose: Any) -> None:
    """E5 E22: N approvals are N people who still may, in the moment when the quorum completes."""
    house, mark = pair_house, new_id()[-6:]
    first, second, third = (house.reviewer(f"{name}-{mark}") for name in ("first", "second", "third"))
    view = ask(house.agent, ttl_seconds=600)
    assert view["need"] == 2
    assert vote(first, view).json()["state"] == "pending"
    assert vote(first, view).json()["state"] == "pending", "the same person counts once"
    lose(house, house.people[f"first-{mark}"])
    assert vote(second, view).json()["state"] == "pending"
    assert house.state(view) == "pending"
    refused = house.agent.post(f"{WHERE}/commands/{view['id']}/consume", json={"digest": view["digest"]})
    assert (refused.status_code, refused.json()["state"]) == (409, "pending")
    again = vote(first, view)
    assert again.status_code in {401, 403, 404}, again.text
    assert vote(third, view).json()["state"] == "approved"
    approved = [one for one in house.records() if one["act"] == "command.approved" and one["obj"]["id"] == view["id"]]
    assert len(approved) == 1


def test_who_asks_and_who_answers_for_the_agent_do_not_decide(pair_house: House) -> None:
    """E5: neither by their own session nor for their own key."""
    house, mark = pair_house, new_id()[-6:]
    mine = house.reviewer(f"mine-{mark}")
    who = house.people[f"mine-{mark}"]
    made = team.admin(house.server, "agent.create", workspace="acme", name=f"of-{mark}", owner=who.email)
    key = team.admin(house.server, "api_key.create", email=who.email, workspace="acme", label="k")["api_key"]
    with program(house.server, made["token"]) as agent, program(house.server, key) as script:
        for requester in (agent, script):
            view = ask(requester)
            for decision in ("approve", "deny"):
                answer = vote(mine, view, decision)
                assert (answer.status_code, slug(answer)) == (403, "forbidden")
            seen = house.owner.get(f"{WHERE}/commands/{view['id']}").json()
            assert (seen["state"], seen["votes"]) == ("pending", [])


# Everybody at once


async def test_sixty_four_votes_at_once_are_one_outcome(house: House) -> None:
    """E8 N3: approvals and denials of several people; agent, API and log agree, the losers are told what stands."""
    voters = [house.lead, house.boss, *(house.reviewer(f"judge-{number}-{new_id()[-6:]}") for number in range(2))]
    cookies = [{"fg_session": team.session_of(one)} for one in voters]
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=house.server.url, cookies=each, headers={"origin": house.server.url}, trust_env=False,
                    timeout=30,
                )
            )
            for each in cookies
        ]  # fmt: skip
        for _ in range(4):
            view = ask(house.agent)
            place = f"{WHERE}/commands/{view['id']}/votes"
            bodies = [{"decision": choice, "digest": view["digest"]} for choice in ("approve", "deny")]
            answers = await asyncio.gather(
                *(clients[number % 4].post(place, json=bodies[(number // 4) % 2]) for number in range(64))
            )
            stored = house.agent.get(f"{WHERE}/commands/{view['id']}").json()
            assert stored["state"] in {"approved", "denied"}
            assert [answer.status_code for answer in answers].count(200) == 1
            losers = [answer for answer in answers if answer.status_code != 200]
            assert {(answer.status_code, answer.json()["state"]) for answer in losers} == {(409, stored["state"])}
            [winner] = [answer.json() for answer in answers if answer.status_code == 200]
            assert winner["state"] == stored["state"]
            ends = [act for act in house.acts_about(view) if act in {"command.approved", "command.denied"}]
            assert ends == [f"command.{stored['state']}"]


def test_of_sixteen_uses_at_once_one_is_the_use(house: House) -> None:
    view = ask(house.agent)
    vote(house.lead, view)
    start = threading.Barrier(16)

    def use(_: int) -> int:
        start.wait(10)
        body = {"digest": view["digest"]}
        return house.agent.post(f"{WHERE}/commands/{view['id']}/consume", json=body).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = sorted(pool.map(use, range(16)))
    assert codes == [200] + [409] * 15
    assert house.acts_about(view).count("command.consumed") == 1


def verified(house: House) -> None:
    found = house.server.verify("--gate")
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_whole_story_verifies(house: House) -> None:
    """P2 E20: after everything above, on the running server."""
    verified(house)


def test_the_story_of_the_voided_approvals_verifies(pair_house: House) -> None:
    verified(pair_house)
