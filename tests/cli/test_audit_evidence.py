"""`failgate audit evidence`, beside a running server and without one. E7 B10"""

import re
from pathlib import Path

import pytest

from failgate.evidence.packs import PACKS
from tests.handmade import verify
from tests.journeys.harness import Server, failgate

PASSWORD = "a long and plain passphrase"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Server:
    server = Server(tmp_path_factory.mktemp("packed") / "data").start()
    server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    yield server
    server.stop()


def evidence(server: Server, out: Path, *options: str, pack: str = "approvals", workspace: str = "acme"):
    given = ("--workspace", workspace, "--pack", pack, "--out", str(out), "--data", str(server.data))
    return failgate("audit", "evidence", *given, *options)


def exported(server: Server, tmp_path: Path) -> str:
    """Return the log of the workspace as it is exported."""
    path = tmp_path / "log"
    made = failgate("audit", "export", "--workspace", "acme", "--output", str(path), "--data", str(server.data))
    assert made.returncode == 0, made.stderr
    return b"".join(one.read_bytes() for one in sorted(path.glob("entries/**/*")) if one.is_file()).decode("latin-1")


def test_a_pack_is_made_beside_a_server_and_without_one_and_is_on_record(server: Server, tmp_path: Path) -> None:
    for number, pack in enumerate(PACKS):
        if number == 1:
            assert server.stop() == 0
        out = tmp_path / f"{pack.id}.tar"
        made = evidence(server, out, pack=pack.id)
        assert made.returncode == 0, made.stderr
        assert f"failgate-verify evidence {out}" in made.stdout
        assert out.stat().st_mode & 0o077 == 0
        assert verify("evidence", out)["exit_code"] == 0
    if len(PACKS) == 1:
        assert server.stop() == 0
        assert evidence(server, tmp_path / "offline.tar").returncode == 0
    server.start()
    log = exported(server, tmp_path)
    for pack in PACKS:
        assert re.search(
            rf'"act":"audit.exported","actor":{{[^}}]*"t":"operator"}},"data":{{[^}}]*"kind":"{pack.id}"', log
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--from", "2199-01-01"], "no record in this period"),
        (["--until", "1999-01-01"], "no record in this period"),
        (["--from", "2026-01-02", "--until", "2026-01-01"], "not before --until"),
        (["--from", "yesterday"], "is no time"),
        (["--until", "2026-13-01"], "is no time"),
    ],
)  # fmt: skip
def test_a_period_that_cannot_be_had_is_a_clear_error_and_leaves_nothing(server, tmp_path, options, sentence) -> None:
    refused = evidence(server, tmp_path / "pack.tar", *options)
    assert refused.returncode == 2, refused.stderr
    assert sentence in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_and_what_is_not_there_are_clear_errors(server: Server, tmp_path: Path) -> None:
    (tmp_path / "there.tar").touch()
    for out, pack, workspace, sentence in (
        ("there.tar", "approvals", "acme", "is there already"),
        ("no/pack.tar", "approvals", "acme", "There is no folder"),
        ("new.tar", "approvals", "nowhere", "no workspace"),
        ("new.tar", "everything", "acme", "Invalid value for '--pack'"),
    ):
        refused = evidence(server, tmp_path / out, pack=pack, workspace=workspace)
        assert refused.returncode in {1, 2}
        assert sentence in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there.tar"]
