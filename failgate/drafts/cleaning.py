"""From a draft to a manifest and artifacts without secrets, of bounded size, that the server takes."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from failgate.base.clock import to_rfc3339
from failgate.base.file_kinds import ENDING, SNIFFED_BYTES, truthful
from failgate.drafts.draft import NOT_KNOWN, Draft, DraftArtifact
from failgate.redaction import RULES_VERSION, RedactingStream, Scanner, redact, redact_arguments
from failgate.wire.reports import EnvironmentSummary, Manifest, ManifestArtifact, Redaction, Tool

HEAD_BYTES = 1024 * 1024
TAIL_BYTES = 3 * 1024 * 1024
"""What is kept of a longer text: its beginning and its end. It is cut after the redaction, so no half secret stays."""
MOST_ARTIFACTS = 100
MOST_VALUES = 200
_LONGEST_TOKEN = 4096
_CHUNK_BYTES = 64 * 1024
_SNIFF_BYTES = 8192
# Control, format (bidirectional marks, zero width), surrogate, line and paragraph separator, as the server refuses.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Clean(NamedTuple):
    """A manifest, and the bytes of its artifacts in the order in which it names them."""

    manifest: Manifest
    contents: Sequence[bytes]


def clean(draft: Draft, scanner: Scanner, report_id: str, now_us: int) -> Clean:
    """Return `draft` as report `report_id` (or under its own id), without what the rules of `scanner` find.

    `now_us` (microseconds since 1970) is its time when it does not say one.
    """
    cleaning = _Cleaning(scanner)
    contents: list[bytes] = []
    artifacts: list[ManifestArtifact] = []
    names = _names(draft.artifacts, cleaning)
    taken = set(names)
    for given, artifact in zip(names, draft.artifacts, strict=False):
        content, truncated = cleaning.content(artifact, given)
        digest = hashlib.sha256(content).hexdigest()
        name, media_type = truthful(given, artifact.media_type, content[:SNIFFED_BYTES])
        while name != given and name in taken:
            name = f"{name}{ENDING}"
        taken.add(name)
        artifacts.append(
            ManifestArtifact(name, artifact.kind, media_type, len(content), digest, truncated_bytes=truncated)
        )
        contents.append(content)
    values = dict(list(draft.values.items())[:MOST_VALUES])
    manifest = Manifest(
        v=1,
        id=draft.id or report_id,
        created_at=to_rfc3339(draft.created_us if draft.created_us is not None else now_us),
        argv=cleaning.arguments(draft.argv),
        cwd=cleaning.line(draft.cwd, 4096),
        host=cleaning.line(draft.host, 255),
        exit_code=draft.exit_code,
        duration_ms=max(0, draft.duration_ms),
        environment=EnvironmentSummary(
            names=[],
            values={cleaning.line(name, 200): cleaning.value(name, value) for name, value in values.items()},
            platform=cleaning.line(draft.platform, 500),
            python=cleaning.line(draft.python, 500) if draft.python else None,
        ),
        artifacts=artifacts,
        redactions=[],
        redaction_rules=RULES_VERSION,
        title=cleaning.line(draft.title, 200),
        source=draft.source,
        project=cleaning.line(draft.project, 200) if draft.project else None,
        version=cleaning.line(draft.version, 200) if draft.version else None,
        tools=[Tool(cleaning.line(tool.name, 100), cleaning.line(tool.version, 500)) for tool in draft.tools],
        fingerprint=hashlib.sha256(draft.same_as.encode("utf-8", "replace")).hexdigest() if draft.same_as else None,
    )
    return Clean(cleaning.counted(manifest), contents)


class _Cleaning:
    """Redacts and counts."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._found: Counter[tuple[str, str]] = Counter()

    def line(self, text: str, most: int) -> str:
        """Return `text` redacted, as one visible line of 1 to `most` characters."""
        result = redact(text[: most * 8], self._scanner)
        self._found.update((finding.rule, "manifest") for finding in result.findings)
        plain = "".join(
            " " if unicodedata.category(character) in _INVISIBLE else character for character in result.text
        )
        plain = " ".join(plain.split()) or NOT_KNOWN
        return plain if len(plain) <= most else plain[: most - 1] + "…"

    def value(self, name: str, value: str) -> str:
        """Return `value` redacted as the value of `name`."""
        before = f"{name}="
        return self.line(before + value, len(before) + 1000).removeprefix(before)

    def arguments(self, argv: Sequence[str]) -> list[str]:
        """Return `argv` redacted."""
        tokens = [token.replace("\0", "")[:_LONGEST_TOKEN].encode("utf-8", "replace").decode() for token in argv[:1000]]
        words, findings = redact_arguments(tokens or [NOT_KNOWN], self._scanner)
        self._found.update((finding.rule, "manifest") for finding in findings)
        return words

    def content(self, artifact: DraftArtifact, where: str) -> tuple[bytes, int]:
        """Return what is kept of `artifact`, and how many redacted bytes are not. Bytes with a NUL are left alone."""
        whole = artifact.content
        if not artifact.media_type.startswith("text/") and b"\0" in whole[:_SNIFF_BYTES]:
            return whole, 0
        stream = RedactingStream(self._scanner)
        pieces = [stream.feed(whole[at : at + _CHUNK_BYTES]) for at in range(0, len(whole), _CHUNK_BYTES)]
        redacted = b"".join([*pieces, stream.finish()])
        self._found.update((finding.rule, where) for finding in stream.findings)
        if len(redacted) <= HEAD_BYTES + TAIL_BYTES or artifact.kind == "file":
            return redacted, 0
        head = redacted.rfind(b"\n", 0, HEAD_BYTES) + 1 or HEAD_BYTES
        tail = redacted.find(b"\n", len(redacted) - TAIL_BYTES) + 1 or len(redacted) - TAIL_BYTES
        note = f"[failgate: {tail - head} bytes left out]\n".encode()
        return redacted[:head] + note + redacted[tail:], tail - head

    def counted(self, manifest: Manifest) -> Manifest:
        """Return `manifest` with what was redacted so far."""
        counts = [Redaction(rule, where, count) for (rule, where), count in sorted(self._found.items())]
        return msgspec.structs.replace(manifest, redactions=counts[:2000])


def _names(artifacts: Sequence[DraftArtifact], cleaning: _Cleaning) -> list[str]:
    """Return a name for each artifact: a file's own name, each once."""
    names: list[str] = []
    for artifact in artifacts[:MOST_ARTIFACTS]:
        plain = cleaning.line(artifact.name.replace("/", "_").replace("\\", "_"), 150).strip()
        name = "artifact" if plain in {".", "..", "manifest.json"} else plain
        number = 2
        while name in names:
            name, number = f"{plain}.{number}", number + 1
        names.append(name)
    return names
