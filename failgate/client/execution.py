"""A program run once, without a shell, as if nobody stood between it and its terminal.

Its exit code, its signals and the order of its output are kept. When the output is captured, it goes through pipes (a
pseudo-terminal where our own output is a terminal) and is written on at once; standard input is always the program's
own.
"""

import _thread
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from failgate.client.exits import CANNOT_EXECUTE, NotExecutable

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGWINCH,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_FROM_KERNEL = 0x80  # si_code SI_KERNEL: a terminal sent the signal to the whole foreground group, the program has it
_LINGER_SECONDS = 1.0
_PIECE = 64 * 1024

Sink = Callable[[bytes], None]


class Ended(NamedTuple):
    """How the program ended: its exit code (128 + N after signal N), that signal, and the wall time."""

    exit_code: int
    signal: int | None
    duration_ms: int


class Route(NamedTuple):
    """Output on its way: what we read, where it goes, which of the program's descriptors write it."""

    source: int
    target: int
    writer: int
    serves: tuple[int, ...]
    is_terminal: bool


def execute(
    argv: Sequence[str],
    *,
    path: str,
    environment: Mapping[str, str],
    descriptor: int | None = None,
    folder: int | None = None,
    sink: Sink | None = None,
) -> Ended:
    """Run the program at `path` with exactly `argv` and `environment`; return how it ended.

    With `descriptor` (open on that file) a binary is executed by the descriptor, so that no other file can take its
    place; a script by its path. With `folder` (a descriptor) it runs there. With `sink`, every piece of its output is
    handed over too.

    Raises: NotExecutable (the system refuses to execute it).
    """
    routes = _routes() if sink else []
    report, reporter = os.pipe2(os.O_CLOEXEC)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    started = time.monotonic()
    try:
        child = os.fork()
        if child == 0:
            _become(argv, path, environment, descriptor, folder, routes, reporter, before - set(_FORWARDED))
        os.close(reporter)
        for route in routes:
            os.close(route.writer)
        failure = os.read(report, 16)
        status = _follow(child, routes, sink)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(report)
    if failure:
        error = int(failure)
        raise NotExecutable(f"{argv[0]!a} cannot be executed: {os.strerror(error)}.", exit_code=CANNOT_EXECUTE)
    duration_ms = round((time.monotonic() - started) * 1000)
    if os.WIFSIGNALED(status):
        return Ended(128 + os.WTERMSIG(status), os.WTERMSIG(status), duration_ms)
    return Ended(os.WEXITSTATUS(status), None, duration_ms)


def _become(
    argv: Sequence[str],
    path: str,
    environment: Mapping[str, str],
    descriptor: int | None,
    folder: int | None,
    routes: Sequence[Route],
    reporter: int,
    mask: "set[signal.Signals | int] | set[int]",
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
        if descriptor is not None and os.execve in os.supports_fd and os.pread(descriptor, 2, 0) != b"#!":
            os.execve(descriptor, list(argv), dict(environment))  # noqa: S606  # running a program is the purpose
        os.execve(path, list(argv), dict(environment))  # noqa: S606  # running a program is the purpose
    except OSError as failure:
        error = failure.errno or 1
    finally:
        os.write(reporter, str(error or 1).encode())
        os._exit(CANNOT_EXECUTE)


def _follow(child: int, routes: Sequence[Route], sink: Sink | None) -> int:
    """Forward signals and output until `child` has ended; return its wait status."""
    is_over = [False]
    terminals = [route.source for route in routes if route.is_terminal]
    waiter = _thread.start_new_thread(_forward, (child, terminals, is_over))
    try:
        if sink is not None:
            _copy(child, routes, sink)
        return os.waitpid(child, 0)[1]
    finally:
        is_over[0] = True
        signal.pthread_kill(waiter, signal.SIGUSR2)
        for route in routes:
            os.close(route.source)


def _forward(child: int, terminals: Sequence[int], is_over: list[bool]) -> None:
    """Hand every signal that was meant for us on to `child`; those of a terminal reached it already."""
    while True:
        received = signal.sigwaitinfo(_FORWARDED)
        if is_over[0]:
            return
        if received.si_signo == signal.SIGWINCH:
            for terminal in terminals:
                _copy_size(terminal)
        elif received.si_code == _FROM_KERNEL:
            continue
        try:
            os.kill(child, received.si_signo)
        except ProcessLookupError:
            return


def _copy(child: int, routes: Sequence[Route], sink: Sink) -> None:
    """Copy output until all of it is read, or a second after `child` ended while others keep its output open."""
    open_routes = {route.source: route for route in routes}
    poll = select.poll()
    for source in open_routes:
        poll.register(source, select.POLLIN)
    ended = os.pidfd_open(child)
    poll.register(ended, select.POLLIN)
    deadline: float | None = None
    try:
        while open_routes:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = poll.poll(None if left is None else left * 1000)
            if deadline is not None and (not ready or left == 0.0):
                return
            for descriptor, _ in ready:
                if descriptor == ended:
                    poll.unregister(ended)
                    deadline = time.monotonic() + _LINGER_SECONDS
                elif not _pass_on(open_routes[descriptor], sink):
                    poll.unregister(descriptor)
                    del open_routes[descriptor]
    finally:
        os.close(ended)


def _pass_on(route: Route, sink: Sink) -> bool:
    """Copy one piece; tell whether more may come. A reader that went away ends the route: the program gets SIGPIPE."""
    try:
        piece = os.read(route.source, _PIECE)
    except OSError:
        return False  # the last writer closed its pseudo-terminal
    if not piece:
        return False
    sink(piece)
    view = memoryview(piece)
    while view:
        try:
            view = view[os.write(route.target, view) :]
        except BlockingIOError:
            select.select([], [route.target], [])
        except OSError:
            os.dup2(_null(), route.source)
            return False
    return True


def _null() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _routes() -> list[Route]:
    """Return how stdout and stderr are captured; where both are the same file, they share a route, in order."""
    if _same_file(1, 2):
        return [_route(1, (1, 2))]
    return [_route(1, (1,)), _route(2, (2,))]


def _route(target: int, serves: tuple[int, ...]) -> Route:
    if os.isatty(target):
        source, writer = os.openpty()
        _copy_size(source, target)
        _make_raw(writer)
        return Route(source, target, writer, serves, is_terminal=True)
    source, writer = os.pipe2(os.O_CLOEXEC)
    return Route(source, target, writer, serves, is_terminal=False)


def _make_raw(terminal: int) -> None:
    """Leave line ends to the real terminal."""
    import termios

    modes = termios.tcgetattr(terminal)
    modes[1] &= ~termios.OPOST
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def _copy_size(terminal: int, source: int | None = None) -> None:
    import fcntl
    import termios

    for descriptor in (source,) if source is not None else (1, 2, 0):
        try:
            size = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
        except OSError:
            continue
        return


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
