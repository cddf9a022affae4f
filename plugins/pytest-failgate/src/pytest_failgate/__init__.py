"""The pytest plugin: a failing session keeps one local report. Before something failed it imports nothing of ours."""

import os
import sys
import time

import pytest

MOST_FAILURES = 1000
LONGEST_TEXT = 256 * 1024
_RULE = "=" * 78


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--failgate` and the ini setting `failgate`."""
    says = "keep a redacted report of a failing session under .failgate/reports"
    parser.getgroup("failgate").addoption("--failgate", action="store_true", default=False, help=says)
    parser.addini("failgate", says, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen when it is asked for; a worker of xdist leaves it to its controller."""
    is_wanted = config.getoption("--failgate") or config.getini("failgate")
    if is_wanted and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Keeper(config), "failgate-keeper")


class _Keeper:
    """Collects what failed; keeps it when the session ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.time()
        self._failed: list[pytest.TestReport | pytest.CollectReport] = []
        self._left_out = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failed phase of a test."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that could not be collected."""
        self._note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Keep the report and say where. Whatever goes wrong is said, and changes nothing of the session."""
        if not self._failed:
            return
        try:
            where = self._keep(int(exitstatus))
        except Exception as error:  # noqa: BLE001  # a report that cannot be kept never changes a session
            terminalreporter.write_line(f"failgate: the report could not be kept: {type(error).__name__}: {error}")
            return
        terminalreporter.write_line(f"failgate: report kept at {where}")

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.failed:
            return
        if len(self._failed) < MOST_FAILURES:
            self._failed.append(report)
        else:
            self._left_out += 1

    def _keep(self, exit_code: int) -> str:
        from failgate.keeping import Draft, DraftArtifact, keep_draft

        root = self._config.rootpath
        texts = [self._text(report) for report in self._failed]
        if self._left_out:
            texts.append(f"[failgate: {self._left_out} more failures left out]\n")
        content = "\n".join(texts).encode("utf-8", "replace")
        more = len(self._failed) + self._left_out - 1
        first = self._failed[0]
        title = f"{first.nodeid}{f' (and {more} more)' if more else ''}: {_crash_of(first)}"
        draft = Draft(
            source="pytest",
            title=title,
            artifacts=[DraftArtifact("failures.txt", "output", "text/plain", content)],
            argv=["pytest", *self._config.invocation_params.args],
            created_us=round(self._began * 1_000_000),
            duration_ms=round((time.time() - self._began) * 1000),
            exit_code=exit_code,
            cwd=str(self._config.invocation_params.dir),
            host=os.uname().nodename,
            platform=sys.platform,
            python=sys.version.split()[0],
        )
        kept = keep_draft(draft, root, os.environ)
        return os.path.relpath(kept.folder)

    def _text(self, report: pytest.TestReport | pytest.CollectReport) -> str:
        phase, seconds = getattr(report, "when", "collect"), getattr(report, "duration", 0.0)
        lines = [_RULE, f"{report.nodeid}  {phase}  {seconds:.3f} s", _RULE, _bounded(report.longreprtext)]
        for name, output in report.sections:
            lines += [f"--- {name}", _bounded(output)]
        return "\n".join(lines) + "\n"


def _crash_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the first line of what was raised."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = getattr(crash, "message", "") or report.longreprtext.strip().rpartition("\n")[2]
    return str(text).strip().partition("\n")[0] or "failed"


def _bounded(text: str) -> str:
    """Return `text`, or its first and last whole lines."""
    if len(text) <= LONGEST_TEXT:
        return text
    head = text[: LONGEST_TEXT // 2].rpartition("\n")[0]
    tail = text[-LONGEST_TEXT // 2 :].partition("\n")[2]
    return f"{head}\n[failgate: {len(text) - len(head) - len(tail)} characters left out]\n{tail}"
