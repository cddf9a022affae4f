"""Standard input that is read before the command is asked for, so that its digest is part of what is approved."""

from __future__ import annotations

import os

from failgate.base.errors import BadInput

MOST_BYTES = 16 << 20
_PIECE = 1 << 16


def hold_input() -> int:
    """Return a descriptor of all that our standard input gives, at its beginning; nobody can change it any more.

    Raises: BadInput (more than 16 MiB).
    """
    held = _file()
    size = 0
    while piece := os.read(0, _PIECE):
        size += len(piece)
        if size > MOST_BYTES:
            os.close(held)
            raise BadInput(
                f"Standard input has more than {MOST_BYTES >> 20} MiB.", hint="Give it as a file, or leave out --stdin."
            )
        while piece:
            piece = piece[os.write(held, piece) :]
    _seal(held)
    os.lseek(held, 0, os.SEEK_SET)
    return held


def _file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        return os.dup(file.fileno())


def _seal(held: int) -> None:
    """Let nobody write, also not the command through its own descriptor, where the system can do that."""
    from fcntl import fcntl

    try:
        from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE
    except ImportError:
        return
    fcntl(held, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
