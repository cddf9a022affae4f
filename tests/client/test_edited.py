"""`failgate run` when a reviewer approves the command in another form. B8 E12 P4"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.wire_server import ID, Wire, at, digest_of

OTHER = "01890000-0000-7000-8000-000000000002"


def edits(wire: Wire, *argv: str, state: str = "approved", **changes: Any) -> None:
    """Let the reviewers deny what is asked, and decide on `argv` in its place; `changes` are what the server lies."""

    def tamper(view: dict[str, Any]) -> dict[str, Any]:
        asked = wire.of("/commands")[0]["command"]
        digest = changes.get("digest", digest_of(asked | {"argv": list(argv)}))
        path = wire.seen[-1][1].partition("?")[0]
        if OTHER in path:
            now = "executed" if path.endswith("/consume") else "cancelled" if path.endswith("/cancel") else state
            is_no = now == "denied"
            verdict = {
                "id": OTHER, "digest": digest, "decision": "deny" if is_no else "approve", "decided_at": at(0),
                "use_by": at(60), "by": ["rita@example.org"], "policy": "q", "note": None, "wants_changes": False,
            }  # fmt: skip
            command = asked | {"argv": list(argv)}
            found = dict(view, id=OTHER, digest=digest, state=now, verdict=verdict, edits=ID, command=command)
            return found | changes.get("other", {})
        if not view.get("verdict"):
            return view
        edited = {"id": OTHER, "digest": digest, "argv": changes.get("argv", list(argv))}
        verdict = dict(view["verdict"], decision="deny", wants_changes=True, edited=changes.get("edited", edited))
        return dict(view, state="denied", verdict=verdict)

    wire.state, wire.tamper = "denied", tamper


def used(wire: Wire) -> list[str]:
    return [path for method, path, _ in wire.seen if path.endswith("/consume")]


def test_by_itself_nothing_runs_and_the_message_says_how_it_would(failgate: Any, wire: Wire, work: Path) -> None:
    edits(wire, "touch", "other file")
    done = failgate("run", "--", "touch", "made")
    assert done.returncode == 77
    assert "who approves it in another form: touch 'other file'" in done.stderr
    assert f"to run that form: failgate run --edited {OTHER} -- touch 'other file'" in done.stderr
    assert sorted(one.name for one in work.iterdir() if "made" in one.name or "other" in one.name) == []
    assert used(wire) == []
    done = failgate("run", "--json", "--", "touch", "made")
    assert '"edited": {"id"' in done.stderr


def test_what_is_told_is_inert(failgate: Any, wire: Wire) -> None:
    edits(wire, "touch", "a\x1b[31m\u202eb")
    done = failgate("run", "--", "touch", "made")
    assert "\x1b" not in done.stderr
    assert "<U+001B>[31m<U+202E>b" in done.stderr


@pytest.mark.parametrize("way", ["option", "setting"])
def test_who_accepts_edits_runs_the_edited_command_and_uses_its_approval(
    failgate: Any, wire: Wire, work: Path, environment: dict[str, str], way: str
) -> None:
    edits(wire, "touch", "other file")
    if way == "setting":
        home = Path(environment["FAILGATE_HOME"])
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "client.toml").write_text("accept_edits = true\n")
    done = failgate("run", *(["--accept-edits"] if way == "option" else []), "--", "touch", "made")
    assert done.returncode == 0, done.stderr
    assert (work / "other file").exists()
    assert not (work / "made").exists()
    assert "a reviewer edited it: touch 'other file'" in done.stderr
    (path,) = used(wire)
    assert OTHER in path
    asked = wire.of("/commands")[0]["command"]
    digest = digest_of(asked | {"argv": ["touch", "other file"]})
    assert wire.of("/consume") == [{"digest": digest}]
    assert wire.of("/outcome")[0]["digest"] == digest


LIES: dict[str, dict[str, Any]] = {
    "another digest": {"digest": "A" * 43},
    "another program": {"argv": ["rm", "other"]},
    "other arguments than were approved": {"argv": ["touch", "more"]},
    "no arguments": {"argv": []},
    "arguments that are no texts": {"argv": ["touch", 1]},
    "an id that is a path": {"edited": {"id": "../x", "digest": "A" * 43, "argv": ["touch", "other"]}},
    "no edit": {"edited": []},
    "an approval of what was asked": {"other": {"id": ID}},
    "an approval with another digest": {"other": {"digest": "A" * 43}},
    "no verdict": {"other": {"verdict": None}},
}


@pytest.mark.parametrize("case", LIES)
def test_an_edit_that_does_not_fit_executes_nothing(failgate: Any, wire: Wire, work: Path, case: str) -> None:
    edits(wire, "touch", "other", **LIES[case])
    done = failgate("run", "--accept-edits", "--", "touch", "made")
    assert done.returncode in (76, 77), done.stderr
    assert [one.name for one in work.iterdir() if one.name in {"made", "other", "more"}] == []
    assert used(wire) == []


@pytest.mark.parametrize(("state", "code"), [("denied", 77), ("expired", 75), ("cancelled", 77), ("executed", 76)])
def test_an_edit_that_is_not_approved_executes_nothing(
    failgate: Any, wire: Wire, work: Path, state: str, code: int
) -> None:
    edits(wire, "touch", "other", state=state)
    assert failgate("run", "--accept-edits", "--", "touch", "made").returncode == code
    assert not (work / "other").exists()


def test_edits_that_never_end_are_not_followed_for_ever(failgate: Any, wire: Wire, work: Path) -> None:
    edits(wire, "touch", "made")
    again = wire.tamper

    def endless(view: dict[str, Any]) -> dict[str, Any]:
        found = again(view)
        edited = {"id": OTHER, "digest": found["digest"], "argv": ["touch", "made"]}
        verdict = dict(found["verdict"], decision="deny", wants_changes=True, edited=edited, id=found["id"])
        return dict(found, state="denied", verdict=verdict)

    wire.tamper = endless
    assert failgate("run", "--accept-edits", "--", "touch", "made").returncode == 77
    assert not (work / "made").exists()


def test_a_line_may_leave_programs_out_and_names_no_other(failgate: Any, wire: Wire, work: Path) -> None:
    edits(wire, "sh", "-c", "touch other")
    done = failgate("run", "--accept-edits", "--", "sh", "-c", "touch made && ls")
    assert done.returncode == 0, done.stderr
    assert (work / "other").exists()
    wire.seen.clear()
    edits(wire, "sh", "-c", "mkdir other2")
    done = failgate("run", "--accept-edits", "--", "sh", "-c", "touch made && ls")
    assert done.returncode == 76
    assert "starts 'mkdir', whose file was not attested" in done.stderr
    assert not (work / "other2").exists()


def test_a_program_that_changes_meanwhile_is_not_executed(failgate: Any, wire: Wire, work: Path) -> None:
    program = work / "deploy"
    program.write_text("#!/bin/sh\ntouch $1\n")
    program.chmod(0o755)
    edits(wire, "./deploy", "other")
    again: Callable[[dict[str, Any]], dict[str, Any]] = wire.tamper

    def swap(view: dict[str, Any]) -> dict[str, Any]:
        if OTHER in wire.seen[-1][1]:
            program.write_text("#!/bin/sh\ntouch swapped\n")
        return again(view)

    wire.tamper = swap
    done = failgate("run", "--accept-edits", "--", "./deploy", "made")
    assert done.returncode == 76
    assert not (work / "other").exists()
    assert not (work / "swapped").exists()


def test_the_form_that_was_told_is_asked_for_by_its_request(
    failgate: Any, wire: Wire, work: Path, environment: dict[str, str]
) -> None:
    edits(wire, "touch", "other")
    assert failgate("run", "--", "touch", "made").returncode == 77
    for argv in (["touch", "made"], ["touch", "other", "more"], ["mkdir", "other"]):
        done = failgate("run", "--edited", OTHER, "--", *argv)
        assert done.returncode == 76
        assert "differs in: argv" in done.stderr
    before = dict(environment)
    environment["TZ"] = "Pacific/Apia"
    assert "differs in: env" in failgate("run", "--edited", OTHER, "--", "touch", "other").stderr
    environment.clear()
    environment.update(before)
    assert used(wire) == []
    done = failgate("run", "--edited", OTHER, "--", "touch", "other")
    assert done.returncode == 0, done.stderr
    assert (work / "other").exists()
    assert len(used(wire)) == 1
    assert len(wire.of("/commands")) == 1, "nothing is asked anew"


def test_a_request_that_is_no_edit_is_not_taken_up(failgate: Any, wire: Wire, work: Path) -> None:
    edits(wire, "touch", "other", other={"edits": None})
    failgate("run", "--", "touch", "made")
    done = failgate("run", "--edited", OTHER, "--", "touch", "other")
    assert done.returncode == 76
    assert "no edited command" in done.stderr
    assert failgate("run", "--edited", "../x", "--", "touch", "other").returncode == 2
    assert not (work / "other").exists()
