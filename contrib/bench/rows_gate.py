"""Rows 5, 6 and 7: decisions of the gate over WebSockets, each durable and audited before it is told."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import payload
from harness import Measure, Row, Sample, Side, loaded
from server import HOST, WORKSPACE, Server, floor, serving

AGENTS = 64
APPROVED = '"state":"approved"'


def deciding(port: int, pid: int, path: str, tokens: list[str], number: int, value: str) -> Measure:
    """Measure `number` decisions of a rule, one connection for each token."""
    seeds = count()

    def measure() -> Sample:
        make = {"what": "submissions", "seed": next(seeds), "count": number}
        job = {"kind": "ping_pong", "host": HOST, "port": port, "path": path, "tokens": tokens, "expect": APPROVED}
        return loaded(pid, job | {"make": make}, value)

    return measure


def decisions(agents: int, number: int, value: str, profile: Path | None = None, under: Sequence[str] = ()) -> Side:
    """Return what opens a server and measures decisions of a rule; `under` is a command that runs the server."""

    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving(f"gate-{agents}", profile, under=under) as server:
            server.allow(payload.COMMAND)
            tokens = [server.token, *(server.new_agent(f"agent-{place}") for place in range(1, agents))]
            yield deciding(server.port, server.pid, "/api/v1/agent", tokens, number, value)

    return Side("failgate", opened)


def _echo(name: str, agents: int, number: int, value: str, *, is_durable: bool) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with floor("echo-ws", is_durable=is_durable) as standing:
            yield deciding(standing.port, standing.pid, "/", ["none"] * agents, number, value)

    return Side(name, opened)


def _circling(job: dict[str, Any], pid: int, number: int) -> Measure:
    seeds = count()

    def measure() -> Sample:
        make = {"what": "submissions", "seed": next(seeds), "count": number}
        return loaded(pid, job | {"kind": "approvals", "host": HOST, "make": make}, "p50_ms")

    return measure


def _approvals(number: int, profile: Path | None) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with serving("approvals", profile) as server:
            yield _circling(_as_people_do(server), server.pid, number)

    return Side("failgate", opened)


def _as_people_do(server: Server) -> dict[str, Any]:
    """Return the circle of an agent by its token and a reviewer by the cookie of a session with a second factor."""
    by_cookie = {"Cookie": server.sign_in_reviewer(), "Origin": server.origin}
    return {
        "port": server.port,
        "agent_path": "/api/v1/agent",
        "agent_headers": {"Authorization": f"Bearer {server.token}"},
        "reviewer_path": f"/api/v1/live?workspace={WORKSPACE}",
        "reviewer_headers": by_cookie,
        "vote": "http",
        "vote_path": f"/api/v1/workspaces/{WORKSPACE}/commands/{{id}}/votes",
        "vote_headers": by_cookie | {"Sec-Fetch-Site": "same-origin"},
    }


def _relay(number: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        with floor("relay", is_durable=True) as standing:
            job = {
                "port": standing.port,
                "agent_path": "/agent",
                "agent_headers": {},
                "reviewer_path": "/reviewer",
                "reviewer_headers": {},
                "vote": "socket",
            }
            yield _circling(job, standing.pid, number)

    return Side("floor: relay + two commits", opened)


def rows(*, is_quick: bool, profile: Path | None) -> list[Row]:
    """Return rows 5, 6 and 7."""
    one, many, circles = (100, 320, 30) if is_quick else (3000, 32_000, 1000)
    return [
        Row(
            5, "Allowlisted decision, one agent, WebSocket", "p50 ms",
            decisions(1, one, "p50_ms", profile),
            _echo("floor: echo + one commit in one process", 1, one, "p50_ms", is_durable=True),
            higher_is_better=False, target=1.7, is_durable=True, limits={"p99_ms": 2.0},
        ),
        Row(
            6, "Allowlisted decisions, 64 agents", "decisions/s",
            decisions(AGENTS, many, "rate", profile),
            _echo("floor: echo, nothing kept", AGENTS, many, "rate", is_durable=False),
            target=0.4, absolute=16_000, is_durable=True,
        ),
        Row(
            7, "Full approval: agent, reviewer, agent", "p50 ms",
            _approvals(circles, profile), _relay(circles),
            higher_is_better=False, target=2.0, is_durable=True, limits={"p99_ms": 5.0},
            notes=("NATS relay: not installed; it keeps nothing.",),
        ),
    ]  # fmt: skip
