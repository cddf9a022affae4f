"""`failgate audit witness` against the witness of tools/failgate-witness, over a real socket. B10 P2"""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from failgate_witness import Witness, WitnessServer, make_witness, read_key

from tests.handmade import verify
from tests.journeys.harness import Server, failgate

PASSWORD = "a long and plain passphrase"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data").start()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    yield server
    server.stop()


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[WitnessServer]:
    make_witness(tmp_path / "witness", "witness.example/w1")
    with WitnessServer(("127.0.0.1", 0), Witness(tmp_path / "witness")) as watching:
        thread = threading.Thread(target=watching.serve_forever)
        thread.start()
        yield watching
        watching.shutdown()
        thread.join()


def ask(server: Server, watching: WitnessServer, output: Path, *options: str):
    url = f"http://127.0.0.1:{watching.server_address[1]}/"
    place = ("--workspace", "acme", "--url", url, "--output", str(output), "--data", str(server.data))
    return failgate("audit", "witness", *(*place, *options))


def vkey(server: Server, folder: Path) -> str:
    made = failgate("audit", "export", "--workspace", "acme", "--output", str(folder), "--data", str(server.data))
    assert made.returncode == 0, made.stderr
    return (folder / "vkey").read_text()


def test_heads_are_cosigned_as_the_log_grows_and_a_rollback_is_found(server, watching, tmp_path) -> None:
    refused = ask(server, watching, tmp_path / "early")
    assert refused.returncode != 0
    assert "404" in refused.stderr
    key = vkey(server, tmp_path / "export")
    watching.witness.trust(read_key(key), is_installation=True)
    for number in range(4):
        note = tmp_path / f"note{number}"
        done = ask(server, watching, note)
        assert done.returncode == 0, done.stderr
        wanted = ("policy", note, "--vkey", key, "--witness", "1/1", watching.witness.key.vkey)
        assert verify(*wanted)["exit_code"] == 0
        for word in range(number):
            server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", f"{number}-{word}")
    [(_, size, _)] = watching.witness.cosigned()
    assert size == int((tmp_path / "note3").read_text().split("\n")[1])
    assert ask(server, watching, tmp_path / "note3").returncode == 2, "it is there already"

    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "last")
    assert ask(server, watching, tmp_path / "newest").returncode == 0
    assert server.stop() == 0
    connection = sqlite3.connect(server.data / "failgate.sqlite")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    (number,) = connection.execute("SELECT number FROM audit_head WHERE log != 'system'").fetchone()
    connection.execute("DELETE FROM audit_record WHERE position >> 40 = ?", (number,))
    connection.execute(
        "UPDATE audit_head SET size = 0, peaks = x'', last_hash = zeroblob(32) WHERE number = ?", (number,)
    )
    connection.commit()
    connection.close()
    (server.data / "audit.heads.json").unlink()  # who cuts the log off and knows of the sidecar
    server.arguments = ["--accept-rollback"]
    server.start()
    rolled = ask(server, watching, tmp_path / "after")
    assert rolled.returncode == 1, rolled.stderr
    assert "another history" in rolled.stderr
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize(
    "url",
    ["http://witness.example", "ftp://localhost", "https://", "x", "https://h:99999", "https://a@h/", "https://h/?q"],
)
def test_an_address_that_is_none_is_a_clear_error(tmp_path, url) -> None:
    refused = failgate(
        "audit",
        "witness",
        "--workspace",
        "acme",
        "--url",
        url,
        "--output",
        str(tmp_path / "x"),
        "--data",
        str(tmp_path),
    )
    assert refused.returncode == 2
    assert "is no witness's" in refused.stderr
