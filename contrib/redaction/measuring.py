"""Recall and precision of the redaction rules, counted by kind of secret. Nothing of a text is kept or printed."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from failgate.redaction import Finding, Scanner, redact

_AROUND = " \t\r\n\\\"'`"


class Labelled(NamedTuple):
    """A text; with `is_secret`, `start` and `end` (characters) are the secret's span in it."""

    text: str
    kind: str
    is_secret: bool
    start: int
    end: int


@dataclass
class Tally:
    """What was found of one kind: `whole` counts secrets that were covered from end to end."""

    secrets: int = 0
    touched: int = 0
    whole: int = 0
    benign: int = 0
    false_texts: int = 0
    false_findings: int = 0


@dataclass
class Measured:
    """Tallies by kind, and which rule raised each false alarm."""

    kinds: dict[str, Tally] = field(default_factory=dict[str, Tally])
    false_rules: Counter[str] = field(default_factory=Counter[str])
    missed: list[Labelled] = field(default_factory=list[Labelled])
    alarms: list[tuple[Labelled, Finding]] = field(default_factory=list[tuple[Labelled, Finding]])

    def total(self) -> Tally:
        """Return the sums over all kinds."""
        sums = Tally()
        for one in self.kinds.values():
            for name, value in vars(one).items():
                setattr(sums, name, getattr(sums, name) + value)
        return sums


def read_labelled(path: Path) -> Iterator[Labelled]:
    """Yield the lines of a JSONL file with `text`, `kind`, `label` (positive or negative), `start` and `end`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            is_secret = one["label"] == "positive"
            start, end = _bare(one["text"], one["start"], one["end"]) if is_secret else (0, 0)
            yield Labelled(one["text"], one["kind"], is_secret, start, end)


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the quotes, line ends and signs of assignment that some labels have around a secret."""
    secret = text[start:end]
    bare = secret.strip(_AROUND)
    return (start, end) if not bare else (start + secret.index(bare), start + secret.index(bare) + len(bare))


def agreeing(texts: Iterable[Labelled]) -> list[Labelled]:
    """Return the texts without those that are labelled as a secret in one line and as none in another."""
    texts = list(texts)
    secret = {one.text for one in texts if one.is_secret}
    benign = {one.text for one in texts if not one.is_secret}
    return [one for one in texts if one.text not in secret & benign]


def halves(texts: Iterable[Labelled], seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Return the texts in two halves by chance; lines of one text stay together."""
    parts: tuple[list[Labelled], list[Labelled]] = [], []
    for one in texts:
        parts[hashlib.sha256(f"{seed} {one.text}".encode()).digest()[0] % 2].append(one)
    return parts


def measure(texts: Iterable[Labelled], scanner: Scanner) -> Measured:
    """Redact every text by itself and count.

    A secret is touched when a finding overlaps it and whole when findings cover each of its characters. Any finding in
    a text that is labelled benign is a false alarm; findings beside a secret are not judged.
    """
    measured = Measured()
    for one in texts:
        tally = measured.kinds.setdefault(one.kind, Tally())
        findings = redact(one.text, scanner).findings
        if one.is_secret:
            covered = sum(max(0, min(found.end, one.end) - max(found.start, one.start)) for found in findings)
            tally.secrets += 1
            tally.touched += covered > 0
            tally.whole += covered == one.end - one.start
            if covered < one.end - one.start:
                measured.missed.append(one)
        else:
            tally.benign += 1
            tally.false_texts += bool(findings)
            tally.false_findings += len(findings)
            measured.false_rules.update(found.rule for found in findings)
            measured.alarms += [(one, found) for found in findings]
    return measured
