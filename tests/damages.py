"""Ways to damage a bundle, and the record that every verifier has to blame."""

import json
from collections.abc import Callable

from tests.handmade import (
    Operator,
    body_line,
    bundle,
    canonical,
    layout,
    leaf_hash,
    manifest,
    record,
    time_of,
)

COUNT = 600  # records of the log that is damaged
Files = dict[str, bytes]


def changed(leaf: bytes, **members: object) -> bytes:
    return canonical(json.loads(leaf) | members)


def rebuilt(leaves: list[bytes]) -> Files:
    """The files of somebody who edits records and not the hashes beside them."""
    return {name: content for name, content in layout(leaves).items() if name.startswith("entries")}


def replace_records(files: Files, leaves: list[bytes]) -> Files:
    return {name: content for name, content in files.items() if not name.startswith("entries")} | rebuilt(leaves)


def rewrite(leaves: list[bytes], seq: int) -> list[bytes]:
    """Another record `seq`, and everything behind it chained anew."""
    made = list(leaves[:seq])
    for number in range(seq, len(leaves)):
        members = (
            {"out": "deny"}
            if number == seq
            else {"prev": json.loads(canonical(record(number, leaf_hash(made[-1]))))["prev"]}
        )
        made.append(changed(leaves[number], **members))
    return made


class Case:
    """A way to damage a bundle. `first_bad` with the hashes beside the records, `by_chain` without them."""

    def __init__(
        self, name: str, damage: Callable[[list[bytes], Files], Files], first_bad: int | None, by_chain: int | None
    ) -> None:
        self.name, self.damage, self.first_bad, self.by_chain = name, damage, first_bad, by_chain


def edit(seq: int) -> Callable[[list[bytes], Files], Files]:
    return lambda leaves, files: replace_records(
        files, [*leaves[:seq], changed(leaves[seq], out="deny"), *leaves[seq + 1 :]]
    )


def relink(seq: int) -> Callable[[list[bytes], Files], Files]:
    return lambda leaves, files: replace_records(
        files, [*leaves[:seq], changed(leaves[seq], prev="B" * 43), *leaves[seq + 1 :]]
    )


def forged(leaves: list[bytes], seq: int) -> bytes:
    return canonical(record(seq, leaf_hash(leaves[seq - 1]), act="member.removed"))


DAMAGES = [
    *(Case(f"edited {seq}", edit(seq), seq, seq) for seq in (0, 1, 255, 256, 300, COUNT - 2)),
    Case("edited last", edit(COUNT - 1), COUNT - 1, None),
    *(Case(f"another link {seq}", relink(seq), seq, seq) for seq in (100, 256, COUNT - 1)),
    *(Case(f"removed {seq}", lambda leaves, files, seq=seq: replace_records(files, [*leaves[:seq], *leaves[seq + 1 :]]), seq, seq)
      for seq in (0, 100, 256, COUNT - 1)),
    Case("swapped", lambda leaves, files: replace_records(files, [*leaves[:300], leaves[301], leaves[300], *leaves[302:]]), 300, 300),
    Case("inserted", lambda leaves, files: replace_records(files, [*leaves[:300], forged(leaves, 300), *leaves[300:]]), 300, 300),
    Case("said twice", lambda leaves, files: replace_records(files, [*leaves[:300], leaves[299], *leaves[300:]]), 300, 300),
    Case("cut off", lambda leaves, files: replace_records(files, leaves[:500]), 500, 500),
    Case("cut off at a tile", lambda leaves, files: replace_records(files, leaves[:512]), 512, 512),
    Case("edited, and cut off behind the next", lambda leaves, files: replace_records(
        files, [*leaves[:300], changed(leaves[300], out="deny"), leaves[301]]), 300, 300),
    Case("grown", lambda leaves, files: replace_records(files, [*leaves, forged(leaves, COUNT)]), None, None),
    Case("rewritten", lambda leaves, files: replace_records(files, rewrite(leaves, 300)), 300, None),
    Case("not canonical", lambda leaves, files: replace_records(
        files, [*leaves[:300], leaves[300].replace(b'"v":1', b'"v": 1'), *leaves[301:]]), 300, 300),
    Case("not JSON", lambda leaves, files: replace_records(files, [*leaves[:300], b"{" * 60_000, *leaves[301:]]), 300, 300),
    Case("empty", lambda leaves, files: replace_records(files, [*leaves[:300], b"", *leaves[301:]]), 300, 300),
    Case("another log's checkpoint", lambda leaves, files: files | {"checkpoint": Operator(1, "other/log/x").note(leaves).encode()}, None, None),
    Case("another log's checkpoint and key", lambda leaves, files: files | {
        "checkpoint": Operator(1, "other/log/x").note(leaves).encode(), "vkey": Operator(1, "other/log/x").vkey.encode()}, None, None),
    Case("forged signature", lambda leaves, files: files | {
        "checkpoint": files["checkpoint"].replace(b"ABC", b"ABD") if b"ABC" in files["checkpoint"] else flipped(files["checkpoint"])}, None, None),
    Case("another root", lambda leaves, files: files | {"checkpoint": Operator().note(rewrite(leaves, 5)).encode()}, None, None),
    Case("manifest of more", lambda leaves, files: files | {"manifest.json": manifest(COUNT + 1)}, None, None),
    Case("manifest of less", lambda leaves, files: files | {"manifest.json": manifest(COUNT, last=500)}, None, None),
    Case("manifest of a period", lambda leaves, files: files | {
        "manifest.json": manifest(COUNT, first=10, **{"from": time_of(9)})}, None, None),
    Case("manifest of another log", lambda leaves, files: files | {"manifest.json": manifest(COUNT, origin="x/log/y")}, None, None),
]  # fmt: skip


def flipped(note: bytes) -> bytes:
    place = len(note) - 20
    return note[:place] + (b"A" if note[place : place + 1] != b"A" else b"B") + note[place + 1 :]


def period(leaves: list[bytes], first: int, last: int, begin: int, end: int) -> Files:
    """The records from `first` to `last` in the tiles from `begin` up to `end`; of the others the hashes."""
    files = bundle(leaves, first=first, last=last, **{"from": time_of(first), "to": time_of(last + 1)})
    there = {f"{number:03d}" for number in range(begin, end)}
    tail = f"tile/0/{len(leaves) // 256:03d}"
    return {
        name: content
        for name, content in files.items()
        if not name.startswith(("entries/", "tile/0/"))
        or name.split("/")[-1 if ".p" not in name else -2][:3] in there
        or name.startswith(tail)
    }


def _lines(*seqs: int) -> bytes:
    return b"".join(body_line(seq) for seq in seqs)


ALL_BODIES = [seq for seq in range(COUNT) if seq % 3 != 2]
# `bodies.jsonl` of a log of `COUNT` committed records: its content, the exit code, the first bad record.
BODIES: list[tuple[str, bytes, int, int | None]] = [
    ("all", _lines(*ALL_BODIES), 0, None),
    ("none", b"", 0, None),
    ("some", _lines(0, 255, 256, COUNT - 2), 0, None),
    ("another body", _lines(0) + body_line(255, body={"ip": "198.51.100.1"}) + _lines(256), 1, 255),
    ("another salt", _lines(0) + body_line(256, salt=bytes(32)), 1, 256),
    ("one of another record", _lines(0, 3) + body_line(4, *(bytes(32), {"ip": "192.0.2.3"})), 1, 4),
    ("one of a record that commits to nothing", _lines(0) + body_line(2) + _lines(3), 1, 2),
    ("one behind the log", _lines(0, COUNT), 1, COUNT),
    ("another order", _lines(3, 0), 2, None),
    ("twice", _lines(3, 3), 2, None),
    ("no line break", _lines(3)[:-1], 2, None),
    ("empty lines", b"\n" + _lines(3), 2, None),
    ("no JSON", _lines(0) + b"{\n", 2, None),
    ("not canonical", _lines(0) + body_line(3).replace(b'"seq":3', b'"seq": 3'), 2, None),
    ("a number in another form", _lines(0) + body_line(3).replace(b'"seq":3', b'"seq":3.0'), 2, None),
    ("a salt that is too short", _lines(0) + body_line(3, salt=bytes(31)), 2, None),
    ("a member more", _lines(0) + body_line(3).replace(b'"seq":3', b'"seq":3,"x":1'), 2, None),
    ("a body that is a list", b'{"body":[],"salt":"' + b"A" * 43 + b'","seq":0}\n', 2, None),
    ("a number below nothing", b'{"body":{},"salt":"' + b"A" * 43 + b'","seq":-1}\n', 2, None),
    ("a long line", b'{"body":{"ip":"' + b"1" * 140_000 + b'"},"salt":"' + b"A" * 43 + b'","seq":0}\n', 2, None),
    ("not UTF-8", _lines(0) + b"\xff\n", 2, None),
]  # fmt: skip
