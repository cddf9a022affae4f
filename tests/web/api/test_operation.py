"""Alive, ready, counted. # B12"""

import dataclasses
from types import MappingProxyType

from failgate.assembly import open_services
from failgate.audit.record import SERVER, Act, Event
from failgate.base.clock import FrozenClock
from failgate.config.load import load_config
from tests.web.conftest import at_free_port, running


async def test_it_is_alive_and_ready(server):
    async with server.client() as client:
        assert (await client.get("/healthz")).text == "ok\n"
        ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"is_ready": True, "failing": [], "warnings": []}


async def test_a_plugin_that_does_not_work_makes_it_unready_and_is_named(services):
    async def broken() -> str | None:
        return "the disk is full at /very/secret/path"

    async def raising() -> str | None:
        raise OSError("x")

    health = MappingProxyType({"siem": broken, "store": raising})
    plugins = dataclasses.replace(services.plugins, health=health)
    async with running(dataclasses.replace(services, plugins=plugins)) as one, one.client() as client:
        answer = await client.get("/readyz")
        alive = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"is_ready": False, "failing": ["plugin siem", "plugin store"], "warnings": []}
    assert "secret" not in answer.text
    assert alive.status_code == 200


async def test_a_clock_that_went_back_is_told_while_nothing_is_approved(tmp_path):
    """SECURITY 4, clocks: frozen, and an alarm."""
    clock = FrozenClock()
    with at_free_port(load_config(None, {})) as config:
        async with open_services(config, tmp_path / "data", clock=clock) as services, running(services) as one:
            async with one.client() as client:
                for step, warnings, value in ((0, [], 0.0), (-31, ["clock"], 1.0), (31, [], 0.0)):
                    clock.step_wall(step)
                    ready = await client.get("/readyz")
                    assert (ready.status_code, ready.json()["warnings"]) == (200, warnings)
                    assert f"failgate_clock_went_back {value}" in (await client.get("/metrics")).text


async def test_requests_are_counted_by_door_and_never_by_path(server):
    async with server.client() as client:
        for path in ("/healthz", "/absent/a", "/absent/b", "/api/v1/workspaces/x/commands"):
            await client.get(path)
        answer = await client.get("/metrics")
    text = answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'failgate_requests_total{door="operation.alive",method="GET",status="200"} 1.0' in text
    assert 'failgate_requests_total{door="none",method="GET",status="404"} 2.0' in text
    assert 'door="commands.list"' in text
    assert "failgate_pending_commands 0.0" in text
    assert "absent" not in text


async def test_the_lag_of_each_exporter_is_shown(tmp_path):
    """B10: one that follows shows 0; one that fails shows how many records wait, and that it fails."""
    config = tmp_path / "failgate.toml"
    config.write_text('[audit]\nexporters = ["jsonl"]\n')
    async with open_services(load_config(config, {}).with_listen("127.0.0.1:0"), tmp_path / "data") as services:
        [follower] = services.exporting.followers
        await follower.close()
        await services.audit.record(Event(Act.SERVER_STARTED, "system", "server", "s", SERVER, {"version": "1"}))
        async with running(services) as one, one.client() as client:
            text = (await client.get("/metrics")).text
        lag = await follower.lag()
    assert lag.records >= 1
    assert f'failgate_audit_lag_records{{exporter="jsonl"}} {float(lag.records)}' in text
    assert 'failgate_audit_lag_seconds{exporter="jsonl"}' in text
    assert 'failgate_audit_exporter_failing{exporter="jsonl"} 0.0' in text
    assert 'failgate_audit_put_aside{exporter="jsonl"} 0.0' in text
