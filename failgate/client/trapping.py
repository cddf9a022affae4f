"""System calls of a shell that wait for our word: a filter of the kernel stops them, and we answer each.

`install` puts the filter into the process that becomes the shell; it holds for all of its descendants and cannot be
taken off. It needs no privilege and gives none: `no_new_privs` is set, so programs with set-user-ID run without it.
A call of another architecture's table kills who makes it; when nobody listens any more, every call that waits for an
answer fails (ENOSYS).

Sources: seccomp(2), seccomp_unotify(2), linux/seccomp.h, linux/filter.h.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import struct
from typing import Any, Final, NamedTuple

from failgate.client.exits import NotConfigured

_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_WAIT_KILLABLE: Final = 32  # Linux 5.19: no signal but a deadly one takes the call back while we think
_ALLOW, _NOTIFY, _KILL, _ERROR = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32_BIT: Final = 0x40000000
_ARGUMENTS_AT: Final = 16  # of struct seccomp_data; each has 8 bytes
_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_IS_VALID: Final = 0x40082102
_GO_ON: Final = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_NOTIFICATION: Final = struct.Struct("<QIIiIQ6Q")
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class _Table(NamedTuple):
    """The numbers of one architecture; where it has no such call, None."""

    architecture: int
    seccomp: int
    execve: int
    execveat: int
    openat: int
    connect: int
    open: int | None
    creat: int | None


_TABLES: Final = {
    "x86_64": _Table(0xC000003E, 317, 59, 322, 257, 42, 2, 85),
    "aarch64": _Table(0xC00000B7, 277, 221, 281, 56, 203, None, None),
}


class Trapped(NamedTuple):
    """A call that waits: `name`, the task that made it, its arguments as numbers."""

    id: int
    task: int
    name: str
    arguments: tuple[int, ...]


class _Step(ctypes.Structure):
    _fields_ = [  # as ctypes wants it
        ("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint),
    ]  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = [("size", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step))]  # as ctypes wants it


def check_supported() -> None:
    """Return when this machine can stop a call and ask. Raises: NotConfigured."""
    if platform.system() != "Linux" or platform.machine() not in _TABLES:
        raise NotConfigured(
            f"failgate shell stops commands by the kernel of Linux on x86_64 or aarch64; this is {platform.system()} "
            f"on {platform.machine()}.",
            hint="Use failgate run for each command.",
        )
    release = platform.release().split("-")[0].split(".")
    if tuple(int(part) for part in release[:2] if part.isdigit()) < (5, 19):
        raise NotConfigured("failgate shell needs Linux 5.19 or later.", hint="Use failgate run for each command.")


def install() -> int:
    """Put the filter into this process, for good; return the descriptor on which its calls are answered.

    Raises: OSError.
    """
    library: Any = ctypes.CDLL(None, use_errno=True)
    table = _TABLES[platform.machine()]
    steps = _steps(table)
    program = _Program(len(steps), (_Step * len(steps))(*(_Step(*step) for step in steps)))
    if library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    descriptor = library.syscall(
        table.seccomp, _SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, ctypes.byref(program)
    )  # fmt: skip
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(descriptor)


def receive(listener: int) -> Trapped | None:
    """Return the next call that waits; None when it is gone already.

    Raises: OSError (nobody is left whose calls could wait).
    """
    octets = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, octets)
    except OSError as error:
        if error.errno == errno.EINTR or (error.errno == errno.ENOENT and not _is_left(listener)):
            return None
        raise
    identifier, task, _, number, _, _, *arguments = _NOTIFICATION.unpack(octets)
    table = _TABLES[platform.machine()]
    name = next(name for name in ("execve", "execveat", "openat", "connect", "open", "creat")
                if getattr(table, name) == number)  # fmt: skip
    return Trapped(identifier, task, name, tuple(arguments))


def _is_left(listener: int) -> bool:
    """Tell whether every process with the filter has ended. The kernel says ENOENT then, as for a call that is gone."""
    poll = select.poll()
    poll.register(listener, 0)
    return any(seen & select.POLLHUP for _, seen in poll.poll(0))


def still_waits(listener: int, call: Trapped) -> bool:
    """Tell whether the task still waits in this call: what was read of it before was its own."""
    try:
        fcntl.ioctl(listener, _IS_VALID, struct.pack("<Q", call.id))
    except OSError:
        return False
    return True


def let_on(listener: int, call: Trapped) -> bool:
    """Let the kernel do the call; False when nobody waits any more."""
    return _answer(listener, struct.pack("<QqiI", call.id, 0, 0, _GO_ON))


def refuse(listener: int, call: Trapped, number: int = errno.EACCES) -> bool:
    """Let the call fail with the error `number`; False when nobody waits any more."""
    return _answer(listener, struct.pack("<QqiI", call.id, 0, -number, 0))


def _answer(listener: int, octets: bytes) -> bool:
    try:
        fcntl.ioctl(listener, _SEND, octets)
    except OSError:
        return False
    return True


def _steps(table: _Table) -> list[tuple[int, int, int, int]]:
    """Return the filter: calls to execute, to open for writing and to connect wait, all others pass."""
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, table.architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_ABOVE, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    ]
    for number in (table.execve, table.execveat, table.connect, table.creat):
        if number is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOTIFY)]
    for number, place in ((table.openat, 2), (table.open, 1)):
        if number is not None:
            steps += [
                (_EQUAL, 0, 4, number),
                (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place),
                (_ANY_BIT, 0, 1, _WRITES),
                (_RETURN, 0, 0, _NOTIFY),
                (_RETURN, 0, 0, _ALLOW),
            ]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]
