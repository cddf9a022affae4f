"""C2 and C4: a kill, or an error of the disk, at each single call of a worker that the kernel makes it meet.

`strace` counts the calls of each process by itself. So a worker is loaded once and forks a child for each point, which
makes harmless calls first, until the call that is meant has the number that is hit: a point costs milliseconds.
"""

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from c03_power import CALLS, HERE, check
from campaign import Campaign, Seen

WORK = 16  # what a child does: records, objects, signatures, a checkpoint of the write-ahead log
POINTS = ("pwrite64", "write", "fsync", "fdatasync", "rename", "ftruncate", "unlink")
MARGIN = 40  # calls that a process may make more than the one that was counted, before it is hit by mistake
ERRORS = {"pwrite64": "ENOSPC", "write": "ENOSPC", "fsync": "EIO", "fdatasync": "EIO", "rename": "EDQUOT"}


def python(*words: str, fault: str | None = None, before: tuple[str, ...] = ()) -> str:
    environment = os.environ | ({"CAMPAIGN_FAULT": fault} if fault else {})
    command = [*before, sys.executable, str(HERE / "worker.py"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def calls_of(folder: Path, data: Path) -> Counter[str]:
    """Return how often a worker makes each call."""
    shutil.copytree(data, folder / "counted")
    trace = folder / "counted.trace"
    python("power", str(folder / "counted"), str(WORK),
           before=("strace", "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(trace)))  # fmt: skip
    return Counter(found[1] for line in trace.read_text().splitlines() if (found := re.match(r"\d+\s+(\w+)\(", line)))


def points(
    folder: Path,
    count: int,
    chance: random.Random,
    *,
    is_error: bool,
    lasts: bool = False,
    fault: str | None = None,
    calls: tuple[str, ...] = (),
) -> Seen:
    """Hit `count` points spread over the calls; each child's folder is looked at, then worked in again."""
    seen = Seen()
    data = folder / "data"
    python("prepare", str(data))
    times = calls_of(folder, data)
    chosen = [call for call in (calls or (ERRORS if is_error else POINTS)) if times[call]]
    hits = {call: times[call] + MARGIN for call in chosen}
    tracer = ["strace", "-f", "-qq", "-e", f"trace={','.join(chosen)}", "-o", "/dev/null"]
    for call in chosen:
        what = f"error={ERRORS[call]}" if is_error else "signal=KILL"
        tracer += ["-e", f"inject={call}:{what}:when={hits[call]}{'+' if lasts else ''}"]
    asked = [
        (call, chance.randint(1, times[call])) for call in (chosen[number % len(chosen)] for number in range(count))
    ]
    words = [f"{call}:{hits[call]}:{number}" for call, number in asked]
    python("points", str(data), str(WORK), *words, fault=fault, before=tuple(tracer))
    hit = 0
    for order, (call, number) in enumerate(asked):
        told = (folder / f"point-{order}" / "told").read_text().splitlines()
        hit += "END" not in told or any(line.startswith("REFUSED") for line in told)
        check(folder / f"point-{order}", told, seen, f"{call} number {number}")
        seen.count += 1
    for line in python("again", str(folder), *(f"point-{order}" for order in range(count))).splitlines():
        seen.expect(not line.startswith(("FAILED", "REFUSED")), f"afterwards: {line}")
    for order in range(count):
        shutil.rmtree(folder / f"point-{order}")
    seen.expect(hit * 2 > seen.count or fault is not None, f"only {hit} of {seen.count} points were met")
    seen.figures = {"met": hit, "calls": len(chosen)}
    return seen


def run_kills(folder: Path, count: int, chance: random.Random) -> Seen:
    return points(folder, count, chance, is_error=False)


def control_kills(folder: Path, chance: random.Random) -> Seen:
    # Between its answer and its commit the worker makes these two.
    return points(folder, 14, chance, is_error=False, fault="early", calls=("pwrite64", "fdatasync"))


def run_errors(folder: Path, count: int, chance: random.Random) -> Seen:
    once, lasting = folder / "once", folder / "lasting"
    once.mkdir()
    lasting.mkdir()
    seen = points(once, count // 2, chance, is_error=True)
    more = points(lasting, count - count // 2, chance, is_error=True, lasts=True)
    figures = {"met": seen.figures["met"] + more.figures["met"], "calls": seen.figures["calls"]}
    return Seen(seen.count + more.count, seen.broken + more.broken, figures)


def control_errors(folder: Path, chance: random.Random) -> Seen:
    return points(folder, 10, chance, is_error=True, lasts=True, fault="deaf")


KILLS = Campaign(
    "C2", "killed at any single call, everything acknowledged is there and proves itself", "points",
    "acknowledges before the commit", {"ci": 70, "nightly": 2_000, "release": 6_000}, run_kills, control_kills,
)  # fmt: skip
ERRORS_OF_THE_DISK = Campaign(
    "C4", "no error of the disk is answered as a success, and work goes on after it", "points",
    "errors are taken for successes", {"ci": 60, "nightly": 2_000, "release": 6_000}, run_errors, control_errors,
)  # fmt: skip
