"""Realistic requests and frames for the tests of pages; times stand still."""

from collections.abc import Callable
from typing import Any

import pytest

from failgate.base.clock import to_rfc3339
from failgate.matching.rendering import render
from failgate.web.pages.frame import Frame, Place, navigation
from failgate.wire.gate import CommandView, Finding, Outcome, Risk, Verdict, VoteView

NOW_US = 1_790_000_000_000_000
MakeCommand = Callable[..., CommandView]
MakeFrame = Callable[..., Frame]


@pytest.fixture
def now_us() -> int:
    return NOW_US


def ago(seconds: float) -> str:
    return to_rfc3339(NOW_US - round(seconds * 1_000_000))


@pytest.fixture
def make_command() -> MakeCommand:
    def make(argv: list[str], **changes: Any) -> CommandView:
        votes = [VoteView(who, decision, ago(4), "seen") for who, decision in changes.pop("votes", [])]
        verdict, outcome = changes.pop("verdict", None), changes.pop("outcome", None)
        body = {
            "v": 1,
            "argv": argv,
            "cwd": "/srv",
            "env": changes.pop("env", {"HOME": "/root"}),
            "host": "ci-7",
            "uid": 1,
        }
        made = CommandView(
            id=changes.pop("id", "019e2b40-7c01-7a10-9d44-5b6f1a2c3d01"),
            state=changes.pop("state", "pending"),
            digest="tq8vF2u0Zk3hXbYpR1cN4wLmE7sAoD9gJ5iKxHfTzUQ",
            created_at=ago(changes.pop("age", 20)),
            expires_at=ago(-40),
            risk=Risk(None, []),
            rendering=render(argv),
            agent=changes.pop("agent", "deploy-bot"),
            host="ci-7",
            waiting_for="a reviewer",
            need=changes.pop("need", 1),
            votes=votes,
            findings=[Finding("quorum", "ask", changes.pop("why", "one person"), 1)],
            reason=changes.pop("reason", None),
            verdict=Verdict("x", "d", verdict, ago(4), None, changes.pop("by", ["m@a.example"]), "quorum")
            if verdict
            else None,
            outcome=Outcome("d", outcome, 1200, report_id="r") if outcome is not None else None,
            command=body,
        )
        assert not changes
        return made

    return make


@pytest.fixture
def make_frame() -> MakeFrame:
    def make(role: str | None = "owner", *, is_demo: bool = False, email: str = "mara@acme.example") -> Frame:
        place = Place("acme", "Acme", role) if role else None
        places = (place,) if place else ()
        return Frame("Title", "NONCE", "CSRF", "v1", email, is_demo, place, places, navigation(place, "queue", 2))

    return make
