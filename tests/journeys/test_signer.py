"""A server whose log key is with a signer: both in processes of their own, each killed, the key moved and changed. B10"""

import json
import urllib.error
import urllib.request

import pytest

from tests.journeys.going_back import kept
from tests.journeys.harness import Server, failgate
from tests.journeys.test_witnesses import PASSWORD, until
from tests.signers import Program


class Moved(Program):
    """A signer that `init --from` made."""

    def __init__(self, folder, data):
        self.folder, self.socket, self.process = folder, folder / "s", None
        done = failgate("audit", "signer", "init", "--folder", str(folder), "--from", str(data))
        assert done.returncode == 0, done.stderr


def ready(server: Server) -> dict:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz") as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_a_server_that_hands_its_key_to_a_signer(database_url, tmp_path):
    server = Server(tmp_path / "data", database_url=database_url)
    server.start()
    server.admin("bootstrap", "--email", "o@x.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    place = ("--data", str(server.data), "--config", str(server.config))
    before = failgate("audit", "checkpoint", "--log", "acme", *place).stdout
    (tmp_path / "before").write_text(before)
    held = failgate("audit", "signer", "init", "--folder", str(tmp_path / "early"), "--from", str(server.data))
    assert (held.returncode, "Another Failgate server" in held.stderr) == (78, True)
    assert server.stop() == 0
    signer = Moved(tmp_path / "signer", server.data).start()
    server.config.write_text(f'{server.config.read_text()}\n[audit.signer]\nsocket = "{signer.socket}"\n')
    try:
        with pytest.raises(AssertionError, match="is still there"):
            server.start()
        (server.data / "audit.key").unlink()
        server.start()
        assert ready(server)["warnings"] == []

        signer.kill()
        assert ready(server) == {"is_ready": True, "failing": [], "warnings": ["signer"]}
        server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "status")  # recorded, and unsigned
        away = failgate("audit", "checkpoint", "--log", "acme", *place)
        assert (away.returncode != 0, "does not answer" in away.stderr) == (True, True)
        doctor = failgate("doctor", "--json", *place)
        assert (doctor.returncode, "audit signer" in doctor.stdout) == (1, True)
        verified = failgate("audit", "verify", *place)
        assert (verified.returncode, "does not answer" in verified.stdout) == (3, True)
        signer.start()
        assert ready(server)["warnings"] == []
        size = int(failgate("audit", "checkpoint", "--log", "acme", *place).stdout.split("\n")[1])
        assert size > int(before.split("\n")[1])

        server.kill()
        server.start()
        rotate = ("admin", "log-key", "rotate", *place)
        none = failgate(*rotate)
        assert (none.returncode != 0, "where no new one waits" in none.stderr) == (True, True)
        assert failgate("audit", "signer", "next-key", "--folder", str(signer.folder)).returncode == 0
        done = failgate(*rotate)
        assert done.returncode == 0, done.stderr
        verified = failgate("audit", "verify", "--gate", "--against", str(tmp_path / "before"), *place)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        made = failgate("backup", str(tmp_path / "one.backup"), *place)
        assert made.returncode == 0, made.stderr
        assert server.stop() == 0
        checked = failgate("restore", str(tmp_path / "one.backup"), "--check", *place)
        if not database_url.startswith("postgres"):  # where it is read in the configured database, which is not empty
            assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        server.kill()
        signer.kill()


def test_a_database_that_is_put_back_with_its_sidecar_is_refused_by_the_signer_alone(database_url, tmp_path, request):
    """Nothing outside of this machine knows of it; the signer does, in a folder that the server cannot reach."""
    signer = Program(tmp_path / "signer").start()
    config = f'[audit.signer]\nsocket = "{signer.socket}"\n'
    server = Server(tmp_path / "data", database_url=database_url, config=config)
    try:
        server.start()
        server.admin("bootstrap", "--email", "o@x.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
        place = ("--data", str(server.data), "--config", str(server.config))
        assert server.stop() == 0
        put_back = kept(server, database_url, request)
        server.start()
        server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "status")
        size = int(failgate("audit", "checkpoint", "--log", "system", *place).stdout.split("\n")[1])
        server.kill()
        until(lambda: not (server.process is None or server.process.poll() is None))
        put_back()
        with pytest.raises(AssertionError, match=f"but {size} were signed: the database went back. So says the signer"):
            server.start()
        verified = failgate("audit", "verify", *place)
        assert (verified.returncode, "system: tampered" in verified.stdout) == (1, True)
    finally:
        server.kill()
        signer.kill()
