"""The fingerprint by which reports are grouped, and which version came before another. Pure.

`fp1:` and 128 bits of SHA-256, in hex, over a JSON list of five texts: the command, how it ended, the error that
decided and the frame that it names, as `failgate.failure.fingerprint` normalises them, and the title of a report
that comes from another source than a command; or, where the manifest has a fingerprint of its own, over a JSON list
of that alone. A change of these rules is another version, `fp2:`; groups are never
regrouped.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from failgate.failure.fingerprint import command_of, normalized

VERSION: Final = "fp1"
_VERSION: Final = re.compile(r"[vV]?([0-9]{1,9}(?:\.[0-9]{1,9}){0,5})(?:[-+].*)?", re.ASCII)


class Cause(msgspec.Struct, frozen=True):
    """Why a command failed, as far as its manifest says: all normalised. `own` is the manifest's own fingerprint."""

    command: str
    ended: str
    title: str = ""
    own: str = ""


def cause_of(argv: Sequence[str], exit_code: int, signal: int | None, title: str = "", own: str = "") -> Cause:
    """Return the cause of a command that ended with `exit_code` or by `signal`; `title` of reports that are none."""
    ended = f"signal {signal}" if signal is not None else f"exit {exit_code}"
    return Cause(command_of(argv), ended, normalized(title), own)


def fingerprint(cause: Cause, error: str, frame: str) -> str:
    """Return the fingerprint of `cause` with the error line and the frame of its output (empty: none)."""
    parts = [cause.own] if cause.own else [cause.command, cause.ended, normalized(error), frame, cause.title]
    return f"{VERSION}:{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]}"


def is_older(version: str, than: str) -> bool:
    """Tell whether `version` surely came before `than`: both begin with numbers and dots, as `1.9.2` before `v1.10`."""
    mine, other = _numbers(version), _numbers(than)
    return mine is not None and other is not None and mine < other


def _numbers(version: str) -> tuple[int, ...] | None:
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    numbers = tuple(int(part) for part in found[1].split("."))
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    return numbers
