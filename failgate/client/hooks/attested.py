"""The digest of the shell's file, kept from one hook to the next: to take it anew is a third of what a hook does.

Only of a file that root alone can write. It is known again by its place on the disk, its size and the times of its last
change; the second of them, `st_ctime`, is the kernel's own and can be set by nobody who cannot write the file anyway.
"""
# ruff: noqa: PTH118 -- pathlib would slow the start

from __future__ import annotations

import os
import time

from failgate.base.canonical import canonical
from failgate.client.exits import NotConfigured
from failgate.client.hooks.remembered import FOLDER, read_own
from failgate.client.keyring import write_private
from failgate.client.search import digest_of_file

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from failgate.client.command import Digesting

_NAME = "shell"
_SETTLED_SECONDS = 2.0  # a second change within one tick of the disk's clock leaves no other time


def digesting_in(folder: str) -> Digesting:
    """Return what tells the digest of an open file; `folder` is the client's own."""
    place = os.path.join(folder, FOLDER)

    def digest(descriptor: int) -> str:
        facts = os.fstat(descriptor)
        mark = mark_of(facts)
        if facts.st_uid != 0 or facts.st_mode & 0o022:
            return digest_of_file(descriptor)
        kept = read_own(os.path.join(place, _NAME))
        if kept is not None and kept.get("file") == mark and _is_digest(kept.get("sha256")):
            return str(kept["sha256"])
        found = digest_of_file(descriptor)
        if mark_of(os.fstat(descriptor)) == mark and time.time() - facts.st_ctime > _SETTLED_SECONDS:
            try:  # noqa: SIM105 - contextlib is slow to load
                write_private(place, _NAME, canonical({"file": mark, "sha256": found}), is_lasting=False)
            except NotConfigured:
                pass  # the next hook digests it again
        return found

    return digest


def mark_of(facts: os.stat_result) -> str:
    """Return what a file is known again by: whoever writes to it changes this."""
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
