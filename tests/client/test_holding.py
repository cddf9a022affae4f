"""What was approved runs, whoever rewrites, renames or relinks its files meanwhile. P4; SECURITY section 4."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from failgate.client import holding
from failgate.client.command import build_call, check_unchanged, close_call
from failgate.client.copies import hold
from failgate.client.execution import Ended, Way, execute
from failgate.client.exits import ClientError
from failgate.client.output import Output, Piece
from tests.client.test_run import runs
from tests.client.wire_server import Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="holds by the kernel of Linux")

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
TRIES = int(os.environ.get("FAILGATE_TEST_TRIES", "8"))  # of each of the twelve ways
APPROVED, OTHER = "echo approved >> made\n", "echo OTHER >> made\n"
_FLIPPER = """
import os, sys
how, place, first, second = sys.argv[1:]
texts = [open(name, "rb").read() for name in (first, second)]
folder, swaps, turn = os.path.dirname(place), 0, 0
while True:
    swaps, turn = swaps + 1, turn ^ 1
    os.pwrite(1, b"%d" % swaps, 0)
    if how == "in place":
        try:
            with open(place, "r+b") as stream:
                stream.write(texts[turn].ljust(max(map(len, texts)), b"\\n"))
        except OSError:  # it is being executed
            pass
    elif how == "renamed over":
        with open(place + ".new", "wb") as stream:
            stream.write(texts[turn])
        os.chmod(place + ".new", 0o755)
        os.rename(place + ".new", place)
    elif how == "link":
        os.symlink((first, second)[turn], place + ".new")
        os.rename(place + ".new", place)
    else:
        os.rename(folder, folder + ".away")
        os.rename(folder + ".other", folder)
        os.rename(folder + ".away", folder + ".other")
"""


@contextmanager
def flipped(how: str, place: Path, first: Path, second: Path) -> Iterator[None]:
    """Let another process put both files in the place, in turn and as fast as it can."""
    command = [sys.executable, "-I", "-c", _FLIPPER, how, str(place), str(first), str(second)]
    with (first.parent / "swaps").open("wb") as swaps:
        other = subprocess.Popen(command, stdout=swaps)
    try:
        yield
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def arranged(work: Path, how: str, first: bytes, second: bytes) -> tuple[Path, Path, Path]:
    """Put both programs down; return the place that is flipped, and them."""
    place = work / "scripts" / "d"
    other = work / "scripts.other" / "d"
    paths = (work / "first", work / "second")
    size = max(len(first), len(second)) if how == "in place" else 0
    for path, text in zip(paths, (first, second), strict=True):
        path.write_bytes(text.ljust(size, b"\n"))
        path.chmod(0o755)
    for path, source in ((place, paths[0]), (other, paths[1])):
        path.parent.mkdir()
        if how == "link":
            path.symlink_to(source)
        else:
            shutil.copy(source, path)
    return place, *paths


def ran(argv: list[str], work: Path, way: Way = "pipes", while_approved: Callable[[], None] | None = None) -> Ended:
    """Do what `failgate run` does between the approval and the end."""
    call = build_call(argv, ENVIRONMENT, folder=str(work))
    try:
        if while_approved is not None:
            while_approved()
        check_unchanged(call)
        return execute(
            call.argv, path=call.executable.path, environment=call.environment, descriptor=call.executable.descriptor,
            folder=call.folder, output=Output(), way=way, held=hold(call),
        )  # fmt: skip
    finally:
        close_call(call)


def programs(kind: str) -> tuple[list[str], bytes, bytes]:
    """Return a command and the two contents of `scripts/d`."""
    if "binary" in kind:
        touch, true = (Path(os.path.realpath(f"/usr/bin/{name}")).read_bytes() for name in ("touch", "true"))
        before = {"binary": [], "wrapped binary": ["env", "A=1", "nice"], "forked binary": ["timeout", "60"]}[kind]
        return [*before, "scripts/d", "bad"], true, touch  # what nobody approved leaves a file
    head = "#!/bin/sh\n" if kind in {"script", "wrapped script"} else ""
    before = {
        "operand": ["sh"],
        "wrapped operand": ["nice", "env", "A=1", "sh"],
        "wrapped script": ["env"],
        "forked": ["timeout", "60", "sh"],
    }.get(kind, [])
    argv = ["sh", "-c", "sh scripts/d x"] if kind == "line" else [*before, "scripts/d"]
    return argv, (head + APPROVED).encode(), (head + OTHER).encode()


@pytest.mark.parametrize("how", ["in place", "renamed over", "link", "folder"])
@pytest.mark.parametrize(
    "kind",
    [
        "binary",
        "script",
        "operand",
        "wrapped binary",
        "wrapped script",
        "wrapped operand",
        "line",
        "forked",
        "forked binary",
    ],
)
def test_of_swaps_as_fast_as_they_go_none_is_executed(tmp_path: Path, kind: str, how: str) -> None:
    """The digest that counts is that of the moment of asking; only asking for the first content is approved here."""
    argv, first, second = programs(kind)
    place, *both = arranged(tmp_path, how, first, second)
    tried = executed = 0
    until = time.monotonic() + 120  # as long as the busiest machine takes
    with flipped(how, place, *both):
        while tried < TRIES and time.monotonic() < until:
            try:
                call = build_call(argv, ENVIRONMENT, folder=str(tmp_path))
            except ClientError:
                continue
            try:
                told = _approved_of(call.command)
                if told != _digest(both[0]):
                    continue  # nobody would approve this one
                tried += 1
                held = hold(call)
                executed += execute(
                    call.argv, path=call.executable.path, environment=call.environment,
                    descriptor=call.executable.descriptor, folder=call.folder, held=held,
                ).is_held  # fmt: skip
            except ClientError:
                continue
            finally:
                close_call(call)
    assert tried == TRIES
    assert int((tmp_path / "swaps").read_text()) > 84  # a thousand in all
    made = (tmp_path / "made").read_text() if (tmp_path / "made").exists() else ""
    assert "OTHER" not in made
    assert not (tmp_path / "bad").exists()
    assert "binary" in kind or made.count("approved") == executed


def _approved_of(command: dict[str, Any]) -> str:
    """Return the digest of what runs in the end."""
    return str(command.get("script", command["programs"].get("scripts/d", command["exe"]))["sha256"])


def _digest(path: Path) -> str:
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["script", "operand", "binary"])
@pytest.mark.parametrize("how", ["in place", "renamed over"])
def test_failgate_run_executes_what_was_approved_or_nothing(
    failgate: Any, wire: Wire, work: Path, kind: str, how: str
) -> None:
    argv, first, second = programs(kind)
    place, *both = arranged(work, how, first, second)
    before = 0
    with flipped(how, place, *both):
        for _ in range(3):
            done = failgate(*runs(*argv))
            told = wire.of("/commands")[-1]["command"]
            approved = told.get("script", told["exe"])["sha256"] == _digest(both[0])
            lines = (work / "made").read_text().split() if (work / "made").exists() else []
            if kind == "binary":
                assert not (approved and (work / "bad").exists())
                (work / "bad").unlink(missing_ok=True)
            else:
                new = lines[before:]
                assert new in ([["approved"], []] if approved else [["OTHER"], []]) or done.returncode == 76
            before = len(lines)


@pytest.mark.parametrize("way", ["pipes", "shared", "own"])
def test_a_script_sees_its_own_name_and_the_files_beside_it(tmp_path: Path, way: Way) -> None:
    (tmp_path / "lib.sh").write_text("hello() { echo hello > made; }\n")
    script = tmp_path / "d.sh"
    script.write_text(
        '#!/bin/bash\nsource "$(dirname "$0")/lib.sh"\nsource "$(dirname "${BASH_SOURCE[0]}")/lib.sh"\nhello\n'
        'cd "$(dirname "$0")/.." && pwd > "$OLDPWD/parent"\n[[ "${BASH_SOURCE[0]}" == "$0" ]] && exit 7\n'
    )
    script.chmod(0o755)
    for argv in (["./d.sh"], ["bash", "d.sh"], [str(script)]):
        ended = ran(argv, tmp_path, way)
        assert (ended.exit_code, ended.is_held) == (7, True)
        assert (tmp_path / "made").read_text() == "hello\n"
        assert (tmp_path / "parent").read_text() == f"{tmp_path.parent}\n"


@pytest.mark.parametrize("line", [["./d.py"], [sys.executable, "d.py"], [sys.executable, "-I", "sub/../d.py"]])
def test_python_imports_what_lies_beside_the_script(tmp_path: Path, line: list[str]) -> None:
    (tmp_path / "beside.py").write_text("X = 7\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "d.py").write_text(
        f"#!{sys.executable}\nimport os, sys\nsys.path[:0] = [os.path.dirname(__file__)]\nimport beside\n"
        "assert os.path.samefile(__file__, 'd.py')\nsys.exit(beside.X)\n"
    )
    (tmp_path / "d.py").chmod(0o755)
    assert ran(line, tmp_path).exit_code == 7


def test_a_script_that_runs_on_is_traced_no_longer_than_it_begins(tmp_path: Path) -> None:
    """What a program with set-user-ID is executed by must not be traced, or it would lack its rights."""
    script = tmp_path / "d.sh"
    script.write_text("#!/bin/sh\ngrep TracerPid /proc/self/status > child\nexec grep TracerPid /proc/self/status\n")
    script.chmod(0o755)
    output = Output()
    call = build_call(["./d.sh"], ENVIRONMENT, folder=str(tmp_path))
    execute(
        call.argv, path=call.executable.path, environment=call.environment, descriptor=call.executable.descriptor,
        folder=call.folder, output=output, way="pipes", held=hold(call),
    )  # fmt: skip
    close_call(call)
    assert (tmp_path / "child").read_text().split() == ["TracerPid:", "0"]
    assert b"".join(piece.content for piece in output.pieces() if isinstance(piece, Piece)) == b"TracerPid:\t0\n"


def test_a_signal_ends_a_held_script(tmp_path: Path) -> None:
    script = tmp_path / "d.sh"
    script.write_text("#!/bin/sh\nkill -TERM $$\nsleep 9\n")
    script.chmod(0o755)
    ended = ran(["./d.sh"], tmp_path)
    assert ended.signal == signal.SIGTERM


def test_another_argument_in_the_first_line_is_another_command(tmp_path: Path) -> None:
    """The kernel reads the first line of what lies there then: the same interpreter, told something else."""
    script = tmp_path / "d"
    script.write_text("#!/bin/sh\n" + APPROVED)
    script.chmod(0o755)
    call = build_call(["./d"], ENVIRONMENT, folder=str(tmp_path))
    held = hold(call)
    script.write_text("#!/bin/sh -x\n" + OTHER)
    with pytest.raises(ClientError, match="changed as it began"):
        execute(
            call.argv, path=call.executable.path, environment=call.environment, descriptor=call.executable.descriptor,
            folder=call.folder, held=held,
        )  # fmt: skip
    close_call(call)
    assert not (tmp_path / "made").exists()


def test_where_nobody_may_trace_the_script_runs_by_its_path_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "_SEIZE", 0x7FFF)  # a request that the kernel refuses
    script = tmp_path / "d.sh"
    script.write_text("#!/bin/sh\nexit 7\n")
    script.chmod(0o755)
    ended = ran(["./d.sh"], tmp_path)
    assert (ended.exit_code, ended.is_held) == (7, False)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing: install nodejs, as .ci/run does")
@pytest.mark.parametrize("name", ["d.js", "d.mjs"])
def test_what_node_reads_is_held_or_said_not_to_be(tmp_path: Path, name: str) -> None:
    """A common script is opened by the first task; which one opens a module is node's own business."""
    (tmp_path / name).write_text("process.exitCode = 7;\n")
    ended = ran([shutil.which("node") or "", name], tmp_path)
    assert ended.exit_code == 7
    assert ended.is_held or name == "d.mjs"


def test_a_script_that_its_interpreter_does_not_open_is_not_called_held(tmp_path: Path) -> None:
    (tmp_path / "d.sh").write_text("exit 7\n")
    ended = ran(["bash", "--version", "d.sh"], tmp_path)
    assert (ended.exit_code, ended.is_held) == (0, False)


@pytest.mark.parametrize("before_end", [1, 2, 20, 4095, 4096])
def test_a_name_that_crosses_the_end_of_a_page_is_read_whole(tmp_path: Path, before_end: int) -> None:
    memory, name = tmp_path / "memory", b"/src/app/" + b"d" * 40 + b".sh"
    memory.write_bytes(bytes(8192 - before_end) + name + b"\0" + b"x" * 5000)
    with memory.open("r+b", buffering=0) as stream:
        assert holding._text_at(stream, 8192 - before_end) == name


def test_a_name_at_the_end_of_what_is_there_is_read_so_far(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.write_bytes(bytes(4090) + b"/d.sh\0")
    with memory.open("r+b", buffering=0) as stream:
        assert holding._text_at(stream, 4090) == b"/d.sh"
        assert holding._text_at(stream, 4095) == b""
