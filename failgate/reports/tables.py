"""What is kept of a report: its manifest as sent, who uploaded it, which artifacts it names."""

from typing import Final

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class ReportRow(Table, tablename="report"):
    """One report; the key is `(workspace_id, id)`, so a workspace's list is read in order without another index.

    `manifest` is the RFC 8785 text of the object as it was sent; `uploader_t` and `uploader_id` are the actor of the
    audit record; `uploader_owner_id` is the account that answers for an agent; `findings` is JSON `{rule: count}`.
    """

    id = Text(primary_key=True)
    workspace_id = Text()
    state = Text()
    format = Text()
    title = Text()
    exit_code = BigInt()
    manifest_id = Text()
    manifest_sha256 = Text()
    manifest = Text()
    uploader_t = Text()
    uploader_id = Text()
    uploader_owner_id = Text(null=True, default=None)
    uploader_label = Text()
    command_id = Text(null=True, default=None)
    consent_by = Text()
    consent_at = Text()
    findings = Text()
    created_us = BigInt()
    sealed_us = BigInt(null=True, default=None)
    project = Text()
    version = Text()
    source = Text()
    recording_ms = BigInt()
    group_id = Text(null=True, default=None)
    held_us = BigInt(null=True, default=None)
    held_by = Text(null=True, default=None)
    held_reason = Text(null=True, default=None)


class ReportArtifactRow(Table, tablename="report_artifact"):
    """One artifact that a manifest names; `artifact_id` is set once its bytes are in the store."""

    report_id = Text(primary_key=True)
    workspace_id = Text()
    position = BigInt()
    name = Text()
    kind = Text()
    media_type = Text()
    size_bytes = BigInt()
    sha256 = Text()
    artifact_id = Text(null=True, default=None)
    removed_us = BigInt(null=True, default=None)


class ShareRow(Table, tablename="share"):
    """One share link. `artifacts` is a JSON list of SHA-256; of the token only its SHA-256 is here."""

    id = Text(primary_key=True)
    workspace_id = Text()
    report_id = Text()
    artifacts = Text()
    token_sha256 = Text()
    passphrase_hash = Text(null=True, default=None)
    creator_t = Text()
    creator_id = Text()
    creator_label = Text()
    created_us = BigInt()
    expires_us = BigInt()
    revoked_us = BigInt(null=True, default=None)
    views = BigInt()
    last_view_us = BigInt(null=True, default=None)


class ShareViewRow(Table, tablename="share_view"):
    """One visit by a share link: when, and from which network (not which address)."""

    id = Text(primary_key=True)
    share_id = Text()
    viewed_us = BigInt()
    network = Text()


class ArtifactReviewRow(Table, tablename="artifact_review"):
    """Somebody looked through this source snapshot of this report; the key is workspace, report and digest."""

    workspace_id = Text(primary_key=True)
    report_id = Text()
    sha256 = Text()
    reviewer_t = Text()
    reviewer_id = Text()
    reviewed_us = BigInt()


class SharingStopRow(Table, tablename="sharing_stop"):
    """A workspace whose share links answer nobody."""

    workspace_id = Text(primary_key=True)
    stopped_us = BigInt()


class RedactionRuleRow(Table, tablename="redaction_rule"):
    """A rule that a workspace added; `sealed` holds its pattern and description."""

    id = Text(primary_key=True)
    workspace_id = Text()
    name = Text()
    sealed = Text()
    created_by = Text()
    created_us = BigInt()


class RedactionSetRow(Table, tablename="redaction_set"):
    """The rules of a workspace as a whole: the key of its tags, a generation, how far the scan of reports is."""

    workspace_id = Text(primary_key=True)
    sealed_key = Text()
    generation = BigInt()
    is_scanning = BigInt()
    scan_after = Text()
    scanned = BigInt()
    quarantined = BigInt()
    scan_begun_us = BigInt()
    scan_ended_us = BigInt(null=True, default=None)
    rules_version = Text(default="")


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (
    Rows("share", children=(("share_view", "share_id"),)),
    Rows("sharing_stop", "workspace_id"),
    Rows("artifact_review", "report_id"),
    Rows("report_text", "report_id"),
    Rows("report_artifact", "report_id"),
    Rows("report"),
    Rows("report_group_day", "group_id"),
    Rows("report_group"),
    Rows("redaction_rule"),
    Rows("redaction_set", "workspace_id"),
    Rows("workspace_retention", "kind"),
    Rows("ingest_key"),
)
