"""What a person sees before a report leaves this machine, and the question."""

import sys
from collections.abc import Iterator

from failgate.client.messages import inert
from failgate.client.report_folder import LocalReport, artifact_bytes, uploaded_to

_LINES = 40


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
        dirty = f", {manifest.git.changed_files} changed files" if manifest.git.is_dirty else ", clean"
        head = (manifest.git.head or "no commit yet")[:13]
        yield f"git       {inert(manifest.git.branch or 'no branch')} {inert(head)}{dirty}"
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
        yield f"--- {inert(artifact.name)} ({artifact.size_bytes} bytes)"
        lines = artifact_bytes(report, artifact).decode("utf-8", "replace").split("\n")
        if not is_whole and len(lines) > _LINES:
            yield f"[the last {_LINES} of {len(lines)} lines; --full shows all]"
            lines = lines[-_LINES:]
        yield from (inert(line.rstrip("\r")).replace("<U+0009>", "\t") for line in lines)


def ask(question: str) -> bool:
    """Ask a person on the terminal; only a clear yes is one."""
    sys.stderr.write(f"failgate: {question} [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except (OSError, ValueError):
        return False
