"""Who answers for a recorded shell: which of its calls go on, which are asked for, which are refused.

The shell and its forks, as long as they run the shell's own program, are *ungated*: each program that they execute is
asked for, and what a shell could do without executing anything (write a file by a redirection, connect by `/dev/tcp`)
is refused. A program that was approved may do what it was approved for: execute others, write, connect; so may all that
descends from it, also a script run by the same program as the shell.
"""
# ruff: noqa: PTH110, PTH115, PTH116, PTH117, PTH118 -- paths of /proc are plain texts

import errno
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from failgate.base.errors import FailgateError
from failgate.client.asking import Asking, tell_outcome
from failgate.client.command import Call, check_unchanged, close_call, is_read
from failgate.client.exits import CANNOT_EXECUTE, NotExecutable, Unverified
from failgate.client.following import WATCHED
from failgate.client.foreign import (
    call_of,
    check_executed,
    image_of,
    is_local,
    origin_of,
    path_of,
    process_of,
    shown_line,
    wish_of,
)
from failgate.client.http import Api
from failgate.client.messages import Messages, inert
from failgate.client.settings import Settings
from failgate.client.trapping import Trapped, let_on, receive, refuse, still_waits
from failgate.client.verdict import check_approval, note_of, observed_of, remark_of
from failgate.client.witnessing import Witness

Mark = Callable[[str], None]
"""Adds a marker to the recording."""

_NOWHERE: Final = frozenset({"/dev/null", "/dev/tty"})
_STREAMS: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_OPENED: Final = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,5})", re.ASCII)


class Speaking(Messages):
    """Writes to the terminal of the shell, so that what is said is seen and recorded where it happened."""

    def __init__(self, terminal: int) -> None:
        """Write to the descriptor `terminal`."""
        super().__init__()
        self.is_live = False
        self._terminal = terminal

    def _write(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode("utf-8", "replace"))
        except OSError:
            return  # the shell is gone


class Gatekeeper:
    """Answers the calls of one shell, each question in a thread of its own."""

    def __init__(self, settings: Settings, mark: Mark) -> None:
        """Ask the server of `settings`; mark what happens in the recording."""
        self._settings = settings
        self._messages = Messages()
        self._mark = mark
        self._listener = -1
        self._terminal = ""
        self._shell: tuple[int, int] | None = None
        self._approved: set[tuple[int, int]] = set()

    def start(self, link: socket.socket) -> None:
        """Begin to answer, once the shell sends its listener and its terminal over `link`."""
        threading.Thread(target=self._answer_all, args=(link,), name="gatekeeper", daemon=True).start()

    def _answer_all(self, link: socket.socket) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        _, descriptors, _, _ = socket.recv_fds(link, 1, 2)
        if len(descriptors) != 2:
            return  # the shell did not come to be
        self._listener, terminal = descriptors
        self._messages = Speaking(terminal)
        self._terminal = os.ttyname(terminal)
        while True:
            try:
                call = receive(self._listener)
            except OSError:
                return  # nobody is left
            if call is None:
                continue
            try:
                self._answer(call)
            except (OSError, FailgateError):
                refuse(self._listener, call)

    def _answer(self, call: Trapped) -> None:
        process = process_of(call.task)
        if self._shell is None and call.name == "execve":
            self._shell = self._image_to_be(call)  # the first call makes the shell itself
            let_on(self._listener, call)
        elif self._is_free(process):
            let_on(self._listener, call)
        elif call.name in ("execve", "execveat"):
            threading.Thread(target=self._ask, args=(call,), name="asking", daemon=True).start()
        elif call.name == "connect" and is_local(call):
            refuse(self._listener, call, errno.ECONNREFUSED)  # a cache of names: files do as well
        elif call.name == "connect":
            self._refuse(call, "the shell itself connects to nothing; run a program that does")
        else:
            path = path_of(call)
            if self._is_harmless(process, path):
                let_on(self._listener, call)
            else:
                self._refuse(call, f"the shell itself writes no file; use: ... | tee {inert(path)[:200]}")

    def _is_harmless(self, process: int, path: str) -> bool:
        """Tell whether who opens `path` for writing reaches no file: a pipe of its own, its terminal, nothing.

        What a descriptor leads to is opened anew by its name in /proc, for writing too: its file is looked at.
        """
        if path in _NOWHERE or path == self._terminal:
            return True
        opened = _OPENED.fullmatch(path)
        number = int(opened[1]) if opened is not None else _STREAMS.get(path)
        if number is None:
            return False
        found = os.readlink(f"/proc/{process}/fd/{number}")
        return found.startswith(("pipe:[", "socket:[")) or found in _NOWHERE or found == self._terminal

    def _refuse(self, call: Trapped, why: str) -> None:
        self._messages.say("refused", why)  # first, so that it stands before what the shell says of it
        refuse(self._listener, call)

    def _image_to_be(self, call: Trapped) -> tuple[int, int]:
        found = os.stat(path_of_execution(call))
        return found.st_dev, found.st_ino

    def _is_free(self, process: int) -> bool:
        """Tell whether a process descends from an approved program, or is one. Raises: OSError (it is gone)."""
        if image_of(process) != self._shell:
            return True  # only what was approved runs another program than the shell
        at = process
        while at > 1:
            parent, began = origin_of(at)
            if (at, began) in self._approved:
                return True
            at = parent
        return False

    def _ask(self, trapped: Trapped) -> None:
        """Ask for one execution, let it happen when it is approved, watch it to its end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        call: Call | None = None
        try:
            wish = wish_of(trapped)
            if not still_waits(self._listener, trapped):
                return
            if not os.path.exists(os.path.join(f"/proc/{wish.process}/cwd", wish.path)):
                refuse(self._listener, trapped, errno.ENOENT)
                return
            call = call_of(wish)
            with Api(self._settings) as api:
                self._carry_out(trapped, call, api)
        except (FailgateError, OSError) as error:
            if still_waits(self._listener, trapped):
                self._refuse(trapped, inert(str(error)))
        finally:
            if call is not None:
                close_call(call)

    def _carry_out(self, trapped: Trapped, call: Call, api: Api) -> None:
        asking = Asking(api, self._messages, call.command, call.digest)
        standing = asking.submitted(reason=None)
        self._mark(f"asked {standing.id} {shown_line(call)}")
        if standing.state == "pending":
            self._messages.say("waiting", f"waiting for {standing.waiting_for or 'a reviewer'} (request {standing.id})")
        while standing.state == "pending":
            if not still_waits(self._listener, trapped):
                asking.withdraw()  # who wanted it is gone: Ctrl-C
                return
            standing = asking.looked(standing, time.monotonic() + 60, wait_seconds=1)
        if standing.state != "approved":
            self._mark(f"{_word(standing.state)} {standing.id}")
            self._refuse(trapped, f"{_word(standing.state)}{note_of(standing)}")
            return
        self._mark(f"{'observed' if observed_of(standing) else 'approved'} {standing.id}")
        check_approval(standing, call.digest, time.time())
        asking.check(lambda: check_unchanged(call))
        remark = remark_of(standing)
        asking.use(standing)
        if is_read(call):
            check_unchanged(call)
        if remark is not None:
            self._messages.say(*remark)
        began = time.monotonic()
        code = self._executed(trapped, call, standing.id)
        outcome = {
            "digest": call.digest, "exit_code": code, "duration_ms": round((time.monotonic() - began) * 1000),
            "signal": code - 128 if code > 128 else None,
        }  # fmt: skip
        self._mark(f"ended {standing.id} {code}")
        tell_outcome(api, self._messages, asking.route or "", outcome)

    def _executed(self, trapped: Trapped, call: Call, command_id: str) -> int:
        """Let the task execute what was approved, check that it did; return its exit code once it has ended."""

        def check(process: int) -> None:
            check_executed(call, process)
            self._approved.add((process, origin_of(process)[1]))
            self._mark(f"started {command_id}")

        try:
            witness = Witness(trapped.task)
        except OSError as error:
            why = os.strerror(error.errno or 1)
            self._refuse(trapped, f"what would run cannot be watched ({why}); is it traced already?")
            return CANNOT_EXECUTE
        if not let_on(self._listener, trapped):
            witness.let_go()
            return 128 + signal.SIGINT
        try:
            if not witness.until_executed(check):
                return CANNOT_EXECUTE
        except Unverified as error:
            self._messages.say("unverified", inert(str(error)))
            witness.until_end()
            return CANNOT_EXECUTE
        status = witness.until_end()
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def path_of_execution(call: Trapped) -> str:
    """Return the path that an execve names. Raises: NotExecutable, OSError."""
    wish = wish_of(call)
    if not os.path.isabs(wish.path):
        raise NotExecutable("The shell is executed by its whole path.", exit_code=CANNOT_EXECUTE)
    return wish.path


def _word(state: str) -> str:
    return state if state in ("denied", "expired") else "refused"
