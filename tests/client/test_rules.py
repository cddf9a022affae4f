"""Rules that this machine judges by itself: as the allowlist means them, and only while the roots say so (P3)."""

import json
from pathlib import Path
from typing import Any

import pytest

from failgate.base.canonical import base64url, digest_of
from failgate.client import rules as own
from failgate.client.command import Call, build_call
from failgate.client.exits import NotConfigured
from failgate.client.pins import Pins, load_pins, store_pins
from failgate.sealed.refusal import Refused
from failgate.sealed.rules import sign_head
from tests.relay.parties import Reviewer, Sealed

NOW = 1_000_000
WS = "8d440d1d-b0a9-4df4-8284-fac5c7fdb7fc"
RULES = [
    {"id": "list", "kind": "exact", "argv": ["ls", "-l"]},
    {"id": "log", "kind": "prefix", "argv": ["uname", "-s"]},
    {"id": "path", "kind": "exact", "argv": ["/usr/bin/id", "-u"]},
]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own.time, "time", lambda: float(NOW))


def body(rules: list[dict[str, Any]] = RULES) -> bytes:
    return json.dumps({"v": 1, "nonce": base64url(bytes(32)), "rules": rules}).encode()


def called(*argv: str, **more: str) -> Call:
    return build_call(argv, {"PATH": "/usr/bin:/bin", "HOME": "/root", **more}, tuple(more))


def said(*argv: str, rules: list[dict[str, Any]] = RULES, **more: str) -> tuple[str, ...] | None:
    return own.speaking(own.body_of(body(rules))[0], called(*argv, **more).command)


def test_exact_and_prefix_mean_what_they_mean_in_the_allowlist() -> None:
    assert said("ls", "-l") == ("list",)
    assert said("ls", "-l", "/") is None
    assert said("ls") is None
    assert said("uname", "-s") == ("log",)
    assert said("uname", "-s", "-r") == ("log",)
    assert said("uname", "-r") is None
    assert said("/usr/bin/id", "-u") == ("path",)
    assert said("id", "-u") is None


def test_what_surrounds_the_program_keeps_it_from_running(tmp_path: Path) -> None:
    other = tmp_path / "ls"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert said("ls", "-l", PATH=f"{tmp_path}:/usr/bin") is None
    assert said("ls", "-l", SOMETHING="/srv/x.so") is None


def test_a_line_for_a_shell_passes_when_each_program_in_it_does() -> None:
    assert said("sh", "-c", "ls -l && uname -s -r") == ("list", "log")
    assert said("sh", "-c", "ls -l && uname -r") is None
    assert said("sh", "-c", "ls -l $(id)") is None


class Machine:
    """A pinned folder, and what a server may give it."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.sealed = Sealed(WS, [Reviewer("ann")], NOW)
        self.pins = Pins(self.sealed.agent, None, digest_of(1), self.sealed.next())
        store_pins(self.folder, self.pins)

    def head(self, content: bytes, **changes: Any) -> dict[str, Any]:
        payload = {
            "typ": "failgate-rules", "v": 1, "ws": WS, "epoch": 2, "manifest": self.sealed.prev, "iat": NOW,
            "exp": NOW + 60, "rules": own.body_of(content)[1], **changes,
        }  # fmt: skip
        roots = self.sealed.roots
        return {**sign_head(payload, roots), "keys": [one.public_jwk() for one in roots]}

    def allowed(self, given: object, *argv: str) -> own.Allowed | None:
        kept = load_pins(self.folder)
        assert kept is not None
        return own.allowed_by(self.folder, kept, given, called(*argv))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_the_rules_allow_is_allowed_and_nothing_else(machine: Machine) -> None:
    assert machine.allowed(machine.head(body()), "ls", "-l") is None  # no body was brought here
    assert own.keep_rules(machine.folder, body()) == own.body_of(body())[1]
    allowed = machine.allowed(machine.head(body()), "ls", "-l")
    assert allowed is not None
    assert (allowed.rules, allowed.head.epoch) == (("list",), 2)
    assert machine.allowed(machine.head(body()), "ls", "-a") is None


def test_a_head_that_is_withheld_old_or_false_lets_nothing_run(machine: Machine) -> None:
    own.keep_rules(machine.folder, body())
    good = machine.head(body())
    assert machine.allowed(good, "ls", "-l") is not None
    for given in (
        None, {}, "x", good | {"signatures": []}, machine.head(body(), epoch=1), machine.head(body(), exp=NOW + 59),
        machine.head(body(), epoch=3, iat=NOW - 60, exp=NOW - 1), machine.head(body(), epoch=3, manifest=digest_of({})),
    ):  # fmt: skip
        with pytest.raises(Refused):
            machine.allowed(given, "ls", "-l")
    assert machine.allowed(good, "ls", "-l") is not None


def test_a_newer_head_is_remembered_also_when_this_machine_has_not_its_body(machine: Machine) -> None:
    own.keep_rules(machine.folder, body())
    old = machine.head(body())
    assert machine.allowed(old, "ls", "-l") is not None
    with pytest.raises(Refused) as refused:
        machine.allowed(machine.head(body([]), epoch=3), "ls", "-l")
    assert refused.value.reason == "commitment"
    with pytest.raises(Refused) as refused:
        machine.allowed(old, "ls", "-l")
    assert refused.value.reason == "epoch"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b'{"v":1}', body([{"id": "x", "kind": "exact", "argv": []}])]
)
def test_a_body_that_is_none_is_not_kept(machine: Machine, content: bytes) -> None:
    with pytest.raises(NotConfigured, match="no body of rules"):
        own.keep_rules(machine.folder, content)


def test_a_rule_that_allows_too_much_is_named_and_not_kept(machine: Machine) -> None:
    with pytest.raises(NotConfigured, match="The rule wide is none"):
        own.keep_rules(machine.folder, body([{"id": "wide", "kind": "prefix", "argv": ["sh"]}]))
    assert machine.allowed(machine.head(body()), "ls", "-l") is None


def test_a_damaged_body_lets_nothing_run(machine: Machine) -> None:
    own.keep_rules(machine.folder, body())
    path = Path(machine.folder) / own.RULES_FILE
    path.write_bytes(b"{}")
    path.chmod(0o600)
    with pytest.raises(NotConfigured):
        machine.allowed(machine.head(body()), "ls", "-l")
