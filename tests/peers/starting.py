"""How a peer in a process of its own is waited for: as long as the busiest machine takes, which costs nothing when all
goes well; and when it does not come, how it ended and what it said.
"""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 120.0


def listens(port: int) -> bool:
    """Say whether somebody listens at `port` of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until_up(process: "subprocess.Popen", said: Path, is_up: Callable[[], bool]) -> None:
    """Return when `is_up`; the peer writes what it says to the file `said`.

    Raises: AssertionError with how it ended and what it said.
    """
    began = time.monotonic()
    while not is_up():
        ended = process.poll()
        if ended is not None or time.monotonic() > began + PATIENCE_SECONDS:
            how = f"is not up after {PATIENCE_SECONDS:.0f} s" if ended is None else f"ended with {ended}"
            raise AssertionError(f"{process.args} {how}, and said:\n{said.read_text(errors='replace')}")
        time.sleep(0.02)


def halt(process: "subprocess.Popen") -> None:
    """Stop every thread of a peer, until it gets SIGCONT; the kernel takes a moment for that."""
    process.send_signal(signal.SIGSTOP)
    tasks = Path(f"/proc/{process.pid}/task")
    while not all((task / "stat").read_text().rpartition(")")[2].split()[0] in {"T", "t"} for task in tasks.iterdir()):
        time.sleep(0.01)
