"""The terminal in front of us, the pseudo-terminal behind us, and the session that a program gets on it."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

DEFAULT_SIZE = (80, 24)


class Size(NamedTuple):
    """Columns and rows."""

    columns: int
    rows: int


class Screen:
    """The user's terminal (descriptor `fd`): raw while a program on a pseudo-terminal has it, as it was otherwise."""

    def __init__(self, fd: int) -> None:
        """Remember how it is."""
        import termios

        self.fd = fd
        self.saved: list[Any] = termios.tcgetattr(fd)
        self.is_raw = False

    @property
    def is_ours(self) -> bool:
        """Tell whether we are in the foreground: who is not must neither read nor change the terminal."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return False

    def enter(self) -> None:
        """Make it raw, if it is ours: every key goes to the program's own terminal."""
        import termios

        if self.is_raw or not self.is_ours:
            return
        modes = termios.tcgetattr(self.fd)
        modes[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
            | termios.ICRNL | termios.IXON
        )  # fmt: skip
        modes[1] &= ~termios.OPOST
        modes[2] = modes[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        modes[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.fd, termios.TCSADRAIN, modes)
        self.is_raw = True

    def leave(self) -> None:
        """Make it as it was."""
        if self.is_raw:
            self.is_raw = False
            self.restore()

    def restore(self) -> None:
        """Set what was saved, whoever asks: also from another session, for a terminal that lost its owner."""
        import termios

        try:
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)
        except termios.error:
            return  # the terminal is gone


def open_pseudo_terminal(size: Size, *, modes: "list[Any] | None") -> tuple[int, int]:
    """Return both ends of a new one: ours, the program's. `modes` are its modes; None: line ends pass as they are."""
    import termios

    ours, theirs = os.openpty()
    if modes is None:
        modes = termios.tcgetattr(theirs)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    set_size(ours, size)
    return ours, theirs


def size_of(*descriptors: int) -> Size | None:
    """Return the size of the first of `descriptors` that is a terminal and knows it."""
    for descriptor in descriptors:
        try:
            size = os.get_terminal_size(descriptor)
        except OSError:
            continue
        if size.columns and size.lines:
            return Size(size.columns, size.lines)
    return None


def default_size(environment: Mapping[str, str]) -> Size:
    """Return the size for a pseudo-terminal without a terminal in front: `COLUMNS` and `LINES`, else 80 by 24."""

    def number(name: str, otherwise: int) -> int:
        text = environment.get(name, "")
        return int(text) if text.isdecimal() and 0 < int(text) < 10_000 else otherwise

    return Size(number("COLUMNS", DEFAULT_SIZE[0]), number("LINES", DEFAULT_SIZE[1]))


def set_size(descriptor: int, size: Size) -> None:
    """Give a pseudo-terminal its size; its foreground group is told by the kernel."""
    import fcntl
    import struct
    import termios

    try:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))
    except OSError:
        return


def lead_session(
    theirs: int, screen: Screen, begin: Callable[[], NoReturn], report: Callable[[int, Any], None]
) -> NoReturn:
    """Be the leader of a new session on the terminal `theirs`, run `begin` in a group of its own, say how it ended.

    A group whose parent is in another session cannot be stopped by a terminal, so the program's parent is this process
    and not ours. When the program stops, this process stops too, which tells our process; when it is continued, the
    program is. When our process is killed, the terminal hangs up, and the user's own one is restored here.
    Source: POSIX.1-2017, General Terminal Interface, 11.1.4.
    """
    import fcntl
    import termios

    def hung_up(_number: int, _frame: object) -> NoReturn:
        screen.restore()
        os._exit(128 + signal.SIGHUP)

    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, hung_up)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTTOU,))
        os.tcsetpgrp(theirs, os.getpid())
        begin()
    report(child, None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    while True:
        _, status, usage = os.wait4(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        os.kill(os.getpid(), signal.SIGSTOP)
        os.killpg(child, signal.SIGCONT)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTTOU,))
    os.tcsetpgrp(theirs, os.getpgrp())  # what the program left in the background is not hung up with us
    fcntl.ioctl(theirs, termios.TIOCNOTTY)
    report(status, usage)
    os._exit(0)
