"""What docs/redaction.md says of the rules is true of the code."""

import re
import runpy
import sys
from pathlib import Path

from failgate.redaction import RULES, RULES_VERSION

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "redaction.md").read_text()


def test_the_number_of_generated_kinds_is_that_of_the_program() -> None:
    before = sys.path[:]
    sys.path.insert(0, str(ROOT / "contrib" / "redaction"))
    try:
        made = runpy.run_path(str(ROOT / "contrib" / "redaction" / "generated.py"))
    finally:
        sys.path[:] = before
    kinds = len(made["TOKENS"]) + len(made["NAMED"]) + len(made["FIXED"])
    (said,) = re.findall(r"(\d+) kinds generated", PAGE)
    assert kinds == int(said)
    assert len({one.kind for one in made["generated"](1, 1)}) == kinds


def test_every_rule_without_an_issuer_is_named() -> None:
    (table,) = re.findall(r"\| rules \| find \|\n(.*?)\n\n", PAGE, re.DOTALL)
    named = set(re.findall(r"`([a-z0-9-]+)`", table))
    ids = {rule.id for rule in RULES}
    issuers = re.compile(r".*-(token|key|secret|webhook|id|key-id|link|credentials|url|address)$|.*api-key$")
    assert {one for one in ids if one not in named and not issuers.match(one)} == set()
    assert RULES_VERSION.startswith(re.findall(r"`(failgate-\d+-)", PAGE)[0])
