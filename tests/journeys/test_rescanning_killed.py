"""A server killed while it scans stored reports goes on after its next start: each report once, none left out. F17 F18."""

import hashlib
import time
from pathlib import Path

import httpx

from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.team import WHERE, Visitor, person, program, sign_in
from tests.journeys.test_bad_input import consented, manifest

REPORTS = 8
CONTENT = b"2026-05-11T09:12:44Z  collected 1 item, seat ACME-4711: token and key of nothing\n" * 9_000
SHA = hashlib.sha256(CONTENT).hexdigest()
RULE = {"name": "seat", "pattern": "ACME-[0-9]{4}", "must_match": ["ACME-4711"], "must_not_match": ["ACME-47"]}


def scan_of(api: Visitor) -> dict[str, object]:
    scan: dict[str, object] = api.get(f"{WHERE}/redaction-rules").json()["scan"]
    return scan


def wait_for_scan(api: Visitor, least: int, seconds: float = 60) -> dict[str, object]:
    """Return the state of the scan once `least` reports were scanned, or it ended."""
    until = time.monotonic() + seconds
    while True:
        scan = scan_of(api)
        if scan["state"] == "ended" or int(str(scan["scanned"])) >= least:
            return scan
        assert time.monotonic() < until, scan
        time.sleep(0.005)


def sealed(api: Visitor, number: int) -> str:
    begun = api.post(f"{WHERE}/reports", json=consented(manifest(CONTENT) | {"title": f"run {number}"})).json()
    if begun["state"] != "sealed":
        api.put(f"{WHERE}/reports/{begun['id']}/artifacts/{SHA}", content=CONTENT)
        assert api.post(f"{WHERE}/reports/{begun['id']}/seal").json()["state"] == "sealed"
    return str(begun["id"])


def quarantines(client: httpx.Client) -> list[str]:
    """Return the reports of all records `report.quarantined`."""
    records = client.get(f"{WHERE}/audit/records?limit=1000").json()["records"]
    return [one["obj"]["id"] for one in (r["record"] for r in records) if one["act"] == "report.quarantined"]


def test_a_scan_killed_in_the_middle_is_finished_and_nothing_is_recorded_twice(
    database_url: str, tmp_path: Path
) -> None:
    server = Server(tmp_path / "data", database_url=database_url)
    try:
        server.start(timeout=60)
        key = team.found_acme(server)["api_key"]
        owner = person(server, "owner-2", "owner")
        with program(server, key) as api, sign_in(server, owner) as browser:
            reports = [sealed(api, number) for number in range(REPORTS)]
            assert browser.post(f"{WHERE}/redaction-rules", json=RULE).status_code == 201
            seen = wait_for_scan(api, 2)
            server.kill()
        assert seen["state"] == "running", "the scan was over before the server could be killed"
        with team.served(server), program(server, key) as api, sign_in(server, owner) as browser:
            assert wait_for_scan(api, REPORTS + 1) == {"state": "ended", "scanned": REPORTS, "quarantined": REPORTS}
            assert {api.get(f"{WHERE}/reports/{one}").json()["state"] for one in reports} == {"quarantined"}
            assert sorted(quarantines(browser)) == sorted(reports)
            assert server.verify().returncode == 0
    finally:
        server.kill()
