"""Pairs of questions whose answers must not tell what exists, asked one after the other, in chance order.

A thing of another workspace and one that never was are asked about by the owner of `other`, in their own workspace,
over one kept-alive connection: what differs is the server's.
"""

import hashlib
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from failgate.base.ids import new_id
from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.knocking import Knocker
from tests.journeys.team import PASSWORD, WHERE, person, program, sign_in, stranger
from tests.journeys.test_bad_input import consented, manifest
from tests.ranks import rank_test

Ask = Callable[[int], object]


def measure(data: Path, samples: int, *, chosen: str = "", database_url: str | None = None) -> list[dict[str, object]]:
    """Return a line for each pair: medians in milliseconds, their difference, the p-value of a rank test.

    Only the pairs whose name begins with `chosen` are asked; `database_url` names an empty PostgreSQL, else SQLite.
    """
    data.parent.mkdir(exist_ok=True)
    config = '[server]\ntrusted_proxies = ["127.0.0.1"]\n'
    with team.served(Server(data, database_url=database_url, config=config)) as server:
        pairs = _pairs(server, samples)
        return [_measured(name, *pair, samples) for name, pair in pairs.items() if name.startswith(chosen)]


def _measured(name: str, known: Ask, unknown: Ask, samples: int) -> dict[str, object]:
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(samples):
        for side in random.sample((0, 1), 2):
            began = time.perf_counter()
            (known, unknown)[side](number)
            took[side].append((time.perf_counter() - began) * 1000)
    medians = [statistics.median(times) for times in took]
    return {
        "pair": name,
        "samples": samples,
        "known_ms": round(medians[0], 3),
        "unknown_ms": round(medians[1], 3),
        "difference_ms": round(medians[0] - medians[1], 3),
        "p": round(rank_test(*took), 4),
    }


def _pairs(server: Server, samples: int) -> dict[str, tuple[Ask, Ask]]:
    """Return what is asked. Each account is asked about once, each time from another address: no throttle waits."""
    team.found_acme(server)
    lead = person(server, "lead", "owner")
    other = person(server, "other")
    team.admin(server, "workspace.create", workspace="other", owner=other.email)
    for number in range(samples):
        for name, barred_us in (("known", None), ("barred", 1)):
            team.sql(
                server,
                "INSERT INTO account (id, email, password_hash, password_changed_us, created_us, disabled_us)"
                " SELECT $1, $2, password_hash, password_changed_us, created_us, $4 FROM account WHERE email = $3",
                new_id(), f"{name}{number}@acme.example", lead.email, barred_us,
            )  # fmt: skip
    owner, foreign, nobody = sign_in(server, lead), sign_in(server, other), stranger(server, origin=server.url)
    made = team.admin(server, "agent.create", workspace="acme", name="ci", owner=lead.email)
    agent, knocker = program(server, made["token"]), Knocker(foreign)
    report = agent.post(f"{WHERE}/reports", json=consented(manifest(b"x"))).json()["id"]
    artifact = hashlib.sha256(b"x").hexdigest()
    agent.put(f"{WHERE}/reports/{report}/artifacts/{artifact}", content=b"x").raise_for_status()
    agent.post(f"{WHERE}/reports/{report}/seal").raise_for_status()
    request, builder = team.ask(agent, ttl_seconds=3600)["id"], made["agent"]
    lead_page = owner.get(f"/w/acme/members/{lead.id}")
    assert lead_page.status_code == 200, "what is foreign is there"
    pages = nobody.get("/signin").text
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', pages)
    assert csrf is not None

    def elsewhere(number: int) -> dict[str, str]:
        return {"x-forwarded-for": f"198.51.{number >> 8 & 255}.{number & 255}"}

    def signing_in(name: str, password: str = f"not {PASSWORD}") -> Ask:
        def ask(number: int) -> object:
            fields = {"csrf_token": csrf[1], "email": f"{name}{number}@acme.example", "password": password}
            answer = nobody.post("/signin", data=fields, headers=elsewhere(number))
            assert answer.status_code == 401, answer.text
            return answer

        return ask

    def resetting(name: str) -> Ask:
        def ask(number: int) -> object:
            fields = {"csrf_token": csrf[1], "email": f"{name}{number}@acme.example"}
            return nobody.post("/reset", data=fields, headers=elsewhere(number + samples))

        return ask

    def reading(paths: Sequence[str]) -> Ask:
        def ask(number: int) -> object:
            answer = knocker.ask("GET", paths[number], {"accept": "*/*"})
            assert answer.status_code == 404, answer.text
            return answer

        return ask

    def foreign_or_absent(path: str, identifier: str) -> tuple[Ask, Ask]:
        absent = reading([path.replace("ID", new_id()) for _ in range(samples)])
        return reading([path.replace("ID", identifier)] * samples), absent

    mine = "/api/v1/workspaces/other"
    return {
        "sign-in: known or unknown address": (signing_in("known"), signing_in("unknown")),
        "sign-in, right password: barred or unknown address": (
            signing_in("barred", PASSWORD),
            signing_in("nobody", PASSWORD),
        ),
        "reset: known or unknown address": (resetting("known"), resetting("unknown")),
        "workspace: foreign or absent": (
            reading([f"{WHERE}/reports"] * samples),
            reading([f"/api/v1/workspaces/none{number}/reports" for number in range(samples)]),
        ),
        "report: foreign or absent": foreign_or_absent(f"{mine}/reports/ID", report),
        "artifact: foreign or absent": foreign_or_absent(f"{mine}/reports/ID/artifacts/{artifact}", report),
        "request: foreign or absent": foreign_or_absent(f"{mine}/commands/ID", request),
        "page of a request: foreign or absent": foreign_or_absent("/w/other/commands/ID", request),
        "agent: foreign or absent": foreign_or_absent(f"{mine}/agents/ID", builder),
        "user: foreign or absent": foreign_or_absent("/w/other/members/ID", lead.id),
    }
