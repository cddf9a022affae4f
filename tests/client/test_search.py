"""Where names lead to: as real shells find them, and told of each command that a line may have. # P4 E28"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failgate.client.exits import NotExecutable
from failgate.client.search import LONGEST_LINE, MOST_NAMES, find_executable, interpreter_of, programs_of
from tests.client.wire_server import Wire

_ENTRIES = st.lists(
    st.sampled_from(["a", "b", "link", "missing", "file", "./rel", "rel", "", "."]), min_size=1, max_size=5
)
_PLACES = st.sets(st.sampled_from(["a", "b", "rel", "."]))


@pytest.fixture(scope="module")
def places() -> Iterator[Path]:
    """Give folders `a`, `b`, `rel`, a link to `b` and a file; the folder itself is the one of the calls."""
    root = Path(tempfile.mkdtemp()).resolve()
    for name in ("a", "b", "rel"):
        (root / name).mkdir()
    (root / "link").symlink_to("b")
    (root / "file").write_text("")
    yield root
    shutil.rmtree(root)


def stub(place: Path, name: str = "tool", mode: int = 0o755) -> Path:
    path = place / name
    path.write_text('#!/bin/sh\nprintf %s "$0"\n')
    path.chmod(mode)
    return path


def search_path(entries: list[str], root: Path) -> str:
    return ":".join(entry if entry in {"", ".", "./rel", "rel"} else str(root / entry) for entry in entries)


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_name_leads_to_the_file_that_the_shell_runs(places: Path, shell: str) -> None:
    path = shutil.which(shell)
    assert path is not None
    seen = {"found": 0, "missing": 0}

    @settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(_ENTRIES, _PLACES, _PLACES)
    def each(entries: list[str], holding: set[str], refused: set[str]) -> None:
        for place in ("a", "b", "rel", "."):
            (places / place / "tool").unlink(missing_ok=True)
            if place in holding:
                stub(places / place, mode=0o644 if place in refused else 0o755)
        search = search_path(entries, places)
        ran = subprocess.run(
            [path, "-c", "tool"], cwd=places, env={"PATH": search}, capture_output=True, text=True, check=False
        )
        try:
            found = find_executable("tool", str(places), search)
        except NotExecutable:
            assert ran.returncode in {126, 127}, (search, ran)
            seen["missing"] += 1
            return
        assert ran.returncode == 0, (search, ran)
        assert os.path.realpath(places / ran.stdout) == found, search
        seen["found"] += 1

    each()
    assert min(seen.values()) > 4


def test_each_first_word_of_a_line_is_told(places: Path) -> None:
    stub(places / "a")
    other = stub(places / "b", "other")
    path = search_path(["a", "b"], places)

    def told(*argv: str) -> list[str]:
        return sorted(programs_of(argv, str(places), path))

    assert told("bash", "-c", "tool x | 'other' y && cd a; echo tool") == ["other", "tool"]
    assert told("/bin/sh", "-ec", 'to"o"l\nother&tool') == ["other", "tool"]
    assert told("dash", "-c", "tool", "name:=1") == ["tool"]
    assert told("bash", "-e", "-c", "tool") == ["tool"]
    assert told("bash", "-c", "./a/tool; nothing; " + str(other)) == ["./a/tool", str(other)]
    assert told("bash", "-c", "$X; `tool`; ") == []
    for argv in (["zsh", "-c", "tool"], ["bash", "tool"], ["bash"], ["tool", "-c", "tool"], ["bash", "-c", "x" * (LONGEST_LINE + 1)]):  # fmt: skip
        assert told(*argv) == [], argv
    for number in range(MOST_NAMES + 3):
        stub(places / "a", f"t{number}")
    many = told("sh", "-c", ";".join(f"t{number}" for number in range(MOST_NAMES + 3)))
    assert len(many) == MOST_NAMES


def test_a_file_that_others_than_root_may_change_is_digested(places: Path) -> None:
    tool = stub(places / "a")
    found = programs_of(["sh", "-c", "tool; env"], str(places), f"{places}/a:/usr/bin:/bin")
    assert found["tool"] == {
        "path": str(tool), "sha256": hashlib.sha256(tool.read_bytes()).hexdigest(), "interpreter": os.path.realpath("/bin/sh"),
    }  # fmt: skip
    assert found["env"]["path"] == os.path.realpath("/usr/bin/env")
    if (facts := Path("/usr/bin/env").stat()).st_uid == 0 and not facts.st_mode & 0o022:  # as installed ordinarily
        assert "sha256" not in found["env"]


def test_a_basic_that_stands_before_the_installed_one_is_told_whatever_runs(places: Path) -> None:
    behind = f"/usr/bin:/bin:{places}/b"
    for place in ("a", "b", "link"):
        stub(places / "b", "grep")
        assert programs_of(["ls"], str(places), behind) == {}
        found = programs_of(["ls"], str(places), f"{places}/{place}:/usr/bin:/bin")
        assert list(found) == ([] if place == "a" else ["grep"]), place
    assert found["grep"]["path"] == str(places / "b" / "grep")
    assert list(programs_of(["ls"], str(places / "b"), ":/usr/bin")) == ["grep"]
    (places / "b" / "grep").chmod(0o644)  # no program: the search goes on
    assert programs_of(["ls"], str(places), f"{places}/b:/usr/bin:/bin") == {}
    (places / "b" / "grep").unlink()
    (places / "b" / "grep").symlink_to("/usr/bin/env")  # a link to what is installed
    assert programs_of(["ls"], str(places), f"{places}/b:/usr/bin:/bin") == {}
    (places / "b" / "grep").unlink()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("#!/bin/sh\n", "/bin/sh"),
        ("#! /bin/sh -e\n", "/bin/sh"),
        ("#!/usr/bin/env sh\n", "/bin/sh"),
        ("#!/usr/bin/env -S sh -e\n", "/bin/sh"),
        ("#!/usr/bin/env reader\n", "{a}/reader"),
        ("#!{a}/reader\n", "{a}/reader"),
        ("#!a/reader\n", "{a}/reader"),
        ("#!/usr/bin/env -i sh\n", ""),
        ("#!/usr/bin/env PATH=/tmp sh\n", ""),
        ("#!/usr/bin/env nothing\n", ""),
        ("#!/usr/bin/env\n", ""),
        ("#!/nowhere/x\n", ""),
        ("#!\n", ""),
        ("#!/bin/sh", ""),
        ("#!/" + "x" * 300 + "\n", ""),
        ("#!{a}/self\n", "{a}/self"),
        ("\x7fELF", None),
        ("echo x\n", None),
    ],
)
def test_what_reads_a_script_is_told(places: Path, head: str, expected: str | None) -> None:
    folder = places / "a"
    stub(folder, "reader")
    script = folder / "self"
    script.write_text(head.replace("{a}", str(folder)))
    script.chmod(0o755)
    with script.open("rb") as file:
        found = interpreter_of(file.fileno(), str(places), f"{folder}:/usr/bin:/bin")
    wanted = expected and os.path.realpath(expected.replace("{a}", str(folder)))
    assert found == wanted


# `failgate run` of lines and scripts: their programs are told, and are the same when it starts.

LINE = "tool one && tool two"


def _stub(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "tool"
    path.write_text(f"#!/bin/sh\necho {text} >> made\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(environment: dict[str, str], work: Path) -> Path:
    """Return the folder above `first`, `second`, `third`, which lead the search path; `second` has the program."""
    places = ":".join(str(work / name) for name in ("first", "second", "third"))
    environment["PATH"] = f"{places}:{os.environ['PATH']}"
    _stub(work / "second", "good")
    return work


def test_the_files_of_a_line_are_told(failgate: Any, wire: Wire, machine: Path) -> None:
    done = failgate("run", "--", "sh", "-c", LINE)
    assert (done.returncode, (machine / "made").read_text()) == (0, "good\ngood\n"), done.stderr
    tool = machine / "second" / "tool"
    assert wire.of("/commands")[0]["command"]["programs"] == {
        "tool": {
            "path": os.path.realpath(tool), "sha256": hashlib.sha256(tool.read_bytes()).hexdigest(), "interpreter": os.path.realpath("/bin/sh"),
        }
    }  # fmt: skip
    failgate("run", "--", "tool")
    command = wire.of("/commands")[1]["command"]
    assert (command["programs"], command["exe"]["interpreter"]) == ({}, os.path.realpath("/bin/sh"))


@pytest.mark.parametrize("change", ["before", "bytes", "gone", "link", "behind"])
def test_a_program_of_a_line_that_changed_after_the_question_stops_it(
    failgate: Any, wire: Wire, machine: Path, change: str
) -> None:
    def swap() -> None:
        if change == "before":
            _stub(machine / "first", "evil")
        elif change == "bytes":
            _stub(machine / "second", "evil")
        elif change == "behind":
            _stub(machine / "third", "never")
        else:
            (machine / "second" / "tool").unlink()
            if change == "link":
                (machine / "second" / "tool").symlink_to(_stub(machine / "third", "evil"))

    wire.approve_after(swap)
    done = failgate("run", "--", "sh", "-c", LINE)
    if change == "behind":  # it is not what the name leads to
        assert (done.returncode, (machine / "made").read_text()) == (0, "good\ngood\n"), done.stderr
        return
    assert done.returncode == 76, done.stderr
    assert "line" in done.stderr
    assert not (machine / "made").exists()
    assert [told["digest"] for told in wire.of("/consume")] == ["another-call"]  # for the log


@pytest.mark.parametrize("planted", ["reader", "grep"])
def test_what_reads_a_script_or_is_started_by_it_stops_it_when_it_changed(
    failgate: Any, wire: Wire, machine: Path, planted: str
) -> None:
    script = machine / "second" / "script"
    script.write_text("#!/usr/bin/env reader\n")
    script.chmod(0o755)
    _stub(machine / "second", "good").rename(machine / "second" / "reader")

    def swap() -> None:
        _stub(machine / "first", "evil").rename(machine / "first" / planted)

    wire.approve_after(swap)
    done = failgate("run", "--", "script")
    assert done.returncode == 76, done.stderr
    assert ("script" if planted == "reader" else "programs start") in done.stderr
    assert not (machine / "made").exists()
