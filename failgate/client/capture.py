"""A failed command becomes a report on this machine, without its secrets. No server is needed."""

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from failgate.base.clock import SystemClock, to_rfc3339
from failgate.base.ids import new_id
from failgate.client.environment import summarize
from failgate.client.execution import Ended, execute
from failgate.client.exits import NotExecutable
from failgate.client.git import Repository, read_repository
from failgate.client.messages import Messages, inert
from failgate.client.output import Output
from failgate.client.redacting import open_scanner
from failgate.client.report_folder import LocalReport, ReportWriter
from failgate.redaction import RULES_VERSION, RedactingStream, Scanner, redact, redact_arguments
from failgate.wire.reports import GitState, Manifest, Redaction

_TITLE_CHARACTERS = 200


class Failure(NamedTuple):
    """A command that failed: what was run where, with which environment, how it ended, what it wrote."""

    argv: Sequence[str]
    cwd: str
    ended: Ended
    output: Output
    began_us: int
    environment: Mapping[str, str]


def capture_command(argv: Sequence[str], messages: Messages) -> int:
    """Run `argv` with this process's environment; when it fails, keep a report. Return its exit code.

    That the report could not be kept is said, and changes nothing of the exit code.
    """
    from failgate.client.command import open_executable

    cwd = str(Path.cwd())
    try:
        program = open_executable(argv[0], cwd, os.environ.get("PATH", os.defpath))
        output = Output()
        began_us = SystemClock().now_us()
        ended = execute(
            argv, path=program.path, environment=os.environ, descriptor=program.descriptor, sink=output.write
        )
    except NotExecutable as error:
        messages.say("not-executable", str(error))
        return error.exit_code
    if ended.exit_code != 0:
        keep_report(Failure(argv, cwd, ended, output, began_us, os.environ), messages)
    return ended.exit_code


def keep_report(failure: Failure, messages: Messages) -> LocalReport | None:
    """Keep the report of `failure` under its folder and say where; None (said too) when that is not possible."""
    try:
        report = write_report(failure, os.environ)
    except OSError as error:
        messages.say("report-failed", f"the report could not be kept: {inert(str(error))}")
        return None
    where = os.path.relpath(report.folder)
    messages.say("report", f"report kept at {inert(where)}", id=report.manifest.id, path=str(report.folder))
    messages.say("report-hint", f"look at it: failgate report review {report.manifest.id}")
    return report


def write_report(failure: Failure, environment: Mapping[str, str]) -> LocalReport:
    """Write the redacted report of `failure` and return it. Everything passes the rules before it touches the disk.

    The secrets of `environment`, which is this process's own, are removed too: the command may know them anyway.

    Raises: OSError.
    """
    scanner = open_scanner(environment)
    root = Path(failure.cwd)
    found: Counter[tuple[str, str]] = Counter()
    repository = read_repository(failure.cwd)
    with ReportWriter(root, new_id()) as writer:
        clean = _clean_output(failure.output, scanner, found)
        writer.add("output.txt", "output", "text/plain", clean, failure.output.dropped)
        if repository is not None and repository.diff:
            diff = _clean_stream([repository.diff], scanner, "diff.patch", found)
            writer.add("diff.patch", "diff", "text/x-diff", diff, repository.diff_dropped_bytes)
        return writer.finish(_manifest(failure, repository, writer, scanner, found))


def _manifest(
    failure: Failure,
    repository: Repository | None,
    writer: ReportWriter,
    scanner: Scanner,
    found: "Counter[tuple[str, str]]",
) -> Manifest:
    def clean(text: str) -> str:
        result = redact(_text(text), scanner)
        found.update((finding.rule, "manifest") for finding in result.findings)
        return result.text

    argv, findings = redact_arguments([_text(token) for token in failure.argv], scanner)
    found.update((finding.rule, "manifest") for finding in findings)
    summary, rules = summarize(failure.environment, scanner)
    found.update((rule, "manifest") for rule in rules)
    cwd, host = clean(failure.cwd), clean(socket.gethostname() or "localhost")
    state = None
    if repository is not None:
        branch = clean(repository.branch) if repository.branch else None
        state = GitState(repository.head, branch, repository.changed_files > 0, repository.changed_files)
    return Manifest(
        v=1,
        id=writer.report_id,
        created_at=to_rfc3339(failure.began_us),
        argv=argv,
        cwd=cwd,
        host=host,
        exit_code=failure.ended.exit_code,
        duration_ms=failure.ended.duration_ms,
        environment=summary,
        artifacts=writer.artifacts,
        redactions=[Redaction(rule, where, count) for (rule, where), count in sorted(found.items())],
        redaction_rules=RULES_VERSION,
        signal=failure.ended.signal,
        git=state,
        title=_title(argv, failure.ended),
    )


def _title(argv: Sequence[str], ended: Ended) -> str:
    how = f"ended by signal {ended.signal}" if ended.signal else f"exited with {ended.exit_code}"
    line = inert(" ".join(argv))
    room = _TITLE_CHARACTERS - len(how) - 1
    if len(line) > room:
        line = line[: room - 1] + "…"
    return f"{line} {how}"


def _clean_output(output: Output, scanner: Scanner, found: "Counter[tuple[str, str]]") -> bytes:
    parts = output.parts()
    cleaned = [_clean_stream([part], scanner, "output.txt", found) for part in parts]
    if len(cleaned) == 1:
        return cleaned[0]
    return cleaned[0] + f"\n[failgate: {output.dropped} bytes left out]\n".encode() + cleaned[1]


def _clean_stream(pieces: Sequence[bytes], scanner: Scanner, where: str, found: "Counter[tuple[str, str]]") -> bytes:
    stream = RedactingStream(scanner)
    clean = b"".join([*(stream.feed(piece) for piece in pieces), stream.finish()])
    found.update((finding.rule, where) for finding in stream.findings)
    return clean


def _text(value: str) -> str:
    return os.fsencode(value).decode("utf-8", "replace")
