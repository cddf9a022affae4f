"""A report made anew after its review: artifacts left out, words replaced by hand, everywhere.

The new report has an id of its own and new digests; its manifest notes what a person replaced (rule `by-hand`) and left
out. It is whole on disk before the old one goes. What cannot be rewritten safely is left out when it holds the words:
archives, other binary files, recordings in which a pattern matches; a Git bundle always, for it is compressed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import msgspec

from failgate.base.errors import BadInput
from failgate.base.ids import new_id
from failgate.client.asciicast import CastWriter
from failgate.client.cleaning import cleaned
from failgate.client.output import STDOUT, Gap, Piece
from failgate.client.report_folder import LocalReport, ReportWriter, delete_report, opened_artifact
from failgate.client.words import BY_HAND, Changes, Words, pieces_of, whole_lines
from failgate.wire.reports import ArtifactKind, Manifest, ManifestArtifact, NotedFile, Redaction

_LONGEST_HEADER = 1 << 20
_LEFT_OUT = "left out at the review"
_HOLDS = "left out: it holds what was redacted by hand, and cannot be rewritten"
_STRUCTURE = frozenset({"v", "id", "created_at", "sha256", "kind", "media_type", "source", "head", "rule", "state"})


class _Writer(Protocol):
    """What an artifact is written into: a report, or nothing when it is only counted."""

    @property
    def artifacts(self) -> list[ManifestArtifact]: ...
    @property
    def report_id(self) -> str: ...
    def adding(self, name: str, kind: ArtifactKind, media_type: str, path: str | None = None) -> Any: ...


class _Nowhere:
    """Takes what is written and keeps nothing."""

    report_id = ""
    truncated_bytes = 0

    def __init__(self) -> None:
        self.artifacts: list[ManifestArtifact] = []

    @contextmanager
    def adding(self, name: str, kind: ArtifactKind, media_type: str, path: str | None = None) -> Iterator[Any]:
        del name, kind, media_type, path
        yield self

    def write(self, content: bytes) -> None:
        del content


class Outlook(NamedTuple):
    """What changes would do: how often something is replaced by place (`manifest` too), which artifacts have to go."""

    places: dict[str, int]
    lost: frozenset[str]


def rewrite(root: Path, report: LocalReport, changes: Changes, key: bytes | None = None) -> LocalReport:
    """Make `report` anew under `root` with `changes`, remove the old one, return the new one; see `Words` for `key`.

    Raises: BadInput (no such artifact, a word that is too short, a pattern that RE2 does not take), Unprocessable (the
    folder was changed), OSError (nothing is changed then).
    """
    names = {artifact.name for artifact in report.manifest.artifacts}
    for name in changes.left_out - names:
        raise BadInput(f"The report has no artifact {name!a}.", hint=f"It has: {', '.join(sorted(names)) or 'none'}.")
    words, counts, noted = Words(changes, key), Counter[str](), list[NotedFile]()
    with ReportWriter(root, new_id()) as writer:
        for artifact in report.manifest.artifacts:
            if artifact.name in changes.left_out:
                noted.append(NotedFile(artifact.name, _LEFT_OUT, artifact.size_bytes))
            elif not _copy(writer, report, artifact, words, counts):
                noted.append(NotedFile(artifact.name, _HOLDS, artifact.size_bytes))
        fresh = writer.finish(_manifest(report, writer, words, counts, noted))
    delete_report(report)
    return fresh


def outlook(report: LocalReport, changes: Changes) -> Outlook:
    """Return what `rewrite` with `changes` would do; every artifact is read, nothing is written.

    Raises: BadInput, Unprocessable.
    """
    words, counts, lost = Words(changes), Counter[str](), set[str]()
    for artifact in report.manifest.artifacts:
        if artifact.name not in changes.left_out and not _copy(_Nowhere(), report, artifact, words, counts):
            lost.add(artifact.name)
    if words.has_any:
        _manifest(report, _Nowhere(), words, counts, ())
    return Outlook({name: number for name, number in counts.items() if number}, frozenset(lost))


def _copy(
    writer: _Writer, report: LocalReport, artifact: ManifestArtifact, words: Words, counts: "Counter[str]"
) -> bool:
    """Write the artifact without the words; return False when it has to be left out."""

    def count(number: int) -> None:
        counts[artifact.name] += number

    with opened_artifact(report, artifact) as stream:
        is_text = b"\0" not in stream.read(8192)
        stream.seek(0)
        if words.has_any and (artifact.kind in {"snapshot", "bundle"} or not is_text):
            if artifact.kind == "bundle" or words.is_in(pieces_of(stream)):
                return False
            stream.seek(0)
            return _write(writer, artifact, pieces_of(stream))
        if words.has_any and artifact.kind == "recording":
            return _copy_recording(writer, artifact, stream, words, count)
        return _write(writer, artifact, words.clean_bytes(pieces_of(stream), count))


def _write(writer: _Writer, artifact: ManifestArtifact, pieces: Iterable[bytes]) -> bool:
    with writer.adding(artifact.name, artifact.kind, artifact.media_type, path=artifact.path) as file:
        for piece in pieces:
            file.write(piece)
        file.truncated_bytes = artifact.truncated_bytes
    return True


class Recording(NamedTuple):
    """A recording that was read: its header and its events."""

    header: dict[str, Any]
    size: tuple[int, int]
    events: list[tuple[float, str, str]]

    @property
    def shown(self) -> Iterator[tuple[int, str]]:
        """Yield what was shown, each with its time in microseconds."""
        return ((round(at * 1e6), text) for at, code, text in self.events if code == "o")


def read_recording(stream: BinaryIO) -> Recording | None:
    """Return the recording, or None when it is none that can be written anew."""
    try:
        header = msgspec.json.decode(stream.readline(_LONGEST_HEADER), type=dict[str, Any])
        size = int(header["width"]), int(header["height"])
        return Recording(header, size, [msgspec.json.decode(line, type=tuple[float, str, str]) for line in stream])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


def may_rewrite(recording: Recording, words: Words) -> bool:
    """Tell whether no pattern matches: one is looked for in lines, and a recording has none."""
    lines = whole_lines(text.encode() for _, text in recording.shown)
    return not any(pattern.search(line) for line in lines for pattern in words.patterns)


def write_recording(
    recording: Recording, write: Callable[[bytes], object], words: Words, count: Callable[[int], None]
) -> None:
    """Write the recording without the words, in what its events say together: a word may lie across them."""
    header, rules = recording.header, Counter[str]()
    resizes = [(round(at * 1e6), *map(int, text.split("x"))) for at, code, text in recording.events if code == "r"]
    title = words.clean_text(str(header.get("title") or ""), count)
    stamp = int(header.get("timestamp") or 0)
    cast_writer = CastWriter(write, size=recording.size, timestamp=stamp, title=title, environment=header.get("env"))
    for piece in cleaned((Piece(at, STDOUT, text.encode()) for at, text in recording.shown), words.scanner, rules):
        while resizes and resizes[0][0] <= (0 if isinstance(piece, Gap) else piece.at_us):
            cast_writer.resize(*resizes.pop(0))
        if not isinstance(piece, Gap):
            cast_writer.write(piece.at_us, piece.content)
    cast_writer.finish()
    count(rules.total())


def _copy_recording(
    writer: _Writer, artifact: ManifestArtifact, stream: BinaryIO, words: Words, count: Callable[[int], None]
) -> bool:
    recording = read_recording(stream)
    if recording is None or not may_rewrite(recording, words):
        return False
    with writer.adding(artifact.name, artifact.kind, artifact.media_type, path=artifact.path) as file:
        write_recording(recording, file.write, words, count)
        file.truncated_bytes = artifact.truncated_bytes
    return True


def _manifest(
    report: LocalReport, writer: _Writer, words: Words, counts: "Counter[str]", noted: Sequence[NotedFile]
) -> Manifest:
    def count(number: int) -> None:
        counts["manifest"] += number

    def clean(value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            return value if key in _STRUCTURE else words.clean_text(value, count)
        if isinstance(value, list):
            return [clean(one, key) for one in value]
        if isinstance(value, dict):
            return {
                words.clean_text(name, count): clean(one, name) for name, one in cast("dict[str, Any]", value).items()
            }
        return value

    kept = {artifact.name for artifact in writer.artifacts} | {"manifest"}
    document = report.document | {
        "artifacts": [msgspec.to_builtins(one) for one in writer.artifacts],
        "redactions": [one for one in report.document["redactions"] if one["where"] in kept],
    }
    text = {key: value if key in _STRUCTURE else clean(value, key) for key, value in document.items()}
    manifest = msgspec.convert(text if words.has_any else document, Manifest)
    by_hand = [Redaction(BY_HAND, where, number) for where, number in sorted(counts.items()) if number]
    return msgspec.structs.replace(
        manifest,
        id=writer.report_id,
        redactions=[*manifest.redactions, *by_hand],
        noted_files=[*manifest.noted_files, *noted],
    )
