"""Bodies beside the records of a bundle: what fits, what does not, and what is not there. MISSION E3."""

import json
from pathlib import Path

import pytest

from tests.damages import ALL_BODIES, BODIES, COUNT
from tests.handmade import (
    body_line,
    bundle,
    canonical,
    commitment,
    committed,
    make_leaves,
    verify,
    write_folder,
    write_tar,
)

VECTORS = json.loads((Path(__file__).parents[3] / "tests" / "vectors" / "body-vectors.json").read_text())


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return make_leaves(COUNT, committed)


@pytest.mark.parametrize(("content", "code", "first_bad"), [one[1:] for one in BODIES], ids=[one[0] for one in BODIES])
def test_bodies_are_compared_with_what_the_records_commit_to(tmp_path, leaves, content, code, first_bad):
    found = verify("full", write_tar(tmp_path / "bundle.tar", bundle(leaves) | {"bodies.jsonl": content}))
    assert (found["exit_code"], found.get("first_bad")) == (code, first_bad), found


@pytest.mark.parametrize("with_hashes", [True, False])
def test_what_is_not_carried_is_counted_and_no_fault(tmp_path, leaves, with_hashes):
    files = bundle(leaves, with_hashes=with_hashes)
    assert verify("full", write_folder(tmp_path / "without", files))["bodies"] is None
    files["bodies.jsonl"] = b"".join(body_line(seq) for seq in ALL_BODIES[:100])
    found = verify("full", write_folder(tmp_path / "with", files))
    assert found["exit_code"] == 0
    assert found["bodies"] == 100
    assert f"bodies   100 are what their records commit to, {len(ALL_BODIES) - 100} are not carried" in found["lines"]


def test_a_record_is_blamed_before_its_body(tmp_path, leaves):
    spoiled = [*leaves[:300], leaves[300].replace(b'"out":"ok"', b'"out":"no"'), *leaves[301:]]
    files = bundle(leaves) | {name: one for name, one in bundle(spoiled).items() if name.startswith("entries")}
    files["bodies.jsonl"] = body_line(3, salt=bytes(32))
    assert verify("full", write_tar(tmp_path / "bundle.tar", files))["first_bad"] == 300


def test_a_bundle_that_is_cut_off_within_its_bodies_is_incomplete(tmp_path, leaves):
    content = b"".join(body_line(seq) for seq in ALL_BODIES)
    path = write_tar(tmp_path / "bundle.tar", bundle(leaves) | {"bodies.jsonl": content})
    octets = path.read_bytes()
    path.write_bytes(octets[: octets.index(content) + len(content) // 2])
    assert verify("full", path)["exit_code"] == 3


def test_both_versions_stand_in_one_log_and_are_read_the_quick_way(tmp_path, monkeypatch):
    def mixed(one: dict) -> dict:
        return committed(one) if one["seq"] >= 300 else one

    made = make_leaves(COUNT, mixed)
    assert json.loads(made[0])["v"] == 1
    monkeypatch.setattr("failgate_verify.sweep.read_record", lambda _: None)  # what the slow way would ask
    monkeypatch.setattr("failgate_verify.full.Walk", None)
    files = bundle(made) | {"bodies.jsonl": body_line(300)}
    assert verify("full", write_tar(tmp_path / "bundle.tar", files))["exit_code"] == 0


def test_a_record_that_takes_the_long_way_has_its_body_too(tmp_path):
    made = make_leaves(20, lambda one: committed(one) | {"obj": {"t": "command", "id": "é"}})
    for salt, code in ((None, 0), (bytes(32), 1)):
        files = bundle(made) | {"bodies.jsonl": body_line(4, salt=salt)}
        assert verify("full", write_folder(tmp_path / str(code), files))["exit_code"] == code


def test_the_vectors_hold():
    for one in VECTORS["bodies"]:
        assert canonical(one["body"]).decode() == one["body_jcs"]
        assert commitment(bytes.fromhex(one["salt_hex"]), one["body"]) == one["pd"]


def test_the_vectors_are_a_log_that_is_proven(tmp_path):
    leaves = [text.encode() for text in VECTORS["records_jcs"]]
    lines = "".join(f"{line}\n" for line in VECTORS["bodies_jsonl"]).encode()
    found = verify("full", write_tar(tmp_path / "bundle.tar", bundle(leaves) | {"bodies.jsonl": lines}))
    assert found["exit_code"] == 0
    assert found["bodies"] == len(VECTORS["bodies_jsonl"])
    spoiled = lines.replace(b"192.0.2.7", b"192.0.2.8")
    found = verify("full", write_tar(tmp_path / "spoiled.tar", bundle(leaves) | {"bodies.jsonl": spoiled}))
    assert (found["exit_code"], found["first_bad"]) == (1, 0)
