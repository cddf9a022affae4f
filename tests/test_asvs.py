"""docs/asvs.yaml: what shows each requirement of OWASP ASVS 5.0, or that nothing does."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KINDS = {"tests": "by tests", "documents": "by documents", "na": "do not apply", "open": "open"}
# Levels 1 and 2 whole, and what was chosen of level 3.
LEVELS = {1: 70, 2: 183, 3: 13}
CHAPTERS = {
    1: 28, 2: 12, 3: 22, 4: 10, 5: 12, 6: 38, 7: 19, 8: 8, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13, 16: 16,
    17: 7,
}  # fmt: skip


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), [name for name, count in Counter(names).items() if count > 1]
    return dict(pairs)


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Read the file: YAML 1.2 holds JSON, and the standard library reads that."""
    found: dict[str, dict[str, Any]] = json.loads(text_of("docs/asvs.yaml"), object_pairs_hook=named_once)
    return found


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text()


def test_each_requirement_has_one_answer() -> None:
    for name, entry in entries().items():
        kinds = entry.keys() & KINDS.keys()
        assert re.fullmatch(r"[1-9]\d?\.[1-9]\.[1-9]\d?", name), name
        assert entry.keys() - {"note"} == {"level", *kinds}, name
        assert len(kinds) == 1, f"{name}: {kinds}"
        assert all(entry[kind] for kind in kinds), f"{name} says nothing"


def test_no_requirement_was_lost() -> None:
    assert dict(Counter(int(name.partition(".")[0]) for name in entries())) == CHAPTERS
    assert dict(Counter(entry["level"] for entry in entries().values())) == LEVELS
    assert list(entries()) == sorted(entries(), key=lambda name: [int(part) for part in name.split(".")])


def test_each_test_and_each_document_exists() -> None:
    for name, entry in entries().items():
        for node in entry.get("tests", ()):
            path, _, function = node.partition("::")
            assert re.search(rf"^ *(async )?def {function}\(", text_of(path), re.MULTILINE), f"{name}: {node}"
        for path in entry.get("documents", ()):
            assert (ROOT / path).is_file(), f"{name}: {path}"


def test_the_page_tells_the_same_numbers_and_what_is_open() -> None:
    page = text_of("docs/security-tests.md")
    counted = Counter(kind for entry in entries().values() for kind in entry.keys() & KINDS.keys())
    for kind, words in KINDS.items():
        assert f" {counted[kind]} {words}" in page, f"{counted[kind]} {words}"
    for name, entry in entries().items():
        assert (f"`{name}`" in page) == ("open" in entry), f"{name}: the page lists what is open, and nothing else"
