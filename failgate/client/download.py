"""A report of the server as a folder of this machine: what a replay needs of it, every byte checked by its digest.

The server is not trusted with the replay: its manifest has to have the digest that it names (of a report that was
uploaded from here: the one that was uploaded), and each artifact the digest that the manifest names. What came before a
break stays for the next try, also after this process ended; what nobody came back for goes after a week.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from failgate.base.canonical import canonical
from failgate.base.errors import Unprocessable
from failgate.base.ids import is_id
from failgate.client.answer import Lost
from failgate.client.exits import ClientError, Refused, Unverified
from failgate.client.http import Api
from failgate.client.keyring import home
from failgate.client.messages import inert
from failgate.client.progress import Progress
from failgate.client.remote import Known
from failgate.client.report_folder import LocalReport
from failgate.client.tree import Unreplayable, has_commit
from failgate.wire.reports import Manifest, ManifestArtifact

MOST_BYTES: Final = 4 << 30
_STALE_SECONDS: Final = 7 * 24 * 3600
_BREAKS: Final = 6
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_PIECE: Final = 256 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


class Need(NamedTuple):
    """What the replay is to have: the repository is around `here`; `is_in_place` needs no tree."""

    here: Path
    is_in_place: bool = False

    def kinds(self, manifest: Manifest) -> set[str]:
        """Return the kinds of artifacts; the bundle only when the commit is not here."""
        if self.is_in_place:
            return {"output"}
        head = manifest.git.head if manifest.git else None
        has_head = head is not None and has_commit(self.here, head)
        return {"output", "diff", "snapshot"} | (set() if has_head else {"bundle"})


@contextlib.contextmanager
def downloaded(api: Api, known: Known, need: Need, *, is_silent: bool = False) -> Iterator[LocalReport]:
    """Give the report in a folder of its own, which is gone after the block.

    Raises: Unreplayable (there is no such report, it is withheld, unfinished, or was deleted meanwhile), Unverified
    (what came is not what was named), Lost, and what `Api.call` raises.
    """
    base = Path(home(os.environ)) / "downloads"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(base)
    with _held(base / known.id) as folder:
        document, digest, present = _asked(api, known)
        manifest = _checked(document)
        kinds = need.kinds(manifest)
        wanted = [one for one in _first_of_each(manifest) if one.kind in kinds]
        gone = [one.kind for one in wanted if one.sha256 not in present]
        if {"output", "diff"}.intersection(gone):
            raise Unreplayable(
                "The output or the changes of the report are not on the server: not uploaded, or kept no longer.",
                hint="Replay it where it was captured.",
            )
        wanted = [one for one in wanted if one.sha256 in present]
        if sum(one.size_bytes for one in wanted) > MOST_BYTES:
            raise Unreplayable(f"What the replay needs is larger than {MOST_BYTES} bytes.")
        _fetch(api, known.id, wanted, folder, is_silent=is_silent)
        try:
            yield LocalReport(folder, document, msgspec.structs.replace(manifest, artifacts=wanted), digest)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(base: Path) -> None:
    """Remove the folders below `base` that nobody holds and nobody came back for."""
    for entry in list(base.iterdir()):
        with contextlib.suppress(OSError):
            if time.time() - entry.lstat().st_mtime < _STALE_SECONDS:
                continue
            held = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(held)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[Path]:
    """Hold `folder`, made when it is not there; a second process waits. The lock ends with its process."""
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not folder.exists() or os.fstat(held).st_ino != folder.stat().st_ino:
                continue  # who held it before was done with it
            yield folder
        finally:
            os.close(held)
        return


def _asked(api: Api, known: Known) -> tuple[dict[str, Any], str, set[str]]:
    """Return the manifest, its digest, and the digests of the artifacts that are on the server."""
    try:
        answer = api.call("GET", f"{api.workspace()}/reports/{known.id}").content
    except Refused as error:
        if error.answered == 404:
            raise Unreplayable(
                f"There is no report {known.id} on {api.address}.", hint="See: failgate report list --remote"
            ) from error
        raise
    document, named = answer.get("manifest"), answer.get("artifacts")
    if document is None and answer.get("id") == known.id:
        raise Unreplayable("The content of the report is withheld: the server found a secret in it.")
    if not isinstance(document, dict) or not isinstance(named, list) or answer.get("id") != known.id:
        raise Unverified("The answer is not of the expected form.", hint="Update failgate.")
    try:
        digest = hashlib.sha256(canonical(document)).hexdigest()
    except Unprocessable as error:
        raise Unverified("The manifest that the server sent has no canonical form.") from error
    if digest != answer.get("manifest_sha256"):
        raise Unverified(
            "The manifest that the server sent is not the one that somebody consented to.",
            hint="Nothing was executed. Tell whoever runs the server.",
        )
    if known.manifest_sha256 not in {None, digest}:
        raise Unverified(
            "The manifest that the server sent is not the one that was uploaded from here.",
            hint="Nothing was executed. Tell whoever runs the server.",
        )
    present = {str(one.get("sha256")) for one in named if isinstance(one, dict) and one.get("is_present") is True}
    return cast("dict[str, Any]", document), digest, present


def _checked(document: dict[str, Any]) -> Manifest:
    """Return the manifest once what becomes a path or an argument here is of its form. Raises: Unverified."""
    try:
        manifest = msgspec.convert(document, Manifest)
    except msgspec.ValidationError as error:
        raise Unverified(
            f"The manifest that the server sent cannot be read: {inert(str(error))[:200]}.", hint="Update failgate."
        ) from error
    head = manifest.git.head if manifest.git else None
    is_sound = (
        is_id(manifest.id)
        and (head is None or _COMMIT.fullmatch(head) is not None)
        and all(_SHA256.fullmatch(one.sha256) and one.size_bytes >= 0 for one in manifest.artifacts)
    )
    if not is_sound:
        raise Unverified("The manifest that the server sent has an id, commit or digest that is none.")
    return manifest


def _first_of_each(manifest: Manifest) -> list[ManifestArtifact]:
    """Return the first artifact of each kind, which is the one that a replay takes."""
    found: dict[str, ManifestArtifact] = {}
    for artifact in manifest.artifacts:
        found.setdefault(artifact.kind, artifact)
    return list(found.values())


def _fetch(api: Api, report_id: str, wanted: list[ManifestArtifact], folder: Path, *, is_silent: bool) -> None:
    progress = Progress(sum(one.size_bytes for one in wanted), is_silent=is_silent, done="downloaded")
    try:
        for number, artifact in enumerate(wanted):
            progress.begin(artifact.name, sum(one.size_bytes for one in wanted[number:]))
            if not (folder / artifact.sha256).exists():
                _fetch_one(api, report_id, artifact, folder, progress)
            progress.done(artifact.size_bytes)
    finally:
        progress.close()


def _fetch_one(api: Api, report_id: str, artifact: ManifestArtifact, folder: Path, progress: Progress) -> None:
    """Bring one artifact, from where an earlier try broke off; it gets its name when its digest fits."""
    route = f"{api.workspace()}/reports/{report_id}/artifacts/{artifact.sha256}"
    partial = folder / f"{artifact.sha256}.part"
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        digest, have = _read_again(file.fileno(), artifact.size_bytes)

        def write(piece: bytes) -> None:
            nonlocal have
            file.write(piece)
            digest.update(piece)
            have += len(piece)
            progress.sent(len(piece))

        breaks, before = 0, have
        while have < artifact.size_bytes:
            try:
                api.get_file(route, artifact.size_bytes, write, start=have)
            except (Lost, Refused) as error:
                breaks, before = (1 if have > before else breaks + 1), have
                pause = _pause(error, breaks, artifact, was_connected=api.was_connected)
                progress.again(pause, str(error))
                time.sleep(pause)
        if digest.hexdigest() != artifact.sha256:
            partial.unlink()
            raise Unverified(
                f"The server sent other bytes of {inert(artifact.name)} than its manifest names.",
                hint="Nothing was executed. Tell whoever runs the server.",
            )
    partial.rename(folder / artifact.sha256)


def _read_again(descriptor: int, size: int) -> tuple[Any, int]:
    """Return the hash of what is in a file already, and how much that is; more than `size` counts for nothing."""
    digest, have = hashlib.sha256(), 0
    if os.fstat(descriptor).st_size > size:
        os.ftruncate(descriptor, 0)
    while piece := os.read(descriptor, _PIECE):
        digest.update(piece)
        have += len(piece)
    return digest, have


def _pause(error: ClientError, breaks: int, artifact: ManifestArtifact, *, was_connected: bool) -> float:
    """Return how many seconds to wait after this break.

    Raises: `error` when trying again would change nothing; Unreplayable when the report is gone.
    """
    if isinstance(error, Refused) and error.answered == 404:
        raise Unreplayable(
            f"The report was deleted or withheld while {inert(artifact.name)} was downloaded."
        ) from error
    is_passing = not isinstance(error, Refused) or error.answered in {429, 503}
    if breaks > _BREAKS or not was_connected or not is_passing:
        raise error
    told = error.members.get("retry_after_seconds") if isinstance(error, Refused) else None
    return min(float(told), _LONGEST_PAUSE) if isinstance(told, int) else _FIRST_PAUSE * 2.0 ** (breaks - 1)
