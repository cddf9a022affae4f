"""Pins against real distributions: what is not as it was pinned is refused, and no line of it runs."""

import importlib
import importlib.util
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from failgate.config.installed import find_installed
from failgate.config.load import parse_config
from failgate.config.model import Config, Instance
from failgate.config.settings import Reader
from failgate.loader.pinning import pins_of, refuse_unpinned
from tests.journeys.harness import Server, failgate
from tests.third_party import Distribution

ROOT = Path(__file__).parents[2]
STANDARD = ("allowlist", "capture", "filesystem", "quorum", "webhook")
INIT = 'from pathlib import Path\nPath({marker!r}).write_text("ran")\nfrom acme_siem.part import plugin\n'
PART = """
from contextlib import asynccontextmanager
from failgate.plugin import *

class Exporter:
    async def deliver(self, batch):
        pass

@asynccontextmanager
async def open_plugin(config, host):
    from acme_siem import late
    yield Provides(audit_exporter=Exporter())

plugin = Plugin(name="siem", config=NoSettings, open=open_plugin)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard plugins as an operator installs them: from wheels, by pip."""
    folder = tmp_path_factory.mktemp("pins")
    for name in STANDARD:
        source = folder / name
        shutil.copytree(ROOT / "plugins" / f"failgate-{name}", source, ignore=shutil.ignore_patterns("__pycache__"))
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=120)
    made = [str(path) for path in sorted(folder.glob("*.whl"))]
    install = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", str(folder / "site")]
    subprocess.run([*install, *made], check=True, capture_output=True, timeout=120)
    return folder / "site"


class Site:
    """A folder of installed distributions, first on the path of the commands that are run."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.config = config
        self.marker = folder / "ran"

    def add_siem(self) -> None:
        package = self.folder / "acme_siem"
        package.mkdir()
        (package / "__init__.py").write_text(INIT.format(marker=str(self.marker)))
        (package / "part.py").write_text(PART)
        (package / "late.py").write_text("")
        about = self.folder / "acme_siem-1.2.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-siem\nVersion: 1.2.0\n")
        (about / "entry_points.txt").write_text("[failgate.plugins.v1]\nsiem = acme_siem:plugin\n")
        files = [f"acme_siem/{name}.py" for name in ("__init__", "part", "late")]
        files += [f"{about.name}/{name}" for name in ("METADATA", "entry_points.txt", "RECORD")]
        (about / "RECORD").write_text("".join(f"{file},,\n" for file in files))

    def env(self) -> dict[str, str]:
        clone = [str(ROOT), *map(str, sorted((ROOT / "plugins").glob("*/src")))]
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), *clone])}

    def failgate(self, *arguments: str):
        return failgate(*arguments, "--config", str(self.config), env=self.env())


SIEM = '[audit]\nexporters = ["siem"]\n'


@pytest.fixture
def site(tmp_path: Path, wheels: Path) -> Site:
    folder = tmp_path / "site"
    shutil.copytree(wheels, folder)
    made = Site(folder, tmp_path / "failgate.toml")
    made.add_siem()
    made.config.write_text(SIEM)
    return made


def pinned(site: Site) -> None:
    told = site.failgate("plugins", "--pins")
    assert (told.returncode, told.stderr) == (0, "")
    site.config.write_text(SIEM + told.stdout)


def test_what_the_command_prints_is_what_the_config_takes_and_nothing_was_imported(site: Site) -> None:
    pinned(site)
    text = site.config.read_text()
    names = re.findall(r"^([a-z-]+) = \"sha256:[0-9a-f]{64}\"  # \d\.\d\.\d: [a-z]+$", text, re.MULTILINE)
    assert names == ["acme-siem", *(f"failgate-{name}" for name in STANDARD)]
    assert not site.marker.exists()
    good = site.failgate("check")
    assert good.returncode == 0, good.stderr
    assert site.marker.exists()
    assert "siem 1.2.0" in good.stdout
    shown = site.failgate("plugins").stdout
    assert shown.count(", as pinned") == 6


@pytest.mark.parametrize("changed", ["acme_siem/__init__.py", "acme_siem/late.py", "failgate_quorum/__init__.py"])
def test_a_changed_file_stops_the_start_before_a_line_of_it_has_run(site: Site, tmp_path: Path, changed: str) -> None:
    """SECURITY 2: the distributions that may be loaded, by name and hash."""
    pinned(site)
    ran = tmp_path / "changed"
    file = site.folder / changed
    file.write_text(f'open({str(ran)!r}, "w").close()\n{file.read_text()}')
    for words in (("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"), ("check",), ("plugins",)):
        refused = site.failgate(*words)
        assert refused.returncode == 2, refused.stderr
    name = changed.partition("/")[0].replace("_", "-")
    expected = re.search(rf"^{name} = \"(sha256:\w+)\"", site.config.read_text(), re.MULTILINE)
    found = re.search(rf"^{name} = \"(sha256:\w+)\"", site.failgate("plugins", "--pins").stdout, re.MULTILINE)
    assert expected
    assert found
    assert expected[1] != found[1]
    assert f"pins.distributions.{name}: the plugin" in refused.stderr
    assert f"is not what was pinned: expected {expected[1]}, found {found[1]}" in refused.stderr
    assert "pip install --force-reinstall" in refused.stderr
    assert "^^^^" in refused.stderr
    assert not ran.exists()
    assert not (tmp_path / "data").exists() or list((tmp_path / "data").iterdir()) == []


def test_every_mistake_is_listed_at_once_with_the_nearest_name(site: Site) -> None:
    pinned(site)
    text = site.config.read_text().replace("acme-siem =", "acme-sime =").replace("failgate-capture", "x-capture")
    site.config.write_text(f"{text}\n[plugins.quorum]\nned = 2\n")
    refused = site.failgate("check").stderr
    assert 'the plugin "siem" (acme-siem 1.2.0) is named by audit.exporters.0 and not pinned' in refused
    assert 'did you mean "acme-sime"?' in refused
    assert 'the plugin "capture" (failgate-capture 0.1.0) is named by reports.formats.0 and not pinned' in refused
    assert 'did you mean "need"?' in refused
    assert not site.marker.exists()


def test_a_server_starts_with_pins_and_a_file_that_changes_later_does_not_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(site)
    monkeypatch.setenv("PYTHONPATH", site.env()["PYTHONPATH"])
    server = Server(tmp_path / "data", config=site.config.read_text()).start()
    assert server.stop() == 0
    part = site.folder / "acme_siem" / "part.py"
    late = str(site.folder / "acme_siem" / "late.py")
    swap = f'open({late!r}, "w").write("raise SystemExit")\n    from acme_siem import late'  # between check and import
    part.write_text(part.read_text().replace("from acme_siem import late", swap))
    pinned(site)
    refused = site.failgate("check")
    assert refused.returncode == 78
    assert "late.py has changed since its distribution was compared with its pin" in refused.stderr


def test_a_checkout_is_not_pinned_and_says_so() -> None:
    """What runs from a source tree is an editable installation."""
    told = failgate("plugins", "--pins")
    assert told.returncode == 1
    assert "failgate-quorum 0.1.0 cannot be pinned: it is an editable installation" in told.stderr
    assert told.stdout == "[pins.distributions]\n"


class Import:
    """Pins `acme-thing` as it is in `folder`, in this process, and imports it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.distribution = Distribution(folder, "acme-thing", plugin="thing", module="from acme_parts import one\n")

    def write(self, *more: str) -> None:
        self.distribution.write()
        parts = self.folder / "acme_parts"
        parts.mkdir()
        (parts / "__init__.py").write_text("")
        (parts / "one.py").write_text("text = 'as pinned'\n")
        with (self.distribution.folder / "RECORD").open("a") as record:
            record.writelines(f"{name},,\n" for name in ("acme_parts/__init__.py", "acme_parts/one.py", *more))

    def refused(self, digest: str | None = None) -> str:
        [found] = [each for each in find_installed() if each.name == "thing"]
        [pin] = pins_of([found])
        config: Config = parse_config(f'[pins.distributions]\nacme-thing = "{digest or pin.digest}"\n')
        reader = Reader(config.source)
        refuse_unpinned(config, [(Instance("thing", "thing", {}, ("plugins", "thing")), found)], reader)
        return "\n".join(map(str, reader.mistakes))


@pytest.fixture
def thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = list(sys.meta_path)
    yield Import(tmp_path)
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


def test_bytecode_beside_a_pinned_file_is_not_run(thing: Import) -> None:
    thing.write()
    good = thing.folder / "acme_parts" / "one.py"
    other = thing.folder / "other.py"
    other.write_text("text = 'from bytecode'\n")
    cache = importlib.util.cache_from_source(str(good))
    py_compile.compile(
        str(other), cfile=cache, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True
    )
    assert thing.refused() == ""
    assert importlib.import_module("acme_parts.one").text == "as pinned"
    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != "_Modules"]
    for name in ("acme_parts.one", "acme_parts"):
        del sys.modules[name]
    assert importlib.import_module("acme_parts.one").text == "from bytecode"  # as it is without a pin


def test_what_stands_beside_the_pinned_files_is_not_run(thing: Import) -> None:
    thing.write()
    assert thing.refused() == ""
    (thing.folder / "acme_parts" / "one").mkdir()
    (thing.folder / "acme_parts" / "one" / "__init__.py").write_text("text = 'a folder goes first'\n")
    (thing.folder / "acme_parts" / "two.py").write_text("")
    assert importlib.import_module("acme_parts.one").text == "as pinned"
    with pytest.raises(ModuleNotFoundError, match="no file of the distribution that is pinned"):
        importlib.import_module("acme_parts.two")


def test_a_module_of_that_name_in_an_earlier_folder_is_not_run(
    thing: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing.write()
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "acme_thing.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(str(earlier))
    assert thing.refused() == ""
    assert importlib.import_module("acme_thing").one.text == "as pinned"


def test_an_extension_module_that_changed_is_not_loaded(thing: Import) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    compiled = thing.folder / "acme_parts" / f"fast{suffix}"
    thing.write(f"acme_parts/{compiled.name}")
    compiled.write_bytes(b"no library")
    assert thing.refused() == ""
    with pytest.raises(ImportError, match=r"invalid ELF header|file too short"):
        importlib.import_module("acme_parts.fast")
    compiled.write_bytes(b"another one")
    with pytest.raises(ImportError, match="has changed since"):
        importlib.import_module("acme_parts.fast")


def test_what_a_digest_says_nothing_about_is_refused_with_the_mend(thing: Import) -> None:
    thing.write()
    record = thing.distribution.folder / "RECORD"
    listed = record.read_text()
    (thing.distribution.folder / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    assert "cannot be pinned: it is an editable installation" in thing.refused()
    assert "pip install --force-reinstall" in thing.refused()
    (thing.distribution.folder / "direct_url.json").unlink()
    record.unlink()
    assert "its installation has no list of its files (RECORD)" in thing.refused()
    record.write_text(listed + "acme.pth,,\n")
    assert "it brings acme.pth, which Python runs at every start" in thing.refused()
    record.write_text(listed.replace("acme_thing.py,,\n", ""))
    assert "the module acme_thing that it names is none of its files" in thing.refused()


def test_what_was_imported_before_it_was_checked_is_refused(thing: Import) -> None:
    thing.write()
    importlib.import_module("acme_parts.one")
    assert "was imported before it was checked" in thing.refused()


def test_without_pins_nothing_is_held(thing: Import) -> None:
    thing.write()
    [found] = [each for each in find_installed() if each.name == "thing"]
    config = parse_config("")
    finders = list(sys.meta_path)
    instance = Instance("thing", "thing", {}, ("plugins", "thing"))
    assert refuse_unpinned(config, [(instance, found)], Reader(config.source)) == frozenset()
    assert sys.meta_path == finders


def test_another_digest_is_refused_by_both(thing: Import) -> None:
    thing.write()
    other = f"sha256:{'0' * 64}"
    [found] = [each for each in find_installed() if each.name == "thing"]
    assert f"expected {other}, found {found.digest()}" in thing.refused(other)
