"""The artifacts of a report, each redacted while it is written."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import NamedTuple

from failgate.base.file_kinds import SNIFFED_BYTES, truthful
from failgate.client.asciicast import MEDIA_TYPE, CastWriter
from failgate.client.capture_settings import Limits, Wishes
from failgate.client.cleaning import cleaned
from failgate.client.git import Repository
from failgate.client.messages import inert
from failgate.client.output import Gap, Output
from failgate.client.patterns import find_files
from failgate.client.plain_text import PlainText
from failgate.client.report_folder import ArtifactFile, ReportWriter
from failgate.redaction import RedactingStream, Scanner, redact
from failgate.wire.reports import NotedFile

_PIECE = 64 * 1024
_LONGEST_LINE = 4096
_LONGEST_NAME = 180
_MOST_NOTED = 200
_LARGEST_DIGESTED = 1 << 30


class Finds:
    """How often a rule replaced something, by rule and place."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.counts: Counter[tuple[str, str]] = Counter()

    def of(self, where: str) -> Callable[[str], None]:
        """Return what counts one find of a rule in `where`."""

        def add(rule: str) -> None:
            self.counts[rule, where] += 1

        return add


class Heading(NamedTuple):
    """What stands at the head of a recording: seconds since 1970, a redacted title."""

    timestamp: int
    title: str


class Contents:
    """Writes artifacts with one scanner, so that one secret has one tag in all of them."""

    def __init__(self, writer: ReportWriter, scanner: Scanner, finds: Finds, wishes: Wishes) -> None:
        """Take what is needed for all of them."""
        self._writer = writer
        self._scanner = scanner
        self._finds = finds
        self._wishes = wishes
        self.noted: list[NotedFile] = []

    def add_output(self, output: Output, heading: Heading) -> None:
        """Add `output.txt`, plain text, and `recording.cast`, the same with its times and escape sequences."""
        rules: Counter[str] = Counter()
        with (
            self._writer.adding("recording.cast", "recording", MEDIA_TYPE) as recording,
            self._writer.adding("output.txt", "output", "text/plain") as text,
        ):
            plain = _PlainLines(text, self._scanner)
            cast = CastWriter(
                recording.write,
                size=output.size,
                timestamp=heading.timestamp,
                title=heading.title,
                is_terminal=output.is_terminal,
            )
            resizes = list(output.resizes)
            for piece in cleaned(output.pieces(), self._scanner, rules):
                if isinstance(piece, Gap):
                    plain.flush()
                    note = f"[failgate: {piece.dropped} bytes left out]"
                    text.write(f"\n{note}\n".encode())
                    cast.note(note)
                    text.truncated_bytes = recording.truncated_bytes = piece.dropped
                    continue
                while resizes and resizes[0][0] <= piece.at_us:
                    cast.resize(*resizes.pop(0))
                cast.write(piece.at_us, piece.content)
                plain.feed(piece.content)
            cast.finish()
            plain.flush()
        for rule, number in (rules + plain.rules).items():
            self._finds.counts[rule, "output.txt"] += number
        for rule, number in rules.items():
            self._finds.counts[rule, "recording.cast"] += number

    def add_diff(self, repository: Repository) -> None:
        """Add `diff.patch`, if anything differs."""
        if not repository.diff:
            return
        with self._writer.adding("diff.patch", "diff", "text/x-diff") as file:
            self._redact_into(file, [repository.diff], "diff.patch")
            file.truncated_bytes = repository.diff_dropped_bytes

    def add_files(self, folder: str) -> None:
        """Add the files that the patterns name, the beginning and the end of each; note the others."""
        left = self._wishes.limits.files
        for found in find_files(folder, self._wishes.patterns):
            path = self._clean_path(found.path)
            if found.descriptor is None:
                self._note(NotedFile(path, found.reason or "not read"))
                continue
            try:
                left -= self._add_file(found.descriptor, path, left)
            except OSError as error:
                self._note(NotedFile(path, f"cannot be read: {error.strerror}"))
            finally:
                os.close(found.descriptor)

    def add_snapshot(self, top: str) -> None:
        """Add `snapshot.tar`, the source tree as it lies there."""
        from failgate.client.source import SNAPSHOT_TYPE, write_snapshot

        limits = self._wishes.limits
        with self._writer.adding("snapshot.tar", "snapshot", SNAPSHOT_TYPE) as file:
            taken = write_snapshot(
                top,
                file.write,
                self._scanner,
                self._finds.of("snapshot.tar"),
                limit=limits.snapshot,
                file_limit=limits.snapshot_file,
            )
            file.truncated_bytes = taken.left_out_bytes
            file.is_dropped = not taken.files
        if not taken.files and not taken.left_out:
            self.note("snapshot.tar", "git names no file here")
        for noted in taken.left_out:
            self._note(NotedFile(inert(noted.path), noted.reason, noted.size_bytes))

    def add_bundle(self, top: str) -> None:
        """Add `head.bundle`, the history that leads to HEAD; a bundle beyond the limit is noted only."""
        from failgate.client.source import BUNDLE_TYPE, write_bundle

        with self._writer.adding("head.bundle", "bundle", BUNDLE_TYPE) as file:
            file.is_dropped = not write_bundle(top, file.write, self._wishes.limits.bundle)
        if file.is_dropped:
            self._note(NotedFile("head.bundle", "git made no bundle, or one beyond the limit"))

    def note(self, path: str, reason: str) -> None:
        """Note what was asked for and is not there."""
        self._note(NotedFile(path, reason))

    def _add_file(self, descriptor: int, path: str, left: int) -> int:
        """Add one file; return how many bytes of it were taken."""
        size = os.fstat(descriptor).st_size
        limits = self._wishes.limits
        is_binary = b"\0" in os.pread(descriptor, 8192, 0)
        if is_binary and not self._wishes.has_binary_files:
            self._note(NotedFile(path, "binary", size, _digest(descriptor, size)))
            return 0
        if min(size, limits.file_head + limits.file_tail) > left:
            self._note(NotedFile(path, "beyond the limit of all files", size))
            return 0
        media_type = "application/octet-stream" if is_binary else "text/plain"
        shown, media_type = truthful(path, media_type, os.pread(descriptor, SNIFFED_BYTES, 0))
        name = self._free_name(shown)  # `path` stays as it is: a replay puts the file where it lay
        with self._writer.adding(name, "file", media_type, path=path) as file:
            head, start = _kept(descriptor, size, limits)
            self._redact_into(file, _pieces(descriptor, 0, head), name)
            if start > head:
                file.write(f"\n[failgate: {start - head} bytes left out]\n".encode())
                file.truncated_bytes = start - head
            if start < size:
                self._redact_into(file, _pieces(descriptor, start, size), name)
        return min(size, limits.file_head + limits.file_tail)

    def _redact_into(self, file: ArtifactFile, pieces: Iterable[bytes], where: str) -> None:
        stream = RedactingStream(self._scanner)
        for piece in pieces:
            file.write(stream.feed(piece))
        file.write(stream.finish())
        self._finds.counts.update((finding.rule, where) for finding in stream.findings)

    def _clean_path(self, path: str) -> str:
        result = redact(os.fsencode(path).decode("utf-8", "replace"), self._scanner)
        for finding in result.findings:
            self._finds.of("manifest")(finding.rule)
        return inert(result.text)

    def _free_name(self, path: str) -> str:
        """Return a name for an artifact that no other has: the path with its folders joined by `__`."""
        name = path.replace("/", "__").replace("\\", "_").strip() or "file"
        name = name if len(name) <= _LONGEST_NAME else f"…{name[-_LONGEST_NAME:]}"
        taken = {artifact.name for artifact in self._writer.artifacts} | {"manifest.json", ".", ".."}
        tries = (name if number == 1 else f"{name}.{number}" for number in count(1))
        return next(one for one in tries if one not in taken)

    def _note(self, noted: NotedFile) -> None:
        if len(self.noted) < _MOST_NOTED:
            self.noted.append(noted)
        elif len(self.noted) == _MOST_NOTED:
            self.noted.append(NotedFile("…", "more files are not named"))


class _PlainLines:
    """`output.txt`: without escape sequences, and through the rules once more, now that they are gone."""

    def __init__(self, file: ArtifactFile, scanner: Scanner) -> None:
        self.rules: Counter[str] = Counter()
        self._file = file
        self._scanner = scanner
        self._plain = PlainText()
        self._stream = RedactingStream(scanner)
        self._held = bytearray()

    def feed(self, content: bytes) -> None:
        self._held += content
        if len(self._held) >= _PIECE:
            self._file.write(self._stream.feed(self._plain.feed(bytes(self._held))))
            self._held.clear()

    def flush(self) -> None:
        self._file.write(self._stream.feed(self._plain.feed(bytes(self._held)) + self._plain.finish()))
        self._file.write(self._stream.finish())
        self.rules.update(finding.rule for finding in self._stream.findings)
        self._stream = RedactingStream(self._scanner)
        self._held.clear()


def _kept(descriptor: int, size: int, limits: Limits) -> tuple[int, int]:
    """Return where the beginning ends and where the end begins, between lines where there are some."""
    head, tail = limits.file_head, limits.file_tail
    if size <= head + tail:
        return size, size
    last = os.pread(descriptor, min(head, _LONGEST_LINE), max(0, head - _LONGEST_LINE))
    cut = max(0, head - _LONGEST_LINE) + last.rfind(b"\n") + 1
    first = os.pread(descriptor, _LONGEST_LINE, size - tail)
    return cut, size - tail + (first.find(b"\n") + 1 or min(len(first), tail))


def _pieces(descriptor: int, start: int, end: int) -> Iterable[bytes]:
    while start < end and (piece := os.pread(descriptor, min(_PIECE, end - start), start)):
        yield piece
        start += len(piece)


def _digest(descriptor: int, size: int) -> str | None:
    if size > _LARGEST_DIGESTED:
        return None
    digest = hashlib.sha256()
    for piece in _pieces(descriptor, 0, size):
        digest.update(piece)
    return digest.hexdigest()


def text_of(value: str) -> str:
    """Return an argument or a path as text; what is no UTF-8 shows as U+FFFD."""
    return os.fsencode(value).decode("utf-8", "replace")
