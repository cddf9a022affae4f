"""A program run once, without a shell, as if nobody stood between it and its terminal.

Its exit code, its signals and the order of its output are kept. Standard input is the program's own. When its output is
captured, it comes through pipes or through a pseudo-terminal and is written on at once. Three ways:

- pipes: the program sees pipes;
- shared: it sees a pseudo-terminal in place of our output, and stays in the session and the process group of ours, so
  that the terminal's keys reach it as always. Also where standard input is no terminal, or nobody is in front;
- own: it gets a session and a terminal of its own (`terminal.lead_session`) and we pass keys on. Programs that set the
  modes of their terminal, as editors and pagers do, need that.
"""

from __future__ import annotations

import os
import time

from failgate.base.quick import NamedTuple, signal
from failgate.client.exits import CANNOT_EXECUTE, NotExecutable, Unverified
from failgate.client.following import WATCHED, Following, Program, Usage, words_of
from failgate.client.output import Output
from failgate.client.routes import Route, Way, open_routes, screen_for

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from failgate.client.copies import Held
    from failgate.client.holding import Holder

__all__ = ["Ended", "Usage", "Way", "execute"]


_CHANGED = 3  # `holding.CHANGED`, which is loaded only where something is held


class Ended(NamedTuple):
    """How the program ended: its exit code (128 + N after signal N), that signal, the wall time, what it used.

    `is_held` is False when its script could not be held while it began.
    """

    exit_code: int
    signal: int | None
    duration_ms: int
    usage: Usage | None = None
    is_held: bool = True


def execute(
    argv: Sequence[str],
    *,
    path: str,
    environment: Mapping[str, str],
    descriptor: int | None = None,
    folder: int | None = None,
    output: Output | None = None,
    way: Way = "shared",
    prepare: Callable[[], None] | None = None,
    held: Held | None = None,
) -> Ended:
    """Run the program at `path` with exactly `argv` and `environment`; return how it ended.

    With `descriptor` (open on that file) a binary is executed by the descriptor, so that no other file can take its
    place; a script by its path. With `folder` (a descriptor) it runs there. With `output`, all of its output is kept
    there too, and goes the given `way`. `prepare` is called in the new process, the last thing before it becomes the
    program; its OSError is why it cannot be executed. What is `held` (`holding.hold`) is all that runs; its copies are
    closed here.

    Raises: NotExecutable (the system refuses to execute it), Unverified (it was another file, and killed at once).
    """
    holder = _holder_of(held) if held is not None else None
    if holder is not None:
        prepare = holder.join
    screen = screen_for(way) if output is not None else None
    routes = open_routes(way, screen, output) if output is not None else []
    failing, failure = os.pipe2(os.O_CLOEXEC)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    started = time.monotonic()

    def begin() -> NoReturn:
        _become(argv, path, environment, descriptor, folder, routes, failure, before - set(WATCHED), prepare)

    try:
        program = _start_own(routes[0], screen, (failing, failure), begin) if screen is not None else _start(begin)
        os.close(failure)
        for route in routes:
            os.close(route.writer)
        refused = os.read(failing, 16)
        status, usage = Following(program, routes, output, screen).until_end()
    finally:
        if screen is not None:
            screen.leave()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(failing)
        how = holder.until_end() if holder is not None else 0
    if how == _CHANGED:
        raise Unverified("The program or its script changed as it began; it was killed at once.", hint="Ask again.")
    if refused:
        error = int(refused)
        raise NotExecutable(f"{argv[0]!a} cannot be executed: {os.strerror(error)}.", exit_code=CANNOT_EXECUTE)
    duration_ms = round((time.monotonic() - started) * 1000)
    if os.WIFSIGNALED(status):
        return Ended(128 + os.WTERMSIG(status), os.WTERMSIG(status), duration_ms, usage, how == 0)
    return Ended(os.WEXITSTATUS(status), None, duration_ms, usage, how == 0)


def _holder_of(held: Held) -> Holder:
    from failgate.client.holding import Holder

    try:
        return Holder(held)
    finally:
        for copy in set(held.copies.values()):
            os.close(copy)


def _start(begin: Callable[[], NoReturn]) -> Program:
    child = os.fork()
    if child == 0:
        begin()
    return Program(child, child, None)


def _start_own(route: Route, screen: Any, refusal: tuple[int, int], begin: Callable[[], NoReturn]) -> Program:
    """Start the program as the first of a session on its own terminal."""
    from failgate.client.terminal import lead_session

    reading, writing = os.pipe2(os.O_CLOEXEC)

    def report(number: int, usage: Any) -> None:
        if usage is None:
            os.close(refusal[1])  # the program alone holds it now, until it is executed
        words = (number,) if usage is None else (number, *words_of(usage))
        os.write(writing, (" ".join(map(str, words)) + "\n").encode())

    leader = os.fork()
    if leader == 0:
        for ours in (reading, route.source, refusal[0]):
            os.close(ours)
        lead_session(route.writer, screen, begin, report)
    os.close(writing)
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(reading, 1)
        if not byte:
            break  # the leader could not even fork: its end says so
        line += byte
    return Program(leader, int(line) if line.endswith(b"\n") else leader, reading)


def _become(
    argv: Sequence[str],
    path: str,
    environment: Mapping[str, str],
    descriptor: int | None,
    folder: int | None,
    routes: Sequence[Route],
    reporter: int,
    mask: set[signal.Signals | int] | set[int],
    prepare: Callable[[], None] | None,
) -> NoReturn:
    """Turn the forked process into the program, with the signals of `mask` blocked. Never returns."""
    error = 0
    try:
        for route in routes:
            for served in route.serves:
                os.dup2(route.writer, served)
        if folder is not None:
            os.fchdir(folder)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; programs expect the default
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if prepare is not None:
            prepare()
        if descriptor is not None and os.execve in os.supports_fd and os.pread(descriptor, 2, 0) != b"#!":
            os.execve(descriptor, list(argv), dict(environment))  # noqa: S606  # running a program is the purpose
        os.execve(path, list(argv), dict(environment))  # noqa: S606  # running a program is the purpose
    except OSError as failure:
        error = failure.errno or 1
    finally:
        os.write(reporter, str(error or 1).encode())
        os._exit(CANNOT_EXECUTE)
