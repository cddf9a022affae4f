"""A reviewer's machine opens and signs what a listed agent asked for, and nothing else (P3 E15)."""

from pathlib import Path
from typing import Any

import pytest

from failgate.base.canonical import digest_of
from failgate.client import deciding
from failgate.client import pins as own
from failgate.client.answer import Answer
from failgate.client.deciding import decide, opened
from failgate.client.exits import NotConfigured, Unverified
from failgate.client.pins import Pins, store_pins
from failgate.sealed.decision import verify_decision
from failgate.sealed.keys import VerifyingKey
from failgate.sealed.manifest import NOTHING_BEFORE
from tests.client.test_pins import WS, Server
from tests.relay.parties import MARKER, Reviewer, Sealed

NOW = 1_000_000


class Desk(Server):
    """A server with one sealed command; `told` is what was handed in."""

    def __init__(self, sealed: Sealed, without: str | None) -> None:
        super().__init__(sealed)
        if without is not None:
            sealed.epoch, sealed.prev = 0, NOTHING_BEFORE
            payload = {name: value for name, value in sealed.payload().items() if name != without}
            self.chain = [sealed.signed(payload)]
            sealed.epoch, sealed.prev = 1, digest_of(payload)
        self.keys.append(sealed.agent.public_jwk())
        self.body, self.ctx = sealed.asked()
        self.told: list[Any] = []

    def call(self, method: str, path: str, body: object = None, **how: object) -> Answer:
        if "/sealed-commands/" not in path:
            return super().call(method, path, body, **how)
        if method == "POST":
            self.told.append(body)
        return Answer(200, {"sealed": self.body, "state": "approved"})


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own.time, "time", lambda: float(NOW))
    monkeypatch.setattr(deciding.time, "time", lambda: float(NOW))


def seated(folder: Path, without: str | None = None) -> tuple[Desk, Reviewer]:
    """Return a server, and a reviewer whose machine pinned it; the manifest lacks the member `without`."""
    ann = Reviewer("ann")
    desk = Desk(Sealed(WS, [ann], NOW), without)
    store_pins(str(folder), Pins(ann.signing, ann.opening.private_jwk()))
    own.pin(desk, str(folder), desk.sealed.prev, None)
    return desk, ann


def look(desk: Desk, folder: Path, cid: str | None = None) -> Any:
    return opened(desk, str(folder), cid or desk.ctx.cid)


def test_what_is_shown_is_what_is_signed(tmp_path: Path) -> None:
    desk, ann = seated(tmp_path)
    pins, shown = look(desk, tmp_path)
    assert f"argv[1]  {MARKER}" in shown.lines()
    assert decide(desk, pins, shown, "approve") == "approved"
    [told] = desk.told
    ring = {ann.signing.jkt: VerifyingKey.from_jwk(ann.signing.public_jwk())}
    found = verify_decision(told["decision"], ctx=desk.ctx, manifest=pins.manifest, keys=ring, now=NOW, counters={})
    assert (found.uid, found.decision) == ("ann", "approve")


def test_an_agent_that_no_manifest_lists_is_not_opened(tmp_path: Path) -> None:
    desk, _ = seated(tmp_path, "agents")
    with pytest.raises(Unverified, match="not one that is enrolled"):
        look(desk, tmp_path)


def test_another_request_than_the_one_that_was_asked_for_is_not_shown(tmp_path: Path) -> None:
    desk, _ = seated(tmp_path)
    with pytest.raises(Unverified, match="another request"):
        look(desk, tmp_path, "9eab1a7a-53dd-403e-af7a-af295e6bee00")


def test_nothing_of_a_command_moves_the_terminal_it_is_shown_on(tmp_path: Path) -> None:
    desk, _ = seated(tmp_path)
    desk.body, desk.ctx = desk.sealed.asked("/bin/echo", "\x1b[2Jx\u202ey\n")
    _, shown = look(desk, tmp_path)
    assert "argv[1]  <U+001B>[2Jx<U+202E>y<U+000A>" in shown.lines()


def test_an_agents_folder_reviews_nothing(tmp_path: Path) -> None:
    desk, _ = seated(tmp_path)
    store_pins(str(tmp_path), (own.load_pins(str(tmp_path)) or Pins(desk.sealed.agent))._replace(opening=None))
    with pytest.raises(NotConfigured, match="no reviewer's keys"):
        look(desk, tmp_path)
