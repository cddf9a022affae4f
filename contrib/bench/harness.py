"""How rows are measured: ours and its floor interleaved in one run, ratios pair by pair, medians of the rounds."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROUNDS = 5
RESULTS = Path(__file__).parent / "results"


class Absent(Exception):
    """A peer is not installed; the text says which and how it is had."""


@dataclass(frozen=True)
class Sample:
    """One measurement: the row's figure in the row's unit, and what else was seen."""

    value: float
    extra: dict[str, float] = field(default_factory=dict)


Measure = Callable[[], Sample]


@dataclass(frozen=True)
class Side:
    """Ours, a peer or a floor: opened once, measured each round. Opening raises Absent for a peer that is not there."""

    name: str
    open: Callable[[], AbstractContextManager[Measure]]


@dataclass(frozen=True)
class Row:
    """One row of the table. `higher_is_better` says how to read `value` and the ratio ours/other.

    `target` is the ratio to reach against `other` (None: no ratio), `absolute` a figure of ours to reach, `limits` the
    largest values of ours in `extra`. `peers` are measured beside, in the same rounds. `notes` stand under the row.
    """

    number: int
    title: str
    unit: str
    ours: Side
    other: Side | None = None
    higher_is_better: bool = True
    target: float | None = None
    absolute: float | None = None
    is_durable: bool = False
    limits: dict[str, float] = field(default_factory=dict)
    peers: tuple[Side, ...] = ()
    notes: tuple[str, ...] = ()
    label: str = ""


def run_row(row: Row, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure `row` and return its result as JSON values."""
    absent: list[str] = []
    syncs: list[float] = []
    with ExitStack() as stack:
        measures: list[tuple[str, Measure]] = []
        for side in (row.ours, *((row.other,) if row.other else ()), *row.peers):
            try:
                measures.append((side.name, stack.enter_context(side.open())))
            except Absent as error:
                absent.append(f"{side.name}: {error}")
        for _, measure in measures:
            measure()  # a warm-up that does not count
        samples: dict[str, list[Sample]] = {name: [] for name, _ in measures}
        for number in range(rounds):
            turn = measures if number % 2 == 0 else list(reversed(measures))
            for name, measure in turn:
                samples[name].append(measure())
            if row.is_durable:
                syncs.append(disk_syncs_per_second())
    return _result(row, rounds, samples, absent, syncs)


def _result(
    row: Row, rounds: int, samples: dict[str, list[Sample]], absent: list[str], syncs: list[float]
) -> dict[str, Any]:
    ours = [sample.value for sample in samples[row.ours.name]]
    result: dict[str, Any] = {
        "row": row.number,
        "label": row.label or str(row.number),
        "title": row.title,
        "unit": row.unit,
        "ours": statistics.median(ours),
        "ours_all": ours,
        "extra": _medians(samples[row.ours.name]),
        "rounds": rounds,
        "absent": absent,
        "notes": list(row.notes),
        "others": [],
    }
    for name, seen in samples.items():
        if name == row.ours.name:
            continue
        theirs = [sample.value for sample in seen]
        ratios = [mine / their for mine, their in zip(ours, theirs, strict=True)]
        result["others"].append(
            {
                "name": name,
                "value": statistics.median(theirs),
                "all": theirs,
                "extra": _medians(seen),
                "ratio": statistics.median(ratios),
                "ratio_min": min(ratios),
                "ratio_max": max(ratios),
                "is_the_floor": row.other is not None and name == row.other.name,
            }
        )
    if syncs:
        result["disk_syncs_per_second"] = round(statistics.median(syncs))
    result["verdicts"] = list(_verdicts(row, result))
    return result


def _medians(samples: list[Sample]) -> dict[str, float]:
    names = sorted({name for sample in samples for name in sample.extra})
    return {name: statistics.median([s.extra[name] for s in samples if name in s.extra]) for name in names}


def _verdicts(row: Row, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def judged(label: str, seen: float, wanted: float, *, higher: bool) -> dict[str, Any]:
        full = seen >= wanted if higher else seen <= wanted
        half = seen >= wanted / 2 if higher else seen <= wanted * 2
        return {"what": label, "seen": seen, "target": wanted, "reached": "yes" if full else "half" if half else "no"}

    ratio = next((other["ratio"] for other in result["others"] if other["is_the_floor"]), None)
    if row.target is not None and ratio is not None:
        yield judged("ratio", ratio, row.target, higher=row.higher_is_better)
    if row.absolute is not None:
        yield judged(row.unit, result["ours"], row.absolute, higher=row.higher_is_better)
    for name, limit in row.limits.items():
        if name in result["extra"]:
            yield judged(name, result["extra"][name], limit, higher=False)


def disk_syncs_per_second(seconds: float = 0.3) -> float:
    """Return how many 4 KiB appends with fdatasync a second this disk takes, one after another."""
    with tempfile.NamedTemporaryFile(dir=scratch()) as file:
        block = b"x" * 4096
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - started)


def scratch() -> Path:
    """Return a folder on a real disk (a memory disk would flatter every durable figure)."""
    place = Path(os.environ.get("FAILGATE_BENCH_DIR", "/var/tmp")) / "failgate-bench"
    place.mkdir(parents=True, exist_ok=True)
    return place


def peak_memory_mib(pid: int | str) -> float:
    """Return the largest resident size of a process so far, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def memory_from_now_mib(pid: int) -> float:
    """Let the peak of a process begin now, without what it needed before; return what it holds. Source: proc(5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_memory_mib(pid)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far: a figure that a busy machine does not spoil."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            spent += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # a thread that has just ended
    return spent / 1e9


def run_load(job: dict[str, Any]) -> dict[str, Any]:
    """Run `load.py` with `job` in a process of its own and return what it saw.

    Raises: RuntimeError when anything was answered otherwise than expected: a wrong answer is no measurement.
    """
    return run_script("load.py", json.dumps(job))


def loaded(pid: int, job: dict[str, Any], value: str) -> Sample:
    """Run `job` against the server `pid`; return its figure `value` with latencies, processor time for each, memory."""
    before = cpu_seconds(pid)
    seen = run_load(job)
    spent_us = (cpu_seconds(pid) - before) / seen["count"] * 1e6
    extra = {
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
        "rate": seen["rate"],
        "cpu_us_each": spent_us,
        "peak_mib": peak_memory_mib(pid),
    }
    return Sample(seen[value], {name: figure for name, figure in extra.items() if name != value})


def run_script(name: str, text: str = "", *arguments: str, under: Sequence[str] = ()) -> dict[str, Any]:
    """Run a script of this folder in a process of its own; return the JSON object on the last line that it prints.

    `under` is a command that runs it.
    """
    done = subprocess.run(
        [*under, sys.executable, str(Path(__file__).with_name(name)), *arguments],
        check=False,
        input=text,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {done.stderr.strip()[-1500:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if result.get("failed"):
        raise RuntimeError(
            f"{result['failed']} of {result['count']} answers were not as expected: {result['failures']}"
        )
    return result


def report(results: list[dict[str, Any]], rounds: int) -> None:
    """Print the table and write it as JSON beside this file."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    print(f"\n{machine}; medians of {rounds} interleaved rounds\n")
    print(f"{'row':>4}  {'what':<60} {'ours':>11} {'other':>11} {'ratio':>6}  reached")
    for result in results:
        _print_row(result)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"bench-{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(
        json.dumps(
            {"python": sys.version, "cores": os.cpu_count(), "load": os.getloadavg(), "results": results}, indent=1
        )
        + "\n"
    )
    print(f"\nwritten: {path}")


def _print_row(result: dict[str, Any]) -> None:
    if "failed" in result:
        print(f"{result['label']:>4}  {result['title'][:60]:<60} failed: {result['failed']}")
        return
    floor = next((other for other in result["others"] if other["is_the_floor"]), None)
    theirs, ratio = (_figure(floor["value"]), f"{floor['ratio']:.2f}") if floor else ("-", "-")
    said = "; ".join(
        f"{v['what']} {_figure(v['seen'])} of {_figure(v['target'])}: {v['reached']}" for v in result["verdicts"]
    )
    ours = _figure(result["ours"])
    print(f"{result['label']:>4}  {result['title'][:60]:<60} {ours:>11} {theirs:>11} {ratio:>6}  {said}")
    disk = f"; this disk: {result['disk_syncs_per_second']:,} syncs/s" if "disk_syncs_per_second" in result else ""
    print(f"      {result['unit']}; ours: {_listed(result['extra'])}{disk}")
    for other in result["others"]:
        ratios = f"ratio {other['ratio']:.2f} ({other['ratio_min']:.2f} to {other['ratio_max']:.2f})"
        print(f"      {other['name']}: {_figure(other['value'])}, {ratios}; {_listed(other['extra'])}")
    for line in (*result["absent"], *result["notes"]):
        print(f"      {line}")


def _listed(extra: dict[str, float]) -> str:
    return ", ".join(f"{name} {_figure(value)}" for name, value in extra.items())


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
