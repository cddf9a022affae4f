"""A running program: signals and keys go to it, its output comes from it, until it has ended."""

from __future__ import annotations

import _thread
import os
import select
import time

from failgate.base.quick import NamedTuple, signal
from failgate.client.output import STDERR, STDOUT, Output

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from failgate.client.routes import Route

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
WATCHED = (*_FORWARDED, signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT)
_FROM_KERNEL = 0x80  # si_code SI_KERNEL: a terminal sent the signal to the whole foreground group, the program has it
_LINGER_SECONDS = 1.0
_LOOK_MS = 250
_PIECE = 64 * 1024


class Usage(NamedTuple):
    """What the program and the children it waited for used."""

    user_ms: int
    system_ms: int
    max_rss_bytes: int


class Program(NamedTuple):
    """The running program: the process that we wait for, the one that gets signals, how its end is told."""

    waited: int
    signalled: int
    report: int | None


class Following:
    """Forwards signals, keys and output until the program has ended."""

    def __init__(self, program: Program, routes: Sequence[Route], output: Output | None, screen: Any) -> None:
        """Take the program as it runs; `screen` is the user's terminal when the program has one of its own."""
        self._program = program
        self._routes = routes
        self._output = output
        self._screen = screen
        self._keys = b""
        self._is_over = False
        self._is_stopping = False  # then the screen is the shell's, whoever of our threads looks at it
        self._taking = _thread.allocate_lock()

    def until_end(self) -> tuple[int, Usage | None]:
        """Return the program's wait status and what it used."""
        if self._screen is not None:
            os.set_blocking(self._routes[0].source, False)
            self._screen.enter()
        waiter = _thread.start_new_thread(self._forward, ())
        try:
            if self._output is not None:
                self._copy(self._output)
            _, status, usage = os.wait4(self._program.waited, 0)
            if self._program.report is not None:
                return self._told(self._program.report, status)
            return status, words_of(usage)
        finally:
            self._is_over = True
            signal.pthread_kill(waiter, signal.SIGUSR2)
            for route in self._routes:
                os.close(route.source)

    def _told(self, report: int, status: int) -> tuple[int, Usage | None]:
        """Return what the leader said of the program's end; its own end when it did not live to say."""
        said = os.read(report, 200).split()
        os.close(report)
        if len(said) != 4:
            return status, None
        number, *used = map(int, said)
        return number, Usage(*used)

    def _forward(self) -> None:
        """Hand every signal that was meant for us on; those of a terminal that we share reached the program already."""
        while True:
            received = signal.sigwaitinfo(WATCHED)
            if self._is_over:
                return
            number = received.si_signo
            if number == signal.SIGCHLD:
                self._stop_with_it()
            elif number == signal.SIGWINCH:
                self._resize()
            elif number == signal.SIGCONT:
                self._take_screen()
            elif received.si_code != _FROM_KERNEL or self._screen is not None:
                self._tell(number)

    def _tell(self, number: int) -> None:
        try:
            os.kill(self._program.signalled, number)
        except ProcessLookupError:
            return

    def _stop_with_it(self) -> None:
        """When the program is stopped, stop as it did, so that the shell sees it; go on together with it."""
        try:
            stopped = os.waitid(os.P_PID, self._program.waited, os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:
            return  # it has ended
        if stopped is None:
            return
        with self._taking:
            self._is_stopping = True
            if self._screen is not None:
                self._screen.leave()
        how = signal.SIGTSTP if self._screen is not None else stopped.si_status
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (how,))
        signal.pthread_kill(_thread.get_ident(), how)  # stops the whole process
        signal.pthread_sigmask(signal.SIG_BLOCK, (how,))
        self._is_stopping = False
        self._take_screen()
        try:
            os.kill(self._program.waited, signal.SIGCONT)
        except ProcessLookupError:
            return

    def _take_screen(self) -> None:
        self._enter()
        if self._screen is not None:
            self._resize()

    def _enter(self) -> None:
        """Make the screen raw, unless the shell has it or is about to get it."""
        with self._taking:
            if self._screen is not None and not self._is_stopping:
                self._screen.enter()

    def _resize(self) -> None:
        from failgate.client.terminal import set_size, size_of

        terminals = [route for route in self._routes if route.is_terminal]
        size = size_of(*(route.target for route in terminals), 1, 2, 0)
        if size is not None:
            for route in terminals:
                set_size(route.source, size)
            if self._output is not None and terminals:
                self._output.resized(*size)
        if self._screen is None:
            self._tell(signal.SIGWINCH)

    def _copy(self, output: Output) -> None:
        """Copy output until all of it is read, or a second after the end while others keep its output open."""
        open_routes = {route.source: route for route in self._routes}
        poll = select.poll()
        for source in open_routes:
            poll.register(source, select.POLLIN)
        ended = os.pidfd_open(self._program.waited)
        poll.register(ended, select.POLLIN)
        deadline: float | None = None
        try:
            while open_routes:
                if self._screen is not None:
                    self._watch_keys(poll)
                ready = poll.poll(self._patience_ms(deadline))
                if deadline is not None and (not ready or time.monotonic() >= deadline):
                    return
                for descriptor, event in ready:
                    if descriptor == ended:
                        poll.unregister(ended)
                        deadline = time.monotonic() + _LINGER_SECONDS
                    elif self._screen is not None and descriptor == self._screen.fd:
                        self._read_keys(poll)
                    elif event == select.POLLOUT:
                        continue  # `_watch_keys` writes
                    elif not _pass_on(open_routes[descriptor], output):
                        poll.unregister(descriptor)
                        del open_routes[descriptor]
        finally:
            os.close(ended)

    def _patience_ms(self, deadline: float | None) -> float | None:
        if deadline is not None:
            return max(0.0, deadline - time.monotonic()) * 1000
        return _LOOK_MS if self._screen is not None and not self._screen.is_raw else None

    def _watch_keys(self, poll: select.poll) -> None:
        """Write keys that wait, as far as the program's terminal takes them; look for more while few wait."""
        terminal = self._routes[0].source
        if self._keys:
            try:
                self._keys = self._keys[os.write(terminal, self._keys) :]
            except BlockingIOError:
                pass
            except OSError:
                self._keys = b""
        poll.register(terminal, select.POLLIN | (select.POLLOUT if self._keys else 0))
        self._enter()
        if self._screen.is_raw and len(self._keys) < _PIECE:
            poll.register(self._screen.fd, select.POLLIN)
        else:
            _unregister(poll, self._screen.fd)

    def _read_keys(self, poll: select.poll) -> None:
        try:
            keys = os.read(self._screen.fd, _PIECE)
        except OSError:
            keys = b""
        if keys:
            self._keys += keys
        else:
            _unregister(poll, self._screen.fd)
            self._screen.is_raw = False  # it hung up; the signal says the rest


def _unregister(poll: select.poll, descriptor: int) -> None:
    try:
        poll.unregister(descriptor)
    except KeyError:
        return


def _pass_on(route: Route, output: Output) -> bool:
    """Copy one piece; tell whether more may come. A reader that went away ends the route: the program gets SIGPIPE."""
    try:
        piece = os.read(route.source, _PIECE)
    except BlockingIOError:
        return True
    except OSError:
        return False  # the last writer closed its pseudo-terminal
    if not piece:
        return False
    output.write(piece, STDERR if route.serves == (STDERR,) else STDOUT)
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


def words_of(usage: Any) -> Usage:
    """Return what the kernel says (`struct_rusage`) in our units."""
    return Usage(round(usage.ru_utime * 1000), round(usage.ru_stime * 1000), usage.ru_maxrss * 1024)
