"""A server in a process of its own, killed while its witness cosigns: nothing is forked, and it goes on. B10 P2"""

import random
import time
from pathlib import Path

import pytest

from tests.journeys.going_back import kept
from tests.journeys.harness import Server, failgate
from tests.witnesses import Program

PASSWORD = "a long and plain passphrase"
ROUNDS = 2


@pytest.fixture
def witness(tmp_path: Path):
    one = Program(tmp_path / "witness").start()
    yield one
    one.kill()


def config(witness: Program) -> str:
    return (
        "[server]\nallow_loopback = true\n[audit]\n"
        'require_witness_within = "10s"\n'
        f'[audit.witnesses.w1]\nurl = "{witness.url}"\nvkey = "{witness.vkey}"\n'
    )


def cosigned(witness: Program, log: str) -> int:
    return next((size for origin, size, _ in witness.opened.cosigned() if origin.endswith(f"/log/{log}")), 0)


def until(condition, seconds: float = 30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_server_that_is_killed_meanwhile_is_never_taken_for_a_fork(database_url, witness, tmp_path):
    server = Server(tmp_path / "data", database_url=database_url, config=config(witness))
    chance = random.Random(7)
    try:
        server.start()
        server.admin("bootstrap", "--email", "o@x.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
        place = ("--data", str(server.data), "--config", str(server.config))
        made = failgate("audit", "export", "--workspace", "acme", "--output", str(tmp_path / "export"), *place)
        assert made.returncode == 0, made.stderr
        key = (tmp_path / "export" / "vkey").read_text()
        [said] = server.admin("witness", "try")["witness"]
        assert (said["name"], said["state"]) == ("w1", "failed")
        assert "trust" in said["said"] or "did not cosign" in said["said"]
        witness.trust(key)
        [said] = server.admin("witness", "try")["witness"]
        assert (said["name"], said["state"]) == ("w1", "cosigned"), said
        assert cosigned(witness, "system")
        for number in range(ROUNDS):
            server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", f"a{number}")
            time.sleep(chance.random())
            server.kill()
            server.start()
        server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "last")
        checked = failgate("audit", "checkpoint", "--log", "acme", *place)
        size = int(checked.stdout.split("\n")[1])
        workspace = checked.stdout.split("\n")[0].rpartition("/")[2]
        until(lambda: cosigned(witness, workspace) >= size)
        assert not [line for line in server.logs if "witness.contradicted" in line]
        found = failgate("audit", "verify", *place)
        assert found.returncode == 0, found.stdout
        by_hand = ("audit", "witness", "--workspace", "acme", "--url", witness.url, "--vkey", witness.vkey)
        done = failgate(*by_hand, "--output", str(tmp_path / "note"), *place)
        assert done.returncode == 0, done.stderr
        other = failgate(*by_hand[:-1], key.strip(), "--output", str(tmp_path / "other"), *place)
        assert (other.returncode, "is not a witness's Ed25519 key" in other.stderr) == (2, True)
    finally:
        server.kill()


def test_a_database_that_is_put_back_with_its_sidecar_is_an_alarm(database_url, witness, tmp_path, request):
    """Everything of this machine says that all is well; the witness alone remembers."""
    server = Server(tmp_path / "data", database_url=database_url, config=config(witness))
    try:
        server.start()
        server.admin("bootstrap", "--email", "o@x.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
        place = ("--data", str(server.data), "--config", str(server.config))
        failgate("audit", "export", "--workspace", "acme", "--output", str(tmp_path / "export"), *place)
        witness.trust((tmp_path / "export" / "vkey").read_text())
        assert server.stop() == 0
        put_back = kept(server, database_url, request)
        server.start()
        for number in range(3):
            server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", f"a{number}")
        size = int(failgate("audit", "checkpoint", "--log", "acme", *place).stdout.split("\n")[1])
        workspace = failgate("audit", "checkpoint", "--log", "acme", *place).stdout.split("\n")[0].rpartition("/")[2]
        until(lambda: cosigned(witness, workspace) >= size)
        server.kill()
        put_back()
        server.start()
        until(lambda: [line for line in list(server.logs) if "witness.contradicted" in line])
        said = failgate("doctor", "--json", *place)
        assert said.returncode == 1
        assert "saw another history" in said.stdout
    finally:
        server.kill()
