"""A program of another process, watched from its execution to its end: what was executed is read off it.

The kernel copies path, arguments and variables of a call to execute after our answer, so what was read before may have
been changed meanwhile by whoever may write the task's memory. Therefore the task is traced over its execution: the new
program stands still before its first instruction, in memory that is its own alone, and is compared with what was
approved; when it differs it is killed there. Then it runs on and is watched until it ends, for its exit code.

`os.waitpid` is asked for the tasks of this thread alone: each program is watched by a thread of its own.
Source: ptrace(2), PTRACE_SEIZE and PTRACE_EVENT_EXEC.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from failgate.client.exits import Unverified

_SEIZE, _INTERRUPT, _LISTEN, _CONTINUE, _DETACH = 0x4206, 0x4207, 0x4208, 7, 17
_TRACE_EXECUTION, _KILL_WITH_US = 0x10, 0x100000
_EXECUTED, _STOPPED = 4, 128
_EVERY_TASK, _OF_THIS_THREAD = 0x40000000, 0x20000000
_STOPS: Final = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Witness:
    """Watches the execution of one task."""

    def __init__(self, task: int) -> None:
        """Hold the task, which waits in its call, so that it stands still right after it.

        Raises: OSError (it is gone, or it is traced by somebody else).
        """
        self._library: Any = ctypes.CDLL(None, use_errno=True)
        self._library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._library.ptrace.restype = ctypes.c_long
        self._trace(_SEIZE, task, _TRACE_EXECUTION | _KILL_WITH_US)
        self._trace(_INTERRUPT, task)
        self._task = task

    def until_executed(self, check: Callable[[int], None]) -> bool:
        """Return True when the program stands and `check` of its process raised nothing; False when none was executed.

        Raises: Unverified, from `check`: the program is killed before its first instruction.
        """
        while True:
            process, status = self._wait()
            if not os.WIFSTOPPED(status):
                return False
            event = status >> 16
            if event == _EXECUTED:
                self._task = process  # a thread that executes becomes the first of its process
                try:
                    check(process)
                except (Unverified, OSError) as error:
                    os.kill(process, signal.SIGKILL)
                    raise Unverified(
                        "What was executed is not what was approved; it was killed before it began.",
                        hint=str(error),
                    ) from error
                self._trace(_CONTINUE, process)
                return True
            if event == _STOPPED:  # the call came back: nothing was executed
                self.let_go()
                return False
            self._trace(_CONTINUE, process, os.WSTOPSIG(status))

    def until_end(self) -> int:
        """Return the wait status with which the program ended. Signals and stops pass."""
        while True:
            process, status = self._wait()
            if not os.WIFSTOPPED(status):
                return status
            number, event = os.WSTOPSIG(status), status >> 16
            with contextlib.suppress(OSError):  # killed meanwhile: its end comes next
                if event == _STOPPED and number in _STOPS:
                    self._trace(_LISTEN, process)
                else:
                    self._trace(_CONTINUE, process, 0 if event else number)

    def let_go(self) -> None:
        """Watch no longer; the task runs on."""
        with contextlib.suppress(OSError):
            self._trace(_DETACH, self._task)

    def _wait(self) -> tuple[int, int]:
        return os.waitpid(-1, _EVERY_TASK | _OF_THIS_THREAD)

    def _trace(self, request: int, task: int, value: int = 0) -> None:
        if self._library.ptrace(request, task, None, value) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
