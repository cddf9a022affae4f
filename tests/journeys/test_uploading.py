"""A report goes up over a line that breaks, twice at once, and is shared from the command line: real processes. # F2 F13"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from failgate.base.ids import new_id
from tests.journeys import team
from tests.journeys.harness import Server, old_path
from tests.journeys.laptop import LARGE_BYTES, Laptop, Line
from tests.journeys.team import WHERE, apart, program, stranger
from tests.postgres import PostgresServer

GROWTH_KIB = 16 * 1024


Shop = tuple[Server, httpx.Client, Laptop]


@contextmanager
def opened(folder: Path, database_url: str | None) -> Iterator[Shop]:
    with team.served(Server(folder / "data", database_url=database_url)) as server:
        key = team.found_acme(server)["api_key"]
        line = Line(server)
        with program(server, key) as client:
            yield server, client, Laptop(folder, key, line)
        line.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("uploading"), None) as shop:
        yield shop


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def either(
    request: pytest.FixtureRequest,
    shop: Shop,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """The shop, and another one on the other database: what breaks off there is found again there."""
    if request.param == "sqlite":
        yield shop
        return
    url = apart(postgres_server.migrated())
    with opened(tmp_path_factory.mktemp("postgres"), url) as other:
        yield other
    apart(postgres_server.drop(url))


def sealed(client: httpx.Client, manifest_id: str) -> list[str]:
    """Return the states of the reports of this manifest."""
    items = client.get(f"{WHERE}/reports").json()["items"]
    return [
        one["state"]
        for one in items
        if client.get(f"{WHERE}/reports/{one['id']}").json()["manifest"]["id"] == manifest_id
    ]


def test_an_upload_goes_on_after_the_line_broke_and_sends_nothing_twice(either: Shop) -> None:
    _, client, laptop = either
    name = laptop.report()
    before = laptop.line.carried
    laptop.line.cut_after = [4 << 20, 8 << 20]
    code, said, heard = laptop.run("upload", name, "--yes")
    assert (code, said.startswith(f"{laptop.line.url}/w/acme/reports/")) == (0, True), heard
    assert heard.count("Trying again in") == 2
    assert heard.count("output.txt is uploaded") == 1
    assert heard.count("core.bin is uploaded") == 1
    assert sealed(client, name) == ["sealed"]
    assert laptop.line.carried - before < LARGE_BYTES + (14 << 20)


def test_killed_in_the_middle_and_given_again_makes_one_report(either: Shop) -> None:
    _, client, laptop = either
    name = laptop.report()
    before = laptop.line.carried
    process = laptop.start("upload", name, "--yes")
    deadline = time.monotonic() + 60
    while laptop.line.carried - before < 2 << 20 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    code, _, heard = laptop.run("upload", name, "--yes")
    assert code == 0, heard
    assert sealed(client, name) == ["sealed"]
    code, _, _ = laptop.run("upload", name, "--yes")
    assert (code, sealed(client, name)) == (0, ["sealed"])


def test_a_server_killed_in_the_middle_of_an_upload_takes_the_rest_when_it_is_back(either: Shop) -> None:
    server, client, laptop = either
    name = laptop.report()
    objects = server.data / "plugins" / "filesystem"
    before = {path.name for path in objects.rglob("*") if path.is_file()}
    carried = laptop.line.carried
    process = laptop.start("upload", name, "--yes")
    deadline = time.monotonic() + 60
    while laptop.line.carried - carried < 4 << 20 and time.monotonic() < deadline:
        time.sleep(0.005)
    server.kill()
    assert process.poll() is None
    server.arguments = ("--listen", server.url.rpartition("/")[2])
    server.start(60)
    _, heard = process.communicate(timeout=120)
    assert process.returncode == 0, heard
    assert "Trying again in" in heard
    assert sealed(client, name) == ["sealed"]
    after = {path.name for path in objects.rglob("*") if path.is_file()}
    assert len(after - before) == 2, "what was half is swept"
    assert server.verify().returncode == 0


def test_two_uploads_at_once_make_one_report(either: Shop) -> None:
    _, client, laptop = either
    name = laptop.report()
    both = [laptop.start("upload", name, "--yes", "--json") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert json.loads(said[0][0])["id"] == json.loads(said[1][0])["id"]
    assert sealed(client, name) == ["sealed"]


def test_what_the_workspace_holds_already_is_not_sent(shop: Shop) -> None:
    _, client, laptop = shop
    name = laptop.report()
    assert laptop.run("upload", name, "--yes")[0] == 0
    folder = laptop.folder / ".failgate" / "reports"
    again = new_id()
    document = json.loads((folder / name / "manifest.json").read_bytes()) | {"id": again}
    (folder / again).mkdir()
    for path in (folder / name).iterdir():
        if path.suffix != ".json":
            os.link(path, folder / again / path.name)
    (folder / again / "manifest.json").write_text(json.dumps(document))
    before = laptop.line.carried
    assert laptop.run("upload", again, "--yes")[0] == 0
    assert laptop.line.carried - before < 64 * 1024
    assert sealed(client, again) == ["sealed"]


def test_memory_does_not_grow_with_the_artifact(shop: Shop, tmp_path: Path) -> None:
    """96 MiB more in the artifact, and less than 16 MiB more in the client, and in the server; so it is coming back."""
    server, client, laptop = shop
    assert server.process is not None
    code = (
        "import resource, sys; from failgate.cli.main import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    peaks = []
    for size_bytes in (1 << 20, 97 << 20):
        name = laptop.report(size_bytes)
        before = peak_from_now(server.process.pid)
        done = subprocess.run(
            [sys.executable, "-c", code, "report", "upload", name, "--yes"],
            env=laptop.environment, cwd=laptop.folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] - peaks[0] < GROWTH_KIB, peaks
    grown = [peak(server.process.pid) - before]
    url = json.loads((laptop.folder / ".failgate" / "reports" / name / "uploaded.json").read_bytes())["id"]
    digest = next(
        one["sha256"]
        for one in client.get(f"{WHERE}/reports/{url}").json()["artifacts"]
        if one["size_bytes"] == 97 << 20
    )
    before = peak_from_now(server.process.pid)
    with client.stream("GET", f"{WHERE}/reports/{url}/artifacts/{digest}") as answer:
        assert sum(len(piece) for piece in answer.iter_raw()) == 97 << 20
    grown.append(peak(server.process.pid) - before)
    assert max(grown) < GROWTH_KIB, grown


def peak_from_now(pid: int) -> int:
    """Let the peak of a process begin now; return what it holds, in KiB. Source: proc(5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def peak(pid: int) -> int:
    return next(
        int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    )


def test_a_report_is_reviewed_uploaded_shared_listed_and_deleted_from_the_command_line(shop: Shop) -> None:
    server, client, laptop = shop
    laptop.report(1 << 16)
    code, said, heard = laptop.run("review", "--exclude", "core.bin", "--redact", "1 failed", "--yes", "--json")
    assert code == 0, heard
    described = json.loads(said)
    assert [one["name"] for one in described["artifacts"]] == ["output.txt"]
    assert described["artifacts"][0]["findings"] == {"by-hand": 1}
    assert laptop.run("share", described["id"])[0] != 0  # not uploaded yet
    code, said, _ = laptop.run("upload", described["id"], "--yes", "--json")
    uploaded = json.loads(said)["id"]
    code, link, heard = laptop.run(
        "share", described["id"], "--expires", "12h", "--passphrase-stdin", "--artifact", "output.txt",
        stdin="four words in a row\n",
    )  # fmt: skip
    assert (code, "/link#fg_shr_" in link) == (0, True), heard
    with stranger(server) as guest:
        answer = guest.get(old_path(link), follow_redirects=True)
        assert (answer.status_code, "passphrase" in answer.text) == (200, True)
    for wrong in ("7w", "0", "-1d", "91d"):
        assert laptop.run("share", described["id"], f"--expires={wrong}")[0] != 0
    assert laptop.run("share", described["id"], "--artifact", "nothing")[0] != 0
    assert uploaded in laptop.run("list", "--remote")[1]
    assert "output.txt" in laptop.run("show", uploaded, "--remote")[1]
    code, _, heard = laptop.run("delete", described["id"], "--remote", "--yes")
    assert (code, "audit log" in heard) == (0, True), heard
    assert client.get(f"{WHERE}/reports/{uploaded}").status_code == 404
    with stranger(server) as guest:
        assert guest.get(old_path(link)).status_code == 404
