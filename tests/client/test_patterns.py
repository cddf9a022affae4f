"""Files by pattern: found below the folder, and nowhere else."""

import os
from pathlib import Path

import pytest

from failgate.base.errors import BadInput
from failgate.client import patterns
from failgate.client.patterns import find_files, parse_pattern


def found(folder: Path, *texts: str) -> dict[str, str | None]:
    """Return what is found: path to the reason why it is not read, or None."""
    result = {}
    for one in find_files(str(folder), [parse_pattern(text) for text in texts]):
        if one.descriptor is not None:
            os.close(one.descriptor)
        result[one.path] = one.reason
    return result


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for path in ("logs/a.log", "logs/b.txt", "logs/deep/c.log", "logs/.hidden.log", ".git/config.log", "d.log"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("x")
    return tree


@pytest.mark.parametrize(
    ("texts", "paths"),
    [
        (("logs/*.log",), {"logs/a.log"}),
        (("./logs//*.log",), {"logs/a.log"}),
        (("**/*.log",), {"logs/a.log", "logs/deep/c.log", "d.log"}),
        (("logs/**",), {"logs/a.log", "logs/b.txt", "logs/deep/c.log"}),
        (("logs/.hidden.log", "d.log", "d.*"), {"logs/.hidden.log", "d.log"}),
        (("*/?.t[xy]t",), {"logs/b.txt"}),
        (("logs",), set()),
        ((".git/*",), set()),
        (("nothing-here*",), set()),
    ],
)
def test_patterns_name_files(tree: Path, texts: tuple[str, ...], paths: set[str]) -> None:
    assert found(tree, *texts) == dict.fromkeys(paths)


@pytest.mark.parametrize("text", ["../x", "logs/../../x", "/etc/passwd", "", ".", "a\0b"])
def test_a_pattern_that_leaves_the_folder_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a pattern of files below this folder"):
        parse_pattern(text)


def test_links_devices_and_pipes_are_named_and_not_read(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.log").write_text("private")
    (tree / "logs" / "link.log").symlink_to(tmp_path / "outside" / "secret.log")
    (tree / "logs" / "inside.log").symlink_to(tree / "d.log")
    (tree / "logs" / "elsewhere").symlink_to(tmp_path / "outside")
    os.mkfifo(tree / "logs" / "pipe.log")
    expected = {
        "logs/a.log": None,
        "logs/link.log": "a symbolic link, not followed",
        "logs/inside.log": "a symbolic link, not followed",
        "logs/pipe.log": "not a regular file",
    }
    assert found(tree, "logs/*.log") == expected
    assert found(tree, "logs/elsewhere/*.log") == {}, "no link on the way is followed either"
    if os.getuid() == 0:
        os.mknod(tree / "logs" / "device.log", 0o600 | 0o020000, os.makedev(1, 5))
        assert found(tree, "logs/device.log") == {"logs/device.log": "not a regular file"}


def test_a_hundred_files_are_opened_and_the_others_named(tree: Path) -> None:
    for number in range(patterns.MOST_FILES + 20):
        (tree / f"many{number:04d}").write_text("x")
    result = found(tree, "many*")
    assert sum(reason is None for reason in result.values()) == patterns.MOST_FILES
    assert sum(reason == "more than 100 files" for reason in result.values()) == 20
