"""How the program ends. E12."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from failgate.cli import main as room


@pytest.mark.parametrize("crash", [ImportError("half an upgrade"), KeyboardInterrupt(), BrokenPipeError()])
def test_a_hook_that_cannot_even_start_blocks(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], crash: BaseException
) -> None:
    """Any other code than 2 lets the call of the agent program through."""

    def broken(_: str) -> None:
        raise crash

    monkeypatch.setattr("importlib.import_module", broken)
    monkeypatch.setattr(room, "_silence_stdout", lambda: None)
    assert room.main(["hook", "claude-code"]) == 2
    assert room.main(["run", "--", "true"]) != 2


_IN_A_FOLDER_THAT_IS_GONE = """
import os, sys
os.rmdir(os.getcwd())
from failgate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["doctor", "--hooks"],
        ["check"],
        ["init", "claude-code"],
        ["report", "list"],
        ["report", "show", "latest"],
        ["report", "import", "--format", "capture", "x"],
        ["capture", "--", "true"],
        ["run", "--", "true"],
        ["hook", "claude-code"],
        ["policy", "explain", "--", "true"],
        ["redact", "nothing.txt"],
        ["whoami"],
        ["version"],
    ],
    ids=" ".join,
)
def test_in_a_folder_that_is_gone_nothing_ends_with_a_traceback(tmp_path: Path, arguments: list[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_FOLDER_THAT_IS_GONE, *arguments], cwd=gone, input="{}", capture_output=True,
        text=True, timeout=60, env=paths | {"HOME": str(tmp_path), "FAILGATE_HOME": str(tmp_path / "home")}, check=False,
    )  # fmt: skip
    assert not gone.exists()
    assert "Traceback" not in done.stderr
    if arguments[0] == "doctor":
        assert done.returncode == 1
        assert (
            done.stderr
            == "failgate: The folder in which this was started is gone. Change to a folder that exists: cd ~\n"
        )


def test_a_file_that_is_missing_elsewhere_is_no_folder_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(_: str) -> None:
        raise FileNotFoundError(2, "No such file or directory", "half an upgrade")

    monkeypatch.setattr("importlib.import_module", broken)
    assert room.main(["run", "--", "true"]) == 1
    said = capfd.readouterr().err
    assert "half an upgrade" in said
    assert "is gone" not in said
