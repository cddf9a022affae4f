"""Who may not look into the data folder is told so, and no other verdict."""

import asyncio
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from failgate.base.errors import StartRefused
from failgate.cli.audit import audit
from failgate.cli.control import carry_out

NOBODY = 65534
for module in ("core_database", "gate.verification", "workspaces.receipts", "web.control"):
    import_module(f"failgate.{module}")  # as somebody who may read a checkout


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of another account."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "failgate.sqlite").touch()
    monkeypatch.chdir("/")
    folder.chmod(0)
    is_root = os.geteuid() == 0  # who may look everywhere
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_verb_on_the_folder_of_another_account_says_whose_it_is(foreign: Path) -> None:
    with pytest.raises(StartRefused, match="belongs to another account") as caught:
        asyncio.run(carry_out("agent.list", {"workspace": "acme"}, foreign, None))
    assert "account that runs the server" in (caught.value.hint or "")


def test_verifying_what_cannot_be_read_does_not_call_it_tampered(foreign: Path) -> None:
    done = CliRunner().invoke(audit, ["verify", "--data", str(foreign)])
    assert isinstance(done.exception, StartRefused), done.output
    assert "cannot be read: Permission denied" in done.exception.sentence
