"""The command line: `failgate-verify full | evidence | inclusion | consistency | diff | policy | heads`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from failgate_verify import __version__
from failgate_verify.bundle import read_file
from failgate_verify.evidence import verify_pack
from failgate_verify.full import Proven, verify_bundle
from failgate_verify.heads import compare
from failgate_verify.notes import (
    LARGEST_NOTE,
    Checkpoint,
    cosigned_at,
    must_be_signed,
    read_checkpoint,
    read_key,
    shown,
)
from failgate_verify.record import parsed, read_record
from failgate_verify.texts import LARGEST_PROOF, read_consistency, read_proof
from failgate_verify.tree import leaf_hash, verify_consistency, verify_inclusion
from failgate_verify.verdict import Incomplete, Tampered, Unusable, Verdict

_STATES = {0: "intact", 1: "tampered", 2: "unusable", 3: "incomplete"}
Answer = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; return 0 intact, 1 tampered, 2 usage, 3 incomplete."""
    given = _parser().parse_args(arguments)
    try:
        answer: Answer = given.verb(given) | {"exit_code": 0}
    except Verdict as verdict:
        answer = {"exit_code": verdict.exit_code, "lines": [verdict.sentence]}
        if isinstance(verdict, Tampered):
            answer["first_bad"] = verdict.first_bad
    except BrokenPipeError:
        return 2
    answer["state"] = _STATES[answer["exit_code"]]
    if given.as_json:
        print(json.dumps(answer))
    else:
        _print(answer)
    return int(answer["exit_code"])


def _print(answer: Answer) -> None:
    for line in answer["lines"]:
        print(line)
    where = answer.get("first_bad", "")
    said = f", first bad record {'unknown' if where is None else where}" if "first_bad" in answer else ""
    print(f"failgate-verify: {answer['state']}{said}")


def _full(given: argparse.Namespace) -> Answer:
    kept = [(str(path), read_file(path, LARGEST_NOTE)) for path in given.against]
    proven = verify_bundle(given.path, given.vkey, kept)
    return _head(proven.checkpoint) | {
        "first": proven.manifest.first,
        "last": proven.manifest.last,
        "bodies": None if proven.bodies is None else proven.bodies.bodies,
        "lines": [
            f"log      {shown(proven.checkpoint.origin)}",
            f"head     {proven.checkpoint.size} records, root {proven.checkpoint.root.hex()}",
            f"key      {_key_line(proven)}",
            f"records  {proven.manifest.first} to {proven.manifest.last}, {_extent(proven)}",
            *_body_lines(proven),
            *(f"kept     continues {name}" for name, _ in kept),
        ],
    }


def _evidence(given: argparse.Namespace) -> Answer:
    checked = verify_pack(given.path, given.vkey)
    proven = checked.proven
    lines = [
        f"log      {shown(proven.checkpoint.origin)}",
        f"head     {proven.checkpoint.size} records, root {proven.checkpoint.root.hex()}",
        f"key      {_key_line(proven)}",
        f"records  {proven.manifest.first} to {proven.manifest.last}, {_extent(proven)}",
        f"pack     {shown(checked.pack[:40])}, {checked.lines} lines",
    ]
    if checked.elsewhere:
        lines.append(f"other    lines about records of other logs, which are not in this pack: {checked.elsewhere}")
    if checked.unproven:
        raise Incomplete(
            f"Records before the period come without a proof, in lines: {checked.unproven}. Take the pack of a"
            " longer period, or ask for `failgate audit proof` of them."
        )
    return _head(proven.checkpoint) | {
        "pack": checked.pack, "count": checked.lines, "elsewhere": checked.elsewhere, "lines": lines,
    }  # fmt: skip


def _extent(proven: Proven) -> str:
    if proven.is_whole:
        return "the whole log"
    begin, end = proven.manifest.begin or "the beginning", proven.manifest.end or "the end"
    return f"all from {begin} to {end}; the others as hashes"


def _body_lines(proven: Proven) -> list[str]:
    carried = proven.bodies
    if carried is None:
        return []
    return [f"bodies   {carried.bodies} are what their records commit to, {carried.absent} are not carried"]


def _key_line(proven: Proven) -> str:
    source = "as given" if proven.is_key_given else "from the bundle itself: compare it with what the operator told you"
    return f"{shown(proven.key.vkey)} ({source})"


def _inclusion(given: argparse.Namespace) -> Answer:
    proof = read_proof(read_file(given.proof, LARGEST_PROOF))
    leaf = proof.extra if given.record is None else read_file(given.record, 65_535)
    if leaf is None:
        raise Incomplete("The proof does not carry its record; give it with --record.")
    verify_inclusion(leaf_hash(leaf), proof.seq, proof.checkpoint.size, proof.hashes, proof.checkpoint.root)
    if given.vkey is None:
        raise Incomplete("The record leads to the root of the checkpoint; who signed that shows with --vkey.")
    must_be_signed(proof.checkpoint, read_key(given.vkey))
    record = read_record(leaf)
    if record is None or record.seq != proof.seq:
        raise Tampered(proof.seq, f"What is proven is no record number {proof.seq}.")
    text = json.dumps(parsed(leaf), ensure_ascii=True)
    return _head(proof.checkpoint) | {
        "seq": proof.seq,
        "lines": [
            f"log      {shown(proof.checkpoint.origin)}",
            f"record   {proof.seq} of {proof.checkpoint.size}",
            text,
        ],
    }


def _consistency(given: argparse.Namespace) -> Answer:
    old_note = _note_of(given.old)
    old = read_checkpoint(old_note, f"The checkpoint {given.old}")
    if given.proof is None:
        if not (given.new.is_dir() or given.new.suffix == ".tar"):
            raise Incomplete("Two checkpoints alone prove nothing: give the newer log as a bundle, or --proof.")
        new = verify_bundle(given.new, given.vkey, [(str(given.old), old_note)]).checkpoint
    else:
        new = read_checkpoint(_note_of(given.new), f"The checkpoint {given.new}")
        _same_log(old, new)
        hashes = read_consistency(read_file(given.proof, LARGEST_NOTE))
        if given.vkey is None:
            raise Incomplete("Who signed the two checkpoints shows with --vkey.")
        for name, head in ((given.old, old), (given.new, new)):
            must_be_signed(head, read_key(given.vkey), f"The checkpoint {name}")
        verify_consistency(old.size, new.size, hashes, old.root, new.root)
    return _head(new) | {
        "lines": [f"The log of {new.size} records begins with the {old.size} that were signed before."]
    }


def _note_of(path: Path) -> bytes:
    """Return the signed note in a file, or the one of a bundle."""
    if path.is_dir():
        return read_file(path / "checkpoint", LARGEST_NOTE)
    if path.suffix == ".tar":
        from failgate_verify.bundle import open_bundle, read

        plain = open_bundle(path).plain
        if "checkpoint" not in plain:
            raise Incomplete("The bundle has no checkpoint.")
        return read(plain["checkpoint"], LARGEST_NOTE)
    return read_file(path, LARGEST_NOTE)


def _diff(given: argparse.Namespace) -> Answer:
    one, other = (read_checkpoint(_note_of(path), f"The checkpoint {path}") for path in (given.one, given.other))
    _same_log(one, other)
    for name, head in ((given.one, one), (given.other, other)):
        if given.vkey is not None:
            must_be_signed(head, read_key(given.vkey), f"The checkpoint {name}")
    if one.size == other.size and one.root != other.root:
        raise Tampered(None, f"Two histories of {one.size} records: the log was shown differently to two people.")
    if one.size != other.size:
        raise Incomplete(
            f"One head has {one.size} records, the other {other.size}; whether the longer log begins with the shorter "
            "shows with `failgate-verify consistency`."
        )
    if given.vkey is None:
        raise Incomplete("The two heads are the same; who signed them shows with --vkey.")
    return _head(one) | {"lines": [f"The same head: {one.size} records, root {one.root.hex()}"]}


def _same_log(one: Checkpoint, other: Checkpoint) -> None:
    if one.origin != other.origin:
        raise Unusable(f"The checkpoints are of two logs: {shown(one.origin)} and {shown(other.origin)}.")


def _policy(given: argparse.Namespace) -> Answer:
    if given.vkey is None:
        raise Unusable("A policy names the log's key: --vkey.")
    checkpoint = read_checkpoint(_note_of(given.checkpoint))
    must_be_signed(checkpoint, read_key(given.vkey))
    lines: list[str] = []
    for needed, of, *vkeys in given.witness or []:
        keys = [read_key(vkey) for vkey in vkeys]
        if len(keys) != int(of) or len({key.public for key in keys}) != len(keys):
            raise Unusable(f"--witness {needed}/{of} wants {of} different keys behind it.")
        times = {key.name: cosigned_at(checkpoint, key) for key in keys}
        met = {name: time for name, time in times.items() if time is not None}
        lines += [f"{shown(name)} cosigned at {time} (seconds since 1970)" for name, time in met.items()]
        if len(met) < int(needed):
            missing = ", ".join(shown(name) for name in times if name not in met)
            raise Incomplete(f"{len(met)} of {of} witnesses cosigned, {needed} have to; not: {missing}.")
    return _head(checkpoint) | {"lines": [f"log      {shown(checkpoint.origin)}", *lines]}


def _heads(given: argparse.Namespace) -> Answer:
    system, found = compare(given.log_of_logs, given.bundles, given.vkey)
    lines = [
        f"log of logs  {shown(system.checkpoint.origin)}, {system.checkpoint.size} records",
        f"key  {_key_line(system)}",
    ]
    for one in found:
        origin, size = shown(one.proven.checkpoint.origin), one.proven.checkpoint.size
        lines.append(f"log  {origin}, {size} records: {one.heads} recorded heads, each of them was one")
    return _head(system.checkpoint) | {"heads": [one.heads for one in found], "lines": lines}


class _Quorum(argparse.Action):
    """`--witness k/n KEY …`: the number stands before the keys."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        needed, _, of = values[0].partition("/")
        if not (needed.isdecimal() and of.isdecimal() and len(of) < 4 and 0 < int(needed) <= int(of)):
            parser.error(f"argument {option}: {values[0]!a} is no k/n, as 2/3")
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), [needed, of, *values[1:]]])


def _head(checkpoint: Checkpoint) -> Answer:
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="failgate-verify",
        description="Verify audit logs of Failgate, offline.",
        epilog="Exit codes: 0 intact, 1 tampered (names the first bad record), 2 usage, 3 incomplete.",
    )
    parser.add_argument("--version", action="version", version=f"failgate-verify {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", dest="as_json", action="store_true", help="print the verdict as a JSON object")
    common.add_argument("--vkey", help="the log's key, as its operator told you")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    full = verbs.add_parser("full", parents=[common], help="a bundle: signature, records, chain, tree")
    full.add_argument("path", type=Path, help="the folder or the .tar of `failgate audit export`")
    full.add_argument(
        "--against", type=Path, action="append", default=[], metavar="CHECKPOINT", help="a head that somebody kept"
    )
    full.set_defaults(verb=_full)

    evidence = verbs.add_parser("evidence", parents=[common], help="an evidence pack: its bundle, files and lines")
    evidence.add_argument("path", type=Path, help="the folder or the .tar of `failgate audit evidence`")
    evidence.set_defaults(verb=_evidence)

    inclusion = verbs.add_parser("inclusion", parents=[common], help="one record with its proof")
    inclusion.add_argument("proof", type=Path, help="a file of `failgate audit proof`")
    inclusion.add_argument("--record", type=Path, help="the record's bytes, when the proof does not carry them")
    inclusion.set_defaults(verb=_inclusion)

    consistency = verbs.add_parser("consistency", parents=[common], help="does a longer log begin with a shorter one?")
    consistency.add_argument("old", type=Path, help="a checkpoint, or a bundle")
    consistency.add_argument("new", type=Path, help="a bundle; with --proof a checkpoint is enough")
    consistency.add_argument("--proof", type=Path, help="hashes of a consistency proof in base64, one a line")
    consistency.set_defaults(verb=_consistency)

    diff = verbs.add_parser("diff", parents=[common], help="two checkpoints: one history or two?")
    diff.add_argument("one", type=Path)
    diff.add_argument("other", type=Path)
    diff.set_defaults(verb=_diff)

    policy = verbs.add_parser("policy", parents=[common], help="do enough witnesses vouch for a checkpoint?")
    policy.add_argument("checkpoint", type=Path, help="a checkpoint, or a bundle")
    policy.add_argument(
        "--witness",
        nargs="+",
        action=_Quorum,
        metavar=("K/N", "KEY"),
        help="K of these N keys have to; may be repeated",
    )
    policy.set_defaults(verb=_policy)

    heads = verbs.add_parser("heads", parents=[common], help="is each log as the log of logs records it?")
    heads.add_argument("log_of_logs", type=Path, help="the bundle of the log `system`; --vkey is its key")
    heads.add_argument(
        "bundles", type=Path, nargs="+", metavar="BUNDLE", help="bundles of other logs of the same server"
    )
    heads.set_defaults(verb=_heads)
    return parser


if __name__ == "__main__":
    sys.exit(main())
