"""The page of the exporters as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class PositionLine:
    """A log that is not delivered to its end: `seq` is the first record that is missing there."""

    log: str
    seq: int
    size: int


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A record that the other side refused for ever; `is_due`: it is on its way once more."""

    log: str
    seq: int
    reason: str
    attempts: int
    put: Moment
    is_due: bool


@dataclass(frozen=True, slots=True)
class ExporterCard:
    """One exporter. `lag` None: everything is delivered; `done` logs are; `failed` is when it failed last."""

    name: str
    is_proven: bool
    lag: str | None
    done: int
    behind: tuple[PositionLine, ...]
    more: int
    failure: str | None
    failed: Moment | None
    put_aside: int
    refused: tuple[RefusedLine, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class WitnessCard:
    """One witness. `lag` None: it cosigned the newest head of every log; `conflict`: it saw another history."""

    name: str
    key_name: str
    lag: str | None
    done: int
    behind: tuple[PositionLine, ...]
    more: int
    failure: str | None
    conflict: str | None
    failed: Moment | None
    cosigned: Moment | None


@dataclass(frozen=True, slots=True)
class TriedLine:
    """What a witness answered just now: `state` is `cosigned`, `contradicted` or `failed`."""

    name: str
    state: str
    said: str


@dataclass(frozen=True, slots=True)
class ReconciledCard:
    """The last comparison of rows and records: its differences, each a sentence; `more` are not shown."""

    rows: int
    ended: Moment
    differences: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class ExportersView:
    """Every exporter and every witness of the config, and what was done with one.

    `quorum` witnesses are enough; `held` says why nothing is changed now; `reconciled` is None before the first time;
    `tried` is what each witness answered just now, when somebody tried.
    """

    cards: tuple[ExporterCard, ...]
    done: str | None = None
    witnesses: tuple[WitnessCard, ...] = ()
    quorum: int = 1
    held: str | None = None
    reconciled: ReconciledCard | None = None
    tried: tuple[TriedLine, ...] = ()
