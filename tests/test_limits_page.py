"""docs/limits.md: the bounds that it states are those of the code."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BOUND = re.compile(r"((?:`[A-Z_]+=[^`]+` )+)of `([\w/]+)\.py`")


def bounds() -> list[tuple[str, str, str]]:
    """Return module, name and value of each bound on the page."""
    text = (ROOT / "docs" / "limits.md").read_text()
    found = [
        (module.replace("/", "."), name, value)
        for words, module in BOUND.findall(text)
        for name, value in re.findall(r"`([A-Z_]+)=([^`]+)`", words)
    ]
    assert len(found) == len(re.findall(r"`[A-Z_]+=[^`]+`", text.partition("|---|")[2])), "one stands without a module"
    return found


@pytest.mark.parametrize(("module", "name", "value"), bounds())
def test_a_bound_is_that_of_the_code(module: str, name: str, value: str) -> None:
    assert getattr(importlib.import_module(module), name) == ast.literal_eval(value)


def test_each_row_names_its_bound() -> None:
    rows = [line for line in (ROOT / "docs" / "limits.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if not BOUND.search(row)] == []
