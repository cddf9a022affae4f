"""What of a call has to be held while it begins (`holding.py`): copies of its scripts, digests of its programs."""
# ruff: noqa: PTH118, PTH119 -- pathlib would slow the start

from __future__ import annotations

import os
import sys

from failgate.base.quick import NamedTuple
from failgate.client.command import own_programs
from failgate.client.exits import Unverified
from failgate.client.holding import MACHINES
from failgate.client.messages import inert
from failgate.client.operand import named_script
from failgate.client.search import digest_of_file, find_executable, interpreter_of, is_of_system
from failgate.wire.starters import chain_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from failgate.client.command import Call

_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # of the seals, the size both ways, the bytes
_ADD_SEALS = 1033
_PIECE = 1 << 20


class Held(NamedTuple):
    """What is held: sealed copies by the paths under which they are opened, and the images that have to be executed.

    `images` are (path, SHA-256 or "" for a file of the system), in the order in which they replace one another.
    `arguments` are those with which a script's interpreter begins, none for a binary. `folder` is where it runs, with
    its identity. `levels` counts the programs that start one another until the one that this is about.
    """

    copies: dict[str, int]
    images: list[tuple[str, str]]
    arguments: list[bytes]
    folder: tuple[str, str]
    levels: int = 1


def hold(call: Call) -> Held | None:
    """Return what of `call` has to be held; None when nobody but root may change it, or where nothing can be held.

    Raises: Unverified (a file changed since it was digested).
    """
    if sys.platform != "linux" or os.uname().machine not in MACHINES:
        return None
    copies: dict[str, int] = {}
    images: list[tuple[str, str]] = []
    cwd, path = call.command["cwd"], call.environment.get("PATH", os.defpath)
    executable, arguments = call.executable, list[bytes]()
    try:
        if os.pread(executable.descriptor, 2, 0) == b"#!":
            copies[executable.path] = _sealed(executable.path, executable.descriptor, executable.sha256)
            images = _readers(copies[executable.path], cwd, path)
            arguments = _read_with(copies[executable.path])
            arguments += [os.fsencode(word) for word in (executable.path, *call.argv[1:])]
        elif not is_of_system(executable.path) and not _gains(executable.descriptor):
            images = [(executable.path, executable.sha256)]
        script = call.command.get("script")
        if script is not None:
            descriptor = os.open(script["path"], os.O_RDONLY | os.O_CLOEXEC)
            try:
                copy = _sealed(script["path"], descriptor, script["sha256"])
            finally:
                os.close(descriptor)
            found = named_script(call.argv, cwd, path)
            if found is None or found[1] != script:
                raise Unverified("The script is another text than when it was approved.", hint="Ask again.")
            copies[found[0]] = copies[script["path"]] = copy  # some interpreters follow links by themselves
        elif own_programs(call):
            images = _started(call, cwd, path)
    except OSError as error:
        raise Unverified(f"What was approved cannot be read any more: {error.strerror}.", hint="Ask again.") from error
    place, levels = (cwd, call.command["cwd_dev_ino"]), len(chain_of(call.argv)[0])
    return Held(copies, images, arguments, place, levels) if copies or images else None


def _started(call: Call, cwd: str, path: str) -> list[tuple[str, str]]:
    """Return the images of the programs that start one another, each executed by the one before; none if one gains."""
    programs = call.command["programs"] if call.programs is None else call.programs
    images = [(call.executable.path, "" if is_of_system(call.executable.path) else call.executable.sha256)]
    for level in chain_of(call.argv)[0][1:]:
        place = find_executable(level[0], cwd, path)
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _gains(descriptor):
                return []
        finally:
            os.close(descriptor)
        images.append((place, programs.get(level[0], {}).get("sha256", "")))
    return images


def _gains(descriptor: int) -> bool:
    """Tell whether the program gains rights when it is executed, which it would not while it is traced."""
    if os.fstat(descriptor).st_mode & 0o6000:
        return True
    try:
        return bool(os.getxattr(descriptor, "security.capability"))
    except OSError:
        return False


def _sealed(path: str, descriptor: int, sha256: str) -> int:
    """Return a descriptor of a copy that nobody can change, of the file that has this digest."""
    import fcntl

    copy = os.memfd_create("script", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    at = 0
    while piece := os.pread(descriptor, _PIECE, at):
        at += len(piece)
        while piece:
            piece = piece[os.write(copy, piece) :]
    fcntl.fcntl(copy, _ADD_SEALS, _SEALS)
    if digest_of_file(copy) != sha256:
        os.close(copy)
        raise Unverified(f"The script {inert(path)} changed since it was approved.", hint="Ask again.")
    return copy


def _read_with(copy: int) -> list[bytes]:
    """Return interpreter and argument of a script's first line, as the kernel splits it."""
    line = os.pread(copy, 256, 0)[2:].split(b"\n")[0].strip(b" \t")
    name = line.replace(b"\t", b" ").split(b" ")[0]
    rest = line[len(name) :].strip(b" \t")
    return [name, rest] if rest else [name]


def _readers(copy: int, cwd: str, path: str) -> list[tuple[str, str]]:
    """Return the image that the kernel starts for the script, and the one that `env` starts then."""
    name = os.fsdecode(_read_with(copy)[0])
    found = [os.path.realpath(os.path.join(cwd, name))]
    if os.path.basename(name) == "env" and (started := interpreter_of(copy, cwd, path)):
        found.append(started)
    images: list[tuple[str, str]] = []
    for place in found:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.pread(descriptor, 2, 0) == b"#!":
                break  # a script that reads a script starts what it likes
            images.append((place, "" if is_of_system(place) else digest_of_file(descriptor)))
        finally:
            os.close(descriptor)
    return images
