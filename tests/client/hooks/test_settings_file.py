"""A settings file changes whole or not at all. E12."""

import os
import stat
from pathlib import Path

import pytest

from failgate.client.exits import NotConfigured
from failgate.client.hooks.settings_file import read_settings, replace_settings


def test_a_file_that_is_not_there_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / ".claude" / "settings.json"
    assert read_settings(path) == {}
    assert replace_settings(path, {"a": 1}) is None
    assert read_settings(path) == {"a": 1}


def test_what_was_there_lies_beside_it_and_its_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"é": 1}')
    path.chmod(0o640)
    first = replace_settings(path, {"a": 1})
    second = replace_settings(path, {"a": 2})
    assert first is not None
    assert second is not None
    assert first != second
    assert first.read_text() == '{"é": 1}'
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(first.stat().st_mode) == 0o640


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "settings.json"
    real.write_text("{}")
    path = tmp_path / "settings.json"
    path.symlink_to(real)
    replace_settings(path, {"a": 1})
    assert path.is_symlink()
    assert read_settings(real) == {"a": 1}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 2}}', "// no\n{}", "[" * 100_000])
def test_what_cannot_be_kept_whole_is_not_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(NotConfigured):
        read_settings(path)


def test_a_folder_that_takes_no_file_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "settings.json"
    (tmp_path / "blocked").write_text("")
    with pytest.raises(NotConfigured):
        replace_settings(tmp_path / "blocked" / "settings.json", {})
    assert not place.exists()
    assert os.listdir(tmp_path) == ["blocked"]  # noqa: PTH208 - the names alone
