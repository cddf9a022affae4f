"""What may be attached: by its bytes, without secrets, looked into, under a harmless name. F24 E27"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib

import pytest
from failgate_disclosure.archives import DEPTH, ENTRIES
from failgate_disclosure.attachments import LONGEST_NAME, AttachmentRefused, judged, plain_name

from failgate.plugin import SentFile

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"


def judge(content, name="a.bin"):
    [one] = judged([SentFile("files", name, content)])
    return one


def zipped(*entries, **how):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", how.pop("compression", zipfile.ZIP_DEFLATED)) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return held.getvalue()


def tarred(*members):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return held.getvalue()


def link(name, kind, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "latin-1"])
def test_text_loses_its_secrets_and_nothing_else(charset):
    kept = judge(f"räksmörgås\r\ntoken={TOKEN}\r\nend".encode(charset), "log.txt")
    text = kept.content.decode(charset)
    assert kept.is_redacted
    assert TOKEN not in text
    assert text.startswith("räksmörgås\r\n")
    assert text.endswith("\r\nend")
    plain = "räksmörgås\r\n".encode(charset)
    assert (judge(plain).content, judge(plain).is_redacted) == (plain, False)


def test_a_text_that_begins_as_another_kind_does_is_still_text():
    for head in ("BMW ", "true ", "see %PDF- "):
        assert TOKEN.encode() not in judge(f"{head} token={TOKEN}".encode()).content


@pytest.mark.parametrize("content", [PNG, b"\xff\xd8\xff\xe0\x00", b"GIF89a\x00", b"%PDF-1.7\n\x00\xff"])
def test_pictures_and_documents_are_kept_as_they_are(content):
    assert judge(content).content == content


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x7fELF\x00\x00", b"MZ\x90\x00\x03\x00\x00", b"\x00\x01\x02", b"SQLite format 3\x00",
        b"7z\xbc\xaf\x27\x1c\x00", b"Rar!\x1a\x07\x00", b"\xfd7zXZ\x00\x00", b"\x00asm\x01",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.zip"])
def test_bytes_of_other_kinds_are_refused_whatever_they_are_called(content, name):
    with pytest.raises(AttachmentRefused, match=f"{name} is not taken"):
        judge(content, name)


def test_archives_are_kept_when_everything_in_them_is():
    inner = zipped(("a.txt", "hello"), ("b/", ""), ("b/c.png", PNG))
    packed = gzip.compress(tarred((tarfile.TarInfo("x/inner.zip"), inner)))
    for content in (zipped(), inner, packed, tarred((tarfile.TarInfo("a"), b"x")), gzip.compress(b"text")):
        assert judge(content).content == content


def deep(levels):
    content = zipped(("a.txt", "x"))
    for _ in range(levels):
        content = zipped(("inner.zip", content))
    return content


def encrypted():
    content = bytearray(zipped(("a.txt", "secret")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + at] |= 1
    return bytes(content)


def with_link():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        entry = zipfile.ZipInfo("a")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return held.getvalue()


def lying():
    """A zip whose directory says that a bomb is small."""
    content = bytearray(zipped(("a.txt", b"\n" * 50_000_000)))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.find(mark) + at, 100)
    return bytes(content)


def gzip_bomb():
    packing = zlib.compressobj(9, wbits=31)
    return b"".join([packing.compress(b"\n" * 1_000_000) for _ in range(40)]) + packing.flush()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        pytest.param(lambda: zipped(("a.txt", b"\n" * 40_000_000)), "come out of it", id="bomb"),
        pytest.param(gzip_bomb, "come out of it", id="gzip_bomb"),
        pytest.param(lambda: zipped(("a.gz", gzip_bomb())), "come out of it", id="bomb_inside"),
        pytest.param(
            lambda: zipped(*((f"{n}.txt", b"\n" * 400_000) for n in range(100))), "come out of it", id="many_together"
        ),
        pytest.param(lying, "broken", id="lying_sizes"),
        pytest.param(
            lambda: zipped(*((f"{n}.txt", b"") for n in range(ENTRIES + 1))), "more than 200 files", id="many_entries"
        ),
        pytest.param(
            lambda: tarred(*((tarfile.TarInfo(f"{n}"), b"") for n in range(ENTRIES + 1))),
            "more than 200 files",
            id="many_entries_tar",
        ),
        pytest.param(
            lambda: zipped(*((f"{n}.zip", zipped(*((f"{m}", b"") for m in range(20)))) for n in range(15))),
            "more than 200",
            id="many_inside",
        ),
        pytest.param(lambda: deep(DEPTH), "more than 3 deep", id="deep"),
        pytest.param(encrypted, "encrypted", id="encrypted"),
        pytest.param(with_link, "a link", id="link_in_zip"),
        pytest.param(lambda: tarred((link("a", tarfile.SYMTYPE, "/etc/passwd"), b"")), "a link", id="symbolic_link"),
        pytest.param(lambda: tarred((link("a", tarfile.LNKTYPE, "b"), b"")), "a link", id="hard_link"),
        pytest.param(lambda: tarred((link("a", tarfile.CHRTYPE, ""), b"")), "a device", id="device"),
        pytest.param(lambda: zipped(("../../evil", "x")), "outside of itself", id="above"),
        pytest.param(lambda: zipped(("a/..\\b", "x")), "outside of itself", id="above_backslash"),
        pytest.param(lambda: zipped(("C:\\evil", "x")), "outside of itself", id="drive"),
        pytest.param(lambda: tarred((tarfile.TarInfo("/etc/passwd"), b"x")), "outside of itself", id="absolute"),
        pytest.param(lambda: zipped(("a.exe", b"MZ\x90\x00\x03\x00\x00")), "a kind that is not taken", id="program"),
        pytest.param(lambda: zipped(("a.7z", b"7z\xbc\xaf\x27\x1c\x00")), "a kind that is not taken", id="seven_zip"),
        pytest.param(lambda: zipped(("a.txt", "x"), compression=zipfile.ZIP_LZMA), "not looked into", id="lzma"),
        pytest.param(lambda: zipped(("a.txt", "hello world"))[:-30], "broken", id="cut_zip"),
        pytest.param(lambda: gzip.compress(b"hello")[:-6], "broken", id="cut_gzip"),
        pytest.param(lambda: b"PK\x03\x04" + b"\0" * 100, "broken", id="empty_zip"),
        pytest.param(lambda: b"\x1f\x8b" + b"\0" * 100, "broken", id="empty_gzip"),
    ],
)
def test_an_archive_that_could_do_harm_is_refused_and_says_why(made, says):
    with pytest.raises(AttachmentRefused, match=says):
        judge(made(), "evil.zip")


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_mangled_archive_is_kept_or_refused_and_breaks_nothing(cut):
    for whole in (zipped(("a.txt", "hello"), ("b.png", PNG)), gzip.compress(tarred((tarfile.TarInfo("a"), b"x")))):
        mangled = bytearray(whole)
        for at in range(cut, min(cut + 3, len(mangled))):
            mangled[at] ^= 0xFF
        try:
            judge(bytes(mangled))
        except AttachmentRefused:
            continue


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\proof.txt", "proof.txt"),
        ("a\r\nSet-Cookie: x=1.txt", "a Set-Cookie: x=1.txt"),
        ("safe\u202etxt.exe", "safe txt.exe"),
        ("..", "attachment"),
        ("", "attachment"),
        ("\u200b\u202e", "attachment"),
        ("ä" * 300 + ".txt", "ä" * (LONGEST_NAME - 4) + ".txt"),
        ("a" * 300, "a" * LONGEST_NAME),
        ("a." + "b" * 300, "a." + "b" * (LONGEST_NAME - 2)),
        ("<script>.html", "<script>.html"),
        (" .bashrc ", "bashrc"),
    ],
)
def test_a_name_does_no_harm(name, kept):
    assert plain_name(name) == kept


def test_an_ending_promises_nothing_untrue():
    assert judge(b"just text", "photo.png").name == "photo.png.bin"
    assert judge(PNG, "notes.txt").name == "notes.txt.bin"
    assert judge(PNG, "photo.png").name == "photo.png"
    assert judge(b"echo", "run.exe").name == "run.exe.bin"
