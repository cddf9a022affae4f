"""One run as a draft: which results fail, how the tool ended, what both are called."""

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from failgate.plugin import Draft, DraftArtifact, Tool
from failgate_sarif.objects import Invocation, Level, Notification, Result, Run
from failgate_sarif.run import RunReader, at
from failgate_sarif.writing import Writing, written_notification, written_result

MOST_RESULTS = 2_000
_MOST_NOTIFICATIONS = 200
_LONGEST_COMMAND = 64 * 1024


class Failing(NamedTuple):
    """A result that fails, and its level."""

    result: Result
    level: Level


def draft_of(run: Run, passed: Counter[str]) -> Draft | None:
    """Return what failed in `run`, or None; count in `passed` the results that did not, by kind."""
    reader = RunReader(run)
    failing = list(_failing(reader, passed))
    invocation = _invocation(run)
    notes = [note for note in _notifications(run) if reader.notification_level(note) in {"error", "warning"}]
    did_fail = _did_fail(invocation) or any(reader.notification_level(note) == "error" for note in notes)
    if not failing and not did_fail:
        return None
    text = _text(reader, failing, notes, invocation)
    began, ended = _microseconds(invocation.start_time_utc), _microseconds(invocation.end_time_utc)
    tool, automation = run.tool, run.automation_details
    revision = at(run.version_control_provenance, 0)
    return Draft(
        source="sarif",
        id=_uuid(automation.guid if automation else None),
        title=_title(reader, failing, notes, invocation),
        argv=_argv(reader, invocation),
        exit_code=_exit_code(invocation),
        created_us=began,
        duration_ms=max(0, ended - began) // 1000 if began is not None and ended is not None else 0,
        cwd=reader.path(invocation.working_directory),
        host=invocation.machine or "",
        project=_repository(revision.repository_uri) if revision and revision.repository_uri else None,
        version=(revision.revision_tag or revision.revision_id) if revision else None,
        tools=[
            Tool(one.name, one.semantic_version or one.version or "unknown")
            for one in (tool.driver, *(tool.extensions or ())[:50])
        ],
        values=dict(_values(reader, invocation)),
        same_as=_sameness(reader, failing),
        artifacts=(DraftArtifact("results.txt", "output", "text/plain", text.encode("utf-8", "replace")),),
    )


def _failing(reader: RunReader, passed: Counter[str]) -> Iterator[Failing]:
    for result in reader.run.results or ():
        level = reader.level_of(result)
        if _is_suppressed(result):
            passed["suppressed"] += 1
        elif result.baseline_state == "absent":
            passed["absent"] += 1
        elif level in {"error", "warning"}:
            yield Failing(result, level)
        else:
            passed[result.kind if result.kind not in {None, "fail"} else level] += 1


def _is_suppressed(result: Result) -> bool:
    """Tell whether somebody decided to leave a result out: one suppression holds that nobody rejects or reviews yet.

    Source: 3.27.23, 3.35.3; one without a status is accepted, as in the samples of the standard's authors.
    """
    return any(one.status in {None, "accepted"} for one in result.suppressions or ())


def _invocation(run: Run) -> Invocation:
    """Return the invocation that failed, else the first."""
    known = run.invocations or [Invocation()]
    return next((one for one in known if _did_fail(one)), known[0])


def _did_fail(invocation: Invocation) -> bool:
    return (
        not invocation.execution_successful
        or invocation.exit_signal_number is not None
        or invocation.exit_signal_name is not None
        or invocation.process_start_failure_message is not None
    )


def _notifications(run: Run) -> Iterator[Notification]:
    for one in run.invocations or ():
        yield from one.tool_execution_notifications or ()
        yield from one.tool_configuration_notifications or ()


def _title(reader: RunReader, failing: Sequence[Failing], notes: Sequence[Notification], invocation: Invocation) -> str:
    tool = reader.run.tool.driver.name
    if not failing:
        said = [reader.text_of_notification(note) for note in notes if reader.notification_level(note) == "error"]
        why = [invocation.process_start_failure_message, *said, invocation.exit_code_description]
        return ": ".join([f"{tool} failed", *[_first_line(one) for one in why if one][:1]])
    first = next((one for one in failing if one.level == "error"), failing[0]).result
    more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
    said = [f"{reader.rule_id(first)}{more}" if reader.rule_id(first) else f"{tool}{more}"]
    return ": ".join([*said, *[_first_line(text) for text in [reader.text_of_result(first)] if text]])


def _argv(reader: RunReader, invocation: Invocation) -> Sequence[str]:
    """Return how the tool was called. It is what the document says, so a report of a log is never run again."""
    program = reader.path(invocation.executable_location) or reader.run.tool.driver.name
    if invocation.arguments is not None:
        return (program, *invocation.arguments[:1000])
    if invocation.command_line:
        line = invocation.command_line[:_LONGEST_COMMAND]
        try:
            return shlex.split(line) or (line,)
        except ValueError:  # a quote that does not end
            return line.split() or (line,)
    return ("sarif", reader.run.tool.driver.name)


def _exit_code(invocation: Invocation) -> int:
    """Return the exit code, 128+N after signal N; 1 where the document does not say or a manifest has no such code."""
    if invocation.exit_signal_number is not None and 1 <= invocation.exit_signal_number <= 64:
        return 128 + invocation.exit_signal_number
    code = invocation.exit_code
    return code if code is not None and 0 <= code <= 255 else 1


def _values(reader: RunReader, invocation: Invocation) -> Iterator[tuple[str, str]]:
    run = reader.run
    facts = (
        ("automation.id", run.automation_details.id if run.automation_details else None),
        ("exit_code", None if invocation.exit_code in {None, *range(256)} else str(invocation.exit_code)),
        ("exit_description", invocation.exit_code_description),
        ("exit_signal", invocation.exit_signal_name),
    )
    yield from ((name, value) for name, value in facts if value)
    for number, revision in enumerate((run.version_control_provenance or ())[:20]):
        where = f"repository{number + 1 if number else ''}"
        parts = (
            (where, revision.repository_uri),
            (f"{where}.revision", revision.revision_id),
            (f"{where}.branch", revision.branch),
            (f"{where}.tag", revision.revision_tag),
        )
        yield from ((name, value) for name, value in parts if value)
    for name, base in list((run.original_uri_base_ids or {}).items())[:20]:
        yield f"base.{name[:100]}", reader.path(base)


def _sameness(reader: RunReader, failing: Sequence[Failing]) -> str | None:
    """Return what is the same for two runs with the same findings, when the tool fingerprints any of them.

    A finding is its rule and its fingerprints; one without is its rule, its artifact and its text. Source: 3.27.16,
    3.27.17, appendix B.
    """
    if not any(one.result.fingerprints or one.result.partial_fingerprints for one in failing):
        return None
    return json.dumps([reader.run.tool.driver.name, sorted({_identity(reader, one.result) for one in failing})])


def _identity(reader: RunReader, result: Result) -> str:
    """Return the digest of a finding: many can name one long text."""
    said: list[object] = [reader.rule_id(result)]
    prints = result.fingerprints or result.partial_fingerprints
    if prints:
        said.append(sorted(prints.items()))
    else:
        first = at(result.locations, 0)
        physical = first.physical_location if first else None
        where = reader.path(physical.artifact_location) if physical else ""
        message = result.message
        said += [where.rpartition("/")[2], message.text, message.id, message.arguments]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _text(reader: RunReader, failing: Sequence[Failing], notes: Sequence[Notification], invocation: Invocation) -> str:
    driver = reader.run.tool.driver
    counts = Counter(one.level for one in failing)
    version = driver.semantic_version or driver.version
    writing = Writing()
    writing.add(
        f"{driver.name}{' ' + version if version else ''}: {counts['error']} errors, {counts['warning']} warnings"
    )
    if _did_fail(invocation):
        why = invocation.process_start_failure_message or invocation.exit_code_description or ""
        writing.add(f"The tool failed. {_first_line(why)}".rstrip())
    for note in notes[:_MOST_NOTIFICATIONS]:
        writing.add_all(written_notification(reader, note))
    writing.left_out(len(notes) - _MOST_NOTIFICATIONS, "notifications")
    shown = 0
    for one in failing[:MOST_RESULTS]:
        if writing.is_full:
            break
        writing.add_all(written_result(reader, one.result, one.level))
        shown += 1
    writing.left_out(len(failing) - shown, "results")
    return writing.text()


def _repository(uri: str) -> str | None:
    return uri.rstrip("/").rpartition("/")[2].removesuffix(".git")[:200] or None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _uuid(guid: str | None) -> str | None:
    try:
        return str(UUID(guid)) if guid is not None and len(guid) == 36 else None
    except ValueError:
        return None


def _microseconds(written: str | None) -> int | None:
    """Return a time of 3.9: RFC 3339 in UTC; one without a zone is UTC too."""
    try:
        moment = datetime.fromisoformat(written or "")
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return round(seconds * 1_000_000) if 0 <= seconds < 253_402_300_800 else None
