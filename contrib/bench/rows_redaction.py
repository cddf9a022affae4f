"""Row 16: redaction of the log of a build, all rules, exact spans; the processor time of one core counts."""

import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ci_log import ci_log
from harness import Absent, Measure, Row, Sample, Side, run_script

ROOT = Path(__file__).resolve().parents[2]


def _engine(name: str, size: int) -> Side:
    """Measure our redaction with one engine, in a process of its own; loading is not counted, since a server has it."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        if find_spec(name.partition(" ")[0]) is None:
            raise Absent(f"pip install {name}")
        yield lambda: _sample(run_script("redacting.py", "", name, str(size)))

    return Side(f"failgate, {name}" if " " not in name else f"floor: {name}", opened)


def _sample(seen: dict[str, float]) -> Sample:
    extra = {"wall_mb_s": seen["bytes"] / seen["seconds"] / 1e6, "found": seen["found"], "peak_mib": seen["peak_mib"]}
    return Sample(seen["bytes"] / seen["cpu_seconds"] / 1e6, extra)


def _peer(program: str, command: Callable[[str, str], list[str]], size: int) -> Side:
    """Measure another program as a whole process over the same text in a file."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        found = shutil.which(program)
        if found is None:
            raise Absent(f"not installed; pip install {'kingfisher-bin' if program == 'kingfisher' else program}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "build.log"
            path.write_bytes(ci_log(size))

            def measure() -> Sample:
                before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run(command(found, str(path)), capture_output=True, check=False, cwd=folder, timeout=900)
                seconds = time.perf_counter() - began
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                return Sample(size / spent / 1e6, {"wall_mb_s": size / seconds / 1e6})

            yield measure

    return Side(f"{program}, whole process", opened)


def _kingfisher(program: str, path: str) -> list[str]:
    return [program, "scan", "--no-validate", "--no-update-check", "--jobs", "1", "--format", "json", path]


def _detect_secrets(program: str, path: str) -> list[str]:
    return [program, "scan", "--no-verify", path]


def rows(*, is_quick: bool) -> list[Row]:
    """Return row 16, with Hyperscan and with RE2."""
    size = 1 << 20 if is_quick else 32 << 20
    few = size >> 5 if not is_quick else size >> 3
    kingfisher = _peer("kingfisher", _kingfisher, size)
    notes = (
        "MB for each second of processor time; kingfisher and detect-secrets as whole processes, with their start",
        f"detect-secrets over {few >> 10} KiB only",
    )
    return [
        Row(
            16, "redact the log of a build, Hyperscan", "MB/s of one core", _engine("hyperscan", size), kingfisher,
            target=20.0, label="16 a", notes=notes,
            peers=(
                _engine("hyperscan alone, openings of all rules, nothing decided", size),
                _peer("detect-secrets", _detect_secrets, few),
            ),
        ),
        Row(
            16, "redact the log of a build, RE2 from its wheel", "MB/s of one core", _engine("re2", size), kingfisher,
            absolute=60.0, label="16 b", peers=(_engine("re", few),), notes=(f"re over {few >> 10} KiB only",),
        ),
    ]  # fmt: skip
