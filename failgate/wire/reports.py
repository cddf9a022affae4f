"""The report's messages: the manifest (version 1), the beginning of an upload, the report as answered.

Digests of artifacts and of the manifest are SHA-256 in lower-case hex; sizes are bytes.
"""

from typing import Any, Literal

import msgspec

ArtifactKind = Literal["output", "diff", "environment", "source", "recording", "file"]


class ManifestArtifact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One artifact beside the manifest: its file is named by `sha256`."""

    name: str
    kind: ArtifactKind
    media_type: str
    size_bytes: int
    sha256: str
    truncated_bytes: int = 0


class Redaction(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How often a rule replaced something in an artifact (or in the manifest itself: `where` = `manifest`)."""

    rule: str
    where: str
    count: int


class GitState(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The repository's state when the command ran; `head` is the full commit id or null before the first commit."""

    head: str | None
    branch: str | None
    is_dirty: bool
    changed_files: int


class EnvironmentSummary(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Names of all variables that the command got, values of the harmless ones, and what the machine is."""

    names: list[str]
    values: dict[str, str]
    platform: str
    python: str | None = None
    tools: dict[str, str] = {}


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`manifest.json`, version 1. Its digest is SHA-256 over its RFC 8785 bytes."""

    v: Literal[1]
    id: str
    created_at: str
    argv: list[str]
    cwd: str
    host: str
    exit_code: int
    duration_ms: int
    environment: EnvironmentSummary
    artifacts: list[ManifestArtifact]
    redactions: list[Redaction]
    redaction_rules: str
    signal: int | None = None
    git: GitState | None = None
    title: str | None = None


class Consent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Somebody agreed to the upload of exactly this manifest. `by` is `person` (asked) or `standing` (config)."""

    manifest_sha256: str
    by: Literal["person", "standing"]
    at: str


class BeginReport(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST reports`. `manifest` stays a plain object so that its digest is of what was sent."""

    manifest: dict[str, Any]
    consent: Consent | None = None
    command_id: str | None = None
    format: str = "failgate"


class BegunReport(msgspec.Struct, frozen=True):
    """Answer to `POST reports`: what has to be uploaded before the seal."""

    id: str
    state: Literal["begun", "sealed", "quarantined"]
    missing: list[str]


class ArtifactView(msgspec.Struct, frozen=True):
    """One artifact of a report as answered."""

    name: str
    kind: ArtifactKind
    media_type: str
    size_bytes: int
    sha256: str
    is_present: bool


class ReportView(msgspec.Struct, frozen=True):
    """A report as answered."""

    id: str
    state: Literal["begun", "sealed", "quarantined"]
    title: str
    created_at: str
    uploaded_by: str
    manifest_sha256: str
    artifacts: list[ArtifactView]
    command_id: str | None = None
    manifest: dict[str, Any] | None = None


class ReportPage(msgspec.Struct, frozen=True):
    """`GET reports`."""

    items: list[ReportView]
    next: str | None


class DeletedReport(msgspec.Struct, frozen=True):
    """Answer to `DELETE reports/{id}`: the receipt. `record` is the deletion's number in the workspace's audit log.

    `removed` and `kept` are digests of artifacts: gone, or still part of another report. `pending_objects` counts
    removed ones whose bytes the store did not let go yet; nobody can read them, and the next start sweeps them.
    """

    id: str
    manifest_sha256: str
    deleted_at: str
    record: int
    removed: list[str]
    kept: list[str]
    pending_objects: int
