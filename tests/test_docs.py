"""The documents run: every block is parsed or executed, every key and permission is named."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from failgate.access.permission import Permission

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text()):
            if token.type == "fence":
                language, _, mark = token.info.strip().partition(" ")
                found.append(Block(page, token.map[0] + 1, language, mark.strip(), token.content))
    return found


BLOCKS = blocks()
KNOWN = {"sh", "python", "toml", "json", "text", "http"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_names_its_language(block: Block) -> None:
    assert block.language in KNOWN


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=str)
def test_every_config_block_is_accepted(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block marked `refused` must be refused, one marked `pyproject` is not a config."""
    from failgate.config.errors import ConfigRefused
    from failgate.config.load import load_config

    if block.mark == "pyproject":
        tomllib.loads(block.text)
        return
    path = tmp_path / "failgate.toml"
    path.write_text(block.text)
    if block.mark == "refused":
        with pytest.raises(ConfigRefused):
            load_config(path)
        return
    load_config(path)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=str)
def test_every_json_block_parses(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python" and not b.mark], ids=str)
def test_every_python_block_runs(block: Block, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(block.text)
    result = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def shell_environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")}
    return {**clean, "PATH": path, "HOME": str(home), "FAILGATE_HOME": str(home / "failgate"), "NO_COLOR": "1"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh" and not b.mark], ids=str)
def test_every_shell_block_runs(block: Block, tmp_path: Path) -> None:
    """Blocks run in an empty folder. `sh server` blocks run in the journey of their page, `sh checkout` ones by name below."""
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env=shell_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh" and b.mark == "checkout"], ids=str)
def test_every_command_on_the_checkout_exists(block: Block) -> None:
    """These start the server or the whole test suite; the journey runs the first, `.ci/run` the second."""
    for line in block.text.splitlines():
        program = line.split()[0]
        assert os.access(ROOT / program, os.X_OK), program


def test_every_mark_is_known() -> None:
    assert {b.mark for b in BLOCKS if b.language == "sh"} <= {"", "server", "checkout", "operator", "auditor"}
    assert {b.mark for b in BLOCKS if b.language == "python"} <= {"", "server"}
    assert {b.mark for b in BLOCKS if b.language == "toml"} <= {"", "refused", "pyproject"}
    followed = {"claude-code.md", "client.md", "http.md", "tls.md"}  # tests/journeys/test_agents_pages.py, test_tls.py
    assert {b.page.name for b in BLOCKS if b.mark == "server"} == followed


COMMAND = re.compile(r"(?:^|\| |&& |/)failgate +([a-z][^|;&>#)\n]*)", re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    """Return what stands behind `failgate` in the page's shell blocks and in its code inside sentences."""
    found: list[str] = []
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        texts = [token.content.replace("\\\n", " ")] if token.type == "fence" and token.info.startswith("sh") else []
        texts += [one.content for one in token.children or () if one.type == "code_inline"]
        found += [command for text in texts for command in COMMAND.findall(text)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    from failgate.cli.commands import failgate
    from failgate.client.options import USAGE

    for text in commands_of(page):
        command: click.Command | None = failgate
        words = re.sub(r"[\[\]…]", " ", text).split()
        while isinstance(command, click.Group) and words and re.fullmatch("[a-z-]+", words[0]):
            name = words.pop(0)
            command = command.get_command(click.Context(command), name)
            assert command is not None, f"failgate {text}: there is no {name}"
        if command is None or isinstance(command, click.Group):
            continue
        known = {"--help", *USAGE.split()} if command.name == "run" else {"--help"}
        known |= {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        options = words[: words.index("--")] if "--" in words else words
        for option in options:
            if option.startswith("--"):
                assert option.partition("=")[0] in known, f"failgate {text}: there is no {option}"


def test_the_readme_stays_short_and_its_first_two_commands_set_everything_up() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    commands = [
        line for b in BLOCKS if b.page.name == "README.md" and b.mark == "checkout" for line in b.text.splitlines()
    ]
    assert commands[:2] == ["contrib/dev/serve --demo", "contrib/dev/test"]
    assert "contrib/dev/test" in (ROOT / ".ci" / "run").read_text()


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_picture_is_shown_and_all_of_them_are_small() -> None:
    """A picture that no page names is an old one. Together they stay below 4 MB: a clone carries each version."""
    pictures = sorted((ROOT / "docs").rglob("*.png"))
    named = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+\.png)\)", page.read_text())
    }
    assert {picture.resolve() for picture in pictures} == named
    assert sum(picture.stat().st_size for picture in pictures) < 4_000_000


def test_every_permission_is_documented() -> None:
    text = (ROOT / "docs" / "roles.md").read_text()
    assert [permission.value for permission in Permission if permission.value not in text] == []


def test_every_config_key_is_documented() -> None:
    reference = (ROOT / "config" / "failgate.toml").read_text()
    schema = json.loads((ROOT / "config" / "schema.json").read_text())

    def keys(node: dict, prefix: str = "") -> list[str]:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
        found = []
        for name, child in node.get("properties", {}).items():
            found.append(name)
            found += keys(child, f"{prefix}{name}.")
        return found

    assert [key for key in keys(schema) if key not in reference] == []


def test_metrics_and_their_tables_agree() -> None:
    modules = [ROOT / "failgate" / "web" / name for name in ("app.py", "metrics.py", "renewal.py")]
    counted = {name for path in modules for name in re.findall(r'"(failgate_[a-z_]+)"', path.read_text())}
    pages = [ROOT / "docs" / name for name in ("operator.md", "tls.md")]
    rows = [line for page in pages for line in page.read_text().splitlines() if line.startswith("| `failgate_")]
    told = {name for row in rows for name in re.findall(r"`(failgate_[a-z_]+?)(?:_total)?[{`]", row)}
    assert told == counted


def test_every_requirement_has_its_row() -> None:
    """docs/requirements.md says for each id of the mission what covers it, or that it is not there yet."""
    text = (ROOT / "docs" / "requirements.md").read_text()
    ids = (
        [f"F{n}" for n in range(1, 27)]
        + [f"E{n}" for n in range(1, 29)]
        + [f"B{n}" for n in range(1, 13)]
        + ["P1", "P2", "P3", "P4"]
    )
    assert [id_ for id_ in ids if not re.search(rf"\b{id_}\b", text)] == []
    for cited in re.findall(r"`((?:tests|docs|plugins|contrib)/[\w./-]+)`", text):
        assert (ROOT / cited).exists(), cited


@lru_cache
def functions_of(path: str) -> frozenset[str]:
    """Return the names of a file's test functions and of its state machines."""
    parts = list(ast.walk(ast.parse((ROOT / path).read_text())))
    functions = {part.name for part in parts if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    machines = {
        part.targets[0].id for part in parts if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name)
    }
    return frozenset(name for name in functions | machines if name.startswith(("test_", "Test")))


def test_every_test_that_shows_a_security_requirement_exists() -> None:
    """docs/security-tests.md names tests by node id: file and function, with a parameter's name at most behind it."""
    text = (ROOT / "docs" / "security-tests.md").read_text()
    cited = re.findall(r"`((?:tests|plugins|contrib)/[^`\s]+)`", text)
    assert cited
    for node in cited:
        path, _, function = node.partition("::")
        assert (ROOT / path).exists(), node
        if function:
            assert function.partition("[")[0] in functions_of(path), f"{node}: no such test"
