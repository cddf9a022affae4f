"""Which control of SOC 2 and ISO/IEC 27001 is shown by which columns of which pack; `controls.toml` holds it."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """What some columns of a section show for a control, and what they do not."""

    pack: str
    section: str
    columns: tuple[str, ...]
    shows: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a framework, with a title in our words."""

    framework: str
    id: str
    title: str
    evidence: tuple[Shown, ...]


@cache
def text() -> str:
    """Return the data file as it is."""
    return files("failgate.evidence").joinpath("controls.toml").read_text(encoding="utf-8")


@cache
def controls() -> tuple[Control, ...]:
    """Return every control, in the order of the file."""
    read: list[dict[str, Any]] = tomllib.loads(text())["control"]
    return tuple(
        Control(
            one["framework"], one["id"], one["title"],
            tuple(
                Shown(each["pack"], each["section"], tuple(each["columns"]), each["shows"], each["lacks"])
                for each in one["evidence"]
            ),
        )
        for one in read
    )  # fmt: skip


def of_pack(pack: str) -> Iterator[tuple[Control, Shown]]:
    """Yield each control that `pack` shows something of, with what."""
    for control in controls():
        for shown in control.evidence:
            if shown.pack == pack:
                yield control, shown
