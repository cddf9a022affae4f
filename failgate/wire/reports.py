"""The report's messages: the manifest (version 1), the beginning of an upload, the report as answered.

Digests of artifacts and of the manifest are SHA-256 in lower-case hex; sizes are bytes.
"""

from typing import Any, Literal

import msgspec

ArtifactKind = Literal[
    "output",
    "diff",
    "environment",
    "source",
    "recording",
    "file",
    "snapshot",
    "bundle",
    "junit",
    "sarif",
    "envelope",
]
"""`recording` is asciicast v2, `snapshot` a tar of the source tree, `bundle` a git bundle; `source` one file of it."""

ReportSource = Literal["command", "pytest", "junit", "sarif", "sentry"]


class ManifestArtifact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One artifact beside the manifest: its file is named by `sha256`. `path` is where a captured file lay."""

    name: str
    kind: ArtifactKind
    media_type: str
    size_bytes: int
    sha256: str
    truncated_bytes: int = 0
    path: str | None = None


class NotedFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A file that a pattern named and the report does not hold: why, and what is known of it."""

    path: str
    reason: str
    size_bytes: int | None = None
    sha256: str | None = None


class Redaction(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How often a rule replaced something in an artifact (or in the manifest itself: `where` = `manifest`)."""

    rule: str
    where: str
    count: int


class GitPath(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A path that `git status` names. `state` has two letters, index and work tree: `.` unchanged, `??` untracked."""

    state: str
    path: str
    is_submodule: bool = False


class GitState(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The repository's state when the command ran; `head` is the full commit id or null before the first commit.

    `folder` is where in the repository the command ran: `.` is its root.
    """

    head: str | None
    branch: str | None
    is_dirty: bool
    changed_files: int
    status: list[GitPath] = []
    status_left_out: int = 0
    binary_files: int = 0
    folder: str | None = None

    @property
    def changes(self) -> str:
        """Return what differs from the commit, in words: `clean`, `1 changed file`, `2 changed files`."""
        if not self.is_dirty:
            return "clean"
        return f"{self.changed_files} changed {'file' if self.changed_files == 1 else 'files'}"


class EnvironmentSummary(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Names of all variables that the command got, values of the harmless ones, and what the machine is.

    `tools` is empty since the manifest has `tools` of its own.
    """

    names: list[str]
    values: dict[str, str]
    platform: str
    python: str | None = None
    tools: dict[str, str] = {}


class Usage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the command and its waited-for children used: processor time, the largest resident set of one of them."""

    user_ms: int
    system_ms: int
    max_rss_bytes: int


class Tool(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A program of the command's toolchain and what it says of its version."""

    name: str
    version: str


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`manifest.json`, version 1. Its digest is SHA-256 over its RFC 8785 bytes.

    `fingerprint` is SHA-256 in hex of what two failures share that the source itself takes for the same.
    """

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
    source: ReportSource = "command"
    project: str | None = None
    version: str | None = None
    usage: Usage | None = None
    tools: list[Tool] = []
    noted_files: list[NotedFile] = []
    fingerprint: str | None = None


class Consent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Somebody agreed to the upload of exactly this manifest. `by` is `person` (asked) or `standing` (config).

    `reviewed` lists the digests of those artifacts that a person looked through: a source snapshot or a bundle is
    shared by link only then.
    """

    manifest_sha256: str
    by: Literal["person", "standing"]
    at: str
    reviewed: list[str] = []


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
    """One artifact of a report as answered.

    `withheld` says why nobody gets one that is there: a virus scanner found `malware` in it, has not looked through it
    yet, or does not take that much.
    """

    name: str
    kind: ArtifactKind
    media_type: str
    size_bytes: int
    sha256: str
    is_present: bool
    withheld: Literal["malware", "waiting", "too_large"] | None = None
    malware: str | None = None

    @property
    def is_shown(self) -> bool:
        """Tell whether its bytes are there, and given to whoever may see the report."""
        return self.is_present and self.withheld is None


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
    project: str | None = None
    version: str | None = None
    source: ReportSource = "command"
    group_id: str | None = None
    is_held: bool = False


class ReportContext(msgspec.Struct, frozen=True):
    """Answer to `GET reports/{id}/context`: Markdown of at most `budget` tokens; `tokens` is the estimate of it."""

    id: str
    markdown: str
    tokens: int
    budget: int


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


class TakenDocument(msgspec.Struct, frozen=True):
    """Answer to `POST reports/documents/{format}`: the ids of the reports that came of it, none when nothing failed."""

    reports: list[str]
