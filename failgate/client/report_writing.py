"""The report of a failure: every artifact, then the manifest that names them."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from failgate.base.clock import to_rfc3339
from failgate.base.ids import new_id
from failgate.client.capture import Failure
from failgate.client.capture_settings import Wishes
from failgate.client.contents import Contents, Finds, Heading, text_of
from failgate.client.environment import summarize
from failgate.client.execution import Ended
from failgate.client.git import Repository, read_repository
from failgate.client.messages import inert
from failgate.client.redacting import open_scanner
from failgate.client.report_folder import LocalReport, ReportWriter
from failgate.client.toolchain import Question
from failgate.redaction import RULES_VERSION, Scanner, redact, redact_arguments
from failgate.wire.reports import GitPath, GitState, Manifest, Redaction, Tool, Usage

_TITLE_CHARACTERS = 200
_LONGEST_PATH = 1000
_NO_WISHES = Wishes()


def write_report(failure: Failure, environment: Mapping[str, str], wishes: Wishes = _NO_WISHES) -> LocalReport:
    """Write the redacted report of `failure` and return it. Everything passes the rules before it touches the disk.

    The secrets of `environment`, which is this process's own, are removed too: the command may know them anyway.

    Raises: OSError.
    """
    scanner = open_scanner(environment)
    finds = Finds()
    repository = read_repository(failure.cwd, wishes.limits.diff)
    project_folder = repository.root if repository is not None else failure.cwd
    question = Question(failure.argv, project_folder, environment, has_git=repository is not None)
    with ReportWriter(Path(failure.cwd), new_id()) as writer:
        contents = Contents(writer, scanner, finds, wishes)
        facts = _Facts(failure, scanner, finds, wishes)
        contents.add_output(failure.output, Heading(failure.began_us // 1_000_000, facts.title))
        contents.add_files(failure.cwd)
        if repository is not None:
            contents.add_diff(repository)
        _add_source(contents, repository, wishes)
        return writer.finish(facts.manifest(repository, writer, contents, question))


def _add_source(contents: Contents, repository: Repository | None, wishes: Wishes) -> None:
    """Add snapshot and bundle as far as they are wished for and possible; say in the manifest when they are not."""
    import subprocess

    for name, is_wished, add in (
        ("snapshot.tar", wishes.has_snapshot, contents.add_snapshot),
        ("head.bundle", wishes.has_bundle, contents.add_bundle),
    ):
        if not is_wished:
            continue
        if repository is None:
            contents.note(name, "there is no git repository here")
            continue
        try:
            add(repository.root)
        except subprocess.TimeoutExpired:
            contents.note(name, "git took too long")


class _Facts:
    """What the manifest says of a failure, redacted."""

    def __init__(self, failure: Failure, scanner: Scanner, finds: Finds, wishes: Wishes) -> None:
        self._failure = failure
        self._scanner = scanner
        self._finds = finds
        self._wishes = wishes
        self.argv, findings = redact_arguments([text_of(token) for token in failure.argv], scanner)
        for finding in findings:
            finds.of("manifest")(finding.rule)
        self.title = _title(self.argv, failure.ended)

    def manifest(
        self, repository: Repository | None, writer: ReportWriter, contents: Contents, question: Question
    ) -> Manifest:
        failure, ended, wishes = self._failure, self._failure.ended, self._wishes
        summary, rules = summarize(failure.environment, self._scanner, wishes.environment)
        for rule in rules:
            self._finds.of("manifest")(rule)
        cwd, host = self._clean(failure.cwd), self._clean(socket.gethostname() or "localhost")
        state = self._state(repository) if repository is not None else None
        project = self._label(wishes.project) or (self._label(Path(repository.root).name) if repository else None)
        tools = [Tool(name, self._clean(version)) for name, version in question.answers()]
        return Manifest(
            v=1,
            id=writer.report_id,
            created_at=to_rfc3339(failure.began_us),
            argv=self.argv,
            cwd=cwd,
            host=host,
            exit_code=ended.exit_code,
            duration_ms=ended.duration_ms,
            environment=summary,
            artifacts=writer.artifacts,
            redactions=[Redaction(rule, where, number) for (rule, where), number in sorted(self._finds.counts.items())],
            redaction_rules=RULES_VERSION,
            signal=ended.signal,
            git=state,
            title=self.title,
            project=project,
            version=self._label(wishes.version),
            usage=Usage(*ended.usage) if ended.usage is not None else None,
            tools=tools,
            noted_files=contents.noted,
        )

    def _state(self, repository: Repository) -> GitState:
        branch = self._clean(repository.branch) if repository.branch else None
        status = [
            GitPath(path.state, inert(self._clean(path.path))[:_LONGEST_PATH], path.is_submodule)
            for path in repository.status
        ]
        changed = repository.changed_files
        folder = self._clean(os.path.relpath(os.path.realpath(self._failure.cwd), repository.root))
        binary = repository.binary_files
        return GitState(repository.head, branch, changed > 0, changed, status, changed - len(status), binary, folder)

    def _label(self, text: str | None) -> str | None:
        return inert(self._clean(text))[:200] if text else None

    def _clean(self, text: str) -> str:
        result = redact(text_of(text), self._scanner)
        for finding in result.findings:
            self._finds.of("manifest")(finding.rule)
        return result.text


def _title(argv: Sequence[str], ended: Ended) -> str:
    how = f"ended by signal {ended.signal}" if ended.signal else f"exited with {ended.exit_code}"
    line = inert(" ".join(argv))
    room = _TITLE_CHARACTERS - len(how) - 1
    if len(line) > room:
        line = line[: room - 1] + "…"
    return f"{line} {how}"
