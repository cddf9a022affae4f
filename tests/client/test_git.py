"""The repository is read and nothing of it is run, whatever its configuration says."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from failgate.client.git import read_repository, top_of


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=trunk",
         "-c", "protocol.file.allow=always", *arguments],
        cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    (folder / "b.txt").write_text("one\n")
    (folder / "gone.txt").write_text("one\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a mark when anybody runs it."""
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/sprung\ncat\n')
    trap.chmod(0o755)
    return trap


def test_staged_and_unstaged_changes_binary_files_and_untracked_names_are_told(repository: Path) -> None:
    (repository / "a.txt").write_text("staged\n")
    git(repository, "add", "a.txt")
    (repository / "b.txt").write_text("unstaged\n")
    (repository / "gone.txt").unlink()
    (repository / "picture.png").write_bytes(b"\x89PNG\0\1")
    (repository / "new\r\nname").write_text("x")
    (repository / "ignored.log").write_text("x")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "exclude").write_text("*.log\n")
    found = read_repository(str(repository))
    assert found is not None
    assert (found.head, found.branch) == (git(repository, "rev-parse", "HEAD"), "trunk")
    assert {(one.state, one.path) for one in found.status} == {
        ("M.", "a.txt"), (".M", "b.txt"), (".D", "gone.txt"), (".M", "picture.png"), ("??", "new\r\nname"),
    }  # fmt: skip
    assert (found.changed_files, found.binary_files) == (5, 1)
    assert b"+staged\n" in found.diff
    assert b"+unstaged\n" in found.diff
    assert b"Binary files a/picture.png and b/picture.png differ" in found.diff


def test_a_submodule_is_named_and_not_entered(repository: Path, tmp_path: Path, trap: Path) -> None:
    git(repository, "submodule", "add", "-q", str(repository), "part")
    git(repository, "commit", "-qm", "with a part")
    part = repository / "part"
    git(part, "config", "core.fsmonitor", str(trap))
    (part / "a.txt").write_text("changed\n")
    git(part, "commit", "-qam", "ahead")
    (tmp_path / "sprung").unlink(missing_ok=True)
    found = read_repository(str(repository))
    assert found is not None
    assert [(one.path, one.is_submodule) for one in found.status] == [("part", True)]
    assert b"Subproject commit" in found.diff
    assert not (tmp_path / "sprung").exists()


def test_a_hostile_configuration_runs_nothing(repository: Path, tmp_path: Path, trap: Path) -> None:
    (repository / ".gitattributes").write_text("*.txt filter=evil diff=evil\nb.txt filter=odd=name\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "attributes")
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (hooks / hook).symlink_to(trap)
    for key in (
        "core.fsmonitor", "core.pager", "pager.diff", "pager.status", "core.editor", "core.sshCommand", "core.askPass",
        "diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge",
        "filter.evil.process", "filter.odd=name.clean", "credential.helper", "gpg.program", "alias.status", "alias.diff",
        "uploadpack.packObjectsHook", "core.alternateRefsCommand", "interactive.diffFilter", "merge.evil.driver",
    ):  # fmt: skip
        git(repository, "config", key, f"!{trap}" if key.startswith("alias") else str(trap))
    git(repository, "config", "filter.evil.required", "true")
    git(repository, "config", "core.hooksPath", str(hooks))
    git(repository, "config", "remote.origin.url", f"ext::{trap}")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "protocol.ext.allow", "always")
    (repository / "a.txt").write_text("two\n")
    (repository / "b.txt").write_text("two\n")
    # a blob that is missing would be fetched from the promising remote
    blob = git(repository, "rev-parse", "HEAD:gone.txt")
    blob_file = repository / ".git" / "objects" / blob[:2] / blob[2:]
    blob_file.chmod(0o600)
    (repository / "gone.txt").write_text("changed\n")
    (tmp_path / "sprung").unlink(missing_ok=True)
    found = read_repository(str(repository))
    assert found is not None
    assert b"+two" in found.diff
    assert {one.path for one in found.status} >= {"a.txt", "b.txt"}
    blob_file.unlink()
    read_repository(str(repository))
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()


def test_a_work_tree_elsewhere_is_not_read(repository: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "home"
    secrets.mkdir()
    (secrets / "a.txt").write_text("a private file\n")
    git(repository, "config", "core.worktree", str(secrets))
    assert top_of(str(repository)) is None
    assert read_repository(str(repository)) is None
    git(repository, "config", "core.worktree", str(tmp_path))
    assert read_repository(str(repository)) is None


def test_variables_of_git_in_the_environment_run_nothing(
    repository: Path, tmp_path: Path, trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "a.txt").write_text("two\n")
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_EDITOR"):
        monkeypatch.setenv(name, str(trap))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'diff.external'='{trap}'")
    assert read_repository(str(repository)) is not None
    assert not (tmp_path / "sprung").exists()


def test_changes_that_git_had_no_time_to_tell_are_not_taken_for_all(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of them would make a replay fail otherwise, or pass."""
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin" / "git"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *numstat*) ;; *" diff "*) echo "diff --git a/x b/x"; printf half; exec sleep 60;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("failgate.client.git._STREAM_SECONDS", 0.5)
    found = read_repository(str(repository))
    assert found is not None
    assert (found.diff, found.diff_dropped_bytes > 0) == (b"diff --git a/x b/x\n", True)
