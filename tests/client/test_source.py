"""The source of a failure: the tree as it lies there without secrets, and history that git reads again."""

import io
import os
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from failgate.client.source import write_bundle, write_snapshot
from failgate.redaction import Scanner
from tests.client.test_git import git

TOKEN = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("*.log\nbuild/\n")
    (tree / "src" / "main.py").write_text("print(1)\n")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("src/main.py")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    (tree / "src" / "main.py").write_text(f"token = '{TOKEN}'\n")
    (tree / "new.txt").write_text("untracked\n")
    (tree / "noise.log").write_text("ignored\n")
    (tree / "build").mkdir()
    (tree / "build" / "out").write_text("ignored\n")
    return tree


def snapshot(tree: Path, *, limit: int = 1 << 20, file_limit: int = 1 << 16):
    out, rules = io.BytesIO(), Counter()
    scanner = Scanner(key=b"k" * 32)
    taken = write_snapshot(
        str(tree), out.write, scanner, lambda rule: rules.update([rule]), limit=limit, file_limit=file_limit
    )
    return out.getvalue(), taken, rules


def members(content: bytes) -> dict[str, bytes | str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            one.name: one.linkname if one.issym() else tar.extractfile(one).read()  # type: ignore[union-attr]  # regular files have one
            for one in tar
        }


def test_tracked_changed_and_new_files_are_there_ignored_ones_and_git_are_not(tree: Path) -> None:
    content, taken, rules = snapshot(tree)
    found = members(content)
    assert set(found) == {".gitignore", "src/main.py", "run.sh", "link", "new.txt"}
    assert found["link"] == "src/main.py"
    assert TOKEN.encode() not in content
    assert b"[redacted:github-token:" in found["src/main.py"]
    assert rules == {"github-token": 1}
    assert (taken.files, taken.left_out) == (5, [])


def test_the_same_tree_gives_the_same_bytes(tree: Path) -> None:
    first = snapshot(tree)[0]
    os.utime(tree / "run.sh", (1, 1))
    assert snapshot(tree)[0] == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert {(one.mtime, one.uid, one.gid, one.uname) for one in tar} == {(0, 0, 0, "")}
        assert {one.name: oct(one.mode) for one in tar}["run.sh"] == "0o755"


def test_links_that_lead_out_pipes_and_links_on_the_way_are_left_out(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "main.py").write_text("private\n")
    (tree / "absolute").symlink_to("/etc/passwd")
    (tree / "upward").symlink_to("src/../../outside/main.py")
    os.mkfifo(tree / "pipe")
    (tree / "src" / "main.py").unlink()
    (tree / "src").rmdir()
    (tree / "src").symlink_to(tmp_path / "outside")
    content, taken, _ = snapshot(tree)
    assert b"private" not in content
    assert {"absolute", "upward", "src"} <= {one.path for one in taken.left_out}
    assert not {"absolute", "upward", "src/main.py", "pipe"} & set(members(content))


def test_names_with_line_ends_and_secrets_are_harmless(tree: Path) -> None:
    (tree / "two\r\nlines").write_text("x")
    (tree / f"{TOKEN}.txt").write_text("x")
    content, _, _ = snapshot(tree)
    assert TOKEN.encode() not in content
    assert any(name.startswith("[redacted:github-token:") for name in members(content))


def test_what_is_too_large_is_left_out_whole_and_counted(tree: Path) -> None:
    (tree / "large.bin").write_bytes(b"x" * 70_000)
    _, taken, _ = snapshot(tree)
    assert [(one.path, one.size_bytes) for one in taken.left_out] == [("large.bin", 70_000)]
    assert taken.left_out_bytes == 70_000
    content, taken, _ = snapshot(tree, limit=1200)
    assert len(members(content)) + len(taken.left_out) == 6
    assert len(content) <= 10240 + 1200


def test_files_beyond_the_most_are_counted(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failgate.client.source.MOST_FILES", 3)
    content, taken, _ = snapshot(tree)
    assert set(members(content)) == {".gitignore", "link", "new.txt"}
    assert [(one.path, one.reason) for one in taken.left_out] == [("…", "2 files beyond the first 3")]


def test_a_bundle_is_read_by_git_again(tree: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "head.bundle"
    with bundle.open("wb") as file:
        assert write_bundle(str(tree), file.write, 1 << 20)
    subprocess.run(["git", "clone", "-q", str(bundle), str(tmp_path / "again")], check=True, capture_output=True)
    assert git(tmp_path / "again", "rev-parse", "HEAD") == git(tree, "rev-parse", "HEAD")
    with bundle.open("wb") as file:
        assert not write_bundle(str(tree), file.write, 100), "a cut bundle is of no use"


def test_without_a_commit_there_is_no_bundle(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert not write_bundle(str(tmp_path), lambda _: None, 1 << 20)
