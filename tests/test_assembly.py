"""What assembly hands on from the config."""

import base64
import contextlib
import re
from pathlib import Path

import pytest

from failgate import unlisted
from failgate.assembly import _outbound, open_services
from failgate.audit.record import Actor
from failgate.base.destination import OutboundRefused
from failgate.base.ids import new_id
from failgate.config.load import parse_config
from failgate.serving import begin_serving
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Draft
from failgate.unlisted import unlisted_hosts

OPERATOR = Actor(t="operator", id="host")


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('outbound_hosts = ["10.20.0.5"]', "not-public"),
        ('outbound_hosts = ["10.20.0.5"]\noutbound_networks = ["10.20.0.0/16"]', None),
        ('outbound_hosts = ["idp.example"]\noutbound_networks = ["10.20.0.0/16"]', "not-listed"),
        ("outbound_hosts = []", "not-listed"),
        ('outbound_hosts = ["*"]', "not-public"),
        ("", "not-listed"),
    ],
)
async def test_the_way_out_leads_where_the_config_says(toml: str, reason: str | None) -> None:
    outbound = _outbound(parse_config(f"[server]\n{toml}"))
    if reason is None:
        await outbound.check("https://10.20.0.5/")
        return
    with pytest.raises(OutboundRefused) as refused:
        await outbound.check("https://10.20.0.5/")
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("toml", "hosts"),
    [
        ("", set()),
        ("[server]\nallow_loopback = true", {"localhost", "127.0.0.1", "::1"}),
        (
            '[sso.connections.id]\nprotocol = "oidc"\ntitle = "A"\nissuer = "https://id.acme.example/realm"\nclient_id = "f"',
            {"id.acme.example"},
        ),
        (
            '[sso.connections.id]\nprotocol = "saml"\ntitle = "A"\nmetadata_url = "https://idp.acme.example:8443/metadata"',
            {"idp.acme.example"},
        ),
        (
            '[sso.connections.id]\nprotocol = "google"\ntitle = "A"\nclient_id = "f"',
            {"accounts.google.com", "oauth2.googleapis.com", "openidconnect.googleapis.com", "www.googleapis.com"},
        ),
        (
            '[sso.connections.id]\nprotocol = "github"\ntitle = "A"\nclient_id = "f"\nissuer = "https://git.acme.example"',
            {"git.acme.example"},
        ),
    ],
)
def test_the_hosts_that_may_be_asked_begin_as_those_that_the_config_names(toml: str, hosts: set[str]) -> None:
    """ASVS 5.0 13.2.5"""
    assert _outbound(parse_config(toml))._listed == hosts


async def test_at_the_start_hosts_that_people_named_and_nobody_listed_are_told(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_config(f'[server]\noutbound_hosts = ["*.listed.example"]\n[database]\nurl = "{database_url}"')
    async with open_services(config, tmp_path, is_serving=False) as services:
        owner = await services.accounts.create("ann@example.com", "correct horse battery staple", OPERATOR)
        workspace = (await services.workspaces.create("acme", "Acme", owner.id, OPERATOR)).id

        async def written(statement: str, *values: object) -> None:
            await services.db.write(lambda tx: tx.execute(statement, *values))

        for shown, is_enabled in {
            "https://hooks.acme.example/…": 1, "https://a.listed.example/…": 1, "plain words": 1, "https://off.example/": 0,
        }.items():  # fmt: skip
            await written(
                "INSERT INTO notify_destination (id, workspace_id, notifier, name, shown, sealed_address, events,"
                " is_detailed, is_enabled, since, created_by, created_us)"
                " VALUES ($1, $2, 'webhook', 'n', $3, 'x', '[]', 0, $4, 0, 'ann', 0)",
                new_id(), workspace, shown, is_enabled,
            )  # fmt: skip
        settings = OidcSettings(issuer="https://id.acme.example", client_id="f")
        await services.sso.connections.create(workspace, "id", Draft(title="T", settings=settings), OPERATOR)
        await written("UPDATE sso_connection SET is_enabled = 1")
        assert await unlisted_hosts(services.db, services.outbound) == ["hooks.acme.example", "id.acme.example"]
        told: list[str] = []
        monkeypatch.setattr(unlisted.log, "warning", lambda event, **facts: told.append(facts["host"]))
        async with contextlib.AsyncExitStack() as stack:
            await begin_serving(services, stack)
    assert told == ["hooks.acme.example", "id.acme.example"]


async def test_the_log_names_each_plugin_with_version_and_hash_before_the_server_starts(
    database_url: str, tmp_path: Path
) -> None:
    """SECURITY 2: which code of others ran is told from the log alone."""
    config = parse_config(f'[database]\nurl = "{database_url}"')
    async with open_services(config, tmp_path, is_serving=False) as services:
        async with contextlib.AsyncExitStack() as stack:
            await begin_serving(services, stack)
        records = [one.record for one in await services.audit.records("system", None, 1000)]
        opened = [each.identity for each in services.plugins.plugins]
    enabled = [one["data"] for one in records if one["act"] == "plugin.enabled"]
    assert {one.name for one in opened} >= {"allowlist", "quorum", "capture", "filesystem"}
    assert enabled == [{"name": one.name, "version": one.version, "hash": one.digest} for one in opened]
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", one["hash"]) for one in enabled)
    acts = [one["act"] for one in records]
    assert acts.index("server.started") == acts.index("plugin.enabled") + len(enabled)


async def test_with_keys_of_a_manager_the_data_folder_holds_none(tmp_path: Path) -> None:
    """ASVS 5.0 13.3.1"""
    for name in ("sealing", "log"):
        (tmp_path / name).write_text(base64.b64encode(name.encode().ljust(32)).decode())
    toml = '[keys]\nsealing = { credential = "sealing" }\nlog = { credential = "log" }'
    config = parse_config(toml, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    data = tmp_path / "data"
    for _ in range(2):
        async with open_services(config, data) as services:
            await services.audit.checkpoint("system")
    assert [path.name for path in data.rglob("*.key")] == []


def test_a_plugin_asks_the_host_of_its_own_settings_and_no_more() -> None:
    outbound = _outbound(parse_config(""))
    named = outbound.naming("policy.acme.example", "")
    assert named.lists("policy.acme.example")
    assert not named.lists("hooks.acme.example")
    assert not outbound.lists("policy.acme.example")
