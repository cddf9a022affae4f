"""The filter of a recorded shell: who answers its calls learns when nobody is left to make any."""

import os
import socket
import subprocess
import sys

import pytest

from failgate.base.errors import FailgateError
from failgate.client.trapping import check_supported, receive

CHILD = """
import os, socket, sys
from failgate.client.trapping import install
link = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(link, [b"l"], [install()])
os._exit(0)
"""


def test_who_answers_ends_with_the_last_process_of_the_shell() -> None:
    try:
        check_supported()
    except FailgateError as error:
        pytest.skip(str(error))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ended = subprocess.run(
            [sys.executable, "-c", CHILD, str(theirs.fileno())], pass_fds=[theirs.fileno()], timeout=60, check=True
        )
        assert ended.returncode == 0
        _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
        with pytest.raises(OSError, match="No such file"):
            receive(listener)
        os.close(listener)
