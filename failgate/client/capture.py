"""A command is run; when it fails, a report of it is kept on this machine. No server is needed.

What a failure alone needs is imported when one happens.
"""

import errno
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from failgate.client.capture_settings import Wishes
from failgate.client.execution import Ended, Way, execute
from failgate.client.exits import CANNOT_EXECUTE, NotExecutable
from failgate.client.messages import Messages, inert
from failgate.client.output import Output

if TYPE_CHECKING:
    from failgate.client.report_folder import LocalReport

_NO_WISHES = Wishes()


class Failure(NamedTuple):
    """A command that failed: what was run where, with which environment, how it ended, what it wrote."""

    argv: Sequence[str]
    cwd: str
    ended: Ended
    output: Output
    began_us: int
    environment: Mapping[str, str]


def capture_command(argv: Sequence[str], messages: Messages, wishes: Wishes = _NO_WISHES, way: Way = "auto") -> int:
    """Run `argv` with this process's environment; when it fails, keep a report. Return its exit code.

    That the report could not be kept is said, and changes nothing of the exit code.
    """
    from failgate.client.command import open_executable

    limits = wishes.limits
    try:
        cwd = _folder()
        program = open_executable(argv[0], cwd, os.environ.get("PATH", os.defpath))
        output = Output(limits.output_head, limits.output_tail, cwd)
        began_us = time.time_ns() // 1000
        ended = execute(
            argv, path=program.path, environment=os.environ, descriptor=program.descriptor, output=output, way=way
        )
    except NotExecutable as error:
        messages.say("not-executable", str(error))
        return error.exit_code
    if ended.exit_code != 0:
        keep_report(Failure(argv, cwd, ended, output, began_us, os.environ), messages, wishes)
    output.close()
    return ended.exit_code


def keep_report(failure: Failure, messages: Messages, wishes: Wishes = _NO_WISHES) -> "LocalReport | None":
    """Keep the report of `failure` under its folder and say where; None (said too) when that is not possible."""
    from failgate.client.report_folder import REPORTS
    from failgate.client.report_writing import write_report

    try:
        report = write_report(failure, os.environ, wishes)
    except OSError as error:
        where = inert(str(Path(failure.cwd) / REPORTS))
        messages.say("report-failed", f"the report could not be kept in {where}: {inert(error.strerror or str(error))}")
        messages.say("report-failed-hint", _mend_of(error))
        return None
    where = os.path.relpath(report.folder)
    messages.say("report", f"report kept at {inert(where)}", id=report.manifest.id, path=str(report.folder))
    messages.say("report-hint", f"look at it: failgate report review {report.manifest.id}")
    return report


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError as error:
        sentence = f"This folder cannot be used: {error.strerror}. Nothing was run."
        raise NotExecutable(sentence, exit_code=CANNOT_EXECUTE, hint="Change to a folder that exists.") from error


def _mend_of(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "free some space there, or change to a folder on another disk, and run the command again"
    if error.errno == errno.ELOOP:
        return "remove the link, or put the folder itself in its place, and run the command again"
    return "make that folder one that this account may write to, and run the command again"
