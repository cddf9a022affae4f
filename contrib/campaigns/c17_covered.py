"""C17: the packages that decide and prove are run by their own tests: lines, branches, and each `raise`.

What cannot be run says why beside it: `# pragma: no cover: REASON`. One without a reason is no exception.
"""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from c16_mutants import ROOMS, ROOT, environment, modules_of, must_be_there
from campaign import Campaign, Seen

LEAST_PERCENT = 95.0
PACKAGES = ("access", "crypto", "gate", "audit")  # the first two take a moment
SETTINGS = r"""
[run]
branch = True
[report]
exclude_lines =
    pragma: no cover: \S
    if TYPE_CHECKING:
    ^\s*\.\.\.$
"""


def measured(folder: Path, modules: list[str], tests: tuple[str, ...]) -> dict[str, Any]:
    """Return what coverage.py reports of the modules, by module. Raises: RuntimeError (a test fails)."""
    folder.mkdir()
    (folder / "settings").write_text(SETTINGS)
    more = {"COVERAGE_FILE": str(folder / "kept"), "COVERAGE_RCFILE": str(folder / "settings")}
    coverage = [sys.executable, "-m", "coverage"]
    for words in (
        ["run", f"--include={','.join(modules)}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0",
         "-k", "not postgres", *tests],
        ["json", "-q", "-o", str(folder / "report.json")],
    ):  # fmt: skip
        done = subprocess.run(
            [*coverage, *words], cwd=ROOT, env=environment(ROOT, **more), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"coverage {words[0]} ended with:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())["files"]
    return found


def judge(seen: Seen, name: str, modules: list[str], found: dict[str, Any]) -> None:
    sums = {
        what: sum(one["summary"][what] for one in found.values())
        for what in ("num_statements", "covered_lines", "num_branches", "covered_branches")
    }
    lines = 100 * sums["covered_lines"] / sums["num_statements"]
    branches = 100 * sums["covered_branches"] / max(1, sums["num_branches"])
    for what, percent in (("lines", lines), ("branches", branches)):
        seen.expect(percent >= LEAST_PERCENT, f"{name}: {percent:.1f} % of its {what} are run")
    for module in modules:
        seen.expect(module in found, f"{module}: no test runs it")
        missing = found.get(module, {}).get("missing_lines", [])
        text = (ROOT / module).read_text().splitlines()
        for line in missing:
            is_refusal = text[line - 1].lstrip().startswith("raise")
            seen.expect(not is_refusal, f"{module}:{line}: no test meets this refusal")
        if missing:
            seen.notes.append(f"{module}: not run: {', '.join(map(str, missing))}")
    seen.figures[f"{name} lines"], seen.figures[f"{name} branches"] = f"{lines:.1f} %", f"{branches:.1f} %"
    seen.count += 1


def rounds(folder: Path, count: int, _chance: random.Random) -> Seen:
    must_be_there()
    seen = Seen()
    for name in PACKAGES[:count]:
        modules = modules_of(ROOMS[name].modules)
        judge(seen, name, modules, measured(folder / name, modules, ROOMS[name].tests))
    return seen


def control(folder: Path, _chance: random.Random) -> Seen:
    """Tests of the roles alone, which run nothing of the decisions."""
    must_be_there()
    seen, modules = Seen(), modules_of(ROOMS["access"].modules)
    judge(seen, "access", modules, measured(folder / "access", modules, ("tests/access/test_role.py",)))
    return seen


CAMPAIGN = Campaign(
    "C17", "the tests run what decides and proves, and meet each of its refusals", "packages",
    "most tests of a package are left out", {"ci": 2, "nightly": len(PACKAGES), "release": len(PACKAGES)},
    rounds, control,
)  # fmt: skip
