"""The table of commands, as `failgate --help` shows it, and how a mistake is said."""

import asyncio
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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
    assert "Verify the audit log, print its checkpoint." in shown


def test_the_audit_line_names_its_commands_and_no_other() -> None:
    from failgate.cli.audit import audit

    assert sorted(audit.commands) == ["checkpoint", "verify"]
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
