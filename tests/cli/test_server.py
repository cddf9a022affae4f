"""The operator's commands, as processes."""

import json
import re
import shutil
import socket
import sqlite3
from functools import partial
from pathlib import Path

import httpx
import pytest

from failgate.administration.administration import Administration
from failgate.cli.server import _announce
from tests.journeys.harness import Server
from tests.journeys.harness import failgate as started
from tests.web.conftest import on_database, people, services

__all__ = ["on_database", "people", "services"]  # fixtures of the server in this process

failgate = partial(started, is_warm=False)  # each command of these begins as it does for an operator


def test_init_writes_a_config_that_check_accepts(tmp_path: Path) -> None:
    """B12"""
    assert failgate("init", cwd=tmp_path).returncode == 0
    checked = failgate("check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "allowlist" in checked.stdout
    again = failgate("init", cwd=tmp_path)
    assert again.returncode == 78
    assert "is there already" in again.stderr


def test_plugins_tells_name_version_and_hash_of_what_is_enabled(tmp_path: Path) -> None:
    """E16: which plugins run, from where, which version and hash."""
    answer = json.loads(failgate("plugins", "--json").stdout)
    assert {plugin["name"] for plugin in answer} >= {"allowlist", "quorum", "capture", "filesystem"}
    assert all(re.fullmatch(r"(sha256:)?[0-9a-f]{64}", plugin["hash"]) for plugin in answer)
    shown = failgate("plugins").stdout
    for plugin in answer:
        assert all(str(plugin[word]) in shown for word in ("name", "version", "distribution", "location", "hash"))
    config = tmp_path / "mine.toml"
    config.write_text('[audit]\nexporters = ["jsonl"]\n')
    named = json.loads(failgate("plugins", "--json", env={"FAILGATE_CONFIG": str(config)}).stdout)
    assert {plugin["name"] for plugin in named} - {plugin["name"] for plugin in answer} == {"jsonl"}


async def test_postgresql_is_migrated_only_when_told(empty_database_url: str, tmp_path: Path) -> None:
    if empty_database_url.startswith("sqlite"):
        assert "would run" in failgate("migrate", "--check", "--data", str(tmp_path / "d")).stdout
        return
    config = tmp_path / "failgate.toml"
    config.write_text(f'[database]\nurl = "{empty_database_url}"\n')
    place = ("--config", str(config), "--data", str(tmp_path / "data"))
    refused = failgate("serve", *place, "--listen", "127.0.0.1:0")
    assert refused.returncode == 78
    assert "failgate migrate" in refused.stderr
    assert failgate("migrate", "--check", *place).returncode == 1
    assert "0001_audit" in failgate("migrate", *place).stdout
    assert failgate("migrate", "--check", *place).returncode == 0
    words = ("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", *place)
    assert failgate("admin", *words, stdin="a long and plain passphrase").returncode == 0  # without a server
    server = Server(tmp_path / "data", database_url=empty_database_url, is_warm=False).start()
    server.admin("agent", "create", "--workspace", "acme", "--name", "ci")  # through it
    assert server.stop() == 0


def test_a_database_put_back_from_an_older_copy_is_refused_until_told(tmp_path: Path) -> None:
    """P2: a rollback of the whole database is seen at the start."""
    server = Server(tmp_path / "data", is_warm=False).start()
    words = ("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin")
    server.admin(*words, stdin="a long and plain passphrase")
    server.stop()
    old = tmp_path / "old"
    shutil.copy(server.data / "failgate.sqlite", old)
    server.start()
    server.admin("agent", "create", "--workspace", "acme", "--name", "ci")
    server.stop()
    shutil.copy(old, server.data / "failgate.sqlite")
    refused = failgate("serve", "--data", str(server.data), "--listen", "127.0.0.1:0")
    assert refused.returncode == 78
    assert "--accept-rollback" in refused.stderr
    server.arguments = ("--accept-rollback",)
    server.start()
    assert server.stop() == 0


def test_the_data_folder_is_private(tmp_path: Path) -> None:
    """F3 E18: nobody else on the host reads keys, sockets or the database."""
    server = Server(tmp_path / "data", is_warm=False).start()
    try:
        open_to_others = [path for path in [server.data, *server.data.rglob("*")] if path.stat().st_mode & 0o077]
        assert open_to_others == []
    finally:
        server.stop()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "failgate.sqlite").write_text("somebody's notes, and not a database at all\n" * 99)
    refused = failgate("serve", "--data", str(data), "--listen", "127.0.0.1:0")
    assert refused.returncode == 78
    assert "Traceback" not in refused.stderr
    assert (data / "failgate.sqlite").read_text().startswith("somebody's notes")
    assert sqlite3.sqlite_version_info >= (3, 35)


def test_every_address_names_the_port_that_the_system_chose(tmp_path: Path) -> None:
    """F9: what a link, an issuer or a device is told is where the server listens, also with `--listen HOST:0`."""
    server = Server(tmp_path / "data", is_warm=False).start()
    try:
        words = ("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin")
        server.admin(*words, stdin="a long and plain passphrase")
        told = [
            server.line(r"open (\S+) within")[1],
            server.admin("invitation", "create", "--workspace", "acme", "--role", "developer")["link"],
            server.admin("user", "reset-link", "--email", "o@acme.example")["link"],
        ]
        metadata = httpx.get(f"{server.url}/.well-known/oauth-authorization-server", trust_env=False).json()
        asked = httpx.post(
            f"{server.url}/oauth/device_authorization", data={"client_id": "failgate-cli"}, trust_env=False
        ).json()
        told += [metadata["issuer"], metadata["token_endpoint"], asked["verification_uri"]]
    finally:
        assert server.stop() == 0
    assert [url for url in told if not url.startswith(server.url)] == []


def test_a_taken_port_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        place = f"127.0.0.1:{holder.getsockname()[1]}"
        refused = failgate("serve", "--data", str(tmp_path / "data"), "--listen", place)
    assert refused.returncode == 78
    assert "taken by another program" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_rule_deleted_behind_the_server_is_told_and_mended_by_the_operator(tmp_path: Path) -> None:
    """E2 B12: /readyz warns, the log names the rule and the mend, and the mend works while the server runs."""
    server = Server(tmp_path / "data", is_warm=False).start()
    try:
        words = ("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin")
        server.admin(*words, stdin="a long and plain passphrase")
        rule = server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "ls")["rule"]
        assert server.stop() == 0
        with sqlite3.connect(server.data / "plugins" / "allowlist" / "allowlist.sqlite") as connection:
            connection.execute("DELETE FROM rule")
        connection.close()
        server.start()
        ready = httpx.get(f"{server.url}/readyz", trust_env=False)
        assert (ready.status_code, ready.json()["warnings"]) == (200, ["rules"])
        assert f"failgate admin allow remove {rule}" in server.logged("rule.lost", rule=rule)["hint"]
        assert server.admin("allow", "remove", rule) == {"rule": rule}
        assert httpx.get(f"{server.url}/readyz", trust_env=False).json()["warnings"] == []
        assert server.verify("--gate").returncode == 0
    finally:
        server.stop()


def test_the_check_says_what_a_plugin_advises_and_finds_its_pages_good(tmp_path: Path) -> None:
    (tmp_path / "failgate.toml").write_text(
        '[plugins.disclosure]\ncontacts = ["mailto:security@acme.example"]\nexpires = 2020-01-01\nchanged = 2019-01-01\n'
    )
    checked = failgate("check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "failgate: warning: plugins.disclosure: security.txt expired on 2020-01-01" in checked.stderr


async def test_who_bootstraps_while_the_first_link_is_made_is_faster_and_ends_nothing(
    services, people, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def not_yet() -> bool:
        return False

    monkeypatch.setattr(services.accounts, "exist", not_yet)  # asked just before the account was made
    await _announce(services, Administration(services), services.config, "127.0.0.1", 8440)
    said = capsys.readouterr().out
    assert "listening on http://127.0.0.1:8440" in said
    assert "first start" not in said
