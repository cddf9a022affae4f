"""Whether the locked libraries are within the times that SECURITY.md sets: `contrib/security/components.py`."""

import datetime as dt
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
DAYS = {"used": 2, "high": 7, "reached": 30, "unreached": 90, "newer": 90}
AT = dt.date(2026, 11, 23)


@pytest.fixture(scope="module")
def components() -> ModuleType:
    spec = importlib.util.spec_from_file_location("components", ROOT / "contrib/security/components.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def known(*advisories: dict[str, object], **more: object) -> dict[str, object]:
    return {"looked": "2026-11-20", "newest": {"left-pad": "1.9.0"}, "held": {}, "advisories": advisories, **more}


def advisory(rated: str = "high", published: str = "2026-11-01", **more: object) -> dict[str, object]:
    return {"id": "CVE-1", "library": "left-pad", "published": published, "mended": "1.10.0", "rated": rated, **more}


def test_no_locked_library_is_past_its_time() -> None:
    """ASVS 5.0 15.2.1: of this tree, on the day of its last commit, asking nobody."""
    ran = subprocess.run(
        [sys.executable, ROOT / "contrib/security/components.py"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_times_are_those_of_the_policy(components: ModuleType) -> None:
    assert components.days_allowed((ROOT / "SECURITY.md").read_text()) == DAYS
    with pytest.raises(SystemExit, match="without an account"):
        components.days_allowed("| another table | 2 days |")


def test_every_locked_library_is_known_and_every_advisory_is_rated(components: ModuleType) -> None:
    kept = json.loads((ROOT / "contrib/security/components.json").read_text())
    assert set(kept["newest"]) == set(components.locked((ROOT / "contrib/dev/requirements.lock").read_text()))
    for each in kept["advisories"]:
        assert each["rated"] in DAYS
        assert each["mended"] or each.get("walled"), each["id"]
        dt.date.fromisoformat(each["published"])


@pytest.mark.parametrize(
    ("rated", "published", "is_due"),
    [
        ("used", "2026-11-21", False), ("used", "2026-11-20", True),
        ("high", "2026-11-16", False), ("high", "2026-11-15", True),
        ("reached", "2026-10-24", False), ("reached", "2026-10-23", True),
        ("unreached", "2026-08-25", False), ("unreached", "2026-08-24", True),
    ],
)  # fmt: skip
def test_a_known_fault_is_past_its_time_the_day_after_it(
    components: ModuleType, rated: str, published: str, is_due: bool
) -> None:
    found = list(components.breaches({"left-pad": "1.9.0"}, known(advisory(rated, published)), DAYS, AT))
    assert [("CVE-1" in each, "1.10.0 was due" in each) for each in found] == ([(True, True)] if is_due else [])


@pytest.mark.parametrize(
    ("version", "more", "is_due"),
    [
        ("1.9.9", {}, True),
        ("1.10.0", {}, False),  # a text would be less than 1.9
        ("1.9.9", {"since": "1.9.10"}, False),
        ("2.0", {"mended": None}, True),
        ("2.0", {"mended": None, "walled": "the part is switched off"}, False),
    ],
)
def test_only_the_versions_with_the_fault_are_told(
    components: ModuleType, version: str, more: dict[str, object], is_due: bool
) -> None:
    assert bool(list(components.breaches({"left-pad": version}, known(advisory(**more)), DAYS, AT))) == is_due


def test_an_old_version_an_unknown_library_and_an_old_look_are_told(components: ModuleType) -> None:
    def told(lock: dict[str, str], **more: object) -> list[str]:
        return list(components.breaches(lock, known(**more), DAYS, AT))

    assert told({"left-pad": "1.9.0"}) == []
    assert told({"left-pad": "1.8.0"}) == ["left-pad 1.8.0: 1.9.0 is there for more than 90 days"]
    assert told({"left-pad": "1.8.0"}, held={"left-pad": "another library takes no newer one"}) == []
    assert "is not in components.json" in told({"new-one": "1.0"})[0]
    assert told({}, looked="2026-10-24") == []
    assert "more than 30 days before" in told({}, looked="2026-10-23")[0]


def test_of_several_versions_of_a_library_the_oldest_counts(components: ModuleType) -> None:
    lock = "a==1.10 ; python_version > '3.11' \\\n    --hash=sha256:00\na==1.9 ; python_version <= '3.11'\nb-c.d==2\n"
    assert components.locked(lock) == {"a": "1.9", "b-c.d": "2"}


def test_the_command_says_what_is_past_its_time_and_fails(tmp_path: Path) -> None:
    for name in ("contrib/security/components.py", "contrib/security/components.json", "contrib/dev/requirements.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "SECURITY.md", tmp_path)
    lock = tmp_path / "contrib/dev/requirements.lock"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "contrib/security/components.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run().returncode == 0  # without a commit: on the day on which it was looked at
    assert "run it with --look" in run("--at", "2040-01-01").stderr
    text = lock.read_text()
    lock.write_text(text.replace("\nh11==0.16.0", "\nh11==0.14.0"))
    assert lock.read_text() != text
    ran = run()
    assert ran.returncode == 1
    assert "h11 0.14.0 has CVE-2025-43859; 0.16.0 was due on 2025-05-01" in ran.stderr
