"""Reports that lie on the server, used on another machine: replayed in another folder, told to the agent who ran them.

F2 F4 F5 F21 B5.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from failgate.base.ids import new_id
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, failgate
from tests.journeys.team import WHERE, program

CHECK = "echo 'prices are read'\necho \"error: no price for $(cat item.txt)\" >&2\nexit 3\n"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@t.example", *arguments], cwd=folder, check=True)


@dataclass
class Place:
    """A server; a project whose failure an agent uploaded; who else asks."""

    server: Server
    project: Path
    home: Path
    report: str
    tokens: dict[str, str]

    def run(self, who: str, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
        environment = {
            "FAILGATE_URL": self.server.url,
            "FAILGATE_TOKEN": self.tokens[who],
            "FAILGATE_WORKSPACE": "acme",
        }
        return failgate(*arguments, cwd=cwd, env=environment | {"FAILGATE_HOME": str(self.home / who)})


@pytest.fixture(scope="module")
def place(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("remote")
    project = folder / "shop"
    project.mkdir()
    (project / "check.sh").write_text(CHECK)
    (project / "item.txt").write_text("tea\n")
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-qm", "prices")
    (project / "item.txt").write_text("coffee\n")
    with team.served(Server(folder / "data", database_url=new_database())) as server:
        tokens = {"owner": team.found_acme(server)["api_key"]}
        for name in ("builder", "other"):
            tokens[name] = team.admin(server, "agent.create", workspace="acme", name=name)["token"]
        server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "sh", "check.sh")
        made = Place(server, project, folder / "homes", "", tokens)
        assert (
            made.run("builder", "capture", "--snapshot", "--bundle", "--", "sh", "check.sh", cwd=project).returncode
            == 3
        )
        sent = made.run("builder", "report", "upload", "--yes", "--json", cwd=project)
        made.report = json.loads(sent.stdout)["id"]
        yield made


def replayed(place: Place, folder: Path, *more: str, name: str | None = None) -> tuple[int, dict[str, Any], str]:
    """Replay the report as its owner who never had it on this machine, in `folder`."""
    done = place.run("owner", "report", "replay", "--remote", "--json", *more, name or place.report, cwd=folder)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_a_failing_project_is_reproduced_from_the_server_in_a_clone_through_the_gate(
    place: Place, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", str(place.project), "clone")
    code, answer, said = replayed(place, tmp_path / "clone")
    assert (code, answer.get("verdict"), answer.get("way")) == (0, "reproduced", "worktree"), said
    assert answer["seen"]["error"] == "error: no price for coffee", "with the changes that were captured"
    assert (tmp_path / "clone" / "item.txt").read_text() == "tea\n"
    with program(place.server, place.tokens["owner"]) as owner:
        newest = owner.get(f"{WHERE}/commands").json()["items"][0]
    assert newest["state"] == "executed"
    assert list((place.home / "owner" / "downloads").iterdir()) == [], "nothing of it stays here"


def test_an_empty_folder_is_enough_when_the_report_holds_the_history(place: Place, tmp_path: Path) -> None:
    code, answer, said = replayed(place, tmp_path)
    assert (code, answer.get("verdict"), answer.get("way")) == (0, "reproduced", "bundle"), said


def test_a_foreign_report_is_a_missing_one_and_nothing_runs(place: Place, tmp_path: Path) -> None:
    code, answer, said = replayed(place, tmp_path, name=new_id())
    assert (code, answer) == (65, {})
    assert "There is no report" in said
    done = place.run("other", "report", "replay", "--remote", place.report, cwd=tmp_path)
    assert done.returncode == 78, "an agent reads contexts alone"
    assert "role does not allow" in done.stderr


def test_an_agent_is_told_its_own_failure_and_no_other(place: Place, tmp_path: Path) -> None:
    done = place.run("builder", "report", "context", "--remote", "--budget", "1k", place.report, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "error: no price for coffee" in done.stdout
    assert len(done.stdout.encode()) <= 4000
    paths = {name: f"{WHERE}/reports/{name}/context" for name in (place.report, new_id())}
    with program(place.server, place.tokens["other"]) as other:
        foreign, missing = (other.get(path) for path in paths.values())
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
    with program(place.server, place.tokens["builder"]) as builder:
        assert builder.get(f"{WHERE}/reports/{place.report}").status_code == 403
        assert builder.get(f"{WHERE}/reports").status_code == 403
    with program(place.server, place.tokens["owner"]) as owner:
        records = owner.get(f"{WHERE}/audit/records?limit=1000").json()["records"]
    readers = [one["record"]["actor"]["t"] for one in records if one["record"]["act"] == "report.read"]
    assert "agent" in readers, "the reading is on record"


def test_what_is_deleted_is_gone_for_everybody(place: Place, tmp_path: Path) -> None:
    assert place.run("owner", "report", "delete", "--remote", "--yes", place.report, cwd=tmp_path).returncode == 0
    assert replayed(place, tmp_path)[0] == 65
    done = place.run("builder", "report", "context", "--remote", place.report, cwd=tmp_path)
    assert done.returncode == 78
    assert "nothing here" in done.stderr
