"""The table of commands, as `failgate --help` shows it, and how a mistake is said."""

import asyncio
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from failgate.assembly import open_services
from failgate.cli.commands import TABLE, failgate
from failgate.config.load import load_config


def test_the_help_of_every_command_is_there_and_says_what_its_commands_do() -> None:
    shown = CliRunner().invoke(failgate, ["--help"]).output
    for name, (place, line) in TABLE.items():
        module, _, attribute = place.partition(":")
        assert getattr(import_module(module), attribute).help or name == "run"
        assert name in shown
        assert line.split()[0] in shown
    assert "Verify, export, prove the audit log, have it witnessed." in shown


def test_the_audit_line_names_its_commands_and_no_other() -> None:
    from failgate.cli.audit import audit

    assert sorted(audit.commands) == [
        "checkpoint", "evidence", "export", "exported", "proof", "reconcile", "signer", "verify", "witness",
    ]  # fmt: skip
    assert audit.help == TABLE["audit"][1]


def verify(folder: Path, against: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "failgate", "audit", "verify", "--data", str(folder), "--against", str(against)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")}
    return subprocess.run(words, env=clean, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    async def make() -> None:
        async with open_services(load_config(None, {}), tmp_path / "data", is_serving=False):
            pass

    asyncio.run(make())
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no note", "The note has no signatures."),
        (b"a\n\n\xe2\x80\x94 b c\n", "A checkpoint cannot be used: "),
        (b"\xff\xfe", "cannot be read: it is no text."),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_a_bad_checkpoint_is_usage_and_one_sentence_ends_with_one_full_stop(
    folder: Path, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "kept.checkpoint"
    if content is not None:
        path.write_bytes(content)
    done = verify(folder, path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert ".." not in done.stderr.replace(str(path), "")


def test_help_names_every_command_and_loads_none_of_them(failgate: Any) -> None:
    done = failgate("--help")
    assert done.returncode == 0
    assert all(f"  {name}" in done.stdout for name in TABLE)


@pytest.mark.parametrize(("word", "near"), [("rnu", "run"), ("captrue", "capture"), ("reprot", "report")])
def test_an_unknown_command_names_the_nearest_one(failgate: Any, word: str, near: str) -> None:
    done = failgate(word)
    assert done.returncode == 2
    assert done.stderr.startswith("failgate: ")
    assert f"Did you mean {near}?" in done.stderr
