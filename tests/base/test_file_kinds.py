"""What begins as what: against files that other programs wrote, and what passes for them."""

import io
import sqlite3
import sys
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from failgate.base.file_kinds import ANY, SNIFFED_BYTES, ending_of, is_kept, kinds_of_file, promises, truthful

ELF = Path(sys.executable).resolve().read_bytes()[:SNIFFED_BYTES]


def _picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(out, kind)
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a", "b")
    return out.getvalue()


def _tar(mode: str = "w", *, is_empty: bool = False) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:
        if not is_empty:
            file.addfile(tarfile.TarInfo("a"))
    return out.getvalue()


def _wave() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 8)
    return out.getvalue()


def _database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE a (b)")
    return connection.serialize()


MADE: dict[str, Callable[[], bytes]] = {
    "shot.png": lambda: _picture("PNG"),
    "photo.JPG": lambda: _picture("JPEG"),
    "moving.gif": lambda: _picture("GIF"),
    "new.webp": lambda: _picture("WEBP"),
    "scan.tiff": lambda: _picture("TIFF"),
    "old.bmp": lambda: _picture("BMP"),
    "page.pdf": lambda: _picture("PDF"),
    "site.ico": lambda: _picture("ICO"),
    "wheel.whl": _zip,
    "empty.zip": lambda: b"PK\x05\x06" + bytes(18),
    "tree.tar": _tar,
    "nothing.tar": lambda: _tar(is_empty=True),
    "tree.tar.gz": lambda: _tar("w:gz"),
    "tree.tar.bz2": lambda: _tar("w:bz2"),
    "tree.tar.xz": lambda: _tar("w:xz"),
    "beep.wav": _wave,
    "kept.sqlite": _database,
    "tool.elf": lambda: ELF,
}


@pytest.mark.parametrize("name", MADE)
def test_files_of_each_kind_are_what_they_are_called_and_nothing_else(name: str) -> None:
    head = MADE[name]()[:SNIFFED_BYTES]
    assert promises(name, ANY)
    assert is_kept(name, ANY, head)
    for other in MADE:
        assert is_kept(other, ANY, head) == (MADE[other]()[:8] == head[:8] or _both_archives(name, other)), other
    for other in ("core", "dump.bin", "trace.dat"):
        assert is_kept(other, ANY, head), other


def _both_archives(*names: str) -> bool:
    return all(name.endswith((".whl", ".zip")) for name in names) or all(name.endswith(".tar") for name in names)


@pytest.mark.parametrize("name", [name for name in MADE if name not in {"old.bmp", "site.ico", "nothing.tar"}])
def test_what_another_program_would_open_is_no_text(name: str) -> None:
    head = MADE[name]()[:SNIFFED_BYTES]
    for text, media_type in (("notes.txt", ANY), ("page.html", ANY), ("run.log", ANY), ("output", "text/plain")):
        assert not is_kept(text, media_type, head), text


@pytest.mark.parametrize(
    "name", ["shot.png", "page.pdf", "tree.tar", "wheel.whl", "movie.mp4", "kept.sqlite", "a.woff2"]
)
@pytest.mark.parametrize("head", [b"", b"<html>", b"\x7fELF\x02\x01\x01" + bytes(900), b"plain words\n" * 40])
def test_an_ending_stands_before_bytes_of_its_kind_alone(name: str, head: bytes) -> None:
    assert not is_kept(name, ANY, head)
    assert truthful(name, "text/plain", head) == (f"{name}.bin", ANY)


def test_a_media_type_is_held_to_the_bytes_too() -> None:
    shot = MADE["shot.png"]()
    assert is_kept("shot", "image/png", shot)
    assert is_kept("shot.png", "IMAGE/PNG; charset=x", shot)
    assert not is_kept("shot.png", "image/gif", shot)
    assert truthful("shot.png", "image/gif", shot) == ("shot.png", ANY)
    assert not is_kept("shot", "image/png", ELF)


@pytest.mark.parametrize(
    "head", [b"", b"MZ is how it begins\n", b"\0\0\1\0 no text, and no kind", b"BM", "ünïcödé".encode()]
)
def test_texts_of_every_kind_and_bytes_of_none_are_texts(head: bytes) -> None:
    for name in ("notes.txt", "run.log", "diff.patch", "recording.cast", "README"):
        assert truthful(name, "text/plain", head) == (name, "text/plain")


def test_the_ending_is_the_last_one() -> None:
    assert [ending_of(name) for name in ("a.tar.GZ", "a", ".png", "a.", "a/b.Png")] == ["gz", "", "", "", "png"]


def test_the_kinds_of_a_file_are_said_by_its_bytes() -> None:
    assert kinds_of_file(b"\x89PNG\r\n\x1a\n") == {"png"}
    assert kinds_of_file(b"\0\0\0\x18ftypisom") == {"heic", "mp4"}
    assert kinds_of_file(b"hello\n") == kinds_of_file(b"") == frozenset()
