"""`failgate audit`, beside a running server and without one."""

import asyncio
import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.journeys.harness import Server, failgate

PASSWORD = "a long and plain passphrase"


@pytest.fixture
def stopped(tmp_path: Path) -> Server:
    """A server that worked a little and stopped."""
    server = Server(tmp_path / "data").start()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "status")
    assert server.stop() == 0
    return server


def test_an_intact_log_is_exit_code_0(stopped: Server) -> None:
    verified = stopped.verify("--gate", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_checkpoint_kept_elsewhere_refuses_a_shorter_log(stopped: Server, tmp_path: Path) -> None:
    """P2: whoever holds an old checkpoint detects a rollback."""
    note = tmp_path / "note"
    printed = failgate("audit", "checkpoint", "--log", "acme", "--data", str(stopped.data))
    assert printed.returncode == 0, printed.stderr
    note.write_text(printed.stdout)
    assert stopped.verify("--against", str(note)).returncode == 0
    connection = sqlite3.connect(stopped.data / "failgate.sqlite")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DELETE FROM audit_record WHERE position = (SELECT MAX(position) FROM audit_record)")
    connection.commit()
    connection.close()
    assert stopped.verify("--against", str(note)).returncode == 1


def test_without_what_lies_beside_the_database_the_verdict_is_incomplete(stopped: Server) -> None:
    """Exit code 3: nothing is wrong in it, and nothing outside it vouches for its length."""
    (stopped.data / "audit.heads.json").unlink()
    found = stopped.verify()
    assert found.returncode == 3
    assert "audit.heads.json is missing" in found.stdout
    assert "incomplete" in found.stdout


def test_an_edited_rule_is_named(stopped: Server) -> None:
    """E28: the allowlist file was edited while the server was down."""
    database = next((stopped.data / "plugins" / "allowlist").glob("*.sqlite"))
    connection = sqlite3.connect(database)
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%rule%'"
    table = connection.execute(query).fetchone()[0]
    connection.execute(f"UPDATE {table} SET argv = replace(argv, 'status', 'push')")
    connection.commit()
    connection.close()
    found = stopped.verify("--gate")
    assert found.returncode == 1
    assert "rule" in found.stdout
    stopped.start()
    assert stopped.stop() == 0


def test_a_missing_database_and_an_unreadable_note_are_clear_refusals(stopped: Server, tmp_path: Path) -> None:
    missing = failgate("audit", "verify", "--data", str(tmp_path / "nothing"))
    assert missing.returncode == 78
    assert "no database" in missing.stderr
    wrong = stopped.verify("--against", str(tmp_path / "absent"))
    assert wrong.returncode == 2
    assert "cannot be read" in wrong.stderr


def test_a_damaged_database_file_is_tampered_not_a_traceback(stopped: Server) -> None:
    path = stopped.data / "failgate.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 12] = b"\xff" * 4096 * 10
    path.write_bytes(content)
    found = stopped.verify()
    assert found.returncode == 1, found.stdout + found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_what_a_receiver_lost_is_named_beside_the_running_server(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """B11: one that accepts and loses."""
    engine = request.getfixturevalue("postgres_server") if database == "postgres" else None
    url = asyncio.run(engine.migrated()) if engine is not None else None
    server = Server(tmp_path / "data", database_url=url, config='[audit]\nexporters = ["jsonl"]\n').start()
    try:
        server.admin(
            "bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD
        )
        arrived = server.data / "plugins" / "jsonl" / "audit.jsonl"
        deadline = time.monotonic() + 20
        while b'"workspace.created"' not in arrived.read_bytes() or b'"exporter.enabled"' not in arrived.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        lines = [line for line in arrived.read_bytes().splitlines(keepends=True) if b'"log":"system"' in line]
        kept = tmp_path / "kept.log"

        def compared(content: list[bytes], *more: str) -> tuple[int, str]:
            kept.write_bytes(b"".join(content))
            options = ("--data", str(server.data), "--config", str(server.config))
            ran = failgate("audit", "exported", str(kept), *options, *more)
            return ran.returncode, ran.stdout + ran.stderr

        assert compared(lines) == (0, f"system: all {len(lines)} records are there\n")
        assert compared(lines[:1] + lines[2:])[0] == 3
        assert "1 of" in compared(lines[:1] + lines[2:])[1]
        code, said = compared(lines[:2], "--exporter", "jsonl")
        assert (code, "missing: 2 to" in said) == (3, True)
        code, said = compared([lines[0].replace(b'"out":"ok"', b'"out":"no"')], "--json")
        assert (code, json.loads(said)["logs"][0]["differing"]) == (1, [0])
        assert "has delivered nothing here" in compared(lines, "--exporter", "absent")[1]
        kept.unlink()
        assert failgate("audit", "exported", str(kept), "--data", str(server.data)).returncode != 0
    finally:
        server.stop()
        if engine is not None:
            asyncio.run(engine.drop(url))


def test_rows_and_records_are_compared_beside_a_server_and_without_one(stopped: Server) -> None:
    place = ("--data", str(stopped.data), "--config", str(stopped.config))
    good = failgate("audit", "reconcile", *place)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "rows compared with the audit log, 0 differences" in good.stdout
    connection = sqlite3.connect(stopped.data / "failgate.sqlite")
    connection.execute("UPDATE membership SET role = 'reviewer'")
    connection.commit()
    connection.close()
    found = failgate("audit", "reconcile", "--json", *place)
    [one] = json.loads(found.stdout)["differences"]
    assert (found.returncode, one["kind"]) == (1, "member")
    assert "it is reviewer, and its records say owner" in one["sentence"]
    stopped.start()
    try:
        beside = failgate("audit", "reconcile", *place)
        assert (beside.returncode, "its records say owner" in beside.stdout) == (1, True)
        assert [line for line in stopped.logs if "audit.contradicted" in line]
    finally:
        stopped.stop()
