"""From rows to answers: who sees what of a report. Pure."""

import hashlib
from collections.abc import Sequence

import msgspec

from failgate.access.principal import Principal
from failgate.base.clock import to_rfc3339
from failgate.base.db import Row
from failgate.base.errors import FailgateError
from failgate.reports.withholding import NOT_SCANNED, Withholding
from failgate.wire.reports import ArtifactView, ReportView

WITHHELD = "Withheld: secrets were found on receipt"
_decode_manifest = msgspec.json.Decoder(dict[str, object]).decode


def is_uploader(principal: Principal, row: Row) -> bool:
    """Tell whether `principal` uploaded the report, or is the account that answers for the agent which did."""
    if row["uploader_id"] == principal.id:
        return True
    return principal.account_id is not None and row["uploader_owner_id"] == principal.account_id


def is_visible(principal: Principal, row: Row) -> bool:
    """Tell whether a report exists for `principal`: an unfinished one only for its uploader, and for an agent its own.

    Only who submitted a command links a report to it, so the reports of an agent's commands are among its own.
    """
    return is_uploader(principal, row) or (row["state"] != "begun" and principal.kind != "agent")


def is_open(principal: Principal, row: Row) -> bool:
    """Tell whether `principal` may see the content: a quarantined report's only its uploader, who captured it."""
    return row["state"] == "sealed" or is_uploader(principal, row)


def report_view(
    principal: Principal,
    row: Row,
    artifacts: Sequence[Row],
    withholding: Withholding = NOT_SCANNED,
    *,
    with_manifest: bool = False,
) -> ReportView:
    """Return the report as `principal` may see it.

    Raises: FailgateError (the stored manifest is not the one that was consented to).
    """
    may_see = is_open(principal, row)
    return ReportView(
        id=row["id"],
        state=row["state"],
        title=row["title"] if may_see else WITHHELD,
        created_at=to_rfc3339(row["created_us"]),
        uploaded_by=row["uploader_label"],
        manifest_sha256=row["manifest_sha256"],
        artifacts=[_artifact_view(one, withholding) for one in artifacts] if may_see else [],
        command_id=row["command_id"],
        manifest=_manifest(row) if may_see and with_manifest else None,
        project=(row["project"] or None) if may_see else None,
        version=(row["version"] or None) if may_see else None,
        source=row["source"],
        group_id=row["group_id"],
        is_held=row["held_us"] is not None,
    )


def _artifact_view(row: Row, withholding: Withholding) -> ArtifactView:
    return ArtifactView(
        name=row["name"],
        kind=row["kind"],
        media_type=row["media_type"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        is_present=row["artifact_id"] is not None,
        withheld=withholding.why(row),
        malware=row["malware"],
    )


def _manifest(row: Row) -> dict[str, object]:
    text: str = row["manifest"]
    if hashlib.sha256(text.encode()).hexdigest() != row["manifest_sha256"]:
        raise FailgateError(
            "The stored manifest differs from the one that was consented to.",
            hint="Somebody changed the database: run failgate audit verify.",
        )
    return _decode_manifest(text)
