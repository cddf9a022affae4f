"""The command and its context: what can be sealed, and what the manifest bears out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.base.canonical import base64url, digest_of
from failgate.sealed.command import check_command, check_context, commitment, read_context
from failgate.sealed.refusal import Refused
from tests.sealed.parties import NOW, command, context, manifest
from tests.sealed.test_form import JSON_VALUES, refused


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ["/bin/true"]},
        {"argv": ["/bin/true", "", "a\nb", "\u202e\U0001f600"]},
        {"env": {}},
        {"env": {"\U0001f600": "", "\ufb33": "x"}},
        {"uid": 0},
        {"uid": 2**32 - 1},
        {"cwd_dev_ino": "254:1:655361"},
    ],
)
def test_what_can_be_sealed(change: dict[str, Any]) -> None:
    cmd = command(**change)
    assert check_command(cmd) == cmd
    assert commitment(cmd) == digest_of(cmd)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "value"),
        ({"v": True}, "value"),
        ({"argv": []}, "value"),
        ({"argv": [""]}, "value"),
        ({"argv": "ls"}, "shape"),
        ({"argv": ["ls", 1]}, "value"),
        ({"argv": ["ls", "a\0b"]}, "value"),
        ({"argv": ["ls", "\ud800"]}, "not-canonical"),
        ({"argv": ["ls"] * 4097}, "too-large"),
        ({"argv": ["ls", "x" * 65_537]}, "too-large"),
        ({"cwd": "tmp"}, "value"),
        ({"cwd": ""}, "value"),
        ({"cwd_dev_ino": ""}, "value"),
        ({"cwd_dev_ino": 5}, "value"),
        ({"env": []}, "shape"),
        ({"env": {"A": 1}}, "value"),
        ({"env": {"": "x"}}, "value"),
        ({"env": {"A=B": "x"}}, "value"),
        ({"env": {"A": "\0"}}, "value"),
        ({"env": {f"A{number}": "" for number in range(513)}}, "too-large"),
        ({"exe": {"path": "/bin/ls"}}, "members"),
        ({"exe": {"path": "ls", "sha256": "A" * 43}}, "value"),
        ({"exe": {"path": "/bin/ls", "sha256": "00" * 32}}, "too-large"),
        ({"exe": None}, "shape"),
        ({"host": ""}, "value"),
        ({"nonce": base64url(bytes(31))}, "value"),
        ({"nonce": base64url(bytes(33))}, "too-large"),
        ({"uid": -1}, "value"),
        ({"uid": 2**32}, "value"),
        ({"uid": 1.0}, "value"),
        ({"uid": True}, "value"),
        ({"sudo": True}, "members"),
    ],
)
def test_what_cannot_be_sealed(change: dict[str, Any], reason: str) -> None:
    refused(reason, check_command, command(**change))


def test_the_nonce_hides_and_every_member_counts() -> None:
    changes = [{"nonce": base64url(bytes(32))}, {"host": "db-8"}, {"uid": 0}, {"argv": ["/bin/true"]}, {"cwd": "/"}]
    assert len({commitment(command(**change)) for change in [{}, *changes]}) == 6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"typ": "failgate-keys"}, "value"),
        ({"v": 2}, "value"),
        ({"exp": NOW - 20 + 86_401}, "lifetime"),
        ({"exp": NOW - 20}, "lifetime"),
        ({"epoch": True}, "value"),
        ({"cid": "1"}, "value"),
        ({"rcpt": []}, "value"),
        ({"commit": ""}, "value"),
        ({"extra": 1}, "members"),
    ],
)
def test_what_a_context_may_not_say(change: dict[str, Any], reason: str) -> None:
    assert read_context(context().value()) == context()
    refused(reason, read_context, {**context().value(), **change})


def test_the_manifest_bears_a_context_out() -> None:
    check_context(context(), manifest(), now=NOW)
    check_context(context(), manifest(), now=NOW + 280)
    check_context(context(iat=NOW + 30), manifest(), now=NOW)
    refused("expired", check_context, context(), manifest(), now=NOW + 281)
    refused("ahead", check_context, context(iat=NOW + 31), manifest(), now=NOW)
    refused("epoch", check_context, context(epoch=2), manifest(), now=NOW)
    refused("policy", check_context, context(policy="A" * 43), manifest(), now=NOW)
    refused("recipients", check_context, context(rcpt=list(manifest().recipients()[:2])), manifest(), now=NOW)
    refused("agent", check_context, context(agent="A" * 43), manifest(), now=NOW)
    refused("expired", check_context, context(), manifest(exp=NOW - 1), now=NOW)


@given(JSON_VALUES, st.sampled_from(sorted(command())), st.sampled_from(sorted(context().value())))
def test_anything_else_raises_our_refusal_and_nothing_else(value: object, member: str, claim: str) -> None:
    for call, what in (
        (check_command, value),
        (check_command, command(**{member: value})),
        (read_context, value),
        (read_context, {**context().value(), claim: value}),
    ):
        try:
            call(what)
        except Refused:
            continue
