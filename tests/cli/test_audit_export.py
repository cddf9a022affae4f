"""`failgate audit export` and `failgate audit proof`, beside a running server and without one. E3 B10"""

import base64
import json
import re
import sqlite3
import tarfile
from pathlib import Path

import pytest

from failgate.audit.checkpoint import Verifier, open_checkpoint
from failgate.audit.tree import leaf_hash, push, root_of, verify_inclusion
from tests.journeys.harness import Server, failgate

PASSWORD = "a long and plain passphrase"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Server:
    """A server that runs, with a log of more than two tiles."""
    server = Server(tmp_path_factory.mktemp("exported") / "data").start()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    from tests.journeys.team import admin

    for number in range(560):
        admin(server, "allow.add", workspace="acme", kind="exact", argv=["git", str(number)])
    yield server
    server.stop()


def export(server: Server, output: Path, *options: str, workspace: str = "acme"):
    return failgate(
        "audit", "export", "--workspace", workspace, "--output", str(output), "--data", str(server.data), *options
    )


def leaves_of(content: bytes) -> list[bytes]:
    leaves = []
    while content:
        length = int.from_bytes(content[:2], "big")
        leaves.append(content[2 : 2 + length])
        content = content[2 + length :]
    return leaves


def test_a_bundle_leads_to_the_signed_root(server: Server, tmp_path: Path) -> None:
    made = export(server, tmp_path / "folder")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "folder"
    head = open_checkpoint((folder / "checkpoint").read_text(), [Verifier.parse((folder / "vkey").read_text())])
    peaks, seq, before = (), 0, bytes(32)
    for path in [*sorted(folder.glob("entries/???")), *folder.glob("entries/???.p/*")]:
        for leaf in leaves_of(path.read_bytes()):
            record = json.loads(leaf)
            assert (record["seq"], record["prev"]) == (seq, base64.urlsafe_b64encode(before).decode().rstrip("="))
            before = leaf_hash(leaf)
            peaks, seq = push(peaks, seq, before), seq + 1
    assert (seq, root_of(peaks)) == (head.size, head.root)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["first"], manifest["last"], manifest["size"]) == (0, seq - 1, seq)
    assert manifest["tool"].startswith("failgate ")
    assert (folder / "tile" / "0" / "000").read_bytes()[:32] == leaf_hash(
        leaves_of((folder / "entries" / "000").read_bytes())[0]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "checkpoint").stat().st_mode & 0o077 == 0


def test_a_tar_holds_the_same(server: Server, tmp_path: Path) -> None:
    assert export(server, tmp_path / "folder").returncode == 0
    assert export(server, tmp_path / "bundle.tar").returncode == 0
    with tarfile.open(tmp_path / "bundle.tar") as archive:
        names = archive.getnames()
        assert names[:3] == ["manifest.json", "vkey", "checkpoint"]
        found = {name: archive.extractfile(name).read() for name in names if name.startswith("entries/0")}
    assert found
    for name, content in found.items():
        if (tmp_path / "folder" / name).exists():  # the log may have grown in between
            assert (tmp_path / "folder" / name).read_bytes() == content


def test_a_period_holds_its_records_their_neighbours_and_the_hashes_of_all_others(
    server: Server, tmp_path: Path
) -> None:
    assert export(server, tmp_path / "all").returncode == 0
    times = []
    for path in [*sorted((tmp_path / "all").glob("entries/???")), *(tmp_path / "all").glob("entries/???.p/*")]:
        times += [json.loads(leaf)["ts"] for leaf in leaves_of(path.read_bytes())]
    made = export(server, tmp_path / "part", "--from", times[300], "--to", times[400])
    assert made.returncode == 0, made.stderr
    manifest = json.loads((tmp_path / "part" / "manifest.json").read_text())
    assert (manifest["first"], manifest["last"]) == (times.index(times[300]), times.index(times[400]) - 1)
    assert [path.name for path in (tmp_path / "part" / "entries").iterdir()] == ["001"]
    hashes = (tmp_path / "part" / "tile" / "1" / "000.p" / "2").read_bytes()
    assert len(hashes) == 64
    assert (
        len(next((tmp_path / "part" / "tile" / "0" / "002.p").iterdir()).read_bytes()) == (manifest["size"] - 512) * 32
    )


def test_a_proof_carries_its_record(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "record.tlog-proof"
    made = failgate(
        "audit", "proof", "--workspace", "acme", "--seq", "300", "--output", str(path), "--data", str(server.data)
    )
    assert made.returncode == 0, made.stderr
    head, _, note = path.read_text().partition("\n\n")
    lines = head.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[2] == "index 300"
    leaf = base64.b64decode(lines[1].removeprefix("extra "))
    assert json.loads(leaf)["seq"] == 300
    signed = open_checkpoint(note, [Verifier.parse(vkey(server, tmp_path))])
    verify_inclusion(leaf_hash(leaf), 300, signed.size, [base64.b64decode(line) for line in lines[3:]], signed.root)


def vkey(server: Server, tmp_path: Path) -> str:
    assert export(server, tmp_path / "forkey").returncode == 0
    return (tmp_path / "forkey" / "vkey").read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--from", "2199-01-01"], "no record in this period"),
        (["--to", "1999-01-01"], "no record in this period"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "not before --to"),
        (["--from", "yesterday"], "is no time"),
        (["--from", "0001-01-01T00:00:00+23:59"], "is no time"),
        (["--to", "2026-13-01"], "is no time"),
        (["--to", "20260101"], "is no time"),
    ],
)  # fmt: skip
def test_a_period_that_cannot_be_had_is_a_clear_error_and_leaves_nothing(server, tmp_path, options, sentence) -> None:
    refused = export(server, tmp_path / "bundle", *options)
    assert refused.returncode == 2, refused.stderr
    assert sentence in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_and_what_is_not_there_are_clear_errors(server: Server, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there.tar").symlink_to("nowhere")
    for output, workspace, sentence in (
        ("there", "acme", "is there already"),
        ("there.tar", "acme", "is there already"),
        ("no/folder", "acme", "There is no folder"),
        ("new", "nowhere", "no workspace"),
        ("new", "../acme", "no workspace"),
    ):
        refused = export(server, tmp_path / output, workspace=workspace)
        assert refused.returncode == (1 if workspace != "acme" else 2)
        assert re.search(sentence, refused.stderr), refused.stderr
        assert "Traceback" not in refused.stderr
    proof = failgate(
        "audit",
        "proof",
        "--workspace",
        "acme",
        "--seq",
        "99999",
        "--output",
        str(tmp_path / "p"),
        "--data",
        str(server.data),
    )
    assert proof.returncode == 2
    assert "has no record 99999" in proof.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "there.tar"]


def test_a_database_that_lost_a_record_exports_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    assert server.stop() == 0
    assert export(server, tmp_path / "intact").returncode == 0  # without a server
    connection = sqlite3.connect(server.data / "failgate.sqlite")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    number = connection.execute("SELECT number FROM audit_head WHERE log != 'system'").fetchone()[0]
    connection.execute("DELETE FROM audit_record WHERE position = ?", (number << 40,))
    connection.commit()
    connection.close()
    refused = export(server, tmp_path / "bundle.tar")
    assert refused.returncode != 0
    assert re.search("differs from its first|missing in the database", refused.stderr), refused.stderr
    assert not [path for path in tmp_path.iterdir() if "bundle" in path.name]
    server.stop()
