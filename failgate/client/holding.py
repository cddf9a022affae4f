"""What was approved, held while it begins: another process may rewrite, rename or relink the files, it still runs.

A script is opened by its interpreter, by a path, some time after it was compared. Therefore a copy of the compared
bytes is sealed in memory, and the interpreter is traced over its beginning: where it opens the script, the kernel is
given the copy's name instead. The program keeps its arguments, its `$0`, `__file__` and folder.
A binary, and what reads a script, is compared once more after it was executed and before its first instruction: from
then on the kernel lets nobody write to it. Then the tracing ends, before anything is executed that could gain rights.

A process of its own traces, because ours reads the program's output meanwhile. When it dies, the program is killed.
Sources: ptrace(2), PTRACE_GET_SYSCALL_INFO; memfd_create(2); fcntl(2), "File Sealing"; proc(5), /proc/PID/fd.
"""
# ruff: noqa: PTH115, PTH116, PTH118, PTH123, PTH208 -- pathlib would slow the start

from __future__ import annotations

import os
import struct
import sys

from failgate.base.quick import NamedTuple, signal
from failgate.client.exits import Unverified
from failgate.client.search import digest_of_file

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import IO, Any, Literal, NoReturn

    from failgate.client.copies import Held

_SEIZE, _CONTINUE, _DETACH, _SYSCALL, _LISTEN = 0x4206, 7, 17, 24, 0x4208
_GET_REGISTERS, _SET_REGISTERS, _CALL_INFO = 0x4204, 0x4205, 0x420E
_OPTIONS = 0x1 | 0x10 | 0x100000  # calls are told from signals, executions are told, killed with us
_FORKS = 0x2 | 0x4  # a further process is told, and traced from its beginning
_SET_OPTIONS, _EVENT_SAYS = 0x4200, 0x4201
_FORKED, _EXECUTED, _STOPPED, _CALLED = (1, 2), 4, 128, 0x80 | signal.SIGTRAP
_ENTERS, _RETURNS = 1, 2
_EVERY_TASK = 0x40000000
_MAY_TRACE = 0x59616D61  # PR_SET_PTRACER
_AFTERWARDS = 512  # calls after the script was opened: Python looks whether it is an archive and opens it again
_BELOW = 1024  # bytes under the stack's end that no interpreter uses while it is in a call
_AT_FOLDER = 2**32 - 100  # AT_FDCWD
_PAGE = 4096  # or more: what is read in one go never ends beyond a page
_LONGEST_PATH = 4096  # PATH_MAX, beyond which the kernel opens nothing
_SAID = struct.Struct("=B15xQQ6Q")  # kind, stack, number or result, arguments
FINE, CHANGED, UNTRACED = 0, 3, 4


class _Machine(NamedTuple):
    """The calls of one architecture, each with the place of its path, and the registers of arguments 0 and 1."""

    opens: dict[int, int]
    executes: tuple[int, ...]
    registers: tuple[int, int]


MACHINES = {
    "x86_64": _Machine({2: 0, 257: 1, 437: 1}, (59, 322), (14, 13)),
    "aarch64": _Machine({56: 1, 437: 1}, (221, 281), (0, 1)),
}


class Holder:
    """The process that traces one program over its beginning."""

    def __init__(self, held: Held) -> None:
        """Start it. Raises: OSError."""
        self._told, self._tells = os.pipe2(os.O_CLOEXEC)
        self._going, self._goes = os.pipe2(os.O_CLOEXEC)
        self._process = os.fork()
        if self._process == 0:
            _trace(held, self._told, self._goes)
        os.close(self._told)
        os.close(self._goes)

    def join(self) -> None:
        """Let this process, which is about to execute, be traced. Raises: OSError (nobody is there to do it)."""
        import ctypes

        ctypes.CDLL(None).prctl(_MAY_TRACE, ctypes.c_ulong(self._process), 0, 0, 0)
        os.write(self._tells, struct.pack("=i", os.getpid()))
        if not os.read(self._going, 1):
            raise OSError(1, "Operation not permitted")

    def until_end(self) -> int:
        """Return how it ended: FINE, CHANGED (it killed the program), UNTRACED (the program ran by its path)."""
        os.close(self._tells)
        os.close(self._going)
        _, status = os.waitpid(self._process, 0)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else CHANGED


def _trace(held: Held, told: int, goes: int) -> NoReturn:
    code = CHANGED
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        null = os.open(os.devnull, os.O_RDWR)
        for ours in (0, 1, 2):
            os.dup2(null, ours)  # whoever reads our output need not wait for this process
        kept = {0, 1, 2, told, goes, *held.copies.values()}
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in kept:
                os.closerange(int(name), int(name) + 1)
        said = os.read(told, 4)
        if len(said) == 4:
            code = _Tracer(held, struct.unpack("=i", said)[0]).run(goes)
    finally:
        os._exit(code)


def _text_at(memory: IO[bytes], address: int) -> bytes:
    """Return the text that ends with a NUL, read page by page: the one after its last may not be there."""
    memory.seek(address)
    found = b""
    while b"\0" not in found and len(found) < _LONGEST_PATH:
        piece = memory.read(_PAGE - (address + len(found)) % _PAGE)
        if not piece:
            break
        found += piece
    return found.partition(b"\0")[0]


class _Tracer:
    """Traces one task."""

    def __init__(self, held: Held, task: int) -> None:
        import ctypes

        self._ctypes = ctypes
        self._library: Any = ctypes.CDLL(None, use_errno=True)
        self._library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._library.ptrace.restype = ctypes.c_long
        self._said = ctypes.create_string_buffer(88)
        self._said_at = ctypes.addressof(self._said)
        self._machine = MACHINES[os.uname().machine]
        self._held, self._task = held, task
        self._images = list(held.images)
        self._arguments = held.arguments
        self._closed = set(held.copies.values())  # copies that nobody opened yet
        self._given: tuple[int, int, int] | None = None  # copy, register, its content
        self._calls = 0
        self._further = held.levels  # programs that are still to be executed

    def run(self, goes: int) -> int:
        """Return FINE when it was held, CHANGED when it was killed, UNTRACED when its script was not seen opened."""
        try:
            self._request(_SEIZE, value=_OPTIONS | (_FORKS if self._further > 1 else 0))
        except OSError:
            os.write(goes, b"n")
            return UNTRACED
        os.write(goes, b"y")
        try:
            while not self._is_over():
                pass
        except ProcessLookupError:
            os.waitpid(self._task, _EVERY_TASK)  # killed meanwhile
        except (OSError, ValueError, Unverified):
            os.kill(self._task, signal.SIGKILL)
            os.waitpid(self._task, _EVERY_TASK)
            return CHANGED
        # Another task of it may have opened the script, or executed the program.
        return UNTRACED if self._closed or self._images else FINE

    def _is_over(self) -> bool:
        _, status = os.waitpid(self._task, _EVERY_TASK)
        if not os.WIFSTOPPED(status):
            return True
        number, event = os.WSTOPSIG(status), status >> 16
        go_on, passed = _SYSCALL if self._is_begun else _CONTINUE, 0
        if event in _FORKED:
            return self._follow()
        if event == _EXECUTED:
            self._check_image()
            if not self._images and not self._closed:
                go_on = _DETACH
            elif self._closed:
                self._is_begun, go_on = True, _SYSCALL
        elif number == _CALLED:
            if self._is_done():
                go_on = _DETACH
        elif event == _STOPPED:
            if number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
                go_on = _LISTEN
        else:
            passed = number
        self._request(go_on, value=passed)
        return go_on == _DETACH

    _is_begun = False

    def _follow(self) -> Literal[False]:
        """Go on with the process that was just begun: a shell, or `timeout`, starts its program in one."""
        said = self._ctypes.c_ulong()
        self._request(_EVENT_SAYS, value=self._ctypes.addressof(said))
        self._request(_DETACH)
        self._task = int(said.value)
        return False

    def _check_image(self) -> None:
        self._further -= 1
        if self._further == 0 and self._held.levels > 1:
            self._request(_SET_OPTIONS, value=_OPTIONS)
        if self._arguments:
            with open(f"/proc/{self._task}/cmdline", "rb") as stream:
                found = stream.read()[:-1].split(b"\0")
            wanted, self._arguments = self._arguments, []
            if found[-len(wanted) :] != wanted or (self._images and len(found) != len(wanted)):
                raise Unverified("The interpreter was given other arguments than those of the script's first line.")
        if not self._images:
            return
        path, sha256 = self._images.pop(0)
        image = f"/proc/{self._task}/exe"
        if sha256:
            descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
            is_wanted = digest_of_file(descriptor) == sha256
            os.close(descriptor)
        else:
            is_wanted = os.path.samestat(os.stat(image), os.stat(path))
        if not is_wanted:
            raise Unverified("What was executed is not what was approved.")

    def _is_done(self) -> bool:
        """Look at a call that begins or ends; tell whether the program needs no more looking after."""
        self._request(_CALL_INFO, 88, self._said_at)
        kind, stack, number, *arguments = _SAID.unpack_from(self._said)
        if kind == _ENTERS:
            self._calls += not self._closed
            if not self._closed and (self._calls > _AFTERWARDS or number in self._machine.executes):
                return True
            if number in self._machine.opens:
                self._open(number, arguments, stack)
        elif kind == _RETURNS and self._given is not None:
            copy, register, before = self._given
            self._given = None
            registers = self._registers()
            registers[register] = before
            self._set_registers(registers)
            if number < 2**63:  # the result, which is no error
                self._closed.discard(copy)
        return False

    def _open(self, number: int, arguments: list[int], stack: int) -> None:
        """Give the call that opens a held file the name of its copy."""
        place = self._machine.opens[number]
        flags = arguments[place + 1]
        with open(f"/proc/{self._task}/mem", "r+b", buffering=0) as memory:
            if number == 437:
                memory.seek(flags)
                flags = int.from_bytes(memory.read(8), sys.byteorder)
            if flags & (os.O_ACCMODE | os.O_PATH | os.O_DIRECTORY | os.O_CREAT | os.O_TRUNC):
                return
            name = os.fsdecode(_text_at(memory, arguments[place]))
            if not name.startswith("/"):
                name = os.path.join(self._folder(arguments[0] & (2**32 - 1) if place else _AT_FOLDER), name)
            copy = self._held.copies.get(os.path.normpath(name))
            if copy is None:
                return
            memory.seek(stack - _BELOW)
            memory.write(f"/proc/{os.getpid()}/fd/{copy}".encode() + b"\0")
        registers = self._registers()
        register = self._machine.registers[place]
        self._given = (copy, register, registers[register])
        registers[register] = stack - _BELOW
        self._set_registers(registers)

    def _folder(self, descriptor: int) -> str:
        """Return where a relative name begins; the folder of the call by its approved name, also if it was renamed."""
        here = f"/proc/{self._task}/{'cwd' if descriptor == _AT_FOLDER else f'fd/{descriptor}'}"
        facts = os.stat(here)
        name, identity = self._held.folder
        return name if f"{facts.st_dev}:{facts.st_ino}" == identity else os.readlink(here)

    def _registers(self) -> list[int]:
        buffer = self._ctypes.create_string_buffer(512)
        length = self._moved(_GET_REGISTERS, buffer, 512)
        return list(struct.unpack(f"={length // 8}Q", buffer.raw[:length]))

    def _set_registers(self, registers: list[int]) -> None:
        packed = struct.pack(f"={len(registers)}Q", *registers)
        self._moved(_SET_REGISTERS, self._ctypes.create_string_buffer(packed, len(packed)), len(packed))

    def _moved(self, request: int, buffer: Any, size: int) -> int:
        """Move the general registers to or from `buffer`; return how many bytes they have."""
        vector = (self._ctypes.c_size_t * 2)(self._ctypes.addressof(buffer), size)
        self._request(request, 1, self._ctypes.addressof(vector))
        return int(vector[1])

    def _request(self, request: int, address: int = 0, value: int = 0) -> None:
        if self._library.ptrace(request, self._task, address, value) < 0:
            number = self._ctypes.get_errno()
            raise OSError(number, os.strerror(number))
