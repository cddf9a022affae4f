"""`failgate backup` and `failgate restore`, beside a running server, killed and on a full disk. B12."""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.harness import Server, clean_environment, failgate

PASSWORD = "a long and plain passphrase"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data").start()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "status")
    yield server
    server.kill()


def at(server: Server) -> tuple[str, ...]:
    return "--data", str(server.data), "--config", str(server.config)


def acts(data: Path) -> list[str]:
    shown = failgate("audit", "verify", "--data", str(data), "--json")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    import sqlite3

    connection = sqlite3.connect(data / "failgate.sqlite")
    rows = connection.execute("SELECT leaf FROM audit_record ORDER BY position").fetchall()
    connection.close()
    return [json.loads(leaf)["act"] for (leaf,) in rows]


def test_a_running_server_is_backed_up_and_goes_on_elsewhere(server: Server, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text(PASSWORD + "\n")
    made = failgate("backup", str(tmp_path / "b"), "--seal-keys", str(tmp_path / "passphrase"), "--json", *at(server))
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert [answer["keys"], answer["warnings"]] == ["sealed", []]
    doctor = failgate("doctor", "--json", *at(server))
    checks = {check["name"]: check for check in json.loads(doctor.stdout)["checks"]}
    assert [checks["backup"]["verdict"], checks["backup"]["sentence"]] == ["ok", "The last backup is 0 hours old."]
    assert checks["audit log"]["verdict"] == "ok"
    checked = failgate("restore", str(tmp_path / "b"), "--check", "--data", str(tmp_path / "none"))
    assert checked.returncode == 0, checked.stderr
    other = tmp_path / "other" / "data"
    restored = failgate("restore", str(tmp_path / "b"), "--passphrase", "-", "--data", str(other), stdin=PASSWORD)
    assert restored.returncode == 0, restored.stderr
    assert acts(other)[-1] == "backup.restored" or "backup.restored" in acts(other)
    shutil.copy(server.config, tmp_path / "other" / "data.toml")
    again = Server(other)
    again.start()
    try:
        assert again.admin("agent", "list", "--workspace", "acme") is not None
        assert again.verify("--gate").returncode == 0
    finally:
        assert again.stop() == 0
    assert server.stop() == 0
    assert [act for act in acts(server.data) if act.startswith("backup")] == ["backup.begun", "backup.made"]


def test_a_backup_without_a_server_and_one_in_the_way(server: Server, tmp_path: Path) -> None:
    assert server.stop() == 0
    made = failgate("backup", str(tmp_path / "b"), *at(server))
    assert made.returncode == 0, made.stderr
    assert "audit.key and secrets.key are NOT in it" in made.stderr
    taken = failgate("backup", str(tmp_path / "b"), *at(server))
    assert [taken.returncode, "is there already" in taken.stderr] == [1, True]
    nowhere = failgate("backup", str(tmp_path / "none" / "b"), *at(server))
    assert [nowhere.returncode, "cannot be written" in nowhere.stderr] == [1, True]
    nothing = failgate("backup", str(tmp_path / "c"), "--data", str(tmp_path / "nothing"))
    assert [nothing.returncode, "no Failgate" in nothing.stderr] == [78, True]
    running = Server(server.data).start()
    try:
        busy = failgate("restore", str(tmp_path / "b"), "--accept-rollback", *at(running))
        assert [busy.returncode, "Another Failgate server uses" in busy.stderr] == [78, True]
    finally:
        running.stop()


def limited(size_bytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that may write no file larger than that, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "failgate", *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes)),
    )


def test_a_full_disk_is_named_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    full = limited(300_000, "backup", str(tmp_path / "backups" / "b"), *at(server))
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert list((tmp_path / "backups").iterdir()) == []
    assert failgate("backup", str(tmp_path / "backups" / "b"), *at(server)).returncode == 0
    full = limited(300_000, "restore", str(tmp_path / "backups" / "b"), "--data", str(tmp_path / "other"))
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert {one.name for one in (tmp_path / "other").iterdir()} <= {"server.lock", "failgate.sqlite.lock"}


def killed(point: str, *arguments: str) -> bool:
    """Run a command that the kernel kills at a system call; tell whether it came that far."""
    call, _, number = point.partition(":")
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}", "-o", "/dev/null",
         sys.executable, "-m", "failgate", *arguments],
        env=clean_environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode != 0


needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is missing: install the package strace"
)


@needs_strace
@pytest.mark.parametrize("point", ["pwrite64:40", "linkat:1"])
def test_a_backup_that_is_killed_leaves_no_file(server: Server, tmp_path: Path, point: str) -> None:
    (tmp_path / "backups").mkdir()
    assert killed(point, "backup", str(tmp_path / "backups" / "b"), *at(server))
    assert list((tmp_path / "backups").iterdir()) == []
    assert failgate("backup", str(tmp_path / "backups" / "b"), *at(server)).returncode == 0


@needs_strace
@pytest.mark.parametrize("number", [3, 5, 8])
def test_a_restore_that_is_killed_starts_nothing_by_mistake_and_is_done_again(
    server: Server, tmp_path: Path, number: int
) -> None:
    """In place, over a folder that is ahead: at each rename it is as it was, or no server starts, or all is there."""
    assert failgate("backup", str(tmp_path / "b"), *at(server)).returncode == 0
    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "log")
    assert server.stop() == 0
    arguments = ("restore", str(tmp_path / "b"), "--accept-rollback", *at(server))
    assert killed(f"rename:{number}", *arguments)
    verified = server.verify()
    if verified.returncode == 0:
        assert "rollback.accepted" in acts(server.data) or "rule.created" in acts(server.data)[-6:]
    else:
        with pytest.raises(AssertionError, match="did not start"):
            Server(server.data).start()
        again = failgate("restore", str(tmp_path / "b"), *at(server))
        assert again.returncode == 78, "what was undone is known after the kill too"
    done = failgate(*arguments)
    assert done.returncode == 0, done.stderr
    assert "rollback.accepted" in acts(server.data)
    assert not [one for one in server.data.iterdir() if one.name.startswith((".restoring", ".rollback"))]
    server.start()
    assert server.stop() == 0


def test_an_upgrade_leaves_a_copy_for_the_way_back(server: Server) -> None:
    """SQLite migrates at the start: the database of before lies beside, and old copies go; also within one second."""
    import sqlite3

    assert server.stop() == 0
    before = server.data / "before-upgrade"
    assert not before.exists()  # a new database is no upgrade
    for _ in range(4):
        connection = sqlite3.connect(server.data / "failgate.sqlite")
        connection.execute("DROP TABLE backup_made")
        connection.execute("DELETE FROM schema_migration WHERE name = '0051_backups'")
        connection.commit()
        connection.close()
        server.start()
        assert server.stop() == 0
    copies = sorted(before.iterdir())
    assert len(copies) == 3
    connection = sqlite3.connect(copies[-1])
    assert connection.execute("SELECT count(*) FROM schema_migration WHERE name = '0051_backups'").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM account").fetchone() == (1,)
    connection.close()
    assert copies[-1].stat().st_mode & 0o777 == 0o600
