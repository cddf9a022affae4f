"""`failgate shell`: a shell under a terminal of its own in which each command is asked for, recorded while it runs.

Where nothing can be recorded or nothing can be stopped, no shell begins.
"""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from failgate.base.errors import BadInput
from failgate.client.asking import must_be_clear
from failgate.client.command import allowed_environment
from failgate.client.exits import NotConfigured, Unreachable
from failgate.client.gatekeeper import Gatekeeper
from failgate.client.http import Api
from failgate.client.messages import Messages, inert
from failgate.client.recorder import start_recorder
from failgate.client.redacting import open_scanner
from failgate.client.routes import screen_for
from failgate.client.settings import load_settings
from failgate.client.terminal import size_of
from failgate.client.trapping import check_supported, install

SHELL: Final = "/bin/bash"
_START: Final = """\
set -o physical
unset HISTFILE
enable -n enable
readonly BASH_LOADABLES_PATH GCONV_PATH LOCPATH NLSPATH LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT
PS1='(failgate) \\u@\\h:\\w\\$ '
"""
"""A folder has one name; `enable` could load foreign code into the shell, and by the variables its libraries could."""


def run_shell(title: str | None = None) -> int:
    """Run a recorded shell; return its exit code.

    Raises: ClientError (no server, no way to stop what it executes), BadInput (no terminal).
    """
    from failgate.client.execution import execute

    check_supported()
    size = size_of(0, 1)
    if size is None or not os.isatty(0) or screen_for("terminal") is None:
        raise BadInput("failgate shell needs a terminal.", hint="For one command: failgate run -- CMD")
    settings = load_settings(os.environ)
    must_be_clear(settings.folder)
    shell = os.path.realpath(SHELL)  # the path that the kernel is told
    if not Path(shell).is_file():
        raise NotConfigured(f"There is no {SHELL}.", hint="Install bash.")
    environment = allowed_environment(os.environ, settings.env) | {"SHELL": shell}
    begun: dict[str, object] = {
        "width": size.columns, "height": size.rows, "host": socket.gethostname() or "localhost", "began_at": _now(),
    }  # fmt: skip
    if title is not None:
        begun["title"] = title
    with Api(settings) as api, TemporaryDirectory(prefix="failgate-shell-") as folder:
        start = Path(folder) / "start"
        start.write_text(_START)
        tap, recording_id, recorder = start_recorder(api, open_scanner(os.environ), begun)
        messages = Messages()
        messages.say("recording", f"recorded as {inert(recording_id)}; each command is asked for")
        ours, theirs = socket.socketpair()
        keeper = Gatekeeper(settings, tap.mark)

        def prepare() -> None:
            listener = install()
            socket.send_fds(theirs, [b"l"], [listener, 1])
            os.close(listener)

        keeper.start(ours)
        try:
            ended = execute(
                ["bash", "--rcfile", str(start), "-i"],
                path=shell, environment=environment, output=tap, way="terminal", prepare=prepare,
            )  # fmt: skip
            tap.finish(ended.exit_code)
        except BrokenPipeError as error:  # the terminal is closed already, so the shell has hung up
            raise Unreachable("Nothing is recorded any more, so the shell has ended.") from error
        finally:
            tap.close()
            _, status = os.waitpid(recorder, 0)
        if status == 0:
            messages.say("recorded", f"the recording has ended: {inert(recording_id)}")
    return ended.exit_code


def main(arguments: Sequence[str]) -> int:
    """Carry out `failgate shell` with `arguments`."""
    return run_shell(arguments[0] if arguments else None)


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
