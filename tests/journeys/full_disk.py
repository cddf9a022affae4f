"""What `test_full_disk.py` runs on a small disk: `python -m tests.journeys.full_disk SCENARIO FOLDER`."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from contrib.campaigns.small_disk import MIB, ROOT, Ballast
from tests.journeys import team
from tests.journeys.harness import Server, clean_environment
from tests.journeys.team import WHERE, program
from tests.journeys.test_bad_input import consented, manifest

PAGE = 4096
CONFIG = '[plugins.filesystem]\nreserve = "1KiB"\n\n[database]\nreserve = "2MiB"\n'


def begun(client: httpx.Client, content: bytes) -> str:
    """Begin a report that names `content` as a file; return where it is sent."""
    digest = hashlib.sha256(content).hexdigest()
    entry = {"name": "core", "kind": "file", "media_type": "application/octet-stream", "size_bytes": len(content)}
    body = consented(manifest(b"", artifacts=[entry | {"sha256": digest}]))
    answer = client.post(f"{WHERE}/reports", json=body)
    assert answer.status_code == 201, answer.text
    return f"{WHERE}/reports/{answer.json()['id']}/artifacts/{digest}"


def is_refused_for_space(answer: httpx.Response) -> bool:
    """Tell whether `answer` is the problem of a storage that took nothing, and says so."""
    problem = answer.json() if answer.status_code == 503 else {}
    is_told = "space" in problem.get("detail", "") + problem.get("hint", "") and "request_id" in problem
    return problem.get("type") == "urn:failgate:error:storage-unavailable" and is_told


def objects(disk: Path) -> list[Path]:
    """Return the files of the artifact store, finished or not."""
    return [path for path in (disk / "data" / "plugins" / "filesystem").rglob("*") if path.is_file()]


def serving(disk: Path) -> None:
    """Uploads and changes that do not fit are refused whole, reading goes on, and so does all when space is back."""
    server = Server(disk / "data", config=CONFIG)
    try:
        key = team.found_acme(server.start(60))["api_key"]
        with program(server, key) as client:
            uploads(disk, client)
            changes(disk, client)
        assert server.verify().returncode == 0
        assert server.stop() == 0
    finally:
        server.kill()


def uploads(disk: Path, client: httpx.Client) -> None:
    """What does not fit leaves nothing; what fits is taken before and after."""
    small, large, later = os.urandom(MIB), os.urandom(20 * MIB), os.urandom(2 * MIB)
    path = begun(client, small)
    assert client.put(path, content=small).status_code == 200
    large_path = begun(client, large)
    answer = client.put(large_path, content=large)
    assert is_refused_for_space(answer), answer.text
    assert [file.stat().st_size for file in objects(disk)] == [MIB]
    assert client.get(large_path).status_code == 404
    later_path = begun(client, later)
    ballast = Ballast(disk)
    ballast.fill(left=MIB)
    answer = client.put(later_path, content=later)
    assert is_refused_for_space(answer), answer.text
    assert client.get(path).content == small
    ballast.release()
    assert client.put(later_path, content=later).status_code == 200
    assert client.get(later_path).content == later


def changes(disk: Path, client: httpx.Client) -> None:
    """A page more is free for each change that is tried: it is taken whole or refused whole."""
    ballast, taken, refused = Ballast(disk), 0, 0
    for pages in range(16):
        ballast.fill(left=pages * PAGE)
        answer = client.post(f"{WHERE}/agents", json={"name": f"agent-{pages}"})
        assert answer.status_code == 201 or is_refused_for_space(answer), answer.text
        taken, refused = taken + (answer.status_code == 201), refused + (answer.status_code == 503)
        assert client.get(f"{WHERE}/reports").status_code == 200
    assert refused > 0
    ballast.fill()
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)
    ballast.release()
    assert client.post(f"{WHERE}/agents", json={"name": "later"}).status_code == 201
    assert client.get("/readyz").status_code == 200
    names = [one["name"] for one in client.get(f"{WHERE}/agents").json()["items"]]
    assert len(names) == taken + 1, names


def denying(disk: Path) -> None:
    """On a full disk a denial and a withdrawal are kept and recorded, an approval is not; other work waits for room."""
    server = Server(disk / "data", config=CONFIG)
    try:
        team.found_acme(server.start(60))
        token = team.admin(server, "agent.create", workspace="acme", name="agent")["token"]
        reviewer = team.person(server, "reviewer", "reviewer")
        with program(server, token) as agent, team.sign_in(server, reviewer) as person:
            views = [team.ask(agent, "make", str(number), ttl_seconds=3600) for number in range(20)]
            ballast = Ballast(disk)
            ballast.fill()
            assert is_refused_for_space(team.vote(person, views[0]))
            for view in views[:15]:
                denied = team.vote(person, view, "deny")
                assert (denied.status_code, denied.json().get("state")) == (200, "denied"), denied.text
            cancelled = agent.post(f"{WHERE}/commands/{views[15]['id']}/cancel")
            assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled"), cancelled.text
            refused = team.vote(person, views[16])
            assert is_refused_for_space(refused), refused.text
            assert "MiB of space" in refused.text, refused.text
            assert agent.post(f"{WHERE}/commands", json=team.submission("ls")).status_code == 503
            assert (agent.get("/healthz").status_code, agent.get("/readyz").status_code) == (200, 503)
            server.kill()
            agent.base_url = person.base_url = person.headers["origin"] = server.start(60).url  # another port
            states = [agent.get(f"{WHERE}/commands/{view['id']}").json()["state"] for view in views]
            assert states == ["denied"] * 15 + ["cancelled"] + ["pending"] * 4
            ballast.release()
            assert team.vote(person, views[16]).status_code == 200
            assert agent.get("/readyz").status_code == 200
        assert server.verify().returncode == 0
        assert server.stop() == 0
    finally:
        server.kill()


def capture(disk: Path) -> None:
    """The command's output and exit code are its own; what was not kept is said, with the folder and the mend."""
    script = "for i in range(15000): print(i, 'words that fill the disk')\nraise SystemExit(7)"
    command = [sys.executable, "-m", "failgate", "capture", "--", sys.executable, "-c", script]
    environment = clean_environment(PYTHONPATH=f"{ROOT}", FAILGATE_HOME=str(disk / "home"), FAILGATE_UPLOAD="never")
    ballast = Ballast(disk)
    for left in (0, 64 * 1024):
        ballast.fill(left)
        done = subprocess.run(
            command, cwd=disk, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 7, done.stderr
        assert done.stdout.count("\n") == 15000
        assert "the report could not be kept" in done.stderr, done.stderr
        assert "No space left on device" in done.stderr, done.stderr
        assert str(disk) in done.stderr, done.stderr
        assert "free some space" in done.stderr, done.stderr
        reports = disk / ".failgate" / "reports"
        assert not reports.exists() or list(reports.iterdir()) == []
    ballast.release()
    done = subprocess.run(command, cwd=disk, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(list((disk / ".failgate" / "reports").iterdir()))) == (7, 1), done.stderr


SCENARIOS: dict[str, Callable[[Path], None]] = {"serving": serving, "denying": denying, "capture": capture}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
