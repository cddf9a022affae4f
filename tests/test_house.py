"""The laws of the house, kept by the build."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "failgate").rglob("*.py"))
PLUGINS = sorted(path for path in (ROOT / "plugins").glob("*/src/**/*.py"))
TOOLS = sorted((ROOT / "tools").glob("*/src/**/*.py"))
OURS = [*MODULES, *PLUGINS, *TOOLS, *sorted((ROOT / "contrib").glob("*/src/**/*.py"))]
FORBIDDEN_ROOMS = {
    "utils",
    "util",
    "lib",
    "core",
    "common",
    "helpers",
    "helper",
    "managers",
    "manager",
    "services",
    "misc",
}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_down_the_floors() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_module_says_what_its_room_is_for() -> None:
    silent = [name_of(path) for path in OURS if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_the_listing_is_the_glossary() -> None:
    assert [name_of(path) for path in OURS if path.stem in FORBIDDEN_ROOMS or path.parent.name in FORBIDDEN_ROOMS] == []


def test_modules_stay_readable() -> None:
    """A module of more than 400 lines is a question that has to be answered by a split."""
    assert [name_of(path) for path in OURS if len(path.read_text().splitlines()) > 400] == []


def test_tests_mirror_the_tree() -> None:
    """tests/<room>/test_<module>.py stands for failgate/<room>/<module>.py (or for the room's folder of that name)."""
    strays = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = path.relative_to(ROOT / "tests")
        if relative.parts[0] == "journeys" or name_of(path) in {
            "tests/test_house.py",
            "tests/test_asvs.py",  # of docs/asvs.yaml
            "tests/test_components.py",  # of contrib/security/components.py
            "tests/test_docs.py",
            "tests/test_keys_and_data.py",  # of docs/keys-and-data.md
            "tests/test_limits_page.py",  # of docs/limits.md
            "tests/test_databases.py",  # of what the tests stand on
        }:
            continue
        stem = path.stem.removeprefix("test_")
        place = ROOT / "failgate" / relative.parent
        if not ((place / f"{stem}.py").exists() or (place / stem).is_dir()):
            strays.append(name_of(path))
    assert strays == []


def test_tools_import_nothing_of_the_server() -> None:
    """What an auditor or a witness runs trusts nobody who runs a server."""
    for path in TOOLS:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] == "failgate"], name_of(path)


def test_plugins_import_the_public_api_alone() -> None:
    for path in [*PLUGINS, *sorted((ROOT / "contrib").glob("*/src/**/*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.split(".")[0] == "failgate":
                    assert name in {"failgate.plugin", "failgate.testing", "failgate.keeping"}, (
                        f"{name_of(path)} imports {name}"
                    )


BANNED_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "yaml.load",
    "pickle.loads",
    "datetime.utcnow",
    "random.random",
    "random.choice",
    "random.randint",
}


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_no_dangerous_call(path: Path) -> None:
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in BANNED_CALLS, f"line {node.lineno}"
            for keyword in node.keywords:
                is_true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert not (keyword.arg == "shell" and is_true), f"line {node.lineno}: shell=True"
                assert not (keyword.arg == "verify" and is_false), f"line {node.lineno}: verify=False"
        if isinstance(node, ast.ExceptHandler) and path.parts[-2] in {"gate", "audit"}:
            assert not (len(node.body) == 1 and isinstance(node.body[0], ast.Pass)), f"line {node.lineno}: except: pass"
        if "gate" in path.parts and isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert "fnmatch" not in names, f"line {node.lineno}: fnmatch in the gate"


def test_pages_build_no_html_from_strings() -> None:
    for path in (ROOT / "failgate" / "web" / "static").rglob("*.js"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not re.search(r"\.(outerHTML|insertAdjacentHTML)\b|document\.write|\beval\(", line), (
                f"{name_of(path)}:{number}"
            )


def test_pages_load_nothing_from_outside() -> None:
    """No external request ever: templates, styles and scripts name no foreign host."""
    for path in [
        *(ROOT / "failgate" / "web" / "templates").rglob("*.html"),
        *(ROOT / "failgate" / "web" / "static").rglob("*.*"),
    ]:
        if path.suffix in {".html", ".css", ".js"}:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = re.search(r"""(src|href|url|import|fetch)\s*[=(]?\s*["'(]?\s*(https?:)?//""", line)
                assert not found, f"{name_of(path)}:{number}: {line.strip()[:80]}"


# Written in parts so that this file does not hold what it looks for.
REGISTRY_HOSTS = (
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js.org",
    "registry." + "npm",
    "deb." + "debian",
    "debian" + ".org",
)
LEFTOVERS = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")


def test_no_registry_host_and_no_leftover_stands_in_a_file() -> None:
    for path in tracked():
        if path.suffix in {".png", ".gz", ".ico", ".woff2"} or path.name == "LICENSE":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for word in REGISTRY_HOSTS:
            assert word not in text, f"{name_of(path)} names {word}"
        for word in LEFTOVERS:
            if path.suffix == ".py":
                assert word not in text, f"{name_of(path)} holds {word}"


def test_no_path_of_a_machine_stands_in_a_file() -> None:
    # A checkout may lie anywhere: folders that every machine has say nothing about this one.
    common = {"/", "/tmp", "/var/tmp", "/var", "/opt", "/srv", "/home", "/usr", "/usr/src", "/mnt", "/data", "/builds"}
    places = [f"{place}/" for place in (ROOT, ROOT.parent, Path.home()) if str(place) not in common]
    for path in tracked():
        if path.suffix in {".png", ".gz"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for place in places:
            assert place not in text, f"{name_of(path)} holds {place}"


def test_nothing_generated_is_tracked() -> None:
    names = {path.name for path in tracked()}
    assert not names & {"uv.lock", ".coverage", "failgate.db", "allowlist.db"}


def test_a_lock_file_names_no_host() -> None:
    locks = [path for path in tracked() if path.suffix == ".lock" or path.name in {"package-lock.json", ".npmrc"}]
    assert {"requirements.lock", "package-lock.json"} <= {path.name for path in locks}
    for path in locks:
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, f"{name_of(path)} names a host; npm: drop `resolved` and `funding`"
        assert '"resolved"' not in text, name_of(path)


SILENCED = re.compile(
    r"#\s*(?:ruff:\s*)?noqa(?::\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*)?|#\s*(?:type|pyright):\s*ignore(?:\[[\w, -]+\])?"
)


def test_what_is_silenced_has_its_reason_beside_it() -> None:
    for path in tracked():
        if path.suffix != ".py" or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = list(SILENCED.finditer(line))
            if found:
                rest = line[found[-1].end() :].strip(" #-")
                assert len(rest) > 5, f"{name_of(path)}:{number} says no reason: {line.strip()[:100]}"


def test_the_top_level_holds_what_convention_expects() -> None:
    expected = {
        "pyproject.toml",
        "failgate",
        "plugins",
        "tools",
        "config",
        "migrations",
        "tests",
        "contrib",
        "README.md",
        "docs",
        "LICENSE",
        "SECURITY.md",
        "CHANGELOG.md",
        ".ci",
        ".gitignore",
    }
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} == expected
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_client_starts_without_the_server() -> None:
    """E12: a hook's or an agent's command loads no server part and scans no entry points."""
    code = "import sys, failgate.client.run; print(' '.join(sorted(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "litestar",
        "piccolo",
        "uvicorn",
        "jinja2",
        "structlog",
        "click",
        "asyncio",
        "importlib.metadata",
        "cryptography",
    }
    assert not heavy & set(loaded)
