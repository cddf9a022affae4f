"""The review of a report, whoever leads it: what goes along, what is replaced, what it came to, and back.

The keys of a terminal (`review_keys.py`) and the page in a browser (`web/loopback/`) are two doors to this room.
Nothing is written before `finish`, which makes the report anew under another id when anything was changed.
"""

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from failgate.base.errors import BadInput
from failgate.client.messages import inert
from failgate.client.progress import size_text
from failgate.client.report_folder import LocalReport, note_review
from failgate.client.review import findings_of, preview
from failgate.client.rewriting import Outlook, outlook, rewrite
from failgate.client.words import Changes, Words
from failgate.wire.reports import ManifestArtifact

COUNTED_BYTES = 64 * 1024 * 1024
"""Of a larger report nobody waits for what words would replace: it is counted when the report is made anew."""


class Item(NamedTuple):
    """An artifact under review. `places` is how often words by hand go from it, None while that was not counted.

    `is_lost`: it holds such a word and cannot be rewritten, so that it has to stay behind.
    """

    number: int
    artifact: ManifestArtifact
    is_in: bool
    is_seen: bool
    findings: dict[str, int]
    places: int | None
    is_lost: bool


class Totals(NamedTuple):
    """What would leave this machine: artifacts, their bytes, what the rules replaced, what a person replaces."""

    artifacts: int
    size_bytes: int
    findings: int
    words: int
    patterns: int


class Review:
    """A review under way."""

    def __init__(self, root: Path, report: LocalReport) -> None:
        """Begin with every artifact taken in."""
        self._root = root
        self._key = secrets.token_bytes(32)  # what a preview shows is what will stand in the file
        self._begin(report)

    def _begin(self, report: LocalReport) -> None:
        self.report = report
        self._changes = Changes()
        self._before: list[Changes] = []
        self._seen: set[str] = set()
        self._outlooks: dict[Changes, Outlook] = {}

    @property
    def changes(self) -> Changes:
        """Return what was decided so far."""
        return self._changes

    @property
    def may_undo(self) -> bool:
        """Tell whether there is a step to take back."""
        return bool(self._before)

    def items(self) -> list[Item]:
        """Return the artifacts, numbered from 1. Raises: Unprocessable (the folder was changed)."""
        seen = self.outlook()
        return [
            Item(
                number,
                one,
                one.name not in self._changes.left_out,
                one.sha256 in self._seen,
                findings_of(self.report, one.name),
                seen.places.get(one.name, 0) if seen is not None else None,
                seen is not None and one.name in seen.lost,
            )
            for number, one in enumerate(self.report.manifest.artifacts, 1)
        ]

    def totals(self) -> Totals:
        """Return what would leave as it was decided so far."""
        going = [one for one in self.items() if one.is_in and not one.is_lost]
        names = {"manifest", *(one.artifact.name for one in going)}
        return Totals(
            len(going),
            sum(one.artifact.size_bytes for one in going),
            sum(one.count for one in self.report.manifest.redactions if one.where in names),
            len(self._changes.literals),
            len(self._changes.patterns),
        )

    def outlook(self) -> Outlook | None:
        """Return what the words would do; None where counting would take long. Raises: Unprocessable."""
        words = self._changes._replace(left_out=frozenset())
        if words.is_nothing:
            return Outlook({}, frozenset())
        if sum(one.size_bytes for one in self.report.manifest.artifacts) > COUNTED_BYTES:
            return None
        if words not in self._outlooks:
            self._outlooks = {words: outlook(self.report, words)}
        return self._outlooks[words]

    def leave_out(self, name: str) -> None:
        """Leave the artifact `name` out. Raises: BadInput."""
        self._decide(self._changes._replace(left_out=self._changes.left_out | {self._named(name)}))

    def take_in(self, name: str) -> None:
        """Take the artifact `name` in. Raises: BadInput."""
        self._decide(self._changes._replace(left_out=self._changes.left_out - {self._named(name)}))

    def take_only(self, names: frozenset[str]) -> None:
        """Take in these artifacts alone, which somebody named and so looked at. Raises: BadInput."""
        wanted = {self._named(name) for name in names}
        self._seen |= {one.sha256 for one in self.report.manifest.artifacts if one.name in wanted}
        everything = {one.name for one in self.report.manifest.artifacts}
        self._decide(self._changes._replace(left_out=frozenset(everything - wanted)))

    def replace(self, literals: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        """Replace words and RE2 patterns in every artifact and in the manifest.

        Raises: BadInput (a word that is too short, a pattern that RE2 does not take); nothing is added then.
        """
        changes = self._changes
        decided = changes._replace(
            literals=tuple(dict.fromkeys((*changes.literals, *literals))),
            patterns=tuple(dict.fromkeys((*changes.patterns, *patterns))),
        )
        Words(decided)
        self._decide(decided)

    def forget(self, text: str) -> None:
        """Do not replace the word or the pattern `text` after all."""
        literals, patterns = self._changes.literals, self._changes.patterns
        self._decide(
            self._changes._replace(
                literals=tuple(one for one in literals if one != text),
                patterns=tuple(one for one in patterns if one != text),
            )
        )

    def undo(self) -> None:
        """Take the last step back. Raises: BadInput (there is none)."""
        if not self._before:
            raise BadInput("There is nothing to take back.")
        self._changes = self._before.pop()

    def see(self, artifact: ManifestArtifact) -> None:
        """Remember that a person looked at the artifact."""
        self._seen.add(artifact.sha256)

    def artifact(self, number: str) -> ManifestArtifact:
        """Return the artifact of a number that somebody wrote. Raises: BadInput."""
        artifacts = self.report.manifest.artifacts
        if not (number.isascii() and number.isdigit()) or not 1 <= int(number[:9]) <= len(artifacts):
            raise BadInput(f"There is no artifact {number[:20]!a}.", hint="Write its number.")
        return artifacts[int(number) - 1]

    def item(self, number: str) -> Item:
        """Return the artifact of that number and what is known of it. Raises: BadInput, Unprocessable."""
        place = self.report.manifest.artifacts.index(self.artifact(number))
        return self.items()[place]

    def words(self) -> Words:
        """Return what finds and replaces the words of this review."""
        return Words(self._changes, self._key)

    def preview(self, artifact: ManifestArtifact) -> Iterator[str]:
        """Yield the artifact as inert lines, as it would leave. Raises: Unprocessable."""
        return preview(self.report, artifact, words=self.words())

    def lines(self) -> Iterator[str]:
        """Yield the artifacts with number, mark, size and findings, and the words that will go."""
        for item in self.items():
            artifact, mark = item.artifact, "x" if item.is_in else " "
            said = ", ".join(f"{count} x {inert(rule)}" for rule, count in sorted(item.findings.items()))
            by_hand = f", {item.places} x by hand" if item.places else ""
            lost = "; has to stay behind: it holds such words" if item.is_lost else ""
            seen = "  seen" if item.is_seen else ""
            size = size_text(artifact.size_bytes)
            yield (
                f"{item.number:>3} [{mark}] {inert(artifact.name)}  {artifact.kind}  {size}  "
                f"{said or 'nothing found'}{by_hand}{lost}{seen}"
            )
        totals = self.totals()
        if totals.words or totals.patterns:
            yield f"    to be replaced: {totals.words} words, {totals.patterns} patterns"
        yield f"    {totals.artifacts} artifacts, {size_text(totals.size_bytes)}, {totals.findings} findings replaced"

    def finish(self) -> LocalReport:
        """Write what was decided; return the report as it is now, its review noted. A review may go on from there.

        Raises: BadInput, Unprocessable (the folder was changed), OSError: nothing is changed then.
        """
        seen = {one.name for one in self.report.manifest.artifacts if one.sha256 in self._seen}
        report = self.report
        if not self._changes.is_nothing:
            report = rewrite(self._root, report, self._changes, self._key)
        digests = [one.sha256 for one in report.manifest.artifacts if one.name in seen]
        note_review(report, digests)
        self._begin(report)
        self._seen.update(digests)
        return report

    def _decide(self, changes: Changes) -> None:
        if changes != self._changes:
            self._before.append(self._changes)
            self._changes = changes

    def _named(self, name: str) -> str:
        names = [artifact.name for artifact in self.report.manifest.artifacts]
        if name not in names:
            raise BadInput(f"The report has no artifact {name!a}.", hint=f"It has: {', '.join(names) or 'none'}.")
        return name
