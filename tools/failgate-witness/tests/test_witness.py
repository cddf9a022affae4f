"""The witness over real sockets, by the words of C2SP tlog-witness. B10"""

import base64
import http.client
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from failgate_witness import MOST_BYTES, Witness, WitnessServer, continues, main, make_witness, read_key

from tests.handmade import Operator, consistency, leaf_hash, make_leaves, tree_root, verify

NAME = "witness.example/w1"


def body(operator: Operator, leaves: list[bytes], old: int, size: int) -> bytes:
    hashes = [leaf_hash(leaf) for leaf in leaves[:size]]
    proof = consistency(hashes, old) if 0 < old < size else []
    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
    return f"old {old}\n{lines}\n{operator.note(leaves, size)}".encode()


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return make_leaves(80)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_witness(tmp_path / "witness", NAME)
    return tmp_path / "witness"


@pytest.fixture
def server(folder: Path) -> Iterator[WitnessServer]:
    witness = Witness(folder)
    witness.trust(read_key(Operator().vkey), is_installation=False)
    with WitnessServer(("127.0.0.1", 0), witness) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: WitnessServer, content: bytes, path: str = "/add-checkpoint", method: str = "POST", **headers: str):
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    connection.request(method, path, content if method == "POST" else None, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers["content-type"]


def test_a_log_that_grows_is_cosigned_and_a_verifier_believes_it(server, leaves, tmp_path):
    operator, old = Operator(), 0
    for size in (1, 2, 3, 8, 8, 21, 64, 80):
        status, line, _ = ask(server, body(operator, leaves, old, size))
        assert status == 200, line
        old = size
        note = tmp_path / "note"
        note.write_text(operator.note(leaves, size) + line)
        wanted = ("policy", note, "--vkey", operator.vkey, "--witness", "1/1", server.witness.key.vkey)
        assert verify(*wanted)["exit_code"] == 0
    status, kept, _ = ask(server, b"", f"/checkpoint/{operator.origin}", "GET")
    assert (status, kept) == (200, note.read_text())
    assert ask(server, b"", "/vkey", "GET")[1] == server.witness.key.vkey + "\n"


def test_what_is_not_known_or_not_signed_is_refused(server, leaves):
    assert ask(server, body(Operator(1, "another/log/x"), leaves, 0, 5))[0] == 404
    assert ask(server, body(Operator(2), leaves, 0, 5))[0] == 403
    good = body(Operator(), leaves, 0, 5).decode()
    assert ask(server, (good[:-8] + "AAAAAA==\n").encode())[0] == 403
    assert ask(server, good.replace("\n5\n", "\n6\n").encode())[0] == 403
    assert server.witness.cosigned() == []


def test_a_wrong_size_is_told_the_right_one(server, leaves):
    operator = Operator()
    assert ask(server, body(operator, leaves, 0, 20))[0] == 200
    for old, size in ((0, 30), (19, 30), (21, 30)):
        assert ask(server, body(operator, leaves, old, size)) == (409, "20\n", "text/x.tlog.size")
    assert ask(server, body(operator, leaves, 20, 30))[0] == 200
    assert ask(server, body(operator, leaves, 0, 20))[0] == 409, "it went back"


def test_another_history_gets_no_cosignature(server, leaves):
    operator = Operator()
    assert ask(server, body(operator, leaves, 0, 20))[0] == 200
    forged = [*leaves[:10], b"{}", *leaves[11:]]
    assert ask(server, body(operator, forged, 20, 30))[0] == 422
    assert ask(server, body(operator, forged, 20, 20))[0] == 409
    proof = body(operator, leaves, 20, 30)
    assert ask(server, proof.replace(b"\n", b"\n" + base64.b64encode(bytes(32)) + b"\n", 1))[0] == 422
    assert ask(server, b"old 20\n\n" + operator.note(leaves, 30).encode())[0] == 422
    assert [size for _, size, _ in server.witness.cosigned()] == [20]


@pytest.mark.parametrize(
    "content",
    [b"", b"old 0", b"old 0\n\n", b"old 00\n\nx\n1\ny\n\n", b"old -1\n\nx\n1\ny\n\nz\n", b"\xff" * 100, b"old 0\nAAAA\n\nx\n1\ny\n\nz\n",
     b"old " + b"9" * 5000 + b"\n\nx\n1\ny\n\nz\n", b"old 0\n" + b"A" * 44 + b"\n", b"old 0\n" + (base64.b64encode(bytes(32)) + b"\n") * 64 + b"\nx"],
)  # fmt: skip
def test_what_is_no_submission_is_400(server, content):
    assert ask(server, content)[0] == 400


def test_an_old_size_beyond_the_checkpoint_is_400(server, leaves):
    assert ask(server, body(Operator(), leaves, 9, 5))[0] == 400


def test_hostile_requests_end_with_an_answer(server, leaves):
    assert ask(server, b"x", **{"content-length": str(MOST_BYTES + 1)})[0] == 413
    assert ask(server, b"x", "/other")[0] == 404
    assert ask(server, b"", "/checkpoint/../../etc/passwd", "GET")[0] == 404
    with socket.create_connection(server.server_address) as raw:
        raw.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        assert b" 411 " in raw.recv(100)
    with socket.create_connection(server.server_address) as raw:
        raw.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\nold 0")
        raw.shutdown(socket.SHUT_WR)
        assert b" 400 " in raw.recv(100)
    assert ask(server, body(Operator(), leaves, 0, 5))[0] == 200


def test_of_many_at_once_one_history_is_cosigned(server, leaves):
    """The race of the specification: each is checked against what the one before it left."""
    operator = Operator()
    assert ask(server, body(operator, leaves, 0, 8))[0] == 200
    sizes = [*range(9, 40)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda size: (size, ask(server, body(operator, leaves, 8, size))[0]), sizes))
    won = [size for size, status in answers if status == 200]
    assert len(won) == 1
    assert {status for _, status in answers} == {200, 409}
    assert [size for _, size, _ in server.witness.cosigned()] == won


def test_an_installation_is_all_logs_of_its_key_and_no_other(folder, leaves):
    witness = Witness(folder)
    assert main(["--data", str(folder), "trust", "--installation", Operator(1, "failgate-test/log/system").vkey]) == 0
    assert witness.add_checkpoint(body(Operator(), leaves, 0, 5)).startswith(f"— {NAME} ")
    for origin in ("failgate-other/log/x", "failgate-test/log/a/log/b", "failgate-test/lo", "xfailgate-test/log/x"):
        with pytest.raises(Exception, match="not witnessed"):
            witness.add_checkpoint(body(Operator(1, origin), leaves, 0, 5))


def test_every_pair_of_sizes_is_decided_as_the_rfc_does(leaves):
    hashes = [leaf_hash(leaf) for leaf in leaves[:20]]
    for old in range(21):
        for new in range(old, 21):
            proof = consistency(hashes[:new], old) if 0 < old < new else []
            roots = tree_root(hashes[:old]), tree_root(hashes[:new])
            assert continues(old, new, proof, *roots)
            if old > 0:
                assert not continues(old, new, proof, bytes(32), roots[1])
                assert not continues(old, new, [*proof, bytes(32)], *roots)


def test_the_command_line_says_what_is_wrong(tmp_path, folder, capsys):
    data = ["--data", str(folder)]
    assert stat.S_IMODE((folder / "witness.key").stat().st_mode) == 0o600
    for wrong in (
        ["init", "again"],
        ["trust", "nonsense"],
        ["trust", Witness(folder).key.vkey],
        ["serve", "--listen", "x"],
    ):
        assert main([*data, *wrong]) == 2
        assert "failgate-witness: " in capsys.readouterr().err
    assert main(["--data", str(tmp_path / "none"), "list"]) == 2
    assert main(["--data", str(tmp_path / "new"), "init", "two words"]) == 2
