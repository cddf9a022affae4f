"""`manifest.json`: what a bundle says that it holds. Nothing of it is signed, so all of it is compared with what is."""

import json
from typing import Any, NamedTuple, cast

from failgate_verify.notes import Checkpoint, shown
from failgate_verify.tree import WIDTH
from failgate_verify.verdict import Tampered, Unusable

FORMAT = "failgate-audit-export"
LARGEST = 64 * 1024  # bytes


class Manifest(NamedTuple):
    """The records from `first` to `last`; `begin` and `end` are the times of the period, None when it is open there.

    `made` is when the bundle says that it was made; empty when it does not.
    """

    first: int
    last: int
    begin: str | None
    end: str | None
    made: str = ""

    def needed(self, size: int) -> tuple[int, int]:
        """Return the tiles of records that have to be there, in a log of `size`: those with the records around too."""
        before = self.first if self.begin is None else max(self.first - 1, 0)
        behind = self.last if self.end is None else min(self.last + 1, size - 1)
        return before // WIDTH, behind // WIDTH + 1


def read_manifest(text: bytes, checkpoint: Checkpoint) -> Manifest:
    """Return the manifest of a bundle with this checkpoint.

    Raises: Unusable (none, or of a newer version), Tampered (it says something else than the checkpoint).
    """
    try:
        members: Any = json.loads(text, parse_float=_refuse, parse_constant=_refuse, parse_int=_integer)
        if not isinstance(members, dict):
            raise Unusable("manifest.json is no JSON object.")
    except (ValueError, RecursionError):
        raise Unusable("manifest.json is no JSON object.") from None
    members = cast("dict[str, Any]", members)
    if members.get("format") != FORMAT:
        raise Unusable(f"manifest.json is not of {FORMAT}.")
    if members.get("v") != 1:
        raise Unusable("The bundle is of another version than this program reads (1).")
    made = members.get("made_at")
    found = Manifest(
        members.get("first", -1),
        members.get("last", -1),
        members.get("from"),
        members.get("to"),
        made if type(made) is str else "",
    )
    if members.get("origin") != checkpoint.origin:
        said = shown(str(members.get("origin"))[:120])
        raise Tampered(None, f"manifest.json is of {said}, the checkpoint of {shown(checkpoint.origin)}.")
    if type(members.get("size")) is not int or members["size"] != checkpoint.size:
        raise Tampered(None, f"manifest.json does not state the size that is signed, {checkpoint.size}.")
    is_number = {type(members.get("first")), type(members.get("last"))} == {int}
    if not is_number or not 0 <= found.first <= found.last < checkpoint.size:
        raise Tampered(None, "manifest.json names records that are not in the log.")
    for time, border in ((found.begin, found.first == 0), (found.end, found.last == checkpoint.size - 1)):
        if type(time) is not str and not (time is None and border):
            raise Tampered(None, "manifest.json leaves records out, and names no period.")
    return found


def check_borders(manifest: Manifest, size: int, times: dict[int, str]) -> None:
    """Compare the period with the `times` of the records at its borders and around it. Raises: Tampered."""
    first, last, begin, end, _ = manifest
    if begin is not None and (times[first] < begin or (first > 0 and times[first - 1] >= begin)):
        raise Tampered(None, f"manifest.json: record {first} is not the first one since {shown(begin[:40])}.")
    if end is not None and (times[last] >= end or (last + 1 < size and times[last + 1] < end)):
        raise Tampered(None, f"manifest.json: record {last} is not the last one before {shown(end[:40])}.")


def _integer(text: str) -> int:
    if len(text) > 19:
        raise ValueError(text)
    return int(text)


def _refuse(text: str) -> float:
    raise ValueError(text)
