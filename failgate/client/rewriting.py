"""A report made anew after its review: artifacts left out, words replaced by hand, everywhere.

The new report has an id of its own and new digests; its manifest notes what a person replaced (rule `by-hand`) and left
out. It is whole on disk before the old one goes. What cannot be rewritten safely is left out when it holds the words:
archives, other binary files, recordings in which a pattern matches; a Git bundle always, for it is compressed.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from failgate.base.errors import BadInput
from failgate.base.ids import new_id
from failgate.client.asciicast import CastWriter
from failgate.client.cleaning import cleaned
from failgate.client.output import STDOUT, Gap, Piece
from failgate.client.report_folder import LocalReport, ReportWriter, delete_report, opened_artifact
from failgate.redaction import RedactingStream, Scanner, environment_secrets, redact
from failgate.wire.reports import Manifest, ManifestArtifact, NotedFile, Redaction

BY_HAND = "by-hand"
LEAST = 3
_TAG = f"[redacted:{BY_HAND}]"
_PIECE = 64 * 1024
_LONGEST_LINE = 1 << 20
_LEFT_OUT = "left out at the review"
_HOLDS = "left out: it holds what was redacted by hand, and cannot be rewritten"
_STRUCTURE = frozenset({"v", "id", "created_at", "sha256", "kind", "media_type", "source", "head", "rule", "state"})


class Changes(NamedTuple):
    """What a person decided: names of artifacts to leave out, literal words and RE2 patterns to replace."""

    left_out: frozenset[str] = frozenset()
    literals: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Tell whether the report stays as it is."""
        return not (self.left_out or self.literals or self.patterns)


class _Scanner(Scanner):
    """Knows the words alone; its tags say that a person replaced them."""

    def tag(self, rule: str, secret: bytes) -> str:  # noqa: ARG002  # the rule is known: a person
        return super().tag(BY_HAND, secret)


class _Words:
    """Finds and replaces the words of `Changes`."""

    def __init__(self, changes: Changes) -> None:
        values: dict[str, bytes] = {}
        for word in changes.literals:
            if len(word) < LEAST:
                raise BadInput(f"{word!a} is too short to be replaced everywhere.", hint="At least 3 characters.")
            values |= environment_secrets({"SPELLED_SECRET": word}) | {word: word.encode()}
        self.scanner = _Scanner(values=values, rules=(), patience_bytes=sys.maxsize)
        self.patterns = [_compiled(pattern) for pattern in changes.patterns]
        self.has_any = bool(values or self.patterns)

    def clean_text(self, text: str, count: Callable[[int], None]) -> str:
        """Return `text` without the words."""
        result = redact(text, self.scanner)
        count(len(result.findings))
        return self._by_pattern(result.text.encode("utf-8", "surrogatepass"), count).decode("utf-8", "surrogatepass")

    def clean_bytes(self, pieces: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
        """Yield the text without the words; a pattern matches inside one line."""
        stream = RedactingStream(self.scanner)

        def let_go() -> Iterator[bytes]:
            for piece in pieces:
                yield stream.feed(piece)
            yield stream.finish()

        if not self.patterns:
            yield from let_go()
        else:
            for line in _lines(let_go()):
                yield self._by_pattern(line, count)
        count(len(stream.findings))

    def is_in(self, pieces: Iterable[bytes]) -> bool:
        """Tell whether bytes that are no text hold a word."""
        found: list[int] = []
        for _ in self.clean_bytes(pieces, found.append):
            if any(found):
                return True
        return any(found)

    def _by_pattern(self, text: bytes, count: Callable[[int], None]) -> bytes:
        for pattern in self.patterns:
            text, number = pattern.subn(_TAG.encode(), text)
            count(number)
        return text


def rewrite(root: Path, report: LocalReport, changes: Changes) -> LocalReport:
    """Make `report` anew under `root` with `changes`, remove the old one, return the new one.

    Raises: BadInput (no such artifact, a word that is too short, a pattern that RE2 does not take), Unprocessable (the
    folder was changed), OSError (nothing is changed then).
    """
    names = {artifact.name for artifact in report.manifest.artifacts}
    for name in changes.left_out - names:
        raise BadInput(f"The report has no artifact {name!a}.", hint=f"It has: {', '.join(sorted(names)) or 'none'}.")
    words, counts, noted = _Words(changes), Counter[str](), list[NotedFile]()
    with ReportWriter(root, new_id()) as writer:
        for artifact in report.manifest.artifacts:
            if artifact.name in changes.left_out:
                noted.append(NotedFile(artifact.name, _LEFT_OUT, artifact.size_bytes))
            elif not _copy(writer, report, artifact, words, counts):
                noted.append(NotedFile(artifact.name, _HOLDS, artifact.size_bytes))
        fresh = writer.finish(_manifest(report, writer, words, counts, noted))
    delete_report(report)
    return fresh


def _copy(
    writer: ReportWriter, report: LocalReport, artifact: ManifestArtifact, words: _Words, counts: "Counter[str]"
) -> bool:
    """Write the artifact without the words; return False when it has to be left out."""

    def count(number: int) -> None:
        counts[artifact.name] += number

    with opened_artifact(report, artifact) as stream:
        is_text = b"\0" not in stream.read(8192)
        stream.seek(0)
        if words.has_any and (artifact.kind in {"snapshot", "bundle"} or not is_text):
            if artifact.kind == "bundle" or words.is_in(_pieces(stream)):
                return False
            stream.seek(0)
            return _write(writer, artifact, _pieces(stream))
        if words.has_any and artifact.kind == "recording":
            return _copy_recording(writer, artifact, stream, words, count)
        return _write(writer, artifact, words.clean_bytes(_pieces(stream), count) if words.has_any else _pieces(stream))


def _write(writer: ReportWriter, artifact: ManifestArtifact, pieces: Iterable[bytes]) -> bool:
    with writer.adding(artifact.name, artifact.kind, artifact.media_type, path=artifact.path) as file:
        for piece in pieces:
            file.write(piece)
        file.truncated_bytes = artifact.truncated_bytes
    return True


def _copy_recording(
    writer: ReportWriter, artifact: ManifestArtifact, stream: BinaryIO, words: _Words, count: Callable[[int], None]
) -> bool:
    """Replace words in what the events say together, for a word may lie across them."""
    try:
        header = msgspec.json.decode(stream.readline(_LONGEST_LINE), type=dict[str, Any])
        size = int(header["width"]), int(header["height"])
        events = [msgspec.json.decode(line, type=tuple[float, str, str]) for line in stream]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return False
    shown = [(round(at * 1e6), text) for at, code, text in events if code == "o"]
    if any(pattern.search(line) for pattern in words.patterns for line in _lines(text.encode() for _, text in shown)):
        return False
    resizes = [(round(at * 1e6), *map(int, text.split("x"))) for at, code, text in events if code == "r"]
    rules: Counter[str] = Counter()
    with writer.adding(artifact.name, artifact.kind, artifact.media_type, path=artifact.path) as file:
        title = words.clean_text(str(header.get("title") or ""), count)
        stamp = int(header.get("timestamp") or 0)
        cast_writer = CastWriter(file.write, size=size, timestamp=stamp, title=title, environment=header.get("env"))
        for piece in cleaned((Piece(at, STDOUT, text.encode()) for at, text in shown), words.scanner, rules):
            while resizes and resizes[0][0] <= (0 if isinstance(piece, Gap) else piece.at_us):
                cast_writer.resize(*resizes.pop(0))
            if not isinstance(piece, Gap):
                cast_writer.write(piece.at_us, piece.content)
        cast_writer.finish()
        file.truncated_bytes = artifact.truncated_bytes
    count(rules.total())
    return True


def _manifest(
    report: LocalReport, writer: ReportWriter, words: _Words, counts: "Counter[str]", noted: Sequence[NotedFile]
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


def _compiled(pattern: str) -> Any:
    try:
        import re2
    except ImportError:
        raise BadInput(
            "Patterns need RE2, which is not installed.", hint="Install google-re2, or give words."
        ) from None
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadInput(f"RE2 does not take the pattern {pattern!a}: {error}.", hint="See its syntax.") from None
    if found.search(b"") is not None:
        raise BadInput(f"The pattern {pattern!a} matches nothing at all everywhere.", hint="Let it need a character.")
    return found


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; one without an end is cut after a MiB."""
    held = b""
    for piece in pieces:
        *whole, held = (held + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(held) > _LONGEST_LINE:
            yield held
            held = b""
    if held:
        yield held
