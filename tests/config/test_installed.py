from pathlib import Path

import pytest

from failgate.config.installed import find_installed
from tests.third_party import Distribution


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def find(name: str):
    [found] = [each for each in find_installed() if each.name == name]
    return found


def test_an_entry_point_tells_name_version_and_api_without_being_imported(site: Path) -> None:
    Distribution(site, "acme-thing", "3.1", module="raise SystemExit", plugin="thing").write()
    found = find("thing")
    assert (found.distribution, found.version, found.api) == ("acme-thing", "3.1", "1")
    assert found.location() == str(site / "acme_thing.py")


def test_a_plugin_of_another_api_version_is_seen_as_such(site: Path) -> None:
    Distribution(site, "acme-thing", plugin="thing", group="failgate.plugins.v2").write()
    Distribution(site, "acme-odd", plugin="odd", group="failgate.plugins.vnext").write()
    assert find("thing").api == "2"
    assert "odd" not in [each.name for each in find_installed()]


def test_the_digest_is_over_every_file_and_nothing_about_the_installation(site: Path) -> None:
    distribution = Distribution(site, "acme-thing", plugin="thing")
    distribution.write()
    first = find("thing").digest()
    assert first.startswith("sha256:")
    (distribution.folder / "INSTALLER").write_text("another installer")
    (site / "__pycache__").mkdir(exist_ok=True)
    assert find("thing").digest() == first
    (site / "acme_thing.py").write_text("plugin = 1\n")
    changed = find("thing").digest()
    assert changed != first
    (site / "acme_thing.py").unlink()
    assert find("thing").digest() not in {first, changed}


def test_of_an_editable_installation_the_source_tree_is_hashed(site: Path) -> None:
    distribution = Distribution(site, "acme-thing", plugin="thing", is_editable=True)
    distribution.write()
    first = find("thing").digest()
    (site / "acme_thing.py").write_text("plugin = 1\n")
    assert find("thing").digest() != first


def test_a_distribution_without_a_list_of_files_is_hashed_by_its_source(site: Path) -> None:
    distribution = Distribution(site, "acme-thing", plugin="thing")
    distribution.write()
    (distribution.folder / "RECORD").unlink()
    first = find("thing").digest()
    (site / "acme_thing.py").write_text("plugin = 1\n")
    assert find("thing").digest() != first
