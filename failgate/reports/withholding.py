"""Which artifacts are kept from everybody, for what a virus scanner said of them or did not say yet. Pure."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from failgate.base.errors import Conflict

Withheld = Literal["malware", "waiting", "too_large"]
SCANNED_COLUMNS: Final = "artifact.malware AS malware, artifact.scanned_us AS scanned_us"
"""What `why` reads of a row that joins `artifact`."""

_SAYS: Final[dict[Withheld, tuple[str, str]]] = {
    "malware": (
        "A virus scan found {malware} in this artifact: nobody gets it.",
        "Delete the report, or capture it again without this file.",
    ),
    "waiting": (
        "The virus scanner has not looked through this artifact yet.",
        "Ask again in a moment; when that does not help, failgate doctor says how the scanner is.",
    ),
    "too_large": (
        "This artifact is larger than what is scanned for viruses: nobody gets it.",
        "The operator may raise [artifacts.scan] limit, or show what is larger.",
    ),
}


@dataclass(frozen=True, slots=True)
class Withholding:
    """The rule: artifacts of at most `limit_bytes` are shown once they are clean; None: nothing is scanned.

    What was found once stays withheld also when nothing is scanned any more.
    """

    limit_bytes: int | None = None
    is_larger_shown: bool = False

    def why(self, row: Any) -> Withheld | None:
        """Return why the stored artifact of a row is kept from everybody, or None."""
        if row["malware"]:
            return "malware"
        if self.limit_bytes is None or row["artifact_id"] is None or row["scanned_us"] is not None:
            return None
        if row["size_bytes"] > self.limit_bytes:
            return None if self.is_larger_shown else "too_large"
        return "waiting"

    def demand_shown(self, row: Any) -> None:
        """Refuse what is kept from everybody. Raises: Conflict."""
        reason = self.why(row)
        if reason is not None:
            sentence, hint = _SAYS[reason]
            raise Conflict(sentence.format(malware=row["malware"]), hint=hint, withheld=reason)


NOT_SCANNED: Final = Withholding()
