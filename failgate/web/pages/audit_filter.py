"""What the audit page is asked for, as it stands in its address. Pure.

The address alone says what is shown, so it can be sent to a colleague, kept as a saved view, or be the period of an
export.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from failgate.audit.catalogue import acts_named
from failgate.audit.moments import moment_us
from failgate.audit.search import Wanted
from failgate.base.errors import BadInput
from failgate.web.pages.text import MICROSECONDS

LONGEST: Final = 200  # characters of one field
_NUMBER_DIGITS: Final = 13


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The fields as they were typed; empty ones ask for nothing.

    `type` is an act or the id of a group; `actor` and `object` are ids, or a name that somebody has here; an `object`
    of digits is the number of a record. `since` and `until` are times, in UTC where they name no zone.
    """

    type: str = ""
    actor: str = ""
    object: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "AuditFilter":
        """Return the filter in the fields of a query or a form; other fields are passed over."""
        return cls(**{name: query.get(name, "").strip()[: LONGEST + 1] for name in NAMES})

    @property
    def query(self) -> str:
        """Return it as the query of an address, without the `?`; empty when nothing is asked for."""
        return urlencode([(name, value) for name in NAMES if (value := getattr(self, name))])

    @property
    def seq(self) -> int | None:
        """Return the number of the record that is asked for, if one is."""
        digits = self.object.removeprefix("#")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= _NUMBER_DIGITS
        return int(digits) if is_number else None

    def wanted(self, names: Mapping[str, str]) -> Wanted:
        """Return what is to be looked for; `names` has the names that people and agents have here, by their ids.

        Raises: BadInput, naming the field.
        """
        for name in NAMES:
            if len(getattr(self, name)) > LONGEST:
                raise BadInput(f"{_LABELS[name]} is longer than {LONGEST} characters.", hint="Shorten it.")
            if "\0" in getattr(self, name):
                raise BadInput(f"{_LABELS[name]} holds a NUL character.", hint="Remove it.")
        acts = acts_named(self.type) if self.type else ()
        if self.type and not acts:
            raise BadInput(f"There is no type of event {self.type[:64]!a}.", hint="Choose one of the list.")
        from_us = moment_us(self.since, _LABELS["since"]) if self.since else None
        to_us = moment_us(self.until, _LABELS["until"]) if self.until else None
        if from_us is not None and to_us is not None and from_us >= to_us:
            raise BadInput("From is not before Until.", hint="From is included, Until is not any more. Both are UTC.")
        is_record = self.seq is not None
        return Wanted(
            tuple(str(act) for act in acts),
            _id_of(self.actor, names),
            None if is_record else _id_of(self.object, names),
            from_us,
            to_us,
        )


NAMES: Final = tuple(field.name for field in fields(AuditFilter))
_LABELS: Final = {"type": "Event", "actor": "Who", "object": "What", "since": "From", "until": "Until"}


def clock_of(text: str) -> str:
    """Return a time as a field for date and time wants it (`2026-11-01T08:00:00`, in UTC); empty for what is none."""
    try:
        us = moment_us(text, "")
    except BadInput:
        return ""
    return datetime.fromtimestamp(us // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _id_of(text: str, names: Mapping[str, str]) -> str | None:
    """Return the id that `text` stands for: that of who has this name here, or the text itself."""
    if not text:
        return None
    asked = text.casefold()
    return next((key for key, name in names.items() if name.casefold() == asked), text)
