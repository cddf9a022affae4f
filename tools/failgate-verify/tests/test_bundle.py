"""Bundles that somebody made to hurt the reader: a clear line and an exit code, never a traceback, never a file outside."""

import io
import json
import os
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.handmade import bundle, make_leaves, manifest, verify, write_folder, write_tar


def member(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), link
    return info, content


HOSTILE = [
    member("../checkpoint"), member("/etc/passwd"), member("entries/../checkpoint"), member("./../x"), member("../", tarfile.DIRTYPE),
    member("entries/001", tarfile.SYMTYPE, link="/etc/passwd"), member("entries/001", tarfile.LNKTYPE, link="checkpoint"),
    member("entries/001", tarfile.CHRTYPE), member("entries/001", tarfile.BLKTYPE), member("entries/001", tarfile.FIFOTYPE),
    member("entries/001", tarfile.CONTTYPE), member("readme"), member("checkpoint"), member("entries/000"), member("entries/1"),
    member("entries/x000/001"), member("entries/000.p/256"), member("entries/999.p/999"), member("tile/2/000"), member("entries/000\n"),
    member("\u202echeckpoint"), member("a" * 99),
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: f"{one[0].type!r} {one[0].name!a}")
def test_a_member_that_no_bundle_has_is_refused(tmp_path, leaves, hostile):
    path = write_tar(tmp_path / "bundle.tar", bundle(leaves))
    with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(hostile[0], io.BytesIO(hostile[1]))
    answer = verify("full", path)
    assert answer["exit_code"] == 2, answer


def test_long_names_and_compression_of_tar_are_none_of_a_bundle(tmp_path, leaves):
    with tarfile.open(tmp_path / "pax.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("e" * 300)
        archive.addfile(info)
    with tarfile.open(tmp_path / "gnu.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("e" * 300))
    with tarfile.open(tmp_path / "gz.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("checkpoint"))
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "noise.tar").write_bytes(os.urandom(5000))
    (tmp_path / "zeros.tar").write_bytes(bytes(10240))
    for name in ("pax", "gnu", "gz", "empty", "noise"):
        assert verify("full", tmp_path / f"{name}.tar")["exit_code"] == 2, name
    assert verify("full", tmp_path / "zeros.tar")["exit_code"] == 3


def test_a_folder_with_links_or_devices_is_refused(tmp_path, leaves):
    for number, make in enumerate((
        lambda path: path.symlink_to("/etc/passwd"), lambda path: path.symlink_to(path.parent, target_is_directory=True),
        lambda path: os.mkfifo(path), lambda path: path.write_bytes(b""),
    )):  # fmt: skip
        root = write_folder(tmp_path / f"bundle{number}", bundle(leaves))
        make(root / "entries" / "strange")
        assert verify("full", root)["exit_code"] == 2
    deep = write_folder(tmp_path / "deep", bundle(leaves))
    (deep / "/".join(["entries"] * 40)).mkdir(parents=True)
    assert verify("full", deep)["exit_code"] == 2


@pytest.mark.parametrize("cut", range(40))
def test_an_archive_that_was_cut_is_never_intact(tmp_path, leaves, cut):
    path = write_tar(tmp_path / "bundle.tar", bundle(leaves))
    content = path.read_bytes().rstrip(b"\0")
    length = len(content) * cut // 40
    path.write_bytes(content[:length])
    answer = verify("full", path)
    assert answer["exit_code"] in {1, 2, 3}, (length, answer)


def test_an_archive_cut_in_its_records_names_the_first_that_is_missing(tmp_path, leaves):
    files = bundle(leaves)
    path = write_tar(tmp_path / "bundle.tar", files)
    content = path.read_bytes()
    place = content.index(leaves[400])
    path.write_bytes(content[: place + 20])
    assert verify("full", path)["first_bad"] == 400


MANIFESTS = [
    b"", b"\xff", b"[]", b"null", b"{", b"[" * 60_000, b'{"a":' * 10_000, b"9" * 60_000, b"1e999999", b"NaN", b"{}", manifest(600, v=2),
    manifest(600, v=True), manifest(600, format="x"), b" " * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("text", MANIFESTS, ids=lambda text: repr(text[:20]))
def test_a_manifest_that_is_none_is_refused(tmp_path, leaves, text):
    answer = verify("full", write_folder(tmp_path / "bundle", bundle(leaves) | {"manifest.json": text}))
    assert answer["exit_code"] in ({2} if text != manifest(600, v=True) else {0, 2}), answer


@pytest.mark.parametrize(
    "members",
    [{"size": 601}, {"size": "600"}, {"size": True}, {"first": -1}, {"first": 10**18}, {"last": 2**70 % 10**18}, {"first": None}, {"last": 599.5},
     {"first": 5, "last": 4}, {"origin": None}, {"origin": "\u202e"}, {"first": 1}, {"to": 5}, {"from": {}}, {"from": "9"}, {"to": "0"},
     {"from": "2026-11-01T00:05:00.000000Z"}, {"first": 5, "from": "\ud800"}],
)  # fmt: skip
def test_a_manifest_that_says_something_else_is_found(tmp_path, leaves, members):
    answer = verify("full", write_folder(tmp_path / "bundle", bundle(leaves, **members)))
    assert answer["exit_code"] in {1, 2}, answer
    assert json.dumps(answer).isascii()


@pytest.mark.parametrize(
    "size", ["18446744073709551616", "9223372036854775807", "9" * 5000, "-1", "0", "00", "+1", "1e3", "٣"]
)
def test_a_checkpoint_of_any_size_costs_nothing(tmp_path, leaves, operator, size):
    root = operator.note(leaves).split("\n")[2]
    text = f"{operator.origin}\n{size}\n{root}\n"
    note = text + "\n" + operator.line(operator.key.sign(text.encode()))
    number = int(size) if size.isascii() and size.isdecimal() and len(size) < 30 else 600
    files = bundle(leaves, size=number, last=max(number - 1, 0)) | {"checkpoint": note.encode()}
    answer = verify("full", write_folder(tmp_path / "bundle", files))
    assert answer["exit_code"] in {1, 2, 3}, answer


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_archive_brings_it_down(tmp_path_factory, data):
    files = bundle(make_leaves(3))
    path = write_tar(tmp_path_factory.mktemp("t") / "bundle.tar", files)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path.write_bytes(bytes(content))
    assert verify("full", path)["exit_code"] in {0, 1, 2, 3}
