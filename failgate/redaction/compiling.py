"""Hyperscan's compiler in a process of its own: `python -m failgate.redaction.compiling`, from one pipe to another.

The compiler takes 10 MiB for half a second, and a heap never gives them back. What it makes comes back through a
pipe from a process that is ours; it is never written where somebody else could change it. Where no process can be
begun, or it is ended, the caller compiles for itself.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import hyperscan

_PATIENCE_SECONDS: Final = 60.0
_LENGTH_BYTES: Final = 8


def compiled(sets: Sequence[Mapping[int, str]]) -> list[Any]:
    """Return a database for each set of patterns, by their numbers, None for an empty one; takes up to a second."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "failgate.redaction.compiling"],  # -P: nothing of the folder it is begun in
            input=json.dumps([list(one.items()) for one in sets]).encode(),
            capture_output=True, timeout=_PATIENCE_SECONDS, check=True, start_new_session=True,
        )  # fmt: skip
        made = [hyperscan.loadb(part, hyperscan.HS_MODE_BLOCK) if part else None for part in _parts(done.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError, hyperscan.error):
        made = []
    return made if len(made) == len(sets) else [_made_here(one) for one in sets]


def _made_here(patterns: Mapping[int, str]) -> Any:
    if not patterns:
        return None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[pattern.encode("latin-1") for pattern in patterns.values()],
        ids=list(patterns),
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_DOTALL] * len(patterns),
    )
    return database


def _parts(content: bytes) -> list[bytes]:
    parts: list[bytes] = []
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES + size
        parts.append(content[at - size : at])
    return parts


def main() -> None:
    """Read the patterns from standard input and write the databases to standard output."""
    for one in json.load(sys.stdin):
        made = _made_here(dict(one))
        database = hyperscan.dumpb(made) if made is not None else b""
        sys.stdout.buffer.write(len(database).to_bytes(_LENGTH_BYTES, "big") + database)


if __name__ == "__main__":
    main()
