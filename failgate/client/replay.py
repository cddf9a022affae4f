"""`failgate report replay`: run what failed again, at its commit with its changes, and say whether it fails alike.

With a server configured the command goes through the gate like any other; without one it runs at once, as the person
who typed it asked for.
"""

import contextlib
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from failgate.client.cleaning import cleaned
from failgate.client.command import INJECTING
from failgate.client.environment import HARMLESS
from failgate.client.execution import Ended, execute
from failgate.client.keyring import home
from failgate.client.messages import Messages, inert
from failgate.client.options import Options
from failgate.client.output import Gap, Output
from failgate.client.redacting import open_scanner
from failgate.client.report_folder import LocalReport, artifact_bytes
from failgate.client.settings import DEFAULT_URL, Settings, load_settings
from failgate.client.tree import TAG, Source, Unreplayable, head_of, held_tree, redacted_in, repository_around
from failgate.failure.fingerprint import Fingerprint, fingerprint
from failgate.failure.plain import lines_of
from failgate.wire.reports import Manifest, ManifestArtifact

REPRODUCED: Final = "reproduced"
DIFFERENT: Final = "different"
PASSED: Final = "passed"
EXIT_CODES: Final = {REPRODUCED: 0, DIFFERENT: 3, PASSED: 4}
_RUN_HERE = ("command", "pytest")  # SARIF 2.1.0, 3.20.2: a program never executes what a log says was executed
_HELD = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Wish(NamedTuple):
    """What was asked: where the repository is, where the tree goes, what is tolerated."""

    here: Path
    into: Path | None = None
    is_in_place: bool = False
    is_kept: bool = False
    is_redacted_allowed: bool = False


class Seen(NamedTuple):
    """How the command ended, and its fingerprint."""

    exit_code: int
    signal: int | None
    print: Fingerprint


class Replayed(NamedTuple):
    """The verdict, what was expected and what was seen; `folder` is where, `way` how the tree was made.

    `exit_code` is that of the verdict; or, without a verdict, the gate's: nothing was executed.
    """

    verdict: str | None
    exit_code: int
    expected: Seen
    seen: Seen | None
    folder: str
    way: str

    def differences(self) -> list[str]:
        """Return what differs, in words."""
        if self.seen is None or self.verdict != DIFFERENT:
            return []
        pairs = (
            ("ended", self.expected.print.ended, self.seen.print.ended),
            ("error", self.expected.print.error, self.seen.print.error),
            ("frame", self.expected.print.frame, self.seen.print.frame),
        )
        return [f"{name}: {was or 'none'} -> {now or 'none'}" for name, was, now in pairs if was != now]


def replay(report: LocalReport, wish: Wish, messages: Messages) -> Replayed:
    """Replay `report`. Raises: Unreplayable, NotExecutable, and what the gate's client raises."""
    manifest = report.manifest
    if not manifest.argv:
        raise Unreplayable("The report names no command.", hint="It was made from another format.")
    if manifest.source not in _RUN_HERE:
        raise Unreplayable(
            f"The report was made of a document ({manifest.source}): what it says was called was not captured.",
            hint="Run it under failgate capture and replay that report.",
        )
    _check_redactions(report, wish)
    expected = _seen(manifest.exit_code, manifest.signal, manifest.argv, _output_of(report))
    with _stoppable(), _placed(report, wish) as (folder, way):
        messages.say("replaying", f"replaying in {inert(str(folder))} ({way})", folder=str(folder), way=way)
        ended, written, code = _run(manifest, folder, messages)
    if ended is None:
        return Replayed(None, code, expected, None, str(folder), way)
    seen = _seen(ended.exit_code, ended.signal, manifest.argv, _redacted(written))
    verdict = judged(expected, seen)
    if verdict != REPRODUCED and not wish.is_in_place:
        _tell_untracked(manifest, messages)
    return Replayed(verdict, EXIT_CODES[verdict], expected, seen, str(folder), way)


def judged(expected: Seen, seen: Seen) -> str:
    """Return the verdict: the same end and the same error is `reproduced`."""
    if seen.exit_code == 0:
        return PASSED
    is_same = (expected.exit_code, expected.signal) == (seen.exit_code, seen.signal)
    return REPRODUCED if is_same and expected.print[2:] == seen.print[2:] else DIFFERENT


def _tell_untracked(manifest: Manifest, messages: Messages) -> None:
    """Say which files were there and neither git nor the report has: the failure may have needed them."""
    status = manifest.git.status if manifest.git else []
    names = [inert(one.path) for one in status if one.state == "??"]
    if names and _only(manifest, "snapshot") is None:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        messages.say(
            "untracked", f"git did not know {shown} then, so the report has no copy (capture --snapshot keeps it)"
        )


def _check_redactions(report: LocalReport, wish: Wish) -> None:
    """Raise Unreplayable when something that the replay needs was redacted or cut."""
    manifest = report.manifest
    places = [f"argv[{place}]" for place, token in enumerate(manifest.argv) if TAG.search(token.encode())]
    diff = None if wish.is_in_place else _only(manifest, "diff")
    if diff is not None:
        if diff.truncated_bytes:
            raise Unreplayable(
                f"The captured changes are cut: {diff.truncated_bytes} bytes are left out.",
                hint="Replay it where it was captured: --in-place.",
            )
        with _file_of(report, diff).open("rb") as rows:
            places += [f"{diff.name}:{number}" for number, row in enumerate(rows, 1) if TAG.search(row)]
    if places and not wish.is_redacted_allowed:
        raise redacted_in(places)


@contextlib.contextmanager
def _placed(report: LocalReport, wish: Wish) -> Iterator[tuple[Path, str]]:
    """Give the folder in which the command runs, and how it came to be."""
    manifest = report.manifest
    repository = repository_around(wish.here)
    if wish.is_in_place:
        head = manifest.git.head if manifest.git else None
        is_same = head is not None and head_of(wish.here) == head
        top = repository or wish.here
        yield _folder_of(manifest, top, repository), "in place" if is_same else "in place, at another commit"
        return
    found = {kind: _only(manifest, kind) for kind in ("diff", "snapshot", "bundle")}
    files = {kind: _file_of(report, artifact) if artifact else None for kind, artifact in found.items()}
    head = manifest.git.head if manifest.git else None
    source = Source(wish.here, head, files["diff"], files["snapshot"], files["bundle"], wish.is_redacted_allowed)
    base = Path(home(os.environ)) / "replays"
    with held_tree(source, base, manifest.id, into=wish.into, is_kept=wish.is_kept) as tree:
        yield _folder_of(manifest, tree.folder, repository), tree.way


def _folder_of(manifest: Manifest, top: Path, repository: Path | None) -> Path:
    """Return the command's folder below `top`. Raises: Unreplayable (it is not there, or would lie outside)."""
    inside = manifest.git.folder if manifest.git else None
    if inside is None:
        is_ours = repository is not None and Path(manifest.cwd).is_relative_to(repository)
        inside = str(Path(manifest.cwd).relative_to(repository)) if is_ours and repository else "."
    folder = (top / inside).resolve()
    if not folder.is_relative_to(top.resolve()) or not folder.is_dir():
        raise Unreplayable(f"The command's folder {inert(inside)} is not in the tree.")
    return folder


def _run(manifest: Manifest, folder: Path, messages: Messages) -> tuple[Ended | None, Output, int]:
    """Run the command in `folder`; return how it ended (None: the gate did not let it), its output, the exit code."""
    captured = {
        name: value
        for name, value in manifest.environment.values.items()
        if (name in HARMLESS or name.startswith("LC_")) and name not in INJECTING and not TAG.search(value.encode())
    }
    before = dict(os.environ), Path.cwd()
    os.environ.update(captured)
    os.chdir(folder)
    os.environ["PWD"] = str(folder)
    try:
        settings = load_settings(os.environ)
        if _has_server(settings):
            return _run_through_gate(manifest, settings, messages, tuple(captured))
        return _run_here(manifest.argv)
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        os.chdir(before[1])


def _has_server(settings: Settings) -> bool:
    """Tell whether a server is configured: an address other than the default, or anything to speak with."""
    return settings.url != DEFAULT_URL or settings.token is not None or settings.tls.certificate is not None


def _run_through_gate(
    manifest: Manifest, settings: Settings, messages: Messages, names: tuple[str, ...]
) -> tuple[Ended | None, Output, int]:
    from failgate.client.run import ask_and_run

    ran: list[tuple[Ended, Output]] = []
    options = Options(manifest.argv, reason=f"replay of report {manifest.id}", env=names, is_json=messages.is_json)
    code = ask_and_run(options, settings, messages, lambda ended, output: ran.append((ended, output)))
    return (*ran[0], code) if ran else (None, Output(), code)


def _run_here(argv: Sequence[str]) -> tuple[Ended | None, Output, int]:
    from failgate.client.command import open_executable

    program = open_executable(argv[0], str(Path.cwd()), os.environ.get("PATH", os.defpath))
    output = Output()
    try:
        ended = execute(argv, path=program.path, environment=os.environ, descriptor=program.descriptor, output=output)
    finally:
        os.close(program.descriptor)
    return ended, output, ended.exit_code


def _seen(exit_code: int, number: int | None, argv: Sequence[str], output: bytes) -> Seen:
    return Seen(exit_code, number, fingerprint(argv, exit_code, number, lines_of(output)))


def _redacted(output: Output) -> bytes:
    """Return the output as a capture would have kept it."""
    found = cleaned(output.pieces(), open_scanner(os.environ), Counter())
    return b"".join(b"\n" if isinstance(piece, Gap) else piece.content for piece in found)


def _output_of(report: LocalReport) -> bytes:
    found = _only(report.manifest, "output")
    return artifact_bytes(report, found) if found is not None else b""


def _only(manifest: Manifest, kind: str) -> ManifestArtifact | None:
    return next((one for one in manifest.artifacts if one.kind == kind), None)


def _file_of(report: LocalReport, artifact: ManifestArtifact) -> Path:
    """Return the file of `artifact` once its bytes are those of the manifest. Raises: Unreplayable."""
    path = (report.folder / artifact.sha256).resolve()
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise Unreplayable(f"The artifact {artifact.name!a} is missing: {error.strerror}.") from error
    if digest != artifact.sha256:
        raise Unreplayable(f"The artifact {artifact.name!a} was changed after its capture.")
    return path


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let a signal to end unwind this process, so that the tree is removed."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in _HELD if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def document(report: LocalReport, done: Replayed) -> dict[str, Any]:
    """Return what `--json` prints."""

    def side(seen: Seen | None) -> dict[str, Any] | None:
        if seen is None:
            return None
        return {
            "exit_code": seen.exit_code,
            "signal": seen.signal,
            "error": seen.print.error,
            "frame": seen.print.frame,
        }

    return {
        "report": report.manifest.id,
        "verdict": done.verdict,
        "differences": done.differences(),
        "expected": side(done.expected),
        "seen": side(done.seen),
        "folder": done.folder,
        "way": done.way,
        "commit": report.manifest.git.head if report.manifest.git else None,
    }
