"""What docs/redaction.md says of the rules is true of the code: their names, and what they were measured to find. F17."""

import base64
import random
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from failgate.redaction import RULES, RULES_VERSION, Scanner, redact

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "redaction.md").read_text()
SEED = 20261122  # not the one of the table there
LEAST_RECALL, LEAST_PRECISION = 0.98, 0.95
SCANNER = Scanner(key=bytes(32))


def program(name: str) -> dict[str, Any]:
    """Return what the module `name` of contrib/redaction has."""
    before = sys.path[:]
    sys.path.insert(0, str(ROOT / "contrib" / "redaction"))
    try:
        return runpy.run_path(str(ROOT / "contrib" / "redaction" / f"{name}.py"), run_name=name)
    finally:
        sys.path[:] = before


def test_the_number_of_generated_kinds_is_that_of_the_program() -> None:
    made = program("generated")
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


def test_secrets_of_every_published_format_are_found() -> None:
    measuring = program("evaluate")
    total = measuring["measure"](list(measuring["generated"](SEED, 4)), SCANNER).total()
    assert total.secrets > 300
    assert total.touched >= LEAST_RECALL * total.secrets
    assert total.whole >= LEAST_RECALL * total.secrets


def test_sources_manuals_lock_files_and_pictures_are_left_alone() -> None:
    """One secret among four pieces of forty lines; of what is found at most one in twenty is none."""
    pieces = list(benign(random.Random(SEED)))
    assert len(pieces) > 360
    alarms = [found for piece in pieces for found in redact(piece, SCANNER).findings]
    measuring = program("evaluate")
    found = measuring["measure"](list(measuring["generated"](SEED + 1, 1)), SCANNER).total().touched
    assert found / (found + len(alarms)) >= LEAST_PRECISION, sorted(one.rule for one in alarms)


def benign(chosen: random.Random) -> Iterator[str]:
    """Yield pieces of files of this repository that hold no secret, not even as an example."""
    patterns = ("docs/decisions/*.md", "failgate/web/**/*.py", "failgate/web/static/*", "migrations/*.sql",
                "contrib/dev/requirements.lock", "**/package-lock.json", "docs/screenshots/*.png")  # fmt: skip
    for pattern in patterns:
        files = sorted(path for path in ROOT.glob(pattern) if path.is_file())
        for path in chosen.sample(files, min(len(files), 60)):
            content = path.read_bytes()
            is_text = path.suffix != ".png"
            lines = (content.decode() if is_text else base64.encodebytes(content[:30_000]).decode()).splitlines(True)
            starts = range(0, len(lines), 40)
            for at in chosen.sample(starts, min(len(starts), 6)):
                yield "".join(line[:4000] for line in lines[at : at + 40])
