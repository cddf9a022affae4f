"""What happened to a report, in order: captured, redacted, consented, uploaded, sealed, read, shared. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from failgate.web.pages.text import Moment, moment_of
from failgate.wire.reports import ReportView

_SAID: Final = {
    "report.begun": "Upload begun",
    "report.sealed": "Sealed: every artifact is there, as the manifest names it",
    "report.quarantined": "Quarantined: the server found what looks like a secret",
    "artifact.quarantined": "Withheld: a virus scan found malware in an artifact",
}
_READINGS: Final = ("report.read", "artifact.read")


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: what, when (None: not known), and what is to be added."""

    what: str
    at: Moment | None
    about: str = ""


def story(
    report: ReportView, records: Sequence[Mapping[str, Any]], shares: Sequence[str], now_us: int
) -> tuple[Happening, ...]:
    """Return the line of time. `records` are the report's audit records, oldest first; `shares` are times of links."""
    found: list[Happening] = []
    manifest = report.manifest or {}
    if manifest:
        found.append(Happening("Captured", moment_of(str(manifest["created_at"]), now_us), f"on {manifest['host']}"))
        count = sum(one["count"] for one in manifest["redactions"])
        replaced = f"{count} {'secret' if count == 1 else 'secrets'} replaced" if count else "nothing to replace"
        found.append(Happening("Redacted", None, f"before it touched the disk: {replaced}"))
    for record in records:
        act, at = str(record["act"]), moment_of(str(record["ts"]), now_us)
        consent = (record.get("data") or {}).get("consent")
        if act == "report.begun" and consent:
            how = "by a person who saw it" if consent == "person" else "once and for all, in the settings"
            found.append(Happening("Consented", at, how))
        if act in _SAID:
            found.append(Happening(_SAID[act], at))
    readings = [record for record in records if record["act"] in _READINGS]
    if readings:
        times = {(record["actor"] or {}).get("id") for record in readings}
        who = f"by {len(times)} {'reader' if len(times) == 1 else 'readers'}"
        found.append(Happening("Last read", moment_of(str(readings[-1]["ts"]), now_us), who))
    found += [Happening("Shared by a link", moment_of(at, now_us)) for at in shares]
    return tuple(found)
