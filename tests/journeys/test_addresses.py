"""The address of a request beside its record: shown, exported, proven, erased for a person; the log stays proven. E3"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.handmade import verify
from tests.journeys.harness import NewDatabase, Server, at_port, failgate
from tests.journeys.team import served

PASSWORD = "a long and plain passphrase"
WHERE = "/api/v1/workspaces/acme"


def exported(server: Server, output: Path, *options: str) -> dict:
    place = ("--data", str(server.data), "--config", str(server.config))
    made = failgate("audit", "export", "--workspace", "acme", "--output", str(output), *place, *options)
    assert made.returncode == 0, made.stderr
    return verify("full", output)


@pytest.fixture
def server(new_database: NewDatabase, tmp_path: Path) -> Iterator[Server]:
    lines = tmp_path / "lines.jsonl"
    config = (
        f'[audit]\nexporters = ["jsonl"]\nfilters.jsonl = {{ bodies = true }}\nkeep_addresses = "30d"\n'
        f'[plugins.jsonl]\npath = "{lines}"\n'
    )
    with served(at_port(Server(tmp_path / "data", database_url=new_database(), config=config))) as one:
        yield one


def test_an_address_is_shown_leaves_where_it_may_and_is_erased_for_a_person(server: Server, tmp_path: Path) -> None:
    made = server.admin(
        "bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD
    )
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {made['api_key']}"}) as owner:

        def records() -> list[dict]:
            return owner.get(f"{WHERE}/audit/records?limit=1000").raise_for_status().json()["records"]

        for name in ("one", "two"):
            owner.post(f"{WHERE}/agents", json={"name": name}).raise_for_status()
        mine = [one for one in records() if one["record"]["act"] == "agent.created"]
        assert [one["body"] for one in mine] == [{"ip": "127.0.0.1"}] * 2
        assert all("ip" not in one["record"] and one["record"]["v"] == 2 for one in records())
        assert records()[0]["body"] is None  # by the operator, who came from nowhere

        assert exported(server, tmp_path / "without.tar")["bodies"] is None
        found = exported(server, tmp_path / "with.tar", "--bodies")
        assert (found["exit_code"], found["bodies"] >= 2) == (0, True)

        done = server.admin("user", "erase-addresses", "--email", "o@acme.example")
        assert done["user"] == made["user"]
        assert done["erased"] >= 2
        mine = [one for one in records() if one["record"]["act"] == "agent.created"]
        assert [list(one["body"]) for one in mine] == [["erased"]] * 2
        [said] = [one["record"] for one in records() if one["record"]["act"] == "body.erased"]
        assert (said["obj"], said["data"]["reason"]) == ({"t": "account", "id": made["user"]}, "person")
        assert exported(server, tmp_path / "after.tar", "--bodies")["exit_code"] == 0
        checked = server.verify("--gate", "--json")
        assert json.loads(checked.stdout)["state"] == "intact", checked.stdout
        assert server.admin("user", "erase-addresses", "--email", "o@acme.example")["erased"] == 0
        [said] = [one["record"] for one in records() if one["record"]["act"] == "body.erased"]
        left = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
        assert any(one.get("body") == {"ip": "127.0.0.1"} for one in left)
    place = ("--data", str(server.data), "--config", str(server.config))
    unknown = failgate("admin", "user", "erase-addresses", "--email", "x@acme.example", *place)
    assert unknown.returncode != 0
    assert "There is no account x@acme.example." in unknown.stderr
