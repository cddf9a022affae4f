"""The verbs beside `full`, by the words that an auditor types. B10"""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from tests.handmade import (
    ORIGIN,
    Operator,
    bundle,
    consistency,
    leaf_hash,
    make_leaves,
    tree_root,
    verify,
    write_folder,
    write_tar,
)

SOURCE = Path(__file__).parents[1] / "src"


def inclusion(hashes: list[bytes], seq: int) -> list[bytes]:
    """RFC 6962 section 2.1.1, word by word."""
    if len(hashes) == 1:
        return []
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    if seq < middle:
        return [*inclusion(hashes[:middle], seq), tree_root(hashes[middle:])]
    return [*inclusion(hashes[middle:], seq - middle), tree_root(hashes[:middle])]


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def proof_of(leaves: list[bytes], seq: int, operator: Operator, *, extra: bytes | None) -> str:
    carried = "" if extra is None else f"extra {b64(extra)}\n"
    hashes = inclusion([leaf_hash(leaf) for leaf in leaves], seq)
    lines = "".join(f"{b64(one)}\n" for one in hashes)
    return f"c2sp.org/tlog-proof@v1\n{carried}index {seq}\n{lines}\n{operator.note(leaves)}"


def test_every_record_of_every_small_log_is_proven(tmp_path, operator):
    path = tmp_path / "proof"
    for count in (1, 2, 3, 7, 8, 21):
        leaves = make_leaves(count)
        for seq in range(count):
            path.write_text(proof_of(leaves, seq, operator, extra=leaves[seq]))
            assert verify("inclusion", path, "--vkey", operator.vkey)["exit_code"] == 0
            path.write_text(proof_of(leaves, seq, operator, extra=leaves[(seq + 1) % count]))
            assert (verify("inclusion", path, "--vkey", operator.vkey)["exit_code"] == 1) == (count > 1)


def test_a_proof_without_its_record_or_its_key_is_incomplete(tmp_path, leaves, operator):
    path, leaf = tmp_path / "proof", tmp_path / "leaf"
    leaf.write_bytes(leaves[300])
    path.write_text(proof_of(leaves, 300, operator, extra=None))
    assert verify("inclusion", path, "--vkey", operator.vkey)["exit_code"] == 3
    assert verify("inclusion", path, "--record", leaf)["exit_code"] == 3
    found = verify("inclusion", path, "--record", leaf, "--vkey", operator.vkey)
    assert (found["exit_code"], found["seq"]) == (0, 300)
    assert verify("inclusion", path, "--record", leaf, "--vkey", Operator(2).vkey)["exit_code"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("index 300", "index 301"),
        lambda text: text.replace("index 300", "index 99999"),
        lambda text: "\n".join(line for number, line in enumerate(text.split("\n")) if number != 4),
        lambda text: text.replace(text.split("\n")[3], text.split("\n")[4], 1),
        lambda text: text.replace(f"{text.split(chr(10))[3]}\n", f"{text.split(chr(10))[3]}\n" * 2, 1),
    ],
)
def test_a_damaged_proof_does_not_hold(tmp_path, leaves, operator, damage):
    path = tmp_path / "proof"
    text = proof_of(leaves, 300, operator, extra=leaves[300])
    assert damage(text) != text
    path.write_text(damage(text))
    assert verify("inclusion", path, "--vkey", operator.vkey)["exit_code"] == 1


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", b"c2sp.org/tlog-proof@v2\nindex 0\n\n", b"c2sp.org/tlog-proof@v1\n\nx\n0\n\n", b"c2sp.org/tlog-proof@v1\nindex 01\n\nx",
     b"c2sp.org/tlog-proof@v1\nindex " + b"9" * 9000 + b"\n\nx", b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx",
     b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"A\n" * 100 + b"\nx", b"c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nx", b"\n" * 600_000],
)  # fmt: skip
def test_what_is_no_proof_is_usage(tmp_path, text):
    path = tmp_path / "proof"
    path.write_bytes(text)
    assert verify("inclusion", path)["exit_code"] == 2


def test_a_longer_log_begins_with_a_shorter_one(tmp_path, operator):
    leaves = make_leaves(20)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    old, new, proof = (tmp_path / name for name in ("old", "new", "proof"))
    for small in range(21):
        for large in range(max(small, 1), 21):
            old.write_text(operator.note(leaves, small))
            new.write_text(operator.note(leaves, large))
            proof.write_text("".join(f"{b64(one)}\n" for one in (consistency(hashes[:large], small) if small else [])))
            asked = ("consistency", old, new, "--proof", proof, "--vkey", operator.vkey)
            assert verify(*asked)["exit_code"] == 0
            if 0 < small < large:
                old.write_text(operator.note([*leaves[: small - 1], b"{}"]))
                assert verify(*asked)["exit_code"] == 1
    assert verify("consistency", old, new, "--proof", proof)["exit_code"] == 3
    assert verify("consistency", old, new)["exit_code"] == 3
    old.write_text(operator.note(leaves, 19))
    assert verify("consistency", new, old, "--proof", proof, "--vkey", operator.vkey)["exit_code"] == 1


def test_a_bundle_proves_that_it_continues_another(tmp_path, leaves):
    write_tar(tmp_path / "october.tar", bundle(leaves[:300]))
    write_tar(tmp_path / "november.tar", bundle(leaves))
    assert verify("consistency", tmp_path / "october.tar", tmp_path / "november.tar")["exit_code"] == 0
    shorter = verify("consistency", tmp_path / "november.tar", tmp_path / "october.tar")
    assert (shorter["exit_code"], shorter["first_bad"]) == (1, 300)


def test_two_checkpoints_show_one_history_or_two(tmp_path, leaves, operator):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(operator.note(leaves))
    other.write_text(operator.note(leaves))
    assert verify("diff", one, other)["exit_code"] == 3
    assert verify("diff", one, other, "--vkey", operator.vkey)["exit_code"] == 0
    other.write_text(operator.note([*leaves[:-1], b"{}"]))
    fork = verify("diff", one, other, "--vkey", operator.vkey)
    assert (fork["exit_code"], fork["lines"][0][:13]) == (1, "Two histories")
    other.write_text(operator.note(leaves[:9]))
    assert verify("diff", one, other, "--vkey", operator.vkey)["exit_code"] == 3
    other.write_text(Operator(1, "another/log/z").note(leaves))
    assert verify("diff", one, other)["exit_code"] == 2
    other.write_text(Operator(2).note(leaves))
    assert verify("diff", one, other, "--vkey", operator.vkey)["exit_code"] == 1


def test_as_many_witnesses_as_the_policy_wants(tmp_path, leaves, operator):
    witnesses = [Operator(seed, f"witness{seed}.example", kind=4) for seed in (5, 6, 7)]
    note = operator.note(leaves)
    path = write_folder(tmp_path / "bundle", bundle(leaves))
    for witness in witnesses[:2]:
        note = witness.cosign(note)
    (path / "checkpoint").write_text(note)
    assert verify("full", path)["exit_code"] == 0
    keys = [witness.vkey for witness in witnesses]

    def policy(*options: str) -> int:
        return verify("policy", path / "checkpoint", "--vkey", operator.vkey, *options)["exit_code"]

    assert policy() == 0
    assert policy("--witness", "2/3", *keys) == 0
    assert policy("--witness", "1/1", keys[0], "--witness", "1/1", keys[1]) == 0
    assert policy("--witness", "3/3", *keys) == 3
    assert policy("--witness", "1/1", keys[2]) == 3
    assert policy("--witness", "2/2", keys[0], keys[0]) == 2, "one witness is not two"
    assert policy("--witness", "2/3", *keys[:2]) == 2
    assert policy("--witness", "1/1", operator.vkey) == 2, "the log is not its own witness"
    assert verify("policy", path, "--witness", "1/1", keys[0])["exit_code"] == 2
    (path / "checkpoint").write_text(witnesses[2].cosign(note)[:-8] + "AAAAAA==\n")
    assert policy("--witness", "1/3", *keys) in {1, 2}
    later = operator.note(leaves[:5]) + note.split("\n")[-3] + "\n"
    (path / "checkpoint").write_text(later)
    assert policy("--witness", "1/2", *keys[:2]) == 1, "a cosignature of another head"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The verifier in an interpreter that sees the standard library and nothing else."""
    start = f"import sys; sys.path.append({str(SOURCE)!r}); from failgate_verify.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", start, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_it_runs_with_the_standard_library_alone(tmp_path, leaves):
    path = write_folder(tmp_path / "bundle", bundle(leaves))
    assert run("full", path).returncode == 0
    (path / "entries" / "001").write_bytes(b"")
    found = run("full", path)
    assert found.returncode == 1
    assert found.stdout.splitlines()[-1] == "failgate-verify: tampered, first bad record 256"
    assert found.stderr == ""
    code = f"import sys; sys.path.append({str(SOURCE)!r}); import failgate_verify.main, failgate_verify.sweep; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    foreign = (
        {name.split(".")[0] for name in loaded}
        - set(sys.stdlib_module_names)
        - {"__main__", "__mp_main__", "failgate_verify"}
    )
    assert foreign == set()


@pytest.mark.parametrize(
    "arguments",
    [[], ["full"], ["full", "/nowhere"], ["full", "/dev/null"], ["full", "/dev/zero"], ["none"], ["diff", "/nowhere", "/dev/zero"],
     ["policy", "x", "--witness", "0/1", "k"], ["policy", "x", "--witness", "٣/٤", "k"], ["full", "."], ["inclusion", "/"]],
)  # fmt: skip
def test_usage_is_exit_code_2_and_no_traceback(tmp_path, arguments):
    found = run(*arguments)
    assert found.returncode == 2, found
    assert "Traceback" not in found.stderr


def test_names_cannot_play_tricks_on_a_terminal(tmp_path, leaves):
    operator = Operator(1, "evil\u202e\u2066log")
    files = bundle(leaves, operator, origin="evil\u202e\u2066log")
    found = run("full", write_folder(tmp_path / "bundle", files))
    assert found.returncode == 0
    assert found.stdout.isascii()
    assert ORIGIN not in found.stdout
