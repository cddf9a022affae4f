"""Redaction again on receipt: what is scanned, and what is said about it. F17 F18."""

import threading

import pytest

from failgate.client.source import write_snapshot
from failgate.redaction import RULES_VERSION, RedactingStream, Scanner
from failgate.reports.inspection import _SLICE_BYTES, inspection_for, merged, scan_text, summary
from tests.client.test_git import git

from .conftest import SECRET


async def inspected(kind: str, media_type: str, *pieces: bytes) -> tuple[dict[str, int], str]:
    inspection = inspection_for(kind, media_type, Scanner())
    for piece in pieces:
        await inspection.feed(piece)
    findings, rules = await inspection.finish()
    return dict(findings), rules


@pytest.mark.parametrize("kind", ["output", "diff", "environment", "source", "snapshot"])
async def test_text_kinds_are_scanned_whatever_they_hold(kind):
    findings, rules = await inspected(kind, "application/octet-stream", b"\0\n", SECRET.encode())
    assert sum(findings.values()) == 1
    assert rules == RULES_VERSION


async def test_the_files_of_a_source_snapshot_are_scanned_and_what_was_redacted_there_is_not_found_again(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "settings.py").write_text(f"TIMEOUT = 3\nTOKEN = '{SECRET}'\n")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0\0" * 4000)
    found = []
    for scanner in (Scanner(rules=()), Scanner()):
        tar = bytearray()
        write_snapshot(str(tmp_path), tar.extend, scanner, lambda _: None, limit=1 << 20, file_limit=1 << 20)
        found.append(await inspected("snapshot", "application/x-tar", bytes(tar)))
    assert [sum(counts.values()) for counts, _ in found] == [1, 0]
    assert found[1][1] == RULES_VERSION, "it was looked through"


async def test_other_kinds_are_scanned_when_they_begin_like_text():
    assert (await inspected("file", "application/octet-stream", b"a\n", SECRET.encode()))[0]
    assert (await inspected("file", "text/plain", b"\0", SECRET.encode()))[0]
    assert await inspected("file", "application/octet-stream", b"\x7fELF\0", SECRET.encode()) == ({}, "")


@pytest.mark.parametrize("cut", range(0, len(SECRET), 7))
async def test_a_secret_is_found_wherever_the_stream_is_cut(cut):
    content = f"token {SECRET}\n".encode()
    assert sum((await inspected("output", "text/plain", content[: 6 + cut], content[6 + cut :]))[0].values()) == 1


async def test_the_pieces_of_a_large_output_are_counted_once_each():
    line = f"token {SECRET} and more words that say nothing\n".encode()
    pieces = [line * 2000] * 3
    assert sum((await inspected("output", "text/plain", *pieces))[0].values()) == 6000


async def test_a_large_piece_is_scanned_in_slices_on_threads_of_their_own(monkeypatch):
    seen: list[tuple[int, str]] = []
    feed = RedactingStream.feed

    def noted(self: RedactingStream, chunk: bytes) -> bytes:
        seen.append((len(chunk), threading.current_thread().name))
        return feed(self, chunk)

    monkeypatch.setattr(RedactingStream, "feed", noted)
    line = b"nothing to see\n"
    filler = line * (_SLICE_BYTES // len(line))
    content = filler + f"token {SECRET} ".encode() * 3 + line * (2 * _SLICE_BYTES // len(line))
    assert sum((await inspected("output", "text/plain", content))[0].values()) == 3
    assert sum(size for size, _ in seen) == len(content)
    assert max(size for size, _ in seen) == _SLICE_BYTES
    assert all(name.startswith("scan") for _, name in seen)


async def test_text_that_was_redacted_before_has_no_findings():
    from failgate.redaction import redact

    text = f"API_KEY={SECRET}\nAuthorization: Bearer {SECRET}\nhttps://user:{SECRET}@host/\n"
    assert await scan_text(text, Scanner())
    assert await scan_text(redact(text, Scanner()).text, Scanner()) == {}


async def test_nothing_has_no_findings():
    assert await inspected("output", "text/plain") == ({}, RULES_VERSION)
    assert await inspected("file", "image/png") == ({}, "")


def test_a_summary_names_rules_and_counts_in_bounds():
    assert summary({"jwt": 2, "aws": 1}) == "aws:1,jwt:2"
    assert len(summary({f"rule-{number}": number for number in range(100)})) <= 200


def test_counts_are_added_by_rule():
    assert merged({"jwt": 2}, {"jwt": 1, "aws": 1}, {}) == {"jwt": 3, "aws": 1}


@pytest.mark.parametrize("repeat", [1, 40, 4000])  # seen in passing, and from 64 KiB on in a thread
async def test_a_text_has_what_an_output_of_the_same_bytes_has(repeat: int):
    text = f"token {SECRET} said ☃\n\nhttps://user:{SECRET}@host/\n\n" * repeat
    found, _ = await inspected("output", "text/plain", text.encode())
    assert await scan_text(text, Scanner()) == found
    assert sum(found.values()) == 2 * repeat
