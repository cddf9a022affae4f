"""Signed notes, against the vectors and against those published with Go's `sumdb/note`. B10"""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.checkpoint import (
    Checkpoint,
    NoteRejected,
    Verifier,
    open_checkpoint,
    open_note,
    read_unverified,
    sign,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit-vectors.json").read_text())

# golang.org/x/mod/sumdb/note, note_test.go
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["seed_hex"]))


def verifier() -> Verifier:
    return Verifier.parse(VECTORS["vkey"])


def test_the_note_published_with_go_is_accepted():
    assert open_note(GO_NOTE, [Verifier.parse(NEUMANN)]) == GO_TEXT
    with pytest.raises(NoteRejected, match="wrong"):
        open_note(GO_NOTE.replace("think", "thing"), [Verifier.parse(NEUMANN)])


def test_the_verifier_key_of_the_vectors_is_the_public_half_of_their_seed():
    public = key().public_key().public_bytes_raw()
    assert Verifier(VECTORS["origin"], public).vkey == VECTORS["vkey"]


@pytest.mark.parametrize("size", range(9))
def test_each_checkpoint_of_the_vectors_is_signed_bit_for_bit(size):
    checkpoint = Checkpoint(VECTORS["origin"], size, bytes.fromhex(VECTORS["roots_hex"][size]))
    note = sign(checkpoint.text, verifier(), key())
    assert note == VECTORS["checkpoints"][size]
    assert open_checkpoint(note, [verifier()]) == checkpoint == read_unverified(note)


def test_a_changed_checkpoint_is_refused():
    note = VECTORS["checkpoints"][3]
    for changed in (
        note.replace("\n3\n", "\n4\n"),
        note.replace("bL2p", "bL2q"),
        note.replace("0197f0c2\n3", "0197f0c3\n3"),
    ):
        with pytest.raises(NoteRejected):
            open_checkpoint(changed, [verifier()])


def test_a_signature_by_an_unknown_key_is_passed_over_and_proves_nothing():
    witness = Ed25519PrivateKey.from_private_bytes(bytes(32))
    stranger = Verifier("witness.example/w", witness.public_key().public_bytes_raw())
    line = sign(
        Checkpoint(VECTORS["origin"], 3, bytes.fromhex(VECTORS["roots_hex"][3])).text, stranger, witness
    ).splitlines()[-1]
    both = VECTORS["checkpoints"][3] + line + "\n"
    assert open_checkpoint(both, [verifier()]).size == 3
    with pytest.raises(NoteRejected, match="No known key"):
        open_checkpoint(both, [])
    # a known witness that signs does not stand in for the log itself
    with pytest.raises(NoteRejected, match="No known key"):
        open_checkpoint(both, [stranger])


def test_a_wrong_signature_by_a_known_key_spoils_a_note_that_another_key_signed():
    other = Verifier("other", key().public_key().public_bytes_raw())
    good = sign("text\n", other, key())
    line = sign("another text\n", verifier(), key()).splitlines()[-1]
    assert open_note(good, [other, verifier()]) == "text\n"
    with pytest.raises(NoteRejected, match="wrong"):
        open_note(good + line + "\n", [other, verifier()])


def test_the_text_ends_at_the_last_empty_line():
    assert open_note(sign("a\n\nb\n", verifier(), key()), [verifier()]) == "a\n\nb\n"


@pytest.mark.parametrize(
    "note",
    ["", "\n", "a\n1\n", VECTORS["checkpoints"][1][:-1], VECTORS["checkpoints"][1].replace("— ", "- "), "a\x00\n\n— a AAAAAAAA\n",
     VECTORS["checkpoints"][1] + "\n", VECTORS["checkpoints"][1].replace("\n\n", "\n"), "a\n\n— a+b AAAAAAAA\n", "a\n\n— a AAAA\n",
     "a\n\n— a é\n", "x" * 70_000, "a\n\n" + "— a AAAAAAAA\n" * 65],
)  # fmt: skip
def test_a_malformed_note_is_refused_as_a_note(note):
    with pytest.raises(NoteRejected):
        open_checkpoint(note, [verifier()])


@pytest.mark.parametrize(
    "text",
    ["o\n01\nAAAA\n", "o\n-1\nAAAA\n", "o\n1\nAAAA\n", "\n1\n" + "A" * 43 + "=\n", "o\n1\n" + "A" * 42 + "B=\n",
     "o\n١\n" + "A" * 43 + "=\n", "o\n99999999999999999999\n" + "A" * 43 + "=\n", "o\n1\n" + "A" * 43 + "=\n\nx\n", "o\n1\n"],
)  # fmt: skip
def test_a_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteRejected):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "vkey",
    ["", "a+b", VECTORS["vkey"].replace("92cf1742", "92cf1743"), VECTORS["vkey"][:-4] + "AAAA", "a b+00000000+AQ==", NEUMANN + "=", NEUMANN[:-44] + "Ag" + NEUMANN[-42:]],
)  # fmt: skip
def test_a_malformed_verifier_key_is_refused(vkey):
    with pytest.raises(NoteRejected):
        Verifier.parse(vkey)
