"""C16: one small change at a time to the modules that decide and prove: some test has to notice it.

In a copy of the tree. Each mutant meets the tests that run its line (those of SQLite), the quickest first, until one
fails. Why by a mutator of our own: docs/decisions/0091.
"""

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign import Campaign, Seen
from mutating import Mutant, mutants_of, toothless

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LEAST_SHARE = 0.85  # of mutants, by package when there are enough of it
ENOUGH = 20
MANY = 100  # mutants from which on they are of all modules, and not of the quick ones alone
COPIED = ("failgate", "tests")  # the rest is reached by links
SPARE_SECONDS = 6.0  # of the processor: to load the product, and what a busy machine takes longer
SAID = "said.txt"


class NoCoverage(Exception):
    """The tool is missing."""


@dataclass(frozen=True)
class Room:
    """One package: its modules and their tests, and the few of both that take a moment."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    quick_modules: tuple[str, ...]
    quick_tests: tuple[str, ...]


def _mirrored(*names: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the modules `room/name`, and the test of each."""
    tests = tuple(f"tests/{room}/test_{name}.py" for room, name in (one.split("/") for one in names))
    return tuple(f"failgate/{one}.py" for one in names), tests


ROOMS: dict[str, Room] = {
    "access": Room(("failgate/access/*.py",), ("tests/access",), ("failgate/access/*.py",), ("tests/access",)),
    "gate": Room(
        ("failgate/gate/*.py", "failgate/matching/*.py"), ("tests/gate", "tests/matching"),
        *_mirrored("matching/paths", "gate/ladder", "gate/steady", "gate/pace"),
    ),
    "audit": Room(
        ("failgate/audit/*.py", "failgate/audit/signer/*.py"), ("tests/audit",),
        *_mirrored("audit/tree", "audit/chain", "audit/leaf", "audit/checkpoint"),
    ),
    "crypto": Room(
        ("failgate/sealed/*.py", "failgate/base/secretbox.py", "failgate/base/canonical.py",
         "failgate/artifacts/sealing.py"),
        ("tests/sealed", "tests/base/test_secretbox.py", "tests/base/test_canonical.py",
         "tests/artifacts/test_sealing.py"),
        *_mirrored("sealed/quorum", "sealed/policy", "sealed/manifest"),
    ),
    "redaction": Room(
        ("failgate/redaction/judgement.py", "failgate/redaction/scanner.py", "failgate/redaction/stream.py"),
        ("tests/redaction",), (), (),  # none of them takes a moment
    ),
}  # fmt: skip
NO_PROMISE = {"__init__.py", "tables.py", "vectors.py"}  # names of columns; the vectors themselves


@dataclass
class Known:
    """What the tests did before anything was changed: who ran which line, and for how long."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that run the mutant, the quickest first; all of its module for what runs at its import."""
        lines = self.lines.get(mutant.module, {})
        found = {test for number in mutant.statement for test in lines.get(number, [])}
        if "" in found:
            found = {test for tests in lines.values() for test in tests}
        return sorted(found & self.seconds.keys(), key=lambda test: (self.seconds[test], test))


@dataclass
class Count:
    killed: int = 0
    survived: int = 0
    timeouts: int = 0

    @property
    def tried(self) -> int:
        return self.killed + self.survived + self.timeouts

    @property
    def share(self) -> float:
        return (self.killed + self.timeouts) / self.tried


def together(counts: Iterable[Count]) -> Count:
    """Return the sum."""
    listed = list(counts)
    return Count(*(sum(getattr(one, what) for one in listed) for what in vars(Count())))


@dataclass
class Field:
    """A copy of the tree in which mutants live."""

    tree: Path
    warm: "subprocess.Popen[str]"
    modules: dict[str, Count] = field(default_factory=dict[str, Count])
    survivors: list[str] = field(default_factory=list[str])

    def meet(self, mutant: Mutant, known: Known) -> None:
        """Let the tests meet the mutant."""
        count = self.modules.setdefault(mutant.module, Count())
        tests = known.tests_of(mutant)
        if not tests:
            count.survived += 1
            self.survivors.append(f"{mutant.module}:{mutant.line}: {mutant.words} (no test runs it)")
            return
        end = self._lived(mutant.module, mutant.text, tests, known)
        if end == "killed":
            count.killed += 1
        elif end == "timeout":
            count.timeouts += 1
        else:
            count.survived += 1
            self.survivors.append(f"{mutant.module}:{mutant.line}: {mutant.words} ({len(tests)} tests)")

    def believe(self, mutant: Mutant, known: Known) -> None:
        """Let the tests of the mutant meet what nobody changed. Raises: RuntimeError (they kill that too)."""
        genuine = (self.tree / mutant.module).read_text()
        if self._lived(mutant.module, genuine, known.tests_of(mutant), known) != "survived":
            said = (self.tree / SAID).read_text()[-3000:]
            raise RuntimeError(f"the tests of {mutant.module} fail when nothing is changed:\n{said}")

    def _lived(self, module: str, text: str, tests: list[str], known: Known) -> str:
        """Put `text` in the module's place, tell what the tests did to it, and put the module back."""
        file = self.tree / module
        genuine = file.read_text()
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()  # it would pass for the mutant's when both are of one size and second
        file.write_text(text)
        try:
            return self._ask({
                "files": sorted({test.partition("::")[0] for test in tests}), "tests": tests,
                "seconds": SPARE_SECONDS + 4 * sum(known.seconds[test] for test in tests),
                "said": str(self.tree / SAID),
            })  # fmt: skip
        finally:
            file.write_text(genuine)
            shutil.rmtree(self.tree / ".hypothesis", ignore_errors=True)

    def _ask(self, order: dict[str, Any]) -> str:
        assert self.warm.stdin is not None
        assert self.warm.stdout is not None
        self.warm.stdin.write(json.dumps(order) + "\n")
        self.warm.stdin.flush()
        end: str = json.loads(self.warm.stdout.readline())[0]
        return end


def copied(tree: Path, tests: tuple[str, ...], *, are_toothless: bool) -> None:
    """Make the copy."""
    tree.mkdir()
    left_out = shutil.ignore_patterns("__pycache__", ".hypothesis", "node_modules")
    for place in ROOT.iterdir():
        if place.name in COPIED:
            shutil.copytree(place, tree / place.name, ignore=left_out)
        elif place.name not in {".git", ".hypothesis"}:
            (tree / place.name).symlink_to(place)
    for name in tests if are_toothless else ():
        place = tree / name
        for file in [place] if place.is_file() else place.rglob("test_*.py"):
            file.write_text(toothless(file.read_text()))


def environment(tree: Path, **more: str) -> dict[str, str]:
    """Return what makes every process take the copy for the product."""
    sources = [tree, *tree.glob("plugins/*/src"), *tree.glob("tools/*/src"), HERE]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources)), **more}


def before(tree: Path, modules: list[str], tests: tuple[str, ...]) -> Known:
    """Run the tests on what nobody changed. Raises: RuntimeError (they fail)."""
    from coverage import CoverageData

    seconds, kept = tree / "seconds.json", tree / ".coverage"
    more = {"CAMPAIGN_SECONDS": str(seconds), "COVERAGE_FILE": str(kept), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [
            sys.executable, "-m", "coverage", "run", f"--include={','.join(str(tree / one) for one in modules)}",
            "-m", "pytest", "-p", "covering", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0",
            "-k", "not postgres", *tests,
        ],
        cwd=tree, env=environment(tree, **more), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the tests fail before anything is changed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    data = CoverageData(str(kept))
    data.read()
    return Known(json.loads(seconds.read_text()), {
        one: {line: list(names) for line, names in data.contexts_by_lineno(str(tree / one)).items()}
        for one in modules
    })  # fmt: skip


@contextmanager
def field_of(tree: Path) -> Iterator[Field]:
    """Yield the copy with the process that runs its tests."""
    warm = subprocess.Popen(
        [sys.executable, str(HERE / "warm.py"), str(tree)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=tree, env=environment(tree, PYTHONDONTWRITEBYTECODE="1"),
    )  # fmt: skip
    assert warm.stdout is not None
    try:
        warm.stdout.readline()
        yield Field(tree, warm)
    finally:
        warm.kill()
        warm.communicate()


def modules_of(patterns: tuple[str, ...]) -> list[str]:
    found = {file for pattern in patterns for file in ROOT.glob(pattern) if file.name not in NO_PROMISE}
    return sorted(str(file.relative_to(ROOT)) for file in found)


def tried(
    folder: Path, rooms: dict[str, int], seed: int, *, is_quick: bool, are_toothless: bool = False
) -> tuple[dict[str, Count], list[str], dict[str, Count]]:
    """Let so many mutants of each room live; return the counts by room, the survivors, the counts by module."""
    tests = tuple(one for name in rooms for one in (ROOMS[name].quick_tests if is_quick else ROOMS[name].tests))
    theirs = {name: modules_of(ROOMS[name].quick_modules if is_quick else ROOMS[name].modules) for name in rooms}
    copied(folder / "tree", tests, are_toothless=are_toothless)
    counts: dict[str, Count] = {}
    with field_of(folder / "tree") as place:
        known = before(place.tree, [one for modules in theirs.values() for one in modules], tests)
        for name, wanted in rooms.items():
            modules = theirs[name]
            found = [mutant for one in modules for mutant in mutants_of(one, (ROOT / one).read_text())]
            sample = sorted(found, key=lambda one: one.rank(seed))[:wanted]
            place.believe(sample[0], known)
            for mutant in sample:
                place.meet(mutant, known)
            counts[name] = together(count for one, count in place.modules.items() if one in modules)
    return counts, place.survivors, place.modules


def judge(counts: dict[str, Count]) -> Seen:
    """All of them together, and each room of which there are enough."""
    whole = together(counts.values())
    seen = Seen(count=whole.tried)
    for name, count in {"all": whole, **{name: one for name, one in counts.items() if one.tried >= ENOUGH}}.items():
        seen.expect(
            count.share >= LEAST_SHARE,
            f"{name}: {count.share:.0%} of {count.tried} mutants were killed, and {LEAST_SHARE:.0%} have to be",
        )
    seen.figures = {
        "killed": whole.killed, "survived": whole.survived, "timeouts": whole.timeouts,
        **{name: f"{count.share:.0%} of {count.tried}" for name, count in counts.items() if count.tried},
    }  # fmt: skip
    return seen


def rounds(folder: Path, count: int, chance: random.Random) -> Seen:
    must_be_there()
    is_quick = count < MANY
    names = [name for name, room in ROOMS.items() if room.quick_modules or not is_quick]
    wanted = {name: count // len(names) + (place < count % len(names)) for place, name in enumerate(names)}
    wanted = {name: number for name, number in wanted.items() if number}
    counts, survivors, modules = tried(folder, wanted, chance.randrange(1 << 32), is_quick=is_quick)
    seen = judge(counts)
    seen.notes = [
        *(
            f"{name}: {one.killed} killed, {one.survived} survived, {one.timeouts} took too long"
            for name, one in sorted(modules.items())
        ),
        *(f"survived: {one}" for one in survivors),
    ]
    return seen


def control(folder: Path, chance: random.Random) -> Seen:
    """Tests whose assertions are believed, whatever comes of them."""
    must_be_there()
    counts, _, _ = tried(folder, {"gate": 4}, chance.randrange(1 << 32), is_quick=True, are_toothless=True)
    return judge(counts)


def must_be_there() -> None:
    if importlib.util.find_spec("coverage") is None:
        raise NoCoverage("C16 and C17 need coverage: pip install 'coverage>=7.10'")


CAMPAIGN = Campaign(
    "C16", "a change to what decides or proves is noticed by a test", "mutants", "tests that assert nothing",
    {"ci": 12, "nightly": 400, "release": 4000}, rounds, control,
)  # fmt: skip
