"""Bundles, intact and damaged: the verdict and the record that it names. B10 P2"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damages import DAMAGES, changed, period, replace_records, rewrite
from tests.handmade import (
    LOG,
    ORIGIN,
    Operator,
    bundle,
    entries,
    make_leaves,
    manifest,
    time_of,
    verify,
    write_folder,
    write_tar,
)

COUNT = 600


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 511, 512, 600])
@pytest.mark.parametrize("with_hashes", [True, False])
def test_an_intact_bundle_is_proven(tmp_path, count, with_hashes):
    files = bundle(make_leaves(count), with_hashes=with_hashes)
    for path in (write_folder(tmp_path / "bundle", files), write_tar(tmp_path / "bundle.tar", files)):
        answer = verify("full", path)
        assert (answer["exit_code"], answer["size"], answer["last"]) == (0, count, count - 1), answer


def test_the_key_that_was_told_is_the_one_that_counts(tmp_path, leaves, operator):
    path = write_folder(tmp_path / "bundle", bundle(leaves))
    assert verify("full", path, "--vkey", operator.vkey)["exit_code"] == 0
    assert verify("full", path, "--vkey", Operator(2).vkey)["exit_code"] == 1
    assert verify("full", path, "--vkey", "nonsense")["exit_code"] == 2


@pytest.mark.parametrize("case", DAMAGES, ids=lambda case: case.name)
@pytest.mark.parametrize("with_hashes", [True, False])
def test_a_damaged_bundle_is_tampered_and_the_record_is_named(tmp_path, leaves, case, with_hashes):
    files = case.damage(leaves, bundle(leaves, with_hashes=with_hashes))
    expected = case.first_bad if with_hashes else case.by_chain
    for path in (write_folder(tmp_path / "bundle", files), write_tar(tmp_path / "bundle.tar", files)):
        answer = verify("full", path)
        assert answer["exit_code"] == 1, answer
        if case.name == "another root":
            continue  # both are bad: whichever record is named, it is one of them
        if case.name == "grown":
            assert answer["first_bad"] == COUNT
        else:
            assert answer["first_bad"] == expected, answer


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"])
def test_a_hash_beside_the_records_that_is_not_theirs_is_found(tmp_path, leaves, name):
    files = bundle(leaves)
    files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]
    assert verify("full", write_folder(tmp_path / "bundle", files))["exit_code"] == 1


def test_a_kept_checkpoint_finds_what_the_key_itself_rewrote(tmp_path, leaves, operator):
    """P2: the operator signs another history; who kept an older head sees it."""
    kept = tmp_path / "kept"
    for size in (1, 255, 256, 300, 512, 599, 600):
        kept.write_text(operator.note(leaves, size))
        assert (
            verify("full", write_folder(tmp_path / f"true{size}", bundle(leaves)), "--against", kept)["exit_code"] == 0
        )
    path = write_folder(tmp_path / "rewritten", bundle(rewrite(leaves, 100)))
    assert verify("full", path)["exit_code"] == 0
    found = verify("full", path, "--against", kept)
    assert (found["exit_code"], found["first_bad"]) == (1, None)
    kept.write_text(operator.note(leaves, 100))
    assert verify("full", path, "--against", kept)["exit_code"] == 0, "the first 100 are as they were"
    shorter = verify("full", write_folder(tmp_path / "shorter", bundle(leaves[:99])), "--against", kept)
    assert (shorter["exit_code"], shorter["first_bad"]) == (1, 99)
    kept.write_text(Operator(2).note(leaves))
    assert verify("full", path, "--against", kept)["exit_code"] == 2
    kept.write_text(Operator(1, "another/log/z").note(leaves))
    assert verify("full", path, "--against", kept)["exit_code"] == 2


def test_a_period_is_proven_with_the_whole_tree(tmp_path):
    leaves = make_leaves(1000)
    files = period(leaves, 300, 400, 1, 2)
    assert [name for name in files if name.startswith("entries")] == ["entries/001"]
    answer = verify("full", write_folder(tmp_path / "period", files))
    assert (answer["exit_code"], answer["first"], answer["last"], answer["size"]) == (0, 300, 400, 1000), answer
    for name, what in {
        "manifest.json": manifest(1000, first=301, last=400, **{"from": time_of(300), "to": time_of(401)}),
        "entries/001": files["entries/001"].replace(b'"out":"ok"', b'"out":"no"', 1),
        "tile/1/000.p/3": bytes(96),
        "tile/0/003.p/232": bytes(232 * 32),
    }.items():
        answer = verify("full", write_folder(tmp_path / name.replace("/", "-"), files | {name: what}))
        assert answer["exit_code"] == 1, name
    for name in ("tile/1/000.p/3", "tile/0/003.p/232"):
        answer = verify(
            "full",
            write_folder(tmp_path / f"no{name}".replace("/", "-"), {k: v for k, v in files.items() if k != name}),
        )
        assert answer["exit_code"] == 3, name
    for size, expected in ((256, 0), (300, 0), (512, 0), (513, 3), (1000, 0)):
        (tmp_path / "kept").write_text(Operator().note(leaves, size))
        assert verify("full", tmp_path / "period", "--against", tmp_path / "kept")["exit_code"] == expected, size
    answer = verify("full", write_folder(tmp_path / "edited", replace_records(files, []) | {
        "entries/001": entries([*leaves[256:310], changed(leaves[310], out="deny"), *leaves[311:512]])}))  # fmt: skip
    assert (answer["exit_code"], answer["first_bad"]) == (1, 310)


@pytest.mark.parametrize("name", ["checkpoint", "vkey", "manifest.json"])
def test_what_is_not_there_is_incomplete(tmp_path, leaves, name):
    files = bundle(leaves)
    del files[name]
    assert verify("full", write_folder(tmp_path / "bundle", files))["exit_code"] == 3


def test_records_of_later_versions_are_bytes_like_any_others(tmp_path):
    """Members that nobody knows yet, nested ones, other writing: canonical is enough."""
    later = make_leaves(
        20, lambda one: one | {"v": 2, "sig": {"prev": "x", "k": [1, {"b": None}]}, "data": {"s": "\u202eабв", "é": -1}}
    )
    assert verify("full", write_folder(tmp_path / "bundle", bundle(later)))["exit_code"] == 0
    twice = [leaf.replace(b'"out":"ok"', b'"out":"deny","out":"ok"') for leaf in make_leaves(1)]
    answer = verify("full", write_folder(tmp_path / "twice", bundle(twice)))
    assert (answer["exit_code"], answer["first_bad"]) == (1, 0), (
        "signed by the operator, and read differently by two readers"
    )
    unsorted = [
        leaf.replace(b'"digest":"' + b"d" * 43 + b'","n":0', b'"n":0,"digest":"' + b"d" * 43 + b'"')
        for leaf in make_leaves(1)
    ]
    assert verify("full", write_folder(tmp_path / "unsorted", bundle(unsorted)))["first_bad"] == 0


def test_the_quick_way_and_the_slow_way_say_the_same(tmp_path, leaves, monkeypatch):
    path = write_folder(tmp_path / "bundle", bundle(leaves))
    monkeypatch.setattr("failgate_verify.full.sweep", lambda held: None)
    assert verify("full", path)["exit_code"] == 0
    monkeypatch.undo()
    monkeypatch.setattr("failgate_verify.sweep.LARGE", 1)
    monkeypatch.setattr("failgate_verify.sweep.CHUNK", 1)
    assert verify("full", path)["exit_code"] == 0
    (path / "entries" / "001").write_bytes((path / "entries" / "001").read_bytes().replace(b'"ok"', b'"no"', 1))
    assert verify("full", path)["first_bad"] == 256


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.data())
def test_no_byte_of_a_bundle_can_be_changed_unseen(tmp_path_factory, count, data):
    files = bundle(make_leaves(count), with_hashes=data.draw(st.booleans()))
    name = data.draw(st.sampled_from(sorted(set(files) - {"manifest.json", "vkey"})))
    content = files[name]
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    damaged = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
    answer = verify("full", write_folder(tmp_path_factory.mktemp("b"), files | {name: damaged}))
    assert answer["exit_code"] in {1, 2}
    if name.startswith("entries") and answer["first_bad"] is not None:
        end = 0
        for seq in range(count):
            end += 2 + int.from_bytes(content[end : end + 2], "big")
            if place < end:
                assert answer["first_bad"] == seq
                break


def test_the_origin_and_the_log_are_those_of_the_test():
    assert ORIGIN.endswith(LOG)
