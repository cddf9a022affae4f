"""Reports as folders: `.failgate/reports/<id>/manifest.json` beside its artifacts, each named by its SHA-256.

A report appears whole or not at all: it is written beside, brought to disk, then renamed.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, cast

import msgspec

from failgate.base.canonical import canonical
from failgate.base.errors import BadInput, NotFound, Unprocessable
from failgate.base.file_kinds import SNIFFED_BYTES, truthful
from failgate.base.ids import is_id
from failgate.wire.reports import ArtifactKind, Manifest, ManifestArtifact

REPORTS = Path(".failgate") / "reports"
MANIFEST = "manifest.json"
UPLOADED = "uploaded.json"
REVIEWED = "reviewed.json"
_PIECE = 256 * 1024
_LARGEST_MANIFEST = 4 * 1024 * 1024


class LocalReport(NamedTuple):
    """A report on this machine: its folder, its manifest as it lies there and as understood, its digest in hex."""

    folder: Path
    document: dict[str, Any]
    manifest: Manifest
    manifest_sha256: str


class ArtifactFile:
    """An artifact while it is written: redacted bytes in, digest and size counted on the way."""

    def __init__(self, path: Path) -> None:
        """Create the file."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._stream = os.fdopen(descriptor, "wb", buffering=1 << 16)
        self._hash = hashlib.sha256()
        self.path = path
        self.size_bytes = 0
        self.truncated_bytes = 0
        self.is_dropped = False

    def write(self, content: bytes) -> None:
        """Add `content`."""
        self._hash.update(content)
        self.size_bytes += len(content)
        self._stream.write(content)

    def close(self) -> str:
        """Bring the bytes to disk and return their digest."""
        with self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return self._hash.hexdigest()


class ReportWriter:
    """Writes one report; `finish` makes it visible, leaving the `with` block before that makes it vanish.

    The folder of an unfinished report is locked by its writer. One whose writer was killed is swept by the next.
    """

    def __init__(self, root: Path, report_id: str) -> None:
        """Begin report `report_id` under `root` (the folder that holds `.failgate`)."""
        self._reports = root / REPORTS
        self.report_id = report_id
        self._fresh = self._reports / f".{report_id}.{os.getpid()}.new"
        self._lock = -1
        self._begun = 0
        self.artifacts: list[ManifestArtifact] = []

    def __enter__(self) -> Self:
        """Make the folder that nobody sees yet.

        Raises: OSError (also: a link stands where a folder belongs; it is not followed).
        """
        _make_private(self._reports.parent)
        _make_private(self._reports)
        _ignore_all(self._reports.parent)
        with _locked(self._reports):
            sweep(self._reports)
            self._fresh.mkdir(mode=0o700)
            self._lock = os.open(self._fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self._fresh, ignore_errors=True)
        os.close(self._lock)

    @contextmanager
    def adding(self, name: str, kind: ArtifactKind, media_type: str, path: str | None = None) -> Iterator[ArtifactFile]:
        """Give the file of an artifact (its content must be redacted already); it is added when the block ends well.

        With `is_dropped` set in the block it is not kept. What holds something else than its name or media type says is
        named as bytes of no kind: `x.png.bin`.
        """
        self._begun += 1
        file = ArtifactFile(self._fresh / f"part.{self._begun}")
        digest = None
        try:
            yield file
            digest = file.close()
        finally:
            if digest is None or file.is_dropped:
                with suppress(OSError):
                    file.path.unlink()
        if file.is_dropped or digest is None:
            return
        with file.path.open("rb") as written:
            truthful_name, media_type = truthful(name, media_type, written.read(SNIFFED_BYTES))
        name = self._free(truthful_name) if truthful_name != name else name
        file.path.rename(self._fresh / digest)
        self.artifacts.append(
            ManifestArtifact(name, kind, media_type, file.size_bytes, digest, file.truncated_bytes, path)
        )

    def _free(self, name: str) -> str:
        taken = {artifact.name for artifact in self.artifacts}
        return next(one for one in (name, *(f"{name}.{number}" for number in count(2))) if one not in taken)

    def finish(self, manifest: Manifest) -> LocalReport:
        """Write `manifest`, bring everything to disk and let the report appear."""
        document = cast("dict[str, Any]", msgspec.to_builtins(manifest))
        text = canonical(document)
        _write(self._fresh / MANIFEST, text)
        _sync(self._fresh)
        final = self._reports / self.report_id
        self._fresh.rename(final)
        _sync(self._reports)
        return LocalReport(final, document, manifest, hashlib.sha256(text).hexdigest())


def sweep(reports: Path) -> None:
    """Remove what a writer or a deletion that was killed left in the folder `reports`; nothing of it was visible."""
    for entry in list(reports.iterdir()):
        if not (entry.name.startswith(".") and entry.name.endswith((".new", ".gone"))) or entry.is_symlink():
            continue
        with suppress(OSError):
            held = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(held)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; the kernel lets it go when this process ends."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def reports_under(root: Path) -> Iterator[LocalReport]:
    """Yield the reports under `root`, newest first. One that cannot be read is left out."""
    folder = root / REPORTS
    names = (
        sorted((entry.name for entry in folder.iterdir() if is_id(entry.name)), reverse=True) if folder.is_dir() else []
    )
    for name in names:
        try:
            yield open_report(root, name)
        except (NotFound, Unprocessable):
            continue


def open_report(root: Path, name: str) -> LocalReport:
    """Return the report `name`: an id, its beginning or end when only one fits, or `latest`.

    Raises: NotFound, BadInput (several fit), Unprocessable (the folder does not hold what its manifest says,
    or it is a link).
    """
    if not is_id(name):
        name = _only(root, name)
    folder = root / REPORTS / name
    _check_no_link(root, folder)
    try:
        text = _read(folder / MANIFEST, _LARGEST_MANIFEST)
    except OSError as error:
        raise NotFound(
            f"There is no report {name} under {root / REPORTS}.", hint="See: failgate report list"
        ) from error
    try:
        document = msgspec.json.decode(text)
        manifest = msgspec.convert(document, Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unprocessable(
            f"The manifest of report {name} cannot be read: {error}.", hint="Delete the report."
        ) from error
    return LocalReport(folder, document, manifest, hashlib.sha256(canonical(document)).hexdigest())


def artifact_bytes(report: LocalReport, artifact: ManifestArtifact) -> bytes:
    """Return the bytes of `artifact`.

    Raises: Unprocessable (they are missing or are not those of the manifest).
    """
    if len(artifact.sha256) != 64 or not artifact.sha256.isalnum():
        raise Unprocessable(f"The artifact {artifact.name!a} has no usable digest.", hint="Delete the report.")
    try:
        content = _read(report.folder / artifact.sha256, artifact.size_bytes)
    except OSError as error:
        raise Unprocessable(
            f"The artifact {artifact.name!a} is missing: {error.strerror}.", hint="Delete the report."
        ) from error
    if len(content) != artifact.size_bytes or hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise Unprocessable(f"The artifact {artifact.name!a} was changed after its capture.", hint="Delete the report.")
    return content


@contextmanager
def opened_artifact(report: LocalReport, artifact: ManifestArtifact) -> Iterator[BinaryIO]:
    """Give the file of `artifact`, whose size and digest were checked piece by piece; nothing is held in memory.

    Raises: Unprocessable (it is missing or is not the one of the manifest).
    """
    if len(artifact.sha256) != 64 or not artifact.sha256.isalnum():
        raise Unprocessable(f"The artifact {artifact.name!a} has no usable digest.", hint="Delete the report.")
    try:
        descriptor = os.open(report.folder / artifact.sha256, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Unprocessable(
            f"The artifact {artifact.name!a} is missing: {error.strerror}.", hint="Delete the report."
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        if os.fstat(descriptor).st_size != artifact.size_bytes or _digest(stream) != artifact.sha256:
            raise Unprocessable(
                f"The artifact {artifact.name!a} was changed after its capture.", hint="Delete the report."
            )
        stream.seek(0)
        yield stream


def delete_report(report: LocalReport) -> None:
    """Remove the report; it disappears at once, its bytes right after."""
    gone = report.folder.with_name(f".{report.folder.name}.{os.getpid()}.gone")
    with _locked(report.folder):
        report.folder.rename(gone)
        shutil.rmtree(gone)


def uploaded_to(report: LocalReport) -> dict[str, str] | None:
    """Return where this report was uploaded (`id`, `url`, `at`), or None."""
    try:
        found = msgspec.json.decode(_read(report.folder / UPLOADED, 4096), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return None
    return found


def note_upload(report: LocalReport, facts: dict[str, str]) -> None:
    """Remember that the report was uploaded."""
    fresh = report.folder / f"{UPLOADED}.{os.getpid()}.new"  # two uploads at once each write their own
    _write(fresh, canonical(facts))
    fresh.replace(report.folder / UPLOADED)


def reviewed_in(report: LocalReport) -> list[str]:
    """Return the digests of the artifacts that a person looked through in exactly this report."""
    try:
        found = msgspec.json.decode(_read(report.folder / REVIEWED, _LARGEST_MANIFEST), type=dict[str, list[str]])
    except (OSError, msgspec.DecodeError):
        return []
    return found.get(report.manifest_sha256, [])


def note_review(report: LocalReport, digests: Iterable[str]) -> None:
    """Remember that a person looked through these artifacts of exactly this report."""
    fresh = report.folder / f"{REVIEWED}.new"
    fresh.unlink(missing_ok=True)
    _write(fresh, canonical({report.manifest_sha256: sorted({*reviewed_in(report), *digests})}))
    fresh.replace(report.folder / REVIEWED)


def _only(root: Path, part: str) -> str:
    folder = root / REPORTS
    names = sorted(entry.name for entry in folder.iterdir() if is_id(entry.name)) if folder.is_dir() else []
    if part in ("latest", "last"):
        fitting = names[-1:]
    else:
        fitting = [name for name in names if len(part) >= 4 and (name.startswith(part) or name.endswith(part))]
    if len(fitting) > 1:
        raise BadInput(f"{len(fitting)} reports fit {part!a}.", hint="Write more of the id.")
    if not fitting:
        raise NotFound(f"There is no report {part!a} under {folder}.", hint="See: failgate report list")
    return fitting[0]


def _make_private(folder: Path) -> None:
    """Make `folder`, or find it made. A link is refused: what was checked out may lead anywhere by it."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if folder.is_symlink():
            raise OSError(errno.ELOOP, f"{folder.name} is a link, which is not followed", str(folder)) from None
        if not folder.is_dir():
            raise


def _ignore_all(folder: Path) -> None:
    """Let git ignore all of `folder`: a report is never committed by accident.

    A link is taken away, wherever it leads: git does not follow it either, so it would ignore nothing.
    """
    ignore = folder / ".gitignore"
    if ignore.is_symlink():
        ignore.unlink(missing_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(ignore, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b"*\n")


def _check_no_link(root: Path, folder: Path) -> None:
    """Raises: Unprocessable (a link on the way from `root` to the report `folder`: it would be written to outside)."""
    for part in (root / REPORTS.parent, root / REPORTS, folder):
        if part.is_symlink():
            raise Unprocessable(
                f"{os.fspath(part)!a} is a link, which is not followed.", hint="Put the folder itself in its place."
            )


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _read(path: Path, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(most + 1)


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
