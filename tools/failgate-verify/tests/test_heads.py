"""The log of logs against other logs, from bundles alone. B10 P2"""

import pytest

from tests.handmade import Operator, b64url, bundle, leaf_hash, make_leaves, manifest, tree_root, verify, write_folder

LOG = "0197f0c2-0000-7000-8000-000000000001"
SYSTEM = Operator(1, "failgate-test/log/system")
OURS = Operator(1, f"failgate-test/log/{LOG}")


def telling(*told, size=12):
    """The log `system`, of which some records tell of heads: (its seq, act, size, root)."""
    by_seq = {seq: rest for seq, *rest in told}

    def change(record):
        record |= {"ws": "system"}
        if record["seq"] in by_seq:
            act, count, root = by_seq[record["seq"]]
            data = {"size": count, "root": b64url(root)} if act == "head.recorded" else {"reason": "x"}
            record |= {"act": act, "obj": {"t": "log", "id": LOG}, "data": data}
        return record

    return make_leaves(size, change)


def write(folder, leaves, operator, **members):
    files = bundle(leaves, operator)
    files["manifest.json"] = manifest(len(leaves), origin=operator.origin, **members)
    return write_folder(folder, files)


def root(leaves, size):
    return tree_root([leaf_hash(leaf) for leaf in leaves[:size]])


@pytest.fixture
def leaves():
    return make_leaves(600)


@pytest.fixture
def heads(leaves):
    return [(seq, "head.recorded", size, root(leaves, size)) for seq, size in ((2, 1), (4, 256), (7, 300), (9, 600))]


def test_every_recorded_head_is_found_in_its_log(tmp_path, leaves, heads):
    system = write(tmp_path / "system", telling(*heads), SYSTEM)
    ours = write(tmp_path / "ours", leaves, OURS)
    found = verify("heads", system, ours, "--vkey", SYSTEM.vkey)
    assert (found["exit_code"], found["heads"]) == (0, [4])


def test_a_log_that_differs_is_named_with_the_record_that_tells(tmp_path, leaves, heads):
    """The whole log was written anew from record 280 on, and signed with its own key."""
    system = write(tmp_path / "system", telling(*heads), SYSTEM)
    other = make_leaves(600, lambda one: one | {"out": "deny"} if one["seq"] >= 280 else one)
    found = verify("heads", system, write(tmp_path / "ours", other, OURS))
    assert (found["exit_code"], found["first_bad"]) == (1, None)
    assert found["lines"] == ["The first 300 records are not those that record 7 of the log of logs tells of."]


def test_a_log_that_was_cut_off_is_named_and_an_older_export_is_not_blamed(tmp_path, leaves, heads):
    system = write(tmp_path / "system", telling(*heads), SYSTEM)
    short = write(tmp_path / "short", leaves[:500], OURS, made_at="2026-11-02T00:00:00.000000Z")
    found = verify("heads", system, short)
    assert (found["exit_code"], found["first_bad"]) == (1, 500)
    assert "record 9 of the log of logs tells of 600 before this was exported" in found["lines"][0]
    older = write(tmp_path / "older", leaves[:500], OURS, made_at="2026-11-01T00:00:05.000000Z")
    found = verify("heads", system, older)
    assert found["exit_code"] == 3
    assert "export this log once more" in found["lines"][0]


def test_an_accepted_rollback_excuses_what_stands_before_it(tmp_path, leaves, heads):
    other = make_leaves(600, lambda one: one | {"out": "deny"} if one["seq"] >= 280 else one)
    excused = telling(*heads[:3], (8, "rollback.accepted", 0, b""), (9, "head.recorded", 600, root(other, 600)))
    found = verify("heads", write(tmp_path / "system", excused, SYSTEM), write(tmp_path / "ours", other, OURS))
    assert (found["exit_code"], found["heads"]) == (0, [1])
    too_late = telling(*heads, (10, "rollback.accepted", 0, b""), (11, "head.recorded", 600, root(leaves, 600)))
    found = verify("heads", write(tmp_path / "late", too_late, SYSTEM), tmp_path / "ours")
    assert found["exit_code"] == 1


@pytest.mark.parametrize(
    ("size", "text"),
    [(-1, "A" * 43), ("x", "A" * 43), (True, "A" * 43), (None, "A" * 43), (1, "é"), (1, "A"), (1, None)],
)
def test_a_record_that_states_no_head_is_unusable(tmp_path, leaves, size, text):
    def change(record):
        return record | {
            "ws": "system", "act": "head.recorded", "obj": {"t": "log", "id": LOG}, "data": {"size": size, "root": text},
        }  # fmt: skip

    system = write(tmp_path / "system", make_leaves(3, change), SYSTEM)
    found = verify("heads", system, write(tmp_path / "ours", leaves, OURS))
    assert found["exit_code"] == 2
    assert "states no head" in found["lines"][0]


@pytest.mark.parametrize("change", [{"obj": None}, {"obj": {"t": "log", "id": [1]}}, {"data": []}, {"data": {}}])
def test_a_record_of_another_shape_is_unusable(tmp_path, leaves, change):
    system = make_leaves(3, lambda record: record | {"ws": "system", "act": "head.recorded"} | change)
    path = write(tmp_path / "system", system, SYSTEM)
    assert verify("heads", path, write(tmp_path / "ours", leaves, OURS))["exit_code"] == 2


def test_what_does_not_belong_together_is_unusable(tmp_path, leaves, heads):
    system = write(tmp_path / "system", telling(*heads), SYSTEM)
    ours = write(tmp_path / "ours", leaves, OURS)
    foreign = write(tmp_path / "foreign", leaves, Operator(1, f"another/log/{LOG}"))
    forged = write(tmp_path / "forged", leaves, Operator(2, f"failgate-test/log/{LOG}"))
    assert verify("heads", ours, system)["exit_code"] == 2
    assert verify("heads", system, foreign)["exit_code"] == 2
    assert verify("heads", system, forged)["exit_code"] == 2
    assert verify("heads", system, ours, "--vkey", Operator(2, SYSTEM.origin).vkey)["exit_code"] == 1
