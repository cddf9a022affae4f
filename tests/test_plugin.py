"""The public plugin API: what a plugin may rely on."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import failgate.plugin as api
from failgate.base.clock import FrozenClock
from failgate.base.errors import StartRefused
from failgate.plugin import Host, NoSettings, Plugin, Provides
from failgate.testing import host_at


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    need: int = 1


class Loose(msgspec.Struct, frozen=True):
    pass


class Mutable(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Taken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    use: str = ""


def nothing(config: object, host: Host) -> object:
    raise AssertionError("making a plugin does nothing")


def test_making_a_plugin_does_nothing() -> None:
    plugin = Plugin(name="quiet-hours", config=Settings, open=nothing)
    assert (plugin.name, plugin.config) == ("quiet-hours", Settings)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Quiet Hours"}, "lower-case letters"),
        ({"name": "quiet-"}, "lower-case letters"),
        ({"name": None}, "lower-case letters"),
        ({"config": dict}, "config must be a msgspec.Struct class"),
        ({"config": Settings()}, "config must be a msgspec.Struct class"),
        ({"config": Loose}, "declare Loose with frozen=True and forbid_unknown_fields=True"),
        ({"config": Mutable}, "declare Mutable with frozen=True and forbid_unknown_fields=True"),
        ({"config": Taken}, "the setting name `use` belongs to Failgate"),
        ({"open": None}, "open must be an asynchronous context manager function"),
    ],
)
def test_a_plugin_that_could_not_be_opened_is_refused_when_it_is_made(changes: dict[str, object], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Plugin(**{"name": "thing", "config": Settings, "open": nothing, **changes})


def test_a_name_that_is_no_slot_is_an_error() -> None:
    with pytest.raises(TypeError, match="aproval_policy"):
        Provides(aproval_policy=None)


def test_a_misspelt_slot_fails_in_the_type_checker(tmp_path: Path) -> None:
    program = tmp_path / "misspelt.py"
    program.write_text("from failgate.plugin import Provides\n\nProvides(aproval_policy=None)\nProvides(health=3)\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "--follow-imports=silent", str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert 'misspelt.py:3: error: Unexpected keyword argument "aproval_policy"' in checked.stdout
    assert 'misspelt.py:4: error: Argument "health" to "Provides"' in checked.stdout


def test_every_name_of_the_public_api_is_there_and_listed_once() -> None:
    assert sorted(set(api.__all__)) == sorted(api.__all__)
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert f"failgate.plugins.v{api.API_VERSION}" == api.ENTRY_POINT_GROUP
    assert NoSettings() == NoSettings()


def test_the_data_folder_of_an_instance_is_its_own_and_private(tmp_path: Path) -> None:
    one, other = host_at(tmp_path, "one").data_dir, host_at(tmp_path, "other").data_dir
    assert one != other
    assert one.is_dir()
    assert one.stat().st_mode & 0o777 == 0o700
    assert one.parent.stat().st_mode & 0o777 == 0o700
    assert one.is_absolute()


def test_a_data_folder_that_stood_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "plugins" / "one").mkdir(parents=True)
    for place in (tmp_path / "plugins", tmp_path / "plugins" / "one"):
        place.chmod(0o755)
    one = host_at(tmp_path, "one").data_dir
    assert [place.stat().st_mode & 0o777 for place in (one.parent, one)] == [0o700, 0o700]


def test_the_digest_of_a_rule_is_the_gates_own() -> None:
    """A rulebook computes what the gate recorded."""
    rule = api.Rule(kind="exact", effect="allow", argv=["ls"])
    digest = api.rule_digest("w", "r", rule, created_by="ann", created_us=1)
    assert digest != api.rule_digest("v", "r", rule, created_by="ann", created_us=1)
    assert not hasattr(api.Rulebook, "rule_digest")


def test_a_data_folder_that_cannot_be_made_is_refused_with_its_mend(tmp_path: Path) -> None:
    """Issue 2, bad input: an unwritable data folder."""
    (tmp_path / "plugins").write_text("in the way")
    with pytest.raises(StartRefused, match="Make its parent writable"):
        _ = host_at(tmp_path, "one").data_dir


async def test_a_plugins_database_is_migrated_kept_and_private_to_it(tmp_path: Path) -> None:
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "0001_rules.sql").write_text("CREATE TABLE rule (id TEXT PRIMARY KEY)\n--;\n")
    host = host_at(tmp_path / "da ta%", "one", FrozenClock())

    async def add(tx: api.Transaction) -> None:
        await tx.execute("INSERT INTO rule (id) VALUES ($1)", "r1")

    async with host.open_database("rules", migrations) as database:
        await database.write(add)
    async with host.open_database("rules", migrations) as database:
        assert await database.fetch("SELECT id FROM rule") == [{"id": "r1"}]
    assert (host.data_dir / "rules.sqlite").is_file()
    (migrations / "0001_rules.sql").unlink()
    with pytest.raises(StartRefused, match="newer version"):
        async with host.open_database("rules", migrations):
            pass


@pytest.mark.parametrize("name", ["", "../rules", "a/b", "Rules", "a.b"])
async def test_a_database_is_named_by_letters_digits_and_hyphens(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="does not name a database"):
        async with host_at(tmp_path).open_database(name, tmp_path):
            pass
