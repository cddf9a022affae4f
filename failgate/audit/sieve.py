"""Which records an exporter gets: by the act and by the log, and whether with bodies. Pure.

What is left out moves the cursor all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from failgate.audit.exporter import ExportedRecord
from failgate.audit.record import SYSTEM, Act

WORKSPACES = "workspaces"  # every log but that of the system


class _Acted(msgspec.Struct):
    act: str


_decode = msgspec.json.Decoder(_Acted).decode


@dataclass(frozen=True, slots=True)
class Sieve:
    """Admits a record whose act is among `acts` and not among `without`, of a log that is among `logs`.

    An act is a name of the catalogue, or its beginning and a star. A log is `system`, `workspaces` (all others), the id
    of a workspace, or a star. With `bodies` a record brings its personal data along, which nobody calls back.
    """

    acts: Sequence[str] = ("*",)
    without: Sequence[str] = ()
    logs: Sequence[str] = ("*",)
    bodies: bool = False

    @property
    def admits_all(self) -> bool:
        """Tell whether nothing is left out."""
        return "*" in self.acts and "*" in self.logs and not self.without

    def admits(self, record: ExportedRecord) -> bool:
        """Tell whether the exporter gets `record`. What cannot be read is never left out."""
        if self.admits_all:
            return True
        if not any(log in {"*", record.log} or (log == WORKSPACES and record.log != SYSTEM) for log in self.logs):
            return False
        try:
            act = _decode(record.leaf).act
        except msgspec.DecodeError:
            return True
        return any(_matches(each, act) for each in self.acts) and not any(_matches(each, act) for each in self.without)

    def unknown_acts(self) -> list[str]:
        """Return what among `acts` and `without` names no act of the catalogue."""
        return [each for each in (*self.acts, *self.without) if not any(_matches(each, act) for act in Act)]


def _matches(pattern: str, act: str) -> bool:
    return act.startswith(pattern[:-1]) if pattern.endswith("*") else act == pattern
