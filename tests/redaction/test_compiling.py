"""Hyperscan's databases come from a process of ours, and where there is none, from here."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from failgate.redaction.catalogue import RULES
from failgate.redaction.openings import opening_of

hyperscan = pytest.importorskip("hyperscan")
SETS = [{0: "abc", 7: "x[0-9]{2,6}y"}, {}, {3: "\xff."}]
TEXT = b"..abc..x123y..\xff!"


def found(database: Any) -> list[tuple[int, int]]:
    ends: list[tuple[int, int]] = []
    database.scan(
        TEXT, match_event_handler=lambda rule, _start, end, *_: ends.append((end, rule)),
        scratch=hyperscan.Scratch(database),
    )  # fmt: skip
    return sorted(ends)


def finds_all(databases: list) -> None:
    assert len(databases) == len(SETS)
    assert found(databases[0]) == [(5, 0), (12, 7)]
    assert found(databases[2]) == [(16, 3)]


def test_what_another_process_compiled_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from failgate.redaction import compiling

    monkeypatch.setattr(compiling, "_made_here", None)  # nothing is compiled here
    finds_all(compiling.compiled(SETS))


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false", "/bin/true", "says junk"])
def test_without_the_process_it_is_compiled_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    from failgate.redaction import compiling

    if program == "says junk":
        (script := tmp_path / "junk").write_text("#!/bin/sh\nhead -c 4000 /dev/zero | tr '\\0' '\\1'\n")
        script.chmod(0o700)
        program = str(script)
    monkeypatch.setattr(sys, "executable", program)
    finds_all(compiling.compiled(SETS))


def test_nothing_of_the_folder_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from failgate.redaction import compiling

    for name in ("json.py", "failgate.py", "hyperscan.py", "sitecustomize.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compiling, "_made_here", None)
    finds_all(compiling.compiled(SETS))
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read as Linux tells it")
def test_a_process_that_gets_the_rules_compiled_grows_little() -> None:
    script = """
    from pathlib import Path
    import hyperscan
    from failgate.redaction.catalogue import RULES
    from failgate.redaction import vectors

    def peak():
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

    before = peak()
    vectors.Vectors(RULES)
    print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=True)
    assert float(done.stdout) < 5, "it took 9 when it compiled for itself"


def test_every_opening_can_be_sent() -> None:
    assert all(opening_of(rule).pattern.encode("latin-1") for rule in RULES)
