"""What was opened is what runs, whatever lies at its path by then. # P4"""

import os
import shutil
from pathlib import Path

import pytest

from failgate.client.execution import execute


@pytest.mark.parametrize("swap", ["file", "link", "gone", "folder"])
def test_a_binary_runs_by_its_descriptor_though_its_path_leads_elsewhere(tmp_path: Path, swap: str) -> None:
    """After the look nothing of the path is used."""
    good, evil = shutil.which("true"), shutil.which("false")
    assert good is not None
    assert evil is not None
    place = tmp_path / "place"
    place.mkdir()
    tool = place / "tool"
    shutil.copy(good, tool)
    descriptor = os.open(tool, os.O_RDONLY | os.O_CLOEXEC)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if swap == "folder":
            place.rename(tmp_path / "elsewhere")
            place.mkdir()
            shutil.copy(evil, tool)
        else:
            tool.unlink()
            if swap == "file":
                shutil.copy(evil, tool)
            elif swap == "link":
                tool.symlink_to(evil)
        ended = execute(["tool"], path=str(tool), environment={}, descriptor=descriptor, folder=folder)
        assert ended.exit_code == 0
    finally:
        os.close(descriptor)
        os.close(folder)
