"""`failgate doctor`, through the running server and without one: what is well, and the mend of what is not. B12 F3."""

import hashlib
import json
import os
from pathlib import Path

import httpx
import pytest

from failgate.base.ids import new_id
from tests.journeys.harness import Server, failgate
from tests.web.api.test_reports import consented, document

PASSWORD = "a long and plain passphrase"
CONTENT = b"what the test run said\n" * 1000


def examined(data: Path, *words: str) -> tuple[int, list[dict]]:
    result = failgate("doctor", "--json", "--data", str(data), *words)
    assert result.stderr == "", result.stderr
    return result.returncode, json.loads(result.stdout)["checks"]


def verdicts(checks: list[dict]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for check in checks:
        found.setdefault(check["verdict"], set()).add(check["name"])
    return found


def upload(server: Server) -> str:
    """Keep a report with one artifact; return the report's id."""
    made = failgate(
        "admin", "bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", "--json",
        "--data", str(server.data), stdin=PASSWORD,
    )  # fmt: skip
    key = json.loads(made.stdout)["api_key"]
    where = "/api/v1/workspaces/acme/reports"
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {key}"}) as client:
        begun = client.post(where, json=consented(document(CONTENT))).json()
        digest = hashlib.sha256(CONTENT).hexdigest()
        assert client.put(f"{where}/{begun['id']}/artifacts/{digest}", content=CONTENT).status_code == 200
        assert client.post(f"{where}/{begun['id']}/seal").status_code == 200
    return begun["id"]


def test_what_is_lost_changed_or_left_over_is_named_with_its_report_and_its_mend(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = Server(data).start()
    try:
        report = upload(server)
        for words in ((), ("--deep",)):
            code, checks = examined(data, *words)
            assert (code, set(verdicts(checks)) - {"warn"}) == (0, {"ok"}), checks  # the disk may be nearly full
            names = ["config", "data folder", "disk", "clock", "redaction", "database", "audit log"]
            rest = ["rows and records", "audit erasures", "backup", "plugins", "store", "artifacts"]
            assert [check["name"] for check in checks] == [*names, *rest]
    finally:
        assert server.stop() == 0
    assert examined(data)[0] == 0  # the same without a server
    objects = data / "plugins" / "filesystem" / "objects"
    [file] = [path for path in objects.rglob("*") if path.is_file()]
    file.write_bytes(bytes(len(CONTENT)))
    assert examined(data)[0] == 0
    code, checks = examined(data, "--deep")
    assert code == 1
    [changed] = [check for check in checks if check["verdict"] == "fail"]
    assert "other bytes" in changed["sentence"]
    assert f"acme/{report}" in changed["sentence"]
    file.write_bytes(CONTENT[1:])
    code, checks = examined(data)
    assert code == 1
    assert "another size" in json.dumps(checks)
    left = objects / "ab" / "cd" / f"{new_id()[:-4]}abcd"
    left.parent.mkdir(parents=True, mode=0o700)
    file.rename(left)
    code, checks = examined(data)
    assert code == 1
    text = json.dumps(checks)
    assert "have no object" in text
    assert f"acme/{report}" in text
    assert "1 objects have no row" in text
    assert all(check["mend"] for check in checks if check["verdict"] != "ok")
    plain = failgate("doctor", "--data", str(data))
    assert plain.returncode == 1
    assert "fail  artifacts: " in plain.stdout


def test_a_store_that_does_not_take_bytes_fails(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert examined(data)[0] == 0  # not there yet is no trouble
    assert not data.exists()
    server = Server(data).start()
    try:
        incoming = data / "plugins" / "filesystem" / "objects" / "incoming"
        incoming.rename(incoming.with_name("away"))
        code, checks = examined(data)
        assert code == 1
        assert "store" in verdicts(checks)["fail"]
    finally:
        server.stop()


@pytest.mark.parametrize("is_open", ["folder", "key"])
def test_what_others_could_read_is_found_with_its_command(tmp_path: Path, is_open: str) -> None:
    data = tmp_path / "data"
    assert Server(data).start().stop() == 0
    path = data if is_open == "folder" else data / "secrets.key"
    path.chmod(0o755)
    code, checks = examined(data)
    assert code == 1
    [folder] = [check for check in checks if check["name"] == "data folder"]
    assert folder["verdict"] == "fail"
    assert folder["mend"] == f"chmod {'700' if is_open == 'folder' else '600'} {path}"


def test_a_clock_that_went_back_is_found(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert Server(data).start().stop() == 0
    later = (data / "audit.heads.json").stat().st_mtime + 3600
    os.utime(data / "audit.heads.json", (later, later))
    code, checks = examined(data)
    assert code == 1
    assert "clock" in verdicts(checks)["fail"]


def test_a_config_with_a_mistake_and_a_missing_key_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "failgate.toml"
    config.write_text("[server]\nlissten = 1\n")
    code, checks = examined(data, "--config", str(config))
    assert code == 1
    assert "config" in verdicts(checks)["fail"]
    key = tmp_path / "key"
    key.write_text("A" * 43 + "=")
    encryption = f'[artifacts.encryption]\nkey = {{ file = "{key}" }}\n'
    config.write_text(encryption)
    server = Server(data, config=encryption).start()
    try:
        upload(server)
    finally:
        server.stop()
    assert examined(data, "--deep", "--config", str(config))[0] == 0
    config.write_text("")
    code, checks = examined(data, "--config", str(config))
    assert code == 1
    [refused] = [check for check in checks if check["verdict"] == "fail"]
    assert refused["name"] == "server"
    assert "sealed under the key" in refused["sentence"]
    assert "previous" in refused["mend"]
