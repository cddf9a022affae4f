"""docs/keys-and-data.md: every key and secret of the code stands in the inventory, every table in one level."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from failgate.accounts import signing_keys
from failgate.base.data_folder import SECRETS_KEY
from failgate.notify import destinations
from failgate.sso.saml import service

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "failgate").rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
# A name of the table's own is a secret's, or a digest that proves what is whole; the page says which.
SECRET_COLUMN = re.compile(r"\w*(?:sha256|_hash|sealed|secret|wrapped|wrapping|token|public_key)\w*|hash|digest|mark")
TABLE = re.compile(r"CREATE TABLE(?: IF NOT EXISTS)? (\w+) \(\n(.*?)\n\s*\)", re.DOTALL)
ADDED = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (\w+)")
RENAMED = re.compile(r"ALTER TABLE (\w+) RENAME TO (\w+)")
VIRTUAL = re.compile(r"CREATE VIRTUAL TABLE(?: IF NOT EXISTS)? (\w+)")
BINDINGS = {"request_digest", "sha256"}  # of what was asked and of contents, no secret


@cache
def page() -> str:
    return (ROOT / "docs" / "keys-and-data.md").read_text()


def part(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", page(), re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def named(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


def tables() -> dict[str, str]:
    """Return every table of the migrations and of plugins, with the lines of its columns."""
    texts = [path.read_text() for path in [*(ROOT / "migrations").glob("*.sql"), *SOURCES]]
    found = {name: body for text in texts for name, body in TABLE.findall(text)}
    for text in texts:
        for name, column in ADDED.findall(text):
            found[name] += f"\n{column}"
    for old, new in {pair for text in texts for pair in RENAMED.findall(text)}:  # one that took another's place
        found[new] = found.pop(old)
    return found | {name: "" for text in texts for name in VIRTUAL.findall(text)}


def purposes() -> set[str]:
    """Return what is given as `purpose` to a box's `seal`, names resolved; the changing end of a text is an ellipsis."""
    constants: dict[tuple[Path, str], str] = {}
    calls: list[tuple[Path, ast.expr]] = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    pairs = [(target, node.value)]
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        pairs = list(zip(target.elts, node.value.elts, strict=True))
                    for name, value in pairs:
                        if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                            constants[path, name.id] = str(value.value)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr == "seal":
                    calls += [(path, word.value) for word in node.keywords if word.arg == "purpose"]
                if node.func.attr == "_sealed" and path.name == "destinations.py":  # which hands its first argument on
                    calls.append((path, node.args[0]))
    found = set()
    for path, value in calls:
        if isinstance(value, ast.Name) and value.id == "purpose":
            continue  # handed on
        if isinstance(value, ast.JoinedStr):
            assert isinstance(value.values[0], ast.Constant), path
            found.add(f"{value.values[0].value}…")
            continue
        if isinstance(value, ast.Attribute):  # stored.SECRET_PURPOSE
            assert isinstance(value.value, ast.Name)
            path = path.with_name(f"{value.value.id}.py")
        name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
        found.add(value.value if isinstance(value, ast.Constant) else constants[path, name])
    return {str(each) for each in found}


def secret_settings() -> set[str]:
    """Return the settings that are read as secrets, as `section.key` with the last words of the section alone."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                words = {part.id for part in ast.walk(node.annotation) if isinstance(part, ast.Name)}
                if "Secret" in words and (path.parent.name == "config" or "plugins" in path.parts):
                    found.add(node.target.id)
    return found


def test_every_purpose_of_a_seal_stands_in_the_inventory() -> None:
    found = purposes()
    assert {"totp", "signing-key", "passkey …", "notify secret", "artifact data key"} <= found
    assert found - named(part("The inventory")) == set()


def test_the_inventory_names_no_purpose_that_is_gone() -> None:
    rows = re.findall(r"^\| [^|]+ \| `([^`|]+)` \| (?:`|none)", part("The inventory"), re.MULTILINE)
    assert set(rows) == purposes()


def test_every_key_file_of_the_data_folder_stands_in_the_inventory() -> None:
    files = {
        node.value
        for path in SOURCES
        if "client" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z]+\.key", node.value)
    } - {"tls.key"}  # a word that redaction looks for
    assert SECRETS_KEY in files
    assert files - named(part("The inventory")) == set()


def test_every_secret_setting_stands_in_the_inventory() -> None:
    last = {name.rpartition(".")[2] for name in named(part("The inventory"))}
    found = secret_settings()
    assert {"url", "password", "client_secret", "service_account"} <= found
    assert found - last == set()


@pytest.mark.parametrize("table", sorted(tables()))
def test_every_column_of_a_secret_stands_in_the_inventory(table: str) -> None:
    written = named(part("The inventory"))
    for line in tables()[table].splitlines():
        column = line.split()[0] if line.split() else ""
        if SECRET_COLUMN.fullmatch(column) and column not in BINDINGS and not column.endswith("_us"):
            assert {f"{table}.{column}", column} & written, f"{table}.{column}"


def test_the_inventory_names_no_column_that_is_gone() -> None:
    there = {
        f"{name}.{line.split()[0]}" for name, body in tables().items() for line in body.splitlines() if line.split()
    }
    words = {word for word in named(part("The inventory")) if word.partition(".")[0] in tables()}
    assert words
    assert words - there == set()


def test_every_table_stands_in_one_level() -> None:
    levels = Counter(re.findall(r"`(\w+)`", part("Levels of sensitive data")))
    assert {name: levels[name] for name in tables()} == dict.fromkeys(tables(), 1)


def test_lives_and_lengths_are_those_of_the_code() -> None:
    days = signing_keys.ROTATION_SECONDS // 86_400
    assert f"| Ed25519 | {days} days, then {signing_keys.KEPT_SECONDS // 60} minutes for what they signed" in page()
    assert f"RSA {service.KEY_BITS}, certificate of {service.CERTIFICATE_DAYS} days" in page()
    hours = destinations.OVERLAP_SECONDS // 3600
    assert (
        f"HMAC-SHA-256, {8 * destinations.SECRET_BYTES} bits | a year; the one before signs for {hours} hours" in page()
    )
