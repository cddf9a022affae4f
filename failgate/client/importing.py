"""Documents that other tools wrote become local reports, looked at and uploaded like any other."""

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from msgspec.structs import replace

from failgate.base.clock import SystemClock
from failgate.base.errors import BadInput, TooLarge
from failgate.base.ids import new_id
from failgate.client.redacting import open_scanner
from failgate.client.report_folder import LocalReport, ReportWriter
from failgate.drafts import DocumentFormat, Draft, clean

ENTRY_POINT_GROUP = "failgate.formats.v1"
"""Where a distribution names the `DocumentFormat` classes that read documents on this machine."""
LARGEST_DOCUMENT = 64 * 1024 * 1024


def open_format(name: str) -> DocumentFormat:
    """Return the installed format `name`; nothing of another one is imported.

    Raises: BadInput, naming those that are installed.
    """
    known = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in known:
        hint = f"Installed: {', '.join(sorted(known))}." if known else f"Install failgate-{name}."
        raise BadInput(f"No format {name!a} is installed.", hint=hint)
    made: DocumentFormat = known[name].load()()
    return made


def import_documents(
    reader: DocumentFormat, paths: list[Path], root: Path, environment: Mapping[str, str]
) -> Iterator[LocalReport]:
    """Read `paths` by `reader`; yield each report that was kept under `root`.

    Raises: BadInput (a file that cannot be read), TooLarge, Unprocessable (not such a document).
    """
    for path in paths:
        for draft in reader.drafts(_read(path)).drafts:
            yield keep_draft(draft, root, environment)


def keep_draft(draft: Draft, root: Path, environment: Mapping[str, str]) -> LocalReport:
    """Write the redacted report of `draft` under `root` and return it. A draft's own id is not used here.

    The secrets of `environment` are removed too.

    Raises: OSError.
    """
    scanner = open_scanner(environment)
    report_id = new_id()
    cleaned = clean(draft, scanner, report_id, SystemClock().now_us())
    manifest = replace(cleaned.manifest, id=report_id)
    with ReportWriter(root, report_id) as writer:
        for artifact, content in zip(manifest.artifacts, cleaned.contents, strict=True):
            with writer.adding(artifact.name, artifact.kind, artifact.media_type) as file:
                file.write(content)
                file.truncated_bytes = artifact.truncated_bytes
        return writer.finish(manifest)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_DOCUMENT + 1)
    except OSError as error:
        raise BadInput(f"{os.fspath(path)!a} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST_DOCUMENT:
        raise TooLarge(f"{os.fspath(path)!a} is larger than {LARGEST_DOCUMENT} bytes.", hint="Split it.")
    return content
