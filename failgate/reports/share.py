"""A share link as a value, and what it may show. Pure.

A link shows one report and of it only what was chosen: the command, how it ended, what was redacted, and the artifacts
that its maker picked. Who captured it, where, in which environment and repository stays in the workspace.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from failgate.base.clock import to_rfc3339
from failgate.base.db import Row
from failgate.wire.reports import EnvironmentSummary, Manifest, ReportView
from failgate.wire.shares import ShareView, ShareVisit

State = Literal["open", "expired", "revoked", "switched off"]
DEFAULT_KINDS: Final = frozenset({"output", "diff"})
NEEDS_REVIEW: Final = frozenset({"snapshot", "bundle"})
_decode_digests = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Share:
    """A link without its secret. Times are microseconds since 1970."""

    id: str
    workspace_id: str
    report_id: str
    artifacts: frozenset[str]
    passphrase_hash: str | None
    created_by: str
    created_us: int
    expires_us: int
    revoked_us: int | None
    views: int
    last_view_us: int | None


def share_of(row: Row) -> Share:
    """Return the link that `row` keeps."""
    return Share(
        id=row["id"],
        workspace_id=row["workspace_id"],
        report_id=row["report_id"],
        artifacts=frozenset(_decode_digests(row["artifacts"])),
        passphrase_hash=row["passphrase_hash"],
        created_by=row["creator_label"],
        created_us=row["created_us"],
        expires_us=row["expires_us"],
        revoked_us=row["revoked_us"],
        views=row["views"],
        last_view_us=row["last_view_us"],
    )


def share_view(share: Share, visits: Sequence[Row], now_us: int, *, is_stopped: bool) -> ShareView:
    """Return the link as its workspace lists it; `visits` are the rows of its latest ones."""
    return ShareView(
        id=share.id,
        report_id=share.report_id,
        artifacts=sorted(share.artifacts),
        state=_state(share, now_us, is_stopped=is_stopped),
        created_at=to_rfc3339(share.created_us),
        created_by=share.created_by,
        expires_at=to_rfc3339(share.expires_us),
        has_passphrase=share.passphrase_hash is not None,
        views=share.views,
        last_viewed_at=None if share.last_view_us is None else to_rfc3339(share.last_view_us),
        visits=[ShareVisit(to_rfc3339(row["viewed_us"]), row["network"]) for row in visits],
    )


def _state(share: Share, now_us: int, *, is_stopped: bool) -> State:
    if share.revoked_us is not None:
        return "revoked"
    if now_us >= share.expires_us:
        return "expired"
    return "switched off" if is_stopped else "open"


def shown_report(share: Share, report: ReportView) -> ReportView:
    """Return of `report` what the link shows: no uploader, machine, folder, environment, repository, command's id."""
    artifacts = [one for one in report.artifacts if one.sha256 in share.artifacts and one.is_present]
    names = {"manifest", *(one.name for one in artifacts)}
    whole = msgspec.convert(report.manifest, Manifest)
    manifest = Manifest(
        v=1,
        id=report.id,
        created_at=whole.created_at,
        argv=whole.argv,
        cwd="",
        host="",
        exit_code=whole.exit_code,
        duration_ms=whole.duration_ms,
        environment=EnvironmentSummary(names=[], values={}, platform=""),
        artifacts=[],
        redactions=[one for one in whole.redactions if one.where in names],
        redaction_rules=whole.redaction_rules,
        signal=whole.signal,
        title=whole.title,
        tools=whole.tools,
    )
    return msgspec.structs.replace(
        report, uploaded_by="", command_id=None, artifacts=artifacts, manifest=msgspec.to_builtins(manifest)
    )


def network_of_view(address: str) -> str:
    """Return from where a link was opened: the /24 network of an IPv4 address, the /48 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))
