"""What a manifest may say, and its digest. Pure: whatever a format plugin returns passes here before it is kept."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any, NoReturn

from failgate.base.canonical import LARGEST_INTEGER, canonical
from failgate.base.errors import TooLarge, Unprocessable
from failgate.base.ids import is_id
from failgate.wire.reports import EnvironmentSummary, GitState, Manifest, ManifestArtifact, Redaction

TITLE_CHARACTERS = 200
MANIFEST_NAME = "manifest.json"  # an artifact of this name would hide the manifest in a report folder

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)
_STATE = re.compile(r"[.MADRCUT?!]{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}(?:; ?charset=[a-zA-Z0-9_-]{1,32})?", re.ASCII
)
# Control, format (bidirectional marks, zero width), surrogate, line and paragraph separator: none belongs in a name.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class ManifestLimits:
    """The most of each thing. Sizes are bytes; `report_bytes` is over all artifacts of one report."""

    manifest_bytes: int = 1 << 20
    artifacts: int = 200
    artifact_bytes: int = 1 << 30
    report_bytes: int = 4 << 30
    redactions: int = 2000
    names: int = 10_000


def seal_bytes(document: dict[str, Any], limits: ManifestLimits) -> tuple[str, str]:
    """Return the canonical text of a manifest as it was sent, and its digest: SHA-256 in lower-case hex.

    Raises: Unprocessable (no canonical form), TooLarge.
    """
    text = canonical(document)
    if len(text) > limits.manifest_bytes:
        raise TooLarge("The manifest is too large.", hint=f"At most {limits.manifest_bytes} bytes are taken.")
    return text.decode(), hashlib.sha256(text).hexdigest()


def check(manifest: Manifest, limits: ManifestLimits) -> None:
    """Refuse a manifest that cannot be true or could harm whoever opens its report.

    Raises: Unprocessable or TooLarge, naming the member and the mend.
    """
    _demand(is_id(manifest.id), "id", "is a lower-case UUID")
    _demand(is_time(manifest.created_at), "created_at", "is a time as RFC 3339 writes it")
    _demand(0 < len(manifest.argv) <= limits.names, "argv", "has at least one token")
    if "\0" in "".join(manifest.argv):
        index = next(place for place, token in enumerate(manifest.argv) if "\0" in token)
        _refuse(f"argv[{index}]", "holds no NUL: no program can be called with one")
    _demand(0 < len(manifest.cwd) <= 4096 and "\0" not in manifest.cwd, "cwd", "is a path of at most 4096 characters")
    _check_text(manifest.host, "host", 255)
    _demand(0 <= manifest.exit_code <= 255, "exit_code", "is 0 to 255; a signal N is 128+N")
    _demand(0 <= manifest.duration_ms <= LARGEST_INTEGER, "duration_ms", "is not negative")
    _demand(manifest.signal is None or 1 <= manifest.signal <= 64, "signal", "is 1 to 64, or null")
    _check_text(manifest.redaction_rules, "redaction_rules", 200)
    if manifest.title is not None:
        _check_text(manifest.title, "title", TITLE_CHARACTERS)
    _check_environment(manifest.environment, limits)
    if manifest.git is not None:
        _check_git(manifest.git, limits)
    _check_origin(manifest, limits)
    _check_artifacts(manifest.artifacts, limits)
    _check_redactions(manifest.redactions, limits)


def is_time(text: str) -> bool:
    """Tell whether `text` is written as RFC 3339 writes a time."""
    return _TIME.fullmatch(text) is not None


def texts(manifest: Manifest) -> str:
    """Return every free text of a manifest, with an empty line between two, as the redaction rules read texts.

    Names stand before their values (`NAME=value`), so that the rules that need the name find it. Digests, ids and times
    are left out: they have a fixed form, were checked, and look like secrets to a measure of entropy.
    """
    environment, git = manifest.environment, manifest.git
    lines = [" ".join(manifest.argv), manifest.cwd, manifest.host, manifest.redaction_rules, manifest.title or ""]
    lines += map("=".join, environment.values.items())
    lines += map("=".join, environment.tools.items())
    lines += environment.names
    lines += (environment.platform, environment.python or "", (git.branch or "") if git is not None else "")
    lines += (manifest.project or "", manifest.version or "")
    lines += [f"{tool.name}={tool.version}" for tool in manifest.tools]
    lines += [f"{noted.path} {noted.reason}" for noted in manifest.noted_files]
    lines += [artifact.path for artifact in manifest.artifacts if artifact.path is not None]
    lines += [path.path for path in git.status] if git is not None else []
    lines += [artifact.name for artifact in manifest.artifacts]
    for redaction in manifest.redactions:
        lines += (redaction.rule, redaction.where)
    return "\n\n".join(lines)  # a text that ends is no line that a terminal broke


def one_line(title: str) -> str:
    """Return `title` as one visible line of at most 200 characters."""
    line = title[:1000]
    if not _is_plain(line):
        line = "".join(" " if unicodedata.category(character) in _INVISIBLE else character for character in line)
    line = " ".join(line.split()) or "(no title)"
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"


def _check_environment(environment: EnvironmentSummary, limits: ManifestLimits) -> None:
    _check_number(environment.names, "environment.names", limits.names)
    _check_number(environment.values, "environment.values", limits.names)
    _check_number(environment.tools, "environment.tools", limits.names)
    _check_no_nul((*environment.values, *environment.values.values()), "environment.values")
    _check_no_nul((*environment.tools, *environment.tools.values()), "environment.tools")
    _check_no_nul(environment.names, "environment.names")
    _check_text(environment.platform, "environment.platform", 500)
    _check_text(environment.python or "-", "environment.python", 500)


def _check_origin(manifest: Manifest, limits: ManifestLimits) -> None:
    for member, text in (("project", manifest.project), ("version", manifest.version)):
        if text is not None:
            _check_text(text, member, 200)
    is_digest = manifest.fingerprint is None or _SHA256.fullmatch(manifest.fingerprint) is not None
    _demand(is_digest, "fingerprint", "is SHA-256 in lower-case hex, or null")
    _check_number(manifest.tools, "tools", limits.names)
    for index, tool in enumerate(manifest.tools):
        _check_text(tool.name, f"tools[{index}].name", 100)
        _check_text(tool.version, f"tools[{index}].version", 500)
    _check_number(manifest.noted_files, "noted_files", limits.names)
    for index, noted in enumerate(manifest.noted_files):
        _check_path(noted.path, f"noted_files[{index}].path")
        _check_text(noted.reason, f"noted_files[{index}].reason", 200)
        if noted.sha256 is not None:
            _demand(_SHA256.fullmatch(noted.sha256) is not None, f"noted_files[{index}].sha256", "is SHA-256 in hex")
        _demand(0 <= (noted.size_bytes or 0) <= LARGEST_INTEGER, f"noted_files[{index}].size_bytes", "is not negative")
    if (usage := manifest.usage) is not None:
        for number in (usage.user_ms, usage.system_ms, usage.max_rss_bytes):
            _demand(0 <= number <= LARGEST_INTEGER, "usage", "is not negative")


def _check_git(git: GitState, limits: ManifestLimits) -> None:
    _demand(git.head is None or _COMMIT.fullmatch(git.head) is not None, "git.head", "is a full commit id, or null")
    _check_text(git.branch or "-", "git.branch", 1000)
    for number in (git.changed_files, git.status_left_out, git.binary_files):
        _demand(0 <= number <= LARGEST_INTEGER, "git.changed_files", "is not negative, as all counts of git")
    _check_number(git.status, "git.status", limits.names)
    for index, path in enumerate(git.status):
        _demand(_STATE.fullmatch(path.state) is not None, f"git.status[{index}].state", "is two letters of git status")
        _check_path(path.path, f"git.status[{index}].path")


def _check_artifacts(artifacts: list[ManifestArtifact], limits: ManifestLimits) -> None:
    if len(artifacts) > limits.artifacts:
        raise TooLarge(
            f"The manifest names {len(artifacts)} artifacts.", hint=f"At most {limits.artifacts} go into one report."
        )
    sizes: dict[str, int] = {}
    names: set[str] = set()
    for index, artifact in enumerate(artifacts):
        where = f"artifacts[{index}]"
        _check_name(artifact.name, f"{where}.name")
        if artifact.path is not None:
            _check_path(artifact.path, f"{where}.path")
        _demand(artifact.name not in names, f"{where}.name", "is not used twice")
        names.add(artifact.name)
        _demand(_SHA256.fullmatch(artifact.sha256) is not None, f"{where}.sha256", "is SHA-256 in lower-case hex")
        _demand(_MEDIA_TYPE.fullmatch(artifact.media_type) is not None, f"{where}.media_type", "is like text/plain")
        _demand(artifact.size_bytes >= 0, f"{where}.size_bytes", "is not negative")
        _demand(0 <= artifact.truncated_bytes <= LARGEST_INTEGER, f"{where}.truncated_bytes", "is not negative")
        if artifact.size_bytes > limits.artifact_bytes:
            raise TooLarge(f"manifest.{where} is too large.", hint=f"At most {limits.artifact_bytes} bytes are taken.")
        same = sizes.setdefault(artifact.sha256, artifact.size_bytes) == artifact.size_bytes
        _demand(same, f"{where}.size_bytes", "is the same wherever its digest is named")
    if sum(sizes.values()) > limits.report_bytes:
        raise TooLarge("The report's artifacts are too large together.", hint=f"At most {limits.report_bytes} bytes.")


def _check_name(name: str, where: str) -> None:
    _check_text(name, where, 200)
    _demand(name not in {".", "..", MANIFEST_NAME}, where, "is a file's own name")
    _demand(not set(name) & set("/\\"), where, "is a file's own name, without a folder")
    _demand(name == name.strip(), where, "neither begins nor ends with a space")


def _check_path(path: str, where: str) -> None:
    _check_text(path, where, 4096)
    _demand(not path.startswith("/") and ".." not in path.split("/"), where, "is a path inside the captured folder")


def _check_redactions(redactions: list[Redaction], limits: ManifestLimits) -> None:
    _check_number(redactions, "redactions", limits.redactions)
    for index, redaction in enumerate(redactions):
        _check_text(redaction.rule, f"redactions[{index}].rule", 100)
        _check_text(redaction.where, f"redactions[{index}].where", 200)
        _demand(0 < redaction.count <= LARGEST_INTEGER, f"redactions[{index}].count", "is at least 1")


def _check_text(text: str, where: str, characters: int) -> None:
    if not 0 < len(text) <= characters:
        _refuse(where, f"has 1 to {characters} characters")
    if not _is_plain(text) and any(unicodedata.category(character) in _INVISIBLE for character in text):
        _refuse(where, "holds no control character and no invisible mark")


def _check_number(entries: Sized, where: str, most: int) -> None:
    if len(entries) > most:  # the sentence is made for a refusal alone
        _refuse(where, f"has at most {most} entries")


def _check_no_nul(values: Iterable[str], where: str) -> None:
    _demand("\0" not in "".join(values), where, "holds no NUL")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _demand(is_met: bool, where: str, law: str) -> None:
    if not is_met:
        _refuse(where, law)


def _refuse(where: str, law: str) -> NoReturn:
    raise Unprocessable(f"manifest.{where} cannot be used.", hint=f"It {law}.", member=where)
