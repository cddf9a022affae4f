"""A process that is about to execute something: what it asks the kernel for, read from its memory, made into a call.

What is read here is what the reviewers see. That it is also what ran is checked after the execution (`witnessing.py`).
"""
# ruff: noqa: PTH115, PTH116, PTH118, PTH123 -- paths of /proc are plain texts

import errno
import os
import shlex
import socket
import struct
from typing import Final, NamedTuple

from failgate.client.command import ALWAYS, Call, build_call, close_call, is_script
from failgate.client.exits import CANNOT_EXECUTE, NotExecutable, Unverified
from failgate.client.messages import inert
from failgate.client.search import digest_of_file
from failgate.client.trapping import Trapped

_PAGE: Final = 4096
_MOST_BYTES: Final = 2 * 1024 * 1024  # of arguments and variables together, as the kernel takes by default
_MOST_TEXTS: Final = 64 * 1024
_HERE: Final = 0xFFFFFF9C  # AT_FDCWD as an unsigned 32-bit number
_END: Final = 1 << 63  # addresses from here on are the kernel's, on every architecture that is served
_EMPTY_PATH: Final = 0x1000


class Wish(NamedTuple):
    """What a task wants to execute."""

    process: int
    path: str
    argv: list[str]
    environment: dict[str, str]


def process_of(task: int) -> int:
    """Return the process of a task. Raises: OSError."""
    with open(f"/proc/{task}/status", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    raise ProcessLookupError


def origin_of(process: int) -> tuple[int, int]:
    """Return the parent of a process and when it began; both together with its number name it for good.

    Raises: OSError.
    """
    with open(f"/proc/{process}/stat", "rb") as stream:
        fields = stream.read().rpartition(b")")[2].split()
    return int(fields[1]), int(fields[19])


def image_of(process: int) -> tuple[int, int]:
    """Return device and inode of the program that a process runs. Raises: OSError."""
    found = os.stat(f"/proc/{process}/exe")
    return found.st_dev, found.st_ino


def wish_of(call: Trapped) -> Wish:
    """Return what a task that waits in execve or execveat asks for.

    Raises: NotExecutable (no text, too much of it, a descriptor in place of a path), OSError.
    """
    memory = _Memory(call.task)
    if call.name == "execve":
        place, at_argv, at_environment = call.arguments[:3]
    else:
        folder, place, at_argv, at_environment, flags = call.arguments[:5]
        if flags & _EMPTY_PATH or folder & 0xFFFFFFFF != _HERE:
            raise NotExecutable("A program is executed by its path here.", exit_code=CANNOT_EXECUTE)
    variables = (text.partition("=") for text in memory.texts(at_environment))
    return Wish(
        process_of(call.task), memory.text(place), memory.texts(at_argv),
        {name: value for name, sign, value in variables if sign},
    )  # fmt: skip


def path_of(call: Trapped) -> str:
    """Return the path that a task which waits in open, openat or creat names. Raises: OSError, NotExecutable."""
    return _Memory(call.task).text(call.arguments[1 if call.name == "openat" else 0])


def is_local(call: Trapped) -> bool:
    """Tell whether a task that waits in connect wants a socket of this machine's files. Raises: OSError."""
    return _Memory(call.task).bytes(call.arguments[1], 2) == struct.pack("=H", socket.AF_UNIX)


def call_of(wish: Wish) -> Call:
    """Return the call that `wish` is: all variables of it are shown.

    Raises: NotExecutable (no such program, or its name says another one), NotConfigured (a variable that makes programs
    load other code, or that looks like a secret), OSError.
    """
    if not wish.argv:
        raise NotExecutable("A program without a name is not executed.", exit_code=CANNOT_EXECUTE)
    more = [name for name in wish.environment if name not in ALWAYS and not name.startswith("LC_")]
    call = build_call(wish.argv, wish.environment, more, os.readlink(f"/proc/{wish.process}/cwd"))
    try:
        _check_wish(wish, call)
    except BaseException:
        close_call(call)
        raise
    return call


def _check_wish(wish: Wish, call: Call) -> None:
    if call.environment != wish.environment:
        raise NotExecutable(
            "A variable cannot be shown as it is, or PWD is not the folder.", exit_code=CANNOT_EXECUTE, hint="cd -P ."
        )
    wanted = os.path.realpath(os.path.join(call.command["cwd"], wish.path))
    if call.executable.path != wanted:
        raise NotExecutable(
            f"{inert(wish.argv[0])!r} names {inert(call.executable.path)}, and {inert(wish.path)} would be executed.",
            exit_code=CANNOT_EXECUTE,
            hint="Call the program by its own name.",
        )
    _check_folder(call, wish.process)


def check_executed(call: Call, process: int) -> None:
    """Return when what stands before its first instruction in `process` is what was approved, byte for byte.

    A script is compared with what its interpreter will be told to read; it opens the file after this.

    Raises: Unverified, OSError.
    """
    argv = _proc_texts(process, "cmdline")
    wanted = [os.fsencode(text) for text in call.argv]
    program = image_of(process)
    if is_script(call):
        interpreter = _interpreter_of(call)
        if program != interpreter or argv[len(argv) - len(wanted) + 1 :] != wanted[1:]:
            raise Unverified("The script runs under another interpreter or with other arguments.")
        if digest_of_path(call.executable.path) != call.executable.sha256:
            raise Unverified("The script changed since it was approved.")
    else:
        digest = digest_of_path(f"/proc/{process}/exe")
        if digest != call.executable.sha256 or argv != wanted:
            raise Unverified("It is another program, or it has other arguments.")
    if sorted(_proc_texts(process, "environ")) != sorted(
        os.fsencode(f"{name}={value}") for name, value in call.environment.items()
    ):
        raise Unverified("It has other variables.")
    _check_folder(call, process)


def _check_folder(call: Call, process: int) -> None:
    here = os.stat(f"/proc/{process}/cwd")
    if f"{here.st_dev}:{here.st_ino}" != call.command["cwd_dev_ino"]:
        raise Unverified("It runs in another folder.")


def digest_of_path(path: str) -> str:
    """Return SHA-256 in hex over the file at `path`. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return digest_of_file(descriptor)
    finally:
        os.close(descriptor)


def shown_line(call: Call) -> str:
    """Return the command as one line, for a marker and for messages."""
    return inert(shlex.join(call.argv))[:300]


def _interpreter_of(call: Call) -> tuple[int, int]:
    line = os.pread(call.executable.descriptor, 256, 2).split(b"\n")[0].split()
    found = os.stat(os.fsdecode(line[0])) if line else None
    if found is None:
        raise Unverified("The script names no interpreter.")
    return found.st_dev, found.st_ino


def _proc_texts(process: int, name: str) -> list[bytes]:
    with open(f"/proc/{process}/{name}", "rb") as stream:
        content = stream.read()
    return content[:-1].split(b"\0") if content else []


class _Memory:
    """The memory of a task, read. Its addresses are the task's own words, so each may point anywhere."""

    def __init__(self, task: int) -> None:
        self._task = task
        self._left = _MOST_BYTES

    def text(self, place: int) -> str:
        found: list[bytes] = []
        while True:
            piece = self.bytes(place, _PAGE - place % _PAGE)  # the next page may be another mapping, or none
            part = piece.partition(b"\0")[0]
            found.append(part)
            self._left -= len(part) + 1
            if self._left < 0:
                raise NotExecutable("The arguments are too long.", exit_code=CANNOT_EXECUTE)
            if len(part) < len(piece):
                break
            place += len(piece)
        try:
            return b"".join(found).decode()
        except UnicodeDecodeError:
            raise NotExecutable(
                "An argument or a variable is not UTF-8, so it cannot be shown to a reviewer.", exit_code=CANNOT_EXECUTE
            ) from None

    def bytes(self, place: int, size: int) -> bytes:
        """Return exactly `size` bytes. Raises: OSError (not all of them are there)."""
        if place + size > _END:  # no program's address, and no offset of a file
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        with open(f"/proc/{self._task}/mem", "rb", buffering=0) as stream:
            stream.seek(place)
            found = stream.read(size)
        if len(found) != size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return found

    def texts(self, place: int) -> list[str]:
        found: list[str] = []
        while place:
            (at,) = struct.unpack("<Q", self.bytes(place + 8 * len(found), 8))
            if not at:
                break
            if len(found) >= _MOST_TEXTS:
                raise NotExecutable("There are too many arguments.", exit_code=CANNOT_EXECUTE)
            found.append(self.text(at))
        return found
