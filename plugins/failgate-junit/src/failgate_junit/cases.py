"""The failing cases of a JUnit XML document, collected while it is parsed: a tree is never built.

There is no one schema. What is read: `testsuites`, `testsuite` (nested too), `testcase`, and in a case `failure`,
`error`, `rerunFailure`, `rerunError`, `system-out`, `system-err`; all else is passed over.
Sources: surefire-test-report.xsd of Apache Maven; `_pytest/junitxml.py`; the README of jest-junit.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from failgate.plugin import Unprocessable

DEEPEST = 64
MOST_CASES = 2000
LONGEST_TEXT = 2 * 1024 * 1024
"""Characters kept of one message or output, half from each end."""
_FAILED = {"failure": "failure", "error": "error", "rerunFailure": "failure", "rerunError": "error"}
_KEPT = frozenset({*_FAILED, "system-out", "system-err"})


@dataclass(slots=True)
class Problem:
    """Why a case failed: `word` is `failure` (an assertion) or `error` (something else)."""

    word: str
    message: str
    kind: str
    details: str = ""


@dataclass(slots=True)
class Case:
    """A case that failed. `seconds` is as written."""

    name: str
    classname: str
    place: str
    seconds: str
    problems: list[Problem] = field(default_factory=list[Problem])
    outputs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(slots=True)
class Suite:
    """Attributes of the first suite that has them."""

    name: str = ""
    timestamp: str = ""
    host: str = ""


class CaseCollector:
    """The target of an XML parser: takes its events, keeps what failed."""

    def __init__(self) -> None:
        """Start empty."""
        self.cases: list[Case] = []
        self.counts: Counter[str] = Counter()
        self.suite = Suite()
        self.seconds = 0.0
        self.suite_outputs: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._case: Case | None = None
        self._text: _Text | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """See an element begin."""
        tag = tag.rpartition("}")[2]
        if not self._open and tag not in {"testsuites", "testsuite"}:
            raise Unprocessable(
                f"The document begins with <{tag[:40]}>, which is not JUnit XML.",
                hint="It begins with <testsuites> or <testsuite>.",
            )
        self._open.append(tag)
        if len(self._open) > DEEPEST:
            raise Unprocessable(f"The document is nested deeper than {DEEPEST} elements.", hint="JUnit XML is flat.")
        if tag in {"testsuites", "testsuite"}:
            self._begin_suite(attributes)
        elif tag == "testcase":
            self.counts["cases"] += 1
            self._case = Case(
                attributes.get("name", ""), attributes.get("classname", ""), _place(attributes),
                attributes.get("time", ""),
            )  # fmt: skip
        elif tag == "skipped":
            self.counts["skipped"] += 1
        elif tag in _KEPT:
            self._text = _Text()
            if tag in _FAILED and self._case is not None:
                problem = Problem(_FAILED[tag], attributes.get("message", ""), attributes.get("type", ""))
                self._case.problems.append(problem)

    def data(self, text: str) -> None:
        """See text."""
        if self._text is not None:
            self._text.add(text)

    def end(self, tag: str) -> None:
        """See an element end."""
        tag = tag.rpartition("}")[2]
        self._open.pop()
        if tag == "testcase" and self._case is not None:
            if self._case.problems:
                self.counts["failed"] += 1
                if len(self.cases) < MOST_CASES:
                    self.cases.append(self._case)
            self._case = None
        elif tag in _KEPT and self._text is not None:
            self._put(tag, self._text.whole())
            self._text = None

    def close(self) -> None:
        """See the document end."""

    def _begin_suite(self, attributes: Mapping[str, str]) -> None:
        suite = self.suite
        suite.name = suite.name or attributes.get("name", "")
        suite.timestamp = suite.timestamp or attributes.get("timestamp", "")
        suite.host = suite.host or attributes.get("hostname", "")
        if len(self._open) == 1 or self._open[-2] == "testsuites":
            self.seconds = max(self.seconds, _seconds(attributes.get("time", "")))

    def _put(self, tag: str, text: str) -> None:
        if self._case is None:
            if tag in {"system-out", "system-err"} and text.strip():
                self.suite_outputs.append((tag, text))
        elif tag in _FAILED:
            self._case.problems[-1].details = text
        elif text.strip():
            self._case.outputs.append((tag, text))


class _Text:
    """Text in pieces; of a long one the beginning and the end."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: list[str] = []
        self._room = LONGEST_TEXT // 2
        self._held = self._dropped = 0

    def add(self, piece: str) -> None:
        if self._room > 0:
            self._head.append(piece[: self._room])
            self._room, piece = self._room - len(piece), piece[self._room :]
        self._tail.append(piece)
        self._held += len(piece)
        if self._held > LONGEST_TEXT:
            whole = "".join(self._tail)
            kept = whole[-LONGEST_TEXT // 2 :]
            self._dropped += len(whole) - len(kept)
            self._tail, self._held = [kept], len(kept)

    def whole(self) -> str:
        note = [f"\n[failgate: {self._dropped} characters left out]\n"] if self._dropped else []
        return "".join([*self._head, *note, *self._tail])


def _place(attributes: Mapping[str, str]) -> str:
    file, line = attributes.get("file", ""), attributes.get("line", "")
    return f"{file}:{line}" if file and line else file


def _seconds(text: str) -> float:
    try:
        found = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return found if 0 <= found < 1e9 else 0.0
