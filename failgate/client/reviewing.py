"""The review of a report at the terminal: look at each artifact, leave some out, replace words, then agree or not.

One key, a number or a word, then Enter: it works over any line, and with a screen reader.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from failgate.base.errors import BadInput
from failgate.client.messages import inert
from failgate.client.progress import size_text
from failgate.client.report_folder import LocalReport, note_review
from failgate.client.review import findings_of, overview, preview
from failgate.client.rewriting import Changes, rewrite

End = Literal["upload", "keep", "quit"]
_HELP = (
    "NUMBER look at it   x NUMBER leave out or take in   r WORDS replace words everywhere   p RE2 replace a pattern\n"
    "s save   u save and upload   q quit, nothing is changed"
)


class Reviewed(NamedTuple):
    """The report after its review, and what the person wants of it."""

    report: LocalReport
    end: End


class Review:
    """A review under way; nothing is written before it ends."""

    def __init__(self, root: Path, report: LocalReport) -> None:
        """Begin with every artifact taken in."""
        self._root = root
        self.report = report
        self._left_out: set[str] = set()
        self._seen: set[str] = set()
        self._literals: list[str] = []
        self._patterns: list[str] = []

    @property
    def changes(self) -> Changes:
        """Return what was decided so far."""
        return Changes(frozenset(self._left_out), tuple(self._literals), tuple(self._patterns))

    def lines(self) -> Iterator[str]:
        """Yield the artifacts with number, mark, size and findings, and the words that will go."""
        for number, artifact in enumerate(self.report.manifest.artifacts, 1):
            mark = " " if artifact.name in self._left_out else "x"
            found = findings_of(self.report, artifact.name)
            said = ", ".join(f"{count} x {inert(rule)}" for rule, count in sorted(found.items())) or "nothing found"
            seen = "  seen" if artifact.sha256 in self._seen else ""
            size = size_text(artifact.size_bytes)
            yield f"{number:>3} [{mark}] {inert(artifact.name)}  {artifact.kind}  {size}  {said}{seen}"
        if self._literals or self._patterns:
            yield f"    to be replaced: {len(self._literals)} words, {len(self._patterns)} patterns"

    def run(self) -> Reviewed:
        """Ask until the person decides.

        Raises: BadInput, Unprocessable (the folder was changed), OSError.
        """
        _say(*overview(self.report), "")
        while True:
            _say(*self.lines(), _HELP)
            sys.stderr.write("review> ")
            sys.stderr.flush()
            line = sys.stdin.readline()
            verb, _, rest = line.strip().partition(" ")
            try:
                if verb in {"u", "s"}:
                    return Reviewed(self.finish(), "upload" if verb == "u" else "keep")
                if verb == "q" or not line:
                    return Reviewed(self.report, "quit")
                self._step(verb, rest.strip())
            except BadInput as error:
                _say(f"failgate: {error}")

    def finish(self) -> LocalReport:
        """Write what was decided; return the report as it is now, its review noted."""
        changes = self.changes
        before = {artifact.sha256: artifact.name for artifact in self.report.manifest.artifacts}
        seen = {before[sha256] for sha256 in self._seen}
        if not changes.is_nothing:
            self.report = rewrite(self._root, self.report, changes)
        note_review(self.report, [one.sha256 for one in self.report.manifest.artifacts if one.name in seen])
        return self.report

    def leave_out(self, name: str) -> None:
        """Leave the artifact `name` out. Raises: BadInput."""
        self._left_out.add(self._named(name))

    def take_only(self, names: frozenset[str]) -> None:
        """Take in these artifacts alone, which somebody named and so looked at. Raises: BadInput."""
        wanted = {self._named(name) for name in names}
        for artifact in self.report.manifest.artifacts:
            if artifact.name in wanted:
                self._seen.add(artifact.sha256)
            else:
                self._left_out.add(artifact.name)

    def replace(self, literals: tuple[str, ...], patterns: tuple[str, ...]) -> None:
        """Replace words and RE2 patterns in every artifact and in the manifest."""
        self._literals += literals
        self._patterns += patterns

    def _step(self, verb: str, rest: str) -> None:
        if verb.isdigit():
            artifact = self.report.manifest.artifacts[self._index(verb)]
            _say(*preview(self.report, artifact), "")
            self._seen.add(artifact.sha256)
        elif verb == "x" and rest:
            name = self.report.manifest.artifacts[self._index(rest)].name
            self._left_out ^= {name}
        elif verb == "r" and rest:
            self._literals.append(rest)
        elif verb == "p" and rest:
            self._patterns.append(rest)
        else:
            raise BadInput("That is none of the keys.", hint="Write one of those below, then press Enter.")

    def _index(self, text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= len(self.report.manifest.artifacts):
            raise BadInput(f"There is no artifact {text[:20]!a}.", hint="Write its number.")
        return int(text) - 1

    def _named(self, name: str) -> str:
        names = [artifact.name for artifact in self.report.manifest.artifacts]
        if name not in names:
            raise BadInput(f"The report has no artifact {name!a}.", hint=f"It has: {', '.join(names) or 'none'}.")
        return name


def _say(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
