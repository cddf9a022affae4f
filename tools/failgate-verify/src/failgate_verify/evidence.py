"""An evidence pack, verified: the bundle in it, the digests of its files, and that each line names a record of the log.

What a line says of its record is the server's reading; that the record is in the log, and is this one, is proven.
"""

import csv
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, cast

from failgate_verify.bundle import Place, open_pack, read
from failgate_verify.full import Proven, verify_opened
from failgate_verify.held import Held, split
from failgate_verify.notes import must_be_signed, shown
from failgate_verify.record import read_record
from failgate_verify.texts import LARGEST_PROOF, read_proof
from failgate_verify.tree import WIDTH, leaf_hash, verify_inclusion
from failgate_verify.verdict import Tampered, Unusable

FORMAT = "failgate-evidence-pack"
_LARGEST_MANIFEST = 1024 * 1024  # bytes
_PIECE = 1024 * 1024
_BEGINNING = ["log", "record", "leaf_hash", "further_records"]
_PROOF = re.compile(r"proofs/record-([0-9]{1,13})\.tlog-proof", re.ASCII)
_LONGEST_LINE = 1024 * 1024  # characters of a cell


class Checked(NamedTuple):
    """A pack in which everything is as it should be: its lines, and those whose records lie in other logs."""

    proven: Proven
    pack: str
    lines: int
    elsewhere: int
    unproven: int


def verify_pack(path: Path, vkey: str | None = None) -> Checked:
    """Verify the evidence pack at `path`, whose log is signed by `vkey` (without one: by its own key).

    Raises: Tampered, Unusable, Incomplete.
    """
    files, bundle = open_pack(path)
    if "manifest.json" not in files:
        raise Unusable("There is no manifest.json: this is no evidence pack.")
    manifest = _manifest(read(files["manifest.json"], _LARGEST_MANIFEST))
    proven = verify_opened(bundle, vkey)
    _compare(manifest, files, proven)
    outside = {
        int(found[1]): _proven(files[name], int(found[1]), proven)
        for name in files
        if (found := _PROOF.fullmatch(name))
    }
    log = _log_of(proven.held)
    lines = elsewhere = unproven = 0
    hashes = _Hashes(proven.held)
    for name in sorted(files):
        if not name.endswith(".csv"):
            continue
        for number, (its_log, seq, stated) in enumerate(_lines(files[name]), 2):
            lines += 1
            if its_log != log:
                elsewhere += 1
                continue
            known = outside.get(seq) or hashes.of(seq)
            if known is None:
                unproven += 1
            elif stated != f"sha256:{known.hex()}":
                raise Tampered(seq, f"{name}, line {number}: record {seq} is another one than the line names.")
    return Checked(proven, str(manifest["pack"]), lines, elsewhere, unproven)


class _Hashes:
    """The hashes of the records in a bundle, a tile at a time."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._number = -1
        self._tile: list[bytes] = []

    def of(self, seq: int) -> bytes | None:
        number, place = divmod(seq, WIDTH)
        if not self._held.begin <= number < self._held.end:
            return None
        if number != self._number:
            leaves, _ = split(self._held.records(number) or b"", self._held.width(number))
            self._number, self._tile = number, [leaf_hash(leaf) for leaf in leaves]
        return self._tile[place] if place < len(self._tile) else None


def _manifest(text: bytes) -> dict[str, Any]:
    try:
        read_back: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable("manifest.json is no JSON object.") from None
    if not isinstance(read_back, dict):
        raise Unusable("manifest.json is no JSON object.")
    members = cast("dict[str, Any]", read_back)
    if members.get("format") != FORMAT or members.get("v") != 1 or not isinstance(members.get("files"), dict):
        raise Unusable(f"manifest.json is not of {FORMAT}, version 1.")
    return members


def _compare(manifest: dict[str, Any], files: dict[str, Place], proven: Proven) -> None:
    """Compare the files with the digests of the manifest, and that with the checkpoint. Raises: Tampered."""
    if manifest.get("origin") != proven.checkpoint.origin or manifest.get("root") != proven.checkpoint.root.hex():
        raise Tampered(None, "manifest.json is of another checkpoint than the bundle.")
    stated = cast("dict[str, Any]", manifest["files"])
    for name in sorted({*stated, *files} - {"manifest.json"}):
        if name not in files:
            raise Tampered(None, f"The pack lacks {shown(name[:120])}, which manifest.json names.")
        digest = cast("dict[str, Any]", stated[name]).get("sha256") if isinstance(stated.get(name), dict) else None
        if _digest(files[name]) != digest:
            raise Tampered(None, f"{shown(name[:120])} is not the file that manifest.json names.")


def _digest(place: Place) -> str:
    hashed = sha256()
    for piece in _pieces(place):
        hashed.update(piece)
    return hashed.hexdigest()


def _pieces(place: Place) -> Iterator[bytes]:
    try:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            left = place.size
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise Unusable(f"{place.path} cannot be read: {error.strerror}.") from error


def _rows(place: Place) -> Iterator[str]:
    rest = b""
    for piece in _pieces(place):
        *lines, rest = (rest + piece).split(b"\n")
        for one in lines:
            yield f"{one.decode('utf-8', 'replace')}\n"
    if rest:
        yield rest.decode("utf-8", "replace")


def _lines(place: Place) -> Iterator[tuple[str, int, str]]:
    """Yield of each line the log, the number and the stated hash of its record. Raises: Unusable."""
    csv.field_size_limit(_LONGEST_LINE)
    reader = csv.reader(_rows(place), strict=True)
    try:
        if next(reader, [])[: len(_BEGINNING)] != _BEGINNING:
            raise Unusable(f"A table does not begin with the columns {', '.join(_BEGINNING)}.")
        for cells in reader:
            log, seq, stated = (*cells[:3], "", "", "")[:3]
            if not (seq.isascii() and seq.isdigit() and len(seq) <= 13):
                raise Unusable(f"A table names a record {seq[:40]!a}.")
            yield log, int(seq), stated
    except csv.Error as error:
        raise Unusable(f"A table is no CSV: {error}.") from None


def _proven(place: Place, seq: int, proven: Proven) -> bytes:
    """Return the hash of a record that comes with a proof of its own. Raises: Tampered, Unusable."""
    proof = read_proof(read(place, LARGEST_PROOF))
    if proof.extra is None or proof.seq != seq or proof.checkpoint.origin != proven.checkpoint.origin:
        raise Unusable(f"The proof of record {seq} is of something else.")
    hashed = leaf_hash(proof.extra)
    verify_inclusion(hashed, seq, proof.checkpoint.size, proof.hashes, proof.checkpoint.root)
    must_be_signed(proof.checkpoint, proven.key)
    return hashed


def _log_of(held: Held) -> str:
    """Return the log that the records of a bundle name."""
    tile = held.records(held.begin) or b""
    record = read_record(tile[2 : 2 + (tile[0] << 8 | tile[1])]) if len(tile) > 2 else None
    return "" if record is None else record.ws
