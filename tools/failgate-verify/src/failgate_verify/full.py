"""A whole bundle, verified: signature, records, chain, tree, period, heads that somebody kept, and bodies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from failgate_verify.bodies import Carried, check_bodies
from failgate_verify.bundle import Bundle, open_bundle, read
from failgate_verify.held import Held, hold, root_of, split
from failgate_verify.manifest import LARGEST, Manifest, check_borders, read_manifest
from failgate_verify.notes import LARGEST_NOTE, Checkpoint, Key, must_be_signed, read_checkpoint, read_key, shown
from failgate_verify.record import read_record
from failgate_verify.sweep import sweep
from failgate_verify.tree import WIDTH, leaf_hash
from failgate_verify.verdict import Incomplete, Tampered, Unusable
from failgate_verify.walk import Walk

_LARGEST_KEY = 4096  # bytes


@dataclass(frozen=True)
class Proven:
    """A bundle in which everything is as it was signed."""

    checkpoint: Checkpoint
    key: Key
    is_key_given: bool
    manifest: Manifest
    is_whole: bool
    held: Held
    bodies: Carried | None


@dataclass(frozen=True)
class Told:
    """What record `seq` of another log, of the time `ts`, says of this one: how many records it had, and their root."""

    size: int
    root: bytes
    seq: int
    ts: str


def verify_bundle(
    path: Path, vkey: str | None = None, kept: Sequence[tuple[str, bytes]] = (), told: Sequence[Told] = ()
) -> Proven:
    """Verify the bundle at `path`, signed by `vkey` (without one: by its own key), against `kept` (name, note).

    `told` are heads of this log that the log of logs records.

    Raises: Tampered, Unusable, Incomplete.
    """
    return verify_opened(open_bundle(path), vkey, kept, told)


def verify_opened(
    bundle: Bundle, vkey: str | None = None, kept: Sequence[tuple[str, bytes]] = (), told: Sequence[Told] = ()
) -> Proven:
    """Do what `verify_bundle` does with a bundle that was opened."""
    given = None if vkey is None else read_key(vkey)
    checkpoint, key = _signed_head(bundle, given)
    heads = [(name, _kept(name, note, checkpoint, key)) for name, note in kept]
    if "manifest.json" not in bundle.plain:
        raise Incomplete("The bundle has no manifest.json.")
    manifest = read_manifest(read(bundle.plain["manifest.json"], LARGEST), checkpoint)
    for name, head in heads:
        if head.size > checkpoint.size:
            raise Tampered(
                checkpoint.size, f"The log has {checkpoint.size} records, {head.size} were signed before ({name})."
            )
    for one in told:
        _must_have_been(one, checkpoint, manifest)
    held = hold(bundle, checkpoint.size, checkpoint.root, manifest)
    swept = None if bundle.is_cut else sweep(held)
    if swept is None or root_of(*swept) != checkpoint.root:
        swept = Walk(held).run()
        _check_hashes(held, swept[0])
    _compare_heads(held, heads, told, swept)
    if manifest.begin is not None or manifest.end is not None:
        check_borders(manifest, checkpoint.size, _times(held, manifest))
    is_whole = (manifest.first, manifest.last) == (0, checkpoint.size - 1)
    bodies = check_bodies(held, manifest.first, manifest.last)
    return Proven(checkpoint, key, given is not None, manifest, is_whole, held, bodies)


def _compare_heads(
    held: Held,
    heads: Sequence[tuple[str, Checkpoint]],
    told: Sequence[Told],
    swept: tuple[list[bytes], list[bytes]],
) -> None:
    """Compare the records with heads that somebody kept, and with those that were told of. Raises: Tampered."""
    for name, head in heads:
        if _root_at(held, head.size, *swept) != head.root:
            raise Tampered(None, f"The first {head.size} records are not those that were signed before ({name}).")
    for one in told:
        if _root_at(held, one.size, *swept) != one.root:
            said = f"record {one.seq} of the log of logs tells of"
            raise Tampered(None, f"The first {one.size} records are not those that {said}.")


def _must_have_been(told: Told, checkpoint: Checkpoint, manifest: Manifest) -> None:
    """Refuse a bundle that is shorter than the log was when a record told of it. Raises: Tampered, Incomplete."""
    if told.size <= checkpoint.size:
        return
    said = f"record {told.seq} of the log of logs tells of {told.size}"
    if manifest.made > told.ts:
        raise Tampered(checkpoint.size, f"The log has {checkpoint.size} records, and {said} before this was exported.")
    raise Incomplete(f"The bundle has {checkpoint.size} records, and {said}, later: export this log once more.")


def _signed_head(bundle: Bundle, given: Key | None) -> tuple[Checkpoint, Key]:
    if "checkpoint" not in bundle.plain:
        raise Incomplete("The bundle has no checkpoint: nothing vouches for its records.")
    checkpoint = read_checkpoint(read(bundle.plain["checkpoint"], LARGEST_NOTE))
    key = given
    if key is None:
        if "vkey" not in bundle.plain:
            raise Incomplete("The bundle has no key, and none was given with --vkey.")
        try:
            key = read_key(read(bundle.plain["vkey"], _LARGEST_KEY).decode())
        except UnicodeDecodeError:
            raise Unusable("The bundle's vkey is no text.") from None
    must_be_signed(checkpoint, key)
    if checkpoint.size == 0:
        raise Unusable("The log has no records.")
    return checkpoint, key


def _kept(name: str, note: bytes, checkpoint: Checkpoint, key: Key) -> Checkpoint:
    """Return a head that somebody kept. Raises: Unusable (of another log, or not signed by the log's key)."""
    what = f"The checkpoint {name}"
    head = read_checkpoint(note, what)
    if head.origin != checkpoint.origin:
        raise Unusable(f"{what} is of {shown(head.origin)}, the bundle of {shown(checkpoint.origin)}.")
    try:
        must_be_signed(head, key, what)
    except Tampered as error:
        raise Unusable(error.sentence) from None
    return head


def _check_hashes(held: Held, roots: list[bytes]) -> None:
    """Compare the hashes that the bundle states beside its records with those of the records. Raises: Tampered."""
    stated = held.tile_hashes()
    if stated is not None and stated != roots:
        raise Tampered(None, "The hashes under `tile/1/` are not those of the records.")
    for number in range(held.begin, held.end):
        hashes = held.leaf_hashes(number)
        if hashes is not None and hashes != _hashes_of(held, number):
            raise Tampered(None, f"The hashes of the records from {number * WIDTH} are not those of the records.")


def _hashes_of(held: Held, number: int) -> list[bytes]:
    leaves, _ = split(held.records(number) or b"", held.width(number))
    return [leaf_hash(leaf) for leaf in leaves]


def _root_at(held: Held, size: int, roots: list[bytes], rest: list[bytes]) -> bytes:
    """Return the root of the first `size` records. Raises: Incomplete (they are not there one by one)."""
    full, more = divmod(size, WIDTH)
    if not more:
        return root_of(roots[:full], [])
    if full == len(roots):
        return root_of(roots, rest[:more])
    if held.begin <= full < held.end:
        return root_of(roots[:full], _hashes_of(held, full)[:more])
    raise Incomplete(
        f"The bundle does not hold the records around {size}, where the kept checkpoint ends; export the whole log."
    )


def _times(held: Held, manifest: Manifest) -> dict[int, str]:
    """Return the times of the records at the borders of the period, and of those around it."""
    times: dict[int, str] = {}
    for seq in {max(manifest.first - 1, 0), manifest.first, manifest.last, min(manifest.last + 1, held.size - 1)}:
        leaves, _ = split(held.records(seq // WIDTH) or b"", WIDTH)
        record = read_record(leaves[seq % WIDTH]) if seq % WIDTH < len(leaves) else None
        times[seq] = "" if record is None else record.ts
    return times
