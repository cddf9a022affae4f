"""Sealing and opening: all buckets, all recipients, and nothing that was changed. E10."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import ECKey, RSAKey

from failgate.base.canonical import base64url, canonical
from failgate.sealed.keys import OpeningKey
from failgate.sealed.refusal import Refused
from failgate.sealed.sealing import BUCKETS, PROTECTED, open_command, padded, seal_command, unpadded
from failgate.sealed.signing import sign
from tests.sealed.parties import (
    AGENT,
    AGENTS,
    CID,
    NOW,
    OTHER_AGENT,
    RING,
    command,
    context,
    manifest,
    openers,
    readers,
    sealed,
    vector_file,
)
from tests.sealed.test_form import JSON_VALUES, refused

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("webcrypto.mjs")


def opened(what: object, reviewer: int = 0, **named: Any) -> Any:
    return open_command(
        what, **{"opener": openers()[reviewer], "manifest": manifest(), "agents": AGENTS, "now": NOW, **named}
    )


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def resealed(content: bytes, aad: str, key_bytes: int = 32) -> dict[str, Any]:
    """Return `content` sealed by somebody who knows the reviewers' keys and keeps to no rule."""
    key, iv = bytes(key_bytes), bytes(12)
    out = AESGCM(key).encrypt(iv, content, f"{PROTECTED}.{aad}".encode())
    made = [
        {"encrypted_key": base64url(one.wrap(key)), "header": {"alg": "RSA-OAEP-256", "kid": jkt}}
        for jkt, one in readers().items()
    ]
    return {
        "protected": PROTECTED,
        "aad": aad,
        "iv": base64url(iv),
        "ciphertext": base64url(out[:-16]),
        "tag": base64url(out[-16:]),
        "recipients": made,
    }


def test_every_reviewer_opens_the_same_command() -> None:
    what = sealed()
    assert [opened(what, number).cmd for number in range(3)] == [command()] * 3
    assert opened(what).ctx == context()


@pytest.mark.parametrize(("bucket", "argument"), list(zip(BUCKETS, [0, 1000, 9000, 46_000], strict=True)))
def test_all_buckets_open_again_and_tell_nothing_else(bucket: int, argument: int) -> None:
    # The smallest bucket is too small for a command and its context: their token alone has more than 1,024 bytes.
    cmd = command(argv=["/bin/true", "x" * argument])
    what = sealed(cmd)
    assert len(octets(what["ciphertext"])) == max(bucket, BUCKETS[1])
    assert opened(what).cmd == cmd


@given(st.integers(1, BUCKETS[-1] - 1))
def test_what_is_padded_is_unpadded(length: int) -> None:
    token = "a" * length
    content = padded(token)
    assert len(content) in BUCKETS
    assert unpadded(content) == token


def test_what_is_larger_than_the_largest_bucket_is_not_sealed() -> None:
    refused("too-large", padded, "a" * BUCKETS[-1])
    refused("too-large", sealed, command(argv=["/bin/true", "x" * 60_000]))
    refused("too-large", sealed, command(argv=["/bin/true", "x" * 1024 * 1024]))


@pytest.mark.parametrize("content", [b"", b"=" * 1024, b"a." + b"=" * 1021, b"a" * 1024, b"a." + b"=" * 65_536 * 2])
def test_other_padding_is_refused(content: bytes) -> None:
    refused("padding", unpadded, content)
    assert unpadded(b"a." + b"=" * 2046) == "a"  # readers take any multiple
    refused("encoding", unpadded, b"\xc3\xa4." + b"=" * 1021)


SEALED = sealed()
PLACES = [("aad",), ("iv",), ("ciphertext",), ("protected",), ("tag",), ("recipients", 0, "encrypted_key")]
PLACES += [("recipients", 0, "header", "kid"), ("recipients", 0, "header", "alg"), ("recipients", 2, "header", "kid")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), st.data())
def test_any_changed_character_is_refused(path: tuple[Any, ...], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(SEALED))
    place = changed
    for step in path[:-1]:
        place = place[step]
    text = place[path[-1]]
    where = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(max_codepoint=127).filter(lambda one: one != text[where]))
    place[path[-1]] = text[:where] + character + text[where + 1 :]
    # openers()[0] reads its own wrapped key; which of the three it is depends on the order of thumbprints
    reader = [one.jkt for one in openers()].index(SEALED["recipients"][0]["header"]["kid"])
    with pytest.raises(Refused):
        opened(changed, reader)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(octets(SEALED["ciphertext"])) + 15), st.integers(1, 255))
def test_any_changed_byte_of_what_is_encrypted_is_refused(where: int, flip: int) -> None:
    content = bytearray(octets(SEALED["ciphertext"]) + octets(SEALED["tag"]))
    content[where] ^= flip
    changed = {**SEALED, "ciphertext": base64url(bytes(content[:-16])), "tag": base64url(bytes(content[-16:]))}
    refused("does-not-open", opened, changed)


@pytest.mark.parametrize("length", [0, 1, 8, 11, 13, 16, 128])
def test_the_nonce_has_96_bits(length: int) -> None:
    with pytest.raises(Refused) as refusal:
        opened({**SEALED, "iv": base64url(bytes(length))})
    assert refusal.value.reason in {"value", "too-large"}


@pytest.mark.parametrize("length", [0, 4, 8, 12, 15, 17, 32])
def test_the_tag_has_128_bits(length: int) -> None:
    tag = (octets(SEALED["tag"]) * 2)[:length]
    with pytest.raises(Refused) as refusal:
        opened({**SEALED, "tag": base64url(tag)})
    assert refusal.value.reason in {"value", "too-large"}


@settings(deadline=None)
@given(JSON_VALUES)
def test_anything_else_is_refused_and_raises_nothing_else(value: object) -> None:
    for what in (value, {**SEALED, "recipients": value}, {**SEALED, "aad": value}, {**SEALED, "tag": value}):
        with pytest.raises(Refused):
            opened(what)


@settings(deadline=None)
@given(st.text() | st.dictionaries(st.sampled_from(["cmd", "ctx"]), JSON_VALUES) | JSON_VALUES)
def test_anything_inside_is_refused_and_raises_nothing_else(value: object) -> None:
    payload = value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()
    token = sign(payload, "failgate-cmd+jws", AGENT)
    with pytest.raises(Refused):
        opened(resealed(padded(token), SEALED["aad"]))


def test_the_one_who_seals_is_the_agent_of_the_context() -> None:
    token = sign(canonical({"cmd": command(), "ctx": context().value()}), "failgate-cmd+jws", OTHER_AGENT)
    refused("unknown-key", opened, resealed(padded(token), SEALED["aad"]))
    refused("agent", seal_command, command(), context(), signer=OTHER_AGENT, readers=readers())
    refused("agent", opened, SEALED, agents={OTHER_AGENT.jkt: RING[OTHER_AGENT.jkt]})


def test_another_command_under_the_same_commitment_is_refused() -> None:
    """What GCM does not promise: two reviewers who read two commands."""
    token = sign(canonical({"cmd": command(argv=["/bin/rm"]), "ctx": context().value()}), "failgate-cmd+jws", AGENT)
    refused("commitment", opened, resealed(padded(token), SEALED["aad"]))
    refused("commitment", seal_command, command(uid=0), context(), signer=AGENT, readers=readers())
    assert (
        opened(
            resealed(
                padded(sign(canonical({"cmd": command(), "ctx": context().value()}), "failgate-cmd+jws", AGENT)),
                SEALED["aad"],
            )
        ).cmd
        == command()
    )


def test_a_command_is_for_its_workspace_epoch_and_time() -> None:
    refused("epoch", opened, SEALED, manifest=manifest(epoch=2))
    refused("workspace", opened, SEALED, manifest=manifest(ws="00000000-0000-4000-8000-000000000000"))
    refused("expired", opened, SEALED, now=NOW + 281)
    refused("expired", opened, SEALED, now=NOW + 90_000)
    refused("ahead", opened, SEALED, now=NOW - 51)
    refused("agent", opened, SEALED, manifest=manifest(agents=[]))
    refused("replayed", opened, SEALED, used={CID})
    refused("agent", opened, SEALED, agents={})
    refused("not-a-recipient", opened, SEALED, opener=OpeningKey.generate())
    fewer = manifest().people[1:]
    refused("recipients", opened, SEALED, manifest=manifest()._replace(people=fewer))


def test_recipients_are_exactly_those_of_the_context() -> None:
    mine = SEALED["recipients"]
    refused("recipients", opened, {**SEALED, "recipients": mine[:2]})
    refused("recipients", opened, {**SEALED, "recipients": [*mine, mine[0]]})
    assert opened({**SEALED, "recipients": mine[::-1]}).cmd == command()
    two = dict(list(readers().items())[:2])
    refused("recipients", seal_command, command(), context(), signer=AGENT, readers=two)


@pytest.mark.parametrize("key_bytes", [16, 24])
def test_a_content_key_has_256_bits(key_bytes: int) -> None:
    token = sign(canonical({"cmd": command(), "ctx": context().value()}), "failgate-cmd+jws", AGENT)
    refused("does-not-open", opened, resealed(padded(token), SEALED["aad"], key_bytes))


def test_a_jose_library_opens_what_we_seal_and_the_reverse() -> None:
    private = vector_file()["reviewer_enc_keys"][0]
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    mine = [one for one in SEALED["recipients"] if one["header"]["kid"] == private["kid"]]
    found = jwe.decrypt_json({**SEALED, "recipients": mine}, RSAKey.import_key(private), registry=registry)
    assert found.plaintext is not None
    token = unpadded(found.plaintext)
    read = jws.deserialize_compact(token, ECKey.import_key(AGENT.public_jwk()), algorithms=["ES256"])
    assert json.loads(read.payload) == {"cmd": command(), "ctx": context().value()}

    theirs = jwe.GeneralJSONEncryption(
        {"cty": "failgate-cmd+jws", "enc": "A256GCM", "typ": "failgate-cmd+jwe"},
        padded(token),
        aad=octets(SEALED["aad"]),
    )
    for jkt, key in ((one.jkt, one.public_jwk()) for one in openers()):
        theirs.add_recipient({"alg": "RSA-OAEP-256", "kid": jkt}, RSAKey.import_key(key))
    made = jwe.encrypt_json(theirs, None, registry=registry)
    assert opened(made, 1).cmd == command()


@pytest.mark.skipif(NODE is None, reason="node is missing: install the package `nodejs`")
def test_web_crypto_opens_what_we_seal_and_the_reverse() -> None:
    ask = {
        "sealed": SEALED,
        "opener": vector_file()["reviewer_enc_keys"][1],
        "agent": AGENT.public_jwk(),
        "readers": [{**one.public_jwk(), "kid": one.jkt} for one in openers()],
    }
    done = subprocess.run(
        [str(NODE), SCRIPT, "seal"], input=json.dumps(ask), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["payload"] == {"cmd": command(), "ctx": context().value()}
    assert opened(answer["resealed"], 2).cmd == command()
    spoilt = {**ask, "sealed": {**SEALED, "aad": base64url(canonical({**context().value(), "epoch": 2}))}}
    again = subprocess.run(
        [str(NODE), SCRIPT, "seal"], input=json.dumps(spoilt), capture_output=True, text=True, timeout=60
    )
    assert again.returncode != 0
    assert "OperationError" in again.stderr
