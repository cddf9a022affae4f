"""The kept digest of a shell's file is that of its bytes, or is not taken. E12."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from failgate.client.hooks.attested import digesting_in, mark_of
from failgate.client.search import digest_of_file

SHELL = os.path.realpath("/bin/sh")  # of root, written by nobody else
FALSE = "0" * 64


def digest(home: Path, path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return digesting_in(str(home))(descriptor)
    finally:
        os.close(descriptor)


def kept(home: Path) -> Path:
    return home / "hooks" / "shell"


def test_the_digest_of_a_shell_is_kept_for_the_next_hook(tmp_path: Path) -> None:
    right = hashlib.sha256(Path(SHELL).read_bytes()).hexdigest()
    assert digest(tmp_path, SHELL) == right
    assert json.loads(kept(tmp_path).read_text())["sha256"] == right
    assert kept(tmp_path).stat().st_mode & 0o777 == 0o600
    kept(tmp_path).write_text(kept(tmp_path).read_text().replace(right, FALSE))
    assert digest(tmp_path, SHELL) == FALSE  # it is taken, not worked out again


@pytest.mark.parametrize("spoil", ["", "[]", "{", '{"file":"1:2:3:4:5","sha256":"X"}', "another file", "no digest"])
def test_what_does_not_fit_is_worked_out_again(tmp_path: Path, spoil: str) -> None:
    right = digest(tmp_path, SHELL)
    file = kept(tmp_path)
    text = {
        "another file": file.read_text().replace(":", ":9", 2).replace(right, FALSE),
        "no digest": file.read_text().replace(right, right[:-1] + "g"),
    }.get(spoil, spoil)
    file.write_text(text)
    assert digest(tmp_path, SHELL) == right


def test_a_file_that_others_can_write_is_digested_each_time(tmp_path: Path) -> None:
    shell = tmp_path / "bash"
    shell.write_bytes(b"one")
    shell.chmod(0o777)
    assert digest(tmp_path, str(shell)) == hashlib.sha256(b"one").hexdigest()
    assert not kept(tmp_path).exists()


def test_a_file_that_changed_a_moment_ago_is_not_kept(tmp_path: Path) -> None:
    """Two changes within one tick of the disk's clock look alike. Only root's files get so far."""
    shell = tmp_path / "bash"
    shell.write_bytes(b"one")
    shell.chmod(0o755)
    digest(tmp_path, str(shell))
    assert not kept(tmp_path).exists()


def test_who_writes_and_puts_the_time_back_is_seen(tmp_path: Path) -> None:
    shell = tmp_path / "bash"
    shell.write_bytes(b"one")
    before = shell.stat()
    while mark_of(shell.stat()) == mark_of(before):  # until the disk's clock ticks
        shell.write_bytes(b"two")
        os.utime(shell, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shell.stat().st_mtime_ns == before.st_mtime_ns
    with shell.open("rb") as stream:
        assert digest_of_file(stream.fileno()) == hashlib.sha256(b"two").hexdigest()
