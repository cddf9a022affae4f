"""What a person sees before a report leaves this machine, and the question."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from failgate.client.messages import inert
from failgate.client.report_folder import LocalReport, opened_artifact, uploaded_to
from failgate.client.words import Changes, Words, pieces_of, whole_lines
from failgate.wire.reports import ManifestArtifact

_LINES = 40
_TAIL_BYTES = 64 * 1024
_MOST_NAMES = 10_000


def overview(report: LocalReport) -> Iterator[str]:
    """Yield the lines that say what the report holds: command, state, artifacts with sizes, what was redacted."""
    manifest = report.manifest
    yield f"report    {manifest.id}"
    yield f"command   {inert(' '.join(manifest.argv))}"
    yield f"folder    {inert(manifest.cwd)} on {inert(manifest.host)}"
    how = f" (signal {manifest.signal})" if manifest.signal else ""
    took = f"{manifest.duration_ms / 1000:.1f} s"
    yield f"ended     exit code {manifest.exit_code}{how} after {took}, {inert(manifest.created_at)}"
    if manifest.git is not None:
        head = (manifest.git.head or "no commit yet")[:13]
        yield f"git       {inert(manifest.git.branch or 'no branch')} {inert(head)}, {manifest.git.changes}"
    names = manifest.environment.names
    values = manifest.environment.values
    yield f"machine   {inert(manifest.environment.platform)}; names of {len(names)} variables, values of {len(values)}"
    for artifact in manifest.artifacts:
        cut = f", {artifact.truncated_bytes} bytes left out" if artifact.truncated_bytes else ""
        size = f"{artifact.size_bytes} bytes{cut}"
        yield f"artifact  {inert(artifact.name)}  {artifact.kind}  {size}  {inert(artifact.sha256[:12])}"
    for found in manifest.redactions:
        yield f"redacted  {found.count} x {inert(found.rule)} in {inert(found.where)}"
    if not manifest.redactions:
        yield "redacted  nothing was found"
    yield f"rules     {inert(manifest.redaction_rules)}; a safety layer, not a guarantee"
    sent = uploaded_to(report)
    how = ", quarantined" if sent and sent.get("state") == "quarantined" else ""
    yield (
        f"uploaded  {inert(sent['at'])} to {inert(sent['url'])} as {inert(sent['id'])}{how}" if sent else "uploaded  no"
    )
    yield f"digest    {report.manifest_sha256}"


def content(report: LocalReport, *, is_whole: bool) -> Iterator[str]:
    """Yield every artifact as inert lines; without `is_whole` the last lines of each."""
    for artifact in report.manifest.artifacts:
        yield ""
        yield from preview(report, artifact, is_whole=is_whole)


def preview(
    report: LocalReport, artifact: ManifestArtifact, *, is_whole: bool = False, words: Words | None = None
) -> Iterator[str]:
    """Yield one artifact as inert lines, without `words`: of a text its last ones, of an archive the names in it.

    Raises: Unprocessable (it was changed).
    """
    words = words or Words(Changes())
    yield f"--- {inert(artifact.name)} ({artifact.size_bytes} bytes)"
    with opened_artifact(report, artifact) as stream:
        if artifact.kind == "snapshot":
            yield from member_names(stream, _MOST_NAMES if is_whole else _LINES)
            return
        if b"\0" in stream.read(8192):
            yield "[binary: not shown]"
            return
        stream.seek(0)
        if is_whole:
            for line in whole_lines(words.clean_bytes(pieces_of(stream), _uncounted)):
                yield _shown(line)
            return
        start = max(0, artifact.size_bytes - _TAIL_BYTES)
        stream.seek(start)
        tail = b"".join(words.clean_bytes([stream.read(_TAIL_BYTES)], _uncounted))
        lines = tail.rstrip(b"\n").split(b"\n")
        if start or len(lines) > _LINES:
            yield f"[the last {min(_LINES, len(lines))} lines; --full shows all]"
        yield from (_shown(line) for line in lines[-_LINES:])


def _shown(line: bytes) -> str:
    return inert(line.rstrip(b"\r\n").decode("utf-8", "replace")).replace("<U+0009>", "\t")


def member_names(stream: BinaryIO, most: int) -> Iterator[str]:
    """Yield size and name of an archive's first `most` members: nothing of it is unpacked."""
    import tarfile

    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for number, member in enumerate(archive):
                if number == most:
                    yield f"[more than {most} names; --full shows up to {_MOST_NAMES}]"
                    return
                yield f"{member.size:>12}  {inert(member.name)}"
    except (tarfile.TarError, OSError, ValueError):
        yield "[not an archive that can be read]"


def _uncounted(_number: int) -> None:
    """Count nothing: what is shown was counted elsewhere."""


def findings_of(report: LocalReport, name: str) -> dict[str, int]:
    """Return how often each rule replaced something in the artifact `name`."""
    found: Counter[str] = Counter()
    for one in report.manifest.redactions:
        if one.where == name:
            found[one.rule] += one.count
    return dict(found)


def ask(question: str) -> bool:
    """Ask a person on the terminal; only a clear yes is one."""
    sys.stderr.write(f"failgate: {question} [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except (OSError, ValueError):
        return False
