"""The table of reasons: read from TOML, checked, asked about one call. Pure."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from failgate.plugin import StartRefused

Kind = Literal["destructive", "network", "privilege", "secrets", "other"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
MAX_REASONS: Final = 1000
_VERSIONED: Final = "0123456789.-"


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a call is dangerous. It fits when each member that is given does; the head of `risk.toml` says how."""

    kind: Kind
    says: Text
    points: Annotated[int, msgspec.Meta(ge=1, le=100)]
    programs: frozenset[Text] = frozenset()
    verbs: frozenset[Text] = frozenset()
    words: frozenset[Text] = frozenset()
    flags: str = ""
    begins: tuple[Text, ...] = ()
    contains: tuple[Text, ...] = ()

    def fits(self, names: frozenset[str], arguments: Sequence[str]) -> bool:
        """Tell whether it is one of a call of the program that goes by `names`, with `arguments`."""
        if self.programs and self.programs.isdisjoint(names):
            return False
        if self.words and self.words.isdisjoint([*arguments, *(word.rstrip("/") for word in arguments)]):
            return False
        if self.verbs and next((word for word in arguments if not word.startswith("-")), "") not in self.verbs:
            return False
        if self.flags and not all(_has_flag(arguments, flag) for flag in self.flags):
            return False
        if self.begins and not any(word.startswith(self.begins) for word in arguments):
            return False
        return not self.contains or any(part in word for word in arguments for part in self.contains)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reasons, and the programs that start the one that their arguments name."""

    wrappers: frozenset[Text]
    reason: tuple[Reason, ...]

    @property
    def programs(self) -> frozenset[str]:
        """Return every program that a reason or the list of wrappers names."""
        return self.wrappers.union(*(reason.programs for reason in self.reason))


def names_of(program: str) -> frozenset[str]:
    """Return what a program goes by: its name without folder, and that without its version."""
    name = program.rpartition("/")[2].lower().removesuffix(".exe")
    return frozenset((name, name.rstrip(_VERSIONED) or name))


def shipped_text() -> str:
    """Return the table that comes with this plugin."""
    return (files("failgate_risk") / "risk.toml").read_text(encoding="utf-8")


def read_table(path: str | None) -> tuple[Table, str]:
    """Return the table at `path`, the shipped one without, and its text.

    Raises: StartRefused (not readable, or no such table: it says where).
    """
    try:
        text = shipped_text() if path is None else Path(path).read_text(encoding="utf-8")
        table = msgspec.toml.decode(text, type=Table)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError, ValueError) as error:
        where = "The shipped table of risks" if path is None else f"The table of risks {path}"
        raise StartRefused(
            f"{where} cannot be used: {error}.", hint="Compare it with the shipped risk.toml."
        ) from error
    if len(table.reason) > MAX_REASONS:
        raise StartRefused(f"The table of risks has more than {MAX_REASONS} reasons.", hint="Join those that agree.")
    return table, text


def _has_flag(arguments: Sequence[str], flag: str) -> bool:
    return any(word[:1] == "-" and word[:2] != "--" and flag in word[1:] for word in arguments)
