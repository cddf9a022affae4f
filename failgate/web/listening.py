"""A port of this machine to be answered at."""

import errno
import socket

from failgate.base.errors import StartRefused

BACKLOG = 4096


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket at `host` and `port`; 0 lets the system choose.

    Who connects before `serve` waits until it answers. It comes first of all: a port that is taken is refused before
    anything is opened, and a port that the system chose is known to everything that names this server.

    Raises: StartRefused, naming the port and the mend.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By the protocol's number asyncio knows what it accepts for TCP and sends the rest of an answer at once; without it
    # each answer of two writes waits for the other side's delayed acknowledgement, 40 ms. uvloop does so in any case.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    listener.setblocking(False)  # noqa: FBT003  # as sockets have it
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> StartRefused:
    if error.errno == errno.EADDRINUSE:
        return StartRefused(
            f"The port {port} at {host} is taken by another program.",
            hint="Stop that program, or choose another port: --listen HOST:PORT or [server] listen.",
        )
    if error.errno == errno.EACCES:
        return StartRefused(
            f"The port {port} at {host} is reserved for the system.",
            hint="Choose a port of 1024 or more: --listen HOST:PORT or [server] listen.",
        )
    return StartRefused(
        f"This machine cannot listen at {host}, port {port}: {error.strerror or error}.",
        hint="Name an address of this machine: --listen HOST:PORT or [server] listen.",
    )
