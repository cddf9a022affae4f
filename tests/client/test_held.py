"""Standard input that is part of what is approved. # E8 P4"""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from failgate.client.held import MOST_BYTES, hold_input
from tests.client.wire_server import Wire, digest_of

TEXT = b"DELETE FROM orders WHERE id = 7;\n" * 5000


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given"
    path.write_bytes(TEXT)
    return path


def test_the_command_reads_what_was_digested_also_when_the_file_changed_since(
    failgate: Any, wire: Wire, given: Path
) -> None:
    wire.approve_after(lambda: given.write_text("DROP TABLE orders;"))
    with given.open("rb") as file:
        done = failgate("run", "--stdin", "--no-capture", "--", "sha256sum", stdin=file)
    assert given.read_bytes() != TEXT
    assert (done.returncode, done.stdout.split()[0]) == (0, hashlib.sha256(TEXT).hexdigest()), done.stderr
    body = wire.of("/commands")[0]
    assert body["command"]["stdin_sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert body["digest"] == digest_of(body["command"])


def test_without_the_option_it_is_the_commands_own(failgate: Any, wire: Wire, given: Path) -> None:
    with given.open("rb") as file:
        done = failgate("run", "--no-capture", "--", "wc", "-c", stdin=file)
    assert done.stdout.split() == [str(len(TEXT))]
    assert "stdin_sha256" not in wire.of("/commands")[0]["command"]


def test_too_much_is_refused_before_anything_is_asked(failgate: Any, wire: Wire, given: Path) -> None:
    with given.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with given.open("rb") as file:
        done = failgate("run", "--stdin", "--", "cat", stdin=file)
    assert done.returncode == 2, done.stderr
    assert "16 MiB" in done.stderr
    assert not wire.of("/commands")


def test_what_is_held_cannot_be_written(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = os.dup(0)
    with given.open("rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        held = hold_input()
    finally:
        os.dup2(kept, 0)
        os.close(kept)
    try:
        assert os.read(held, 6) == TEXT[:6]
        if hasattr(os, "memfd_create"):
            with pytest.raises(PermissionError):
                os.pwrite(held, b"x", 0)
    finally:
        os.close(held)
