"""What a campaign is: rounds that try to break one promise, and a control that plants the fault they must catch."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEVELS = ("ci", "nightly", "release")


@dataclass
class Seen:
    """What rounds saw: how many there were, every broken promise, figures for the table, and notes for who mends."""

    count: int = 0
    broken: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def expect(self, is_kept: bool, what: str) -> None:
        """Note `what` as broken unless it is kept."""
        if not is_kept:
            self.broken.append(what)


@dataclass(frozen=True)
class Campaign:
    """`run` tries `counts[level]` times with the seed; `control` does the same with a fault planted.

    A control that finds nothing fails the campaign: it would not have found the real thing either.
    """

    name: str
    promise: str
    unit: str
    fault: str
    counts: dict[str, int]
    run: Callable[[Path, int, random.Random], Seen]
    control: Callable[[Path, random.Random], Seen]


@dataclass(frozen=True)
class Verdict:
    """One row of the table."""

    name: str
    promise: str
    unit: str
    seed: int
    count: int
    broken: list[str]
    fault: str
    caught: int
    seconds: float
    figures: dict[str, Any]
    notes: list[str]

    @property
    def passed(self) -> bool:
        return not self.broken and self.caught > 0 and self.count > 0


def carry_out(campaign: Campaign, folder: Path, level: str, seed: int, count: int | None = None) -> Verdict:
    """Run the control, then the rounds of `level`, each in a folder of its own below `folder`."""
    started = time.monotonic()
    (folder / "control").mkdir(parents=True)
    (folder / "rounds").mkdir()
    planted = campaign.control(folder / "control", random.Random(seed))
    seen = campaign.run(folder / "rounds", count or campaign.counts[level], random.Random(seed))
    return Verdict(
        campaign.name, campaign.promise, campaign.unit, seed, seen.count, seen.broken, campaign.fault,
        len(planted.broken), time.monotonic() - started, seen.figures, seen.notes,
    )  # fmt: skip
