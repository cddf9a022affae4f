"""A disk that is really full: uploads, changes of the database, captures on a file system of a few mebibytes. F1 F16"""

from pathlib import Path

import pytest

from contrib.campaigns.small_disk import MIB, NoSmallDisk, inside


@pytest.mark.parametrize(("scenario", "mib"), [("serving", 20), ("denying", 20), ("capture", 4)])
def test_on_a_full_disk(tmp_path: Path, scenario: str, mib: int) -> None:
    """The scenarios stand in `full_disk.py`."""
    try:
        inside(tmp_path, mib * MIB, "-m", "tests.journeys.full_disk", scenario)
    except NoSmallDisk as error:
        pytest.skip(str(error))
