"""What a machine believes by its own file, and what it remembers of approvals that it used (P3)."""

import json
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest

from failgate.client import pins as own
from failgate.client.answer import Answer
from failgate.client.exits import NotConfigured, Unverified
from failgate.client.pins import PINS_FILE, Pins, Used, held, is_pinned, load_pins, refuse_clear, renewed, store_pins
from failgate.sealed.keys import OpeningKey, SigningKey, safety_number
from failgate.sealed.refusal import Refused
from tests.relay.parties import Reviewer, Sealed, opener

WS = "8d440d1d-b0a9-4df4-8284-fac5c7fdb7fc"


class Server:
    """Answers with a chain of manifests, as a server would, or as a malicious one could."""

    def __init__(self, sealed: Sealed) -> None:
        self.sealed, self.chain, self.page = sealed, [sealed.next()], 1_000
        self.keys: list[Any] = [
            jwk for one in sealed.people for jwk in (one.opening.public_jwk(), one.signing.public_jwk())
        ]

    def workspace(self) -> str:
        return "/api/v1/workspaces/acme"

    def call(self, method: str, path: str, body: object = None, **how: object) -> Answer:
        del method, body, how
        after = int(path.rpartition("=")[2])
        items = self.chain[after : after + self.page] if after < 1_000 else []
        return Answer(200, {"items": items, "keys": self.keys, "policies": [self.sealed.policy], "next": None})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(own.time, "time", lambda: 1_000_000.0)
    return Server(Sealed(WS, [Reviewer("ann")], 1_000_000))


def pin(server: Server, folder: Path, digest: str, policy: str = "default") -> None:
    own.pin(server, str(folder), digest, policy)


def pinned(server: Server, folder: Path) -> None:
    store_pins(str(folder), Pins(server.sealed.agent))
    pin(server, folder, server.sealed.prev)


def renew(server: Server, folder: Path) -> Pins:
    return renewed(server, str(folder))[0]


def test_keys_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    signing, opening = SigningKey.generate(), opener(0)
    assert SigningKey.from_jwk(signing.private_jwk()).jkt == signing.jkt
    assert OpeningKey.from_jwk(opening.private_jwk()).jkt == opening.jkt
    other = SigningKey.generate().private_jwk()["d"]
    for wrong in (signing.private_jwk() | {"d": other}, signing.private_jwk() | {"d": "A" * 43}, signing.public_jwk()):
        with pytest.raises(Refused):
            SigningKey.from_jwk(wrong)
    assert load_pins(str(tmp_path)) is None
    path = Path(store_pins(str(tmp_path), Pins(signing, opening.private_jwk())))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = load_pins(str(tmp_path))
    assert kept is not None
    assert (kept.key.jkt, kept.pin, kept.opening) == (signing.jkt, None, opening.private_jwk())
    assert not is_pinned(str(tmp_path))
    refuse_clear(str(tmp_path))


def test_the_number_that_people_compare_is_of_the_whole_thumbprint() -> None:
    assert safety_number("A" * 43) == " ".join(["00000"] * 8)
    number = safety_number(SigningKey.generate().jkt)
    assert [len(group) for group in number.split()] == [5] * 8
    with pytest.raises(Refused):
        safety_number("short")


def test_a_pinned_machine_asks_nothing_in_the_clear_and_follows_the_chain(server: Server, tmp_path: Path) -> None:
    pinned(server, tmp_path)
    assert is_pinned(str(tmp_path))
    with pytest.raises(Unverified, match="nothing is asked in the clear"):
        refuse_clear(str(tmp_path))
    assert renew(server, tmp_path).manifest.epoch == 1
    server.chain += [server.sealed.next(), server.sealed.next()]
    assert renew(server, tmp_path).manifest.epoch == 3
    kept = load_pins(str(tmp_path))
    assert kept is not None
    assert kept.manifest.epoch == 3


def test_expired_ones_in_the_middle_are_passed_and_an_expired_newest_is_not_believed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(server, tmp_path)
    server.chain.append(server.sealed.next())
    later = 1_000_000 + 10 * 86_400
    monkeypatch.setattr(own.time, "time", lambda: float(later))
    with pytest.raises(Unverified, match="expired"):
        renew(server, tmp_path)
    server.chain.append(server.sealed.next(iat=later, exp=later + 3600))
    assert renew(server, tmp_path).manifest.epoch == 3


def test_an_expired_one_at_the_end_of_a_page_is_in_the_middle_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(server, tmp_path)
    server.page = 1
    server.chain += [server.sealed.next(), server.sealed.next()]
    later = 1_000_000 + 10 * 86_400
    monkeypatch.setattr(own.time, "time", lambda: float(later))
    with pytest.raises(Unverified, match="expired"):
        renew(server, tmp_path)
    server.chain.append(server.sealed.next(iat=later, exp=later + 3600))
    assert renew(server, tmp_path).manifest.epoch == 4


def test_another_first_manifest_than_the_pinned_one_is_not_believed(server: Server, tmp_path: Path) -> None:
    store_pins(str(tmp_path), Pins(server.sealed.agent))
    with pytest.raises(Unverified, match="not the one that was pinned"):
        pin(server, tmp_path, "A" * 43)
    with pytest.raises(NotConfigured, match="no policy"):
        pin(server, tmp_path, server.sealed.prev, "other")
    assert not is_pinned(str(tmp_path))
    pinned(server, tmp_path)
    with pytest.raises(Unverified, match="Another workspace is pinned"):
        pin(server, tmp_path, "A" * 43)


@pytest.mark.parametrize("lie", ["fork", "unsigned", "rollback"])
def test_a_bad_update_is_refused_and_the_last_good_manifest_stays(server: Server, tmp_path: Path, lie: str) -> None:
    pinned(server, tmp_path)
    first = server.chain[0]
    good = server.sealed.next()
    server.chain.append(good)
    assert renew(server, tmp_path).manifest.epoch == 2
    thief = SigningKey.generate()
    if lie == "fork":
        server.chain = [first, good, server.sealed.signed(server.sealed.payload(prev="A" * 43))]
    elif lie == "unsigned":
        payload = server.sealed.payload(roots={"keys": [thief.jkt], "m": 1})
        stolen = server.sealed.signed(payload, thief) | {"keys": [thief.public_jwk()]}
        server.chain = [first, good, stolen]
    else:
        server.chain = [first, good, first]
    before = (tmp_path / PINS_FILE).read_bytes()
    with pytest.raises(Unverified, match="not believed"):
        renew(server, tmp_path)
    assert (tmp_path / PINS_FILE).read_bytes() == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"v": 2}', "pin"])
def test_a_damaged_file_of_pins_lets_nothing_be_asked(server: Server, tmp_path: Path, damage: str) -> None:
    pinned(server, tmp_path)
    path = tmp_path / PINS_FILE
    if damage == "pin":
        kept = json.loads(path.read_text())
        del kept["pin"]
        damage = json.dumps(kept)
    path.write_text(damage)
    with pytest.raises(NotConfigured, match="damaged"):
        is_pinned(str(tmp_path))
    path.chmod(0o644)
    with pytest.raises(NotConfigured, match="others can read"):
        refuse_clear(str(tmp_path))


def test_what_was_used_is_known_after_a_restart_and_half_a_line_was_never_used(tmp_path: Path) -> None:
    used = Used(str(tmp_path))
    used.keep({"one": 7, "two": 8}, {"A" * 43: 3})
    used = Used(str(tmp_path))
    assert (used.ids, used.counters) == ({"one": 7, "two": 8}, {"A" * 43: 3})
    path = tmp_path / "sealed-used"
    with path.open("ab") as stream:
        stream.write(b'{"counters":{},"ids":{"three"')
    used = Used(str(tmp_path))
    assert set(used.ids) == {"one", "two"}
    used.keep({"four": 9}, {})
    assert set(Used(str(tmp_path)).ids) == {"one", "two", "four"}
    path.write_bytes(b"\n" + path.read_bytes())
    with pytest.raises(Unverified, match="damaged"):
        Used(str(tmp_path))


def _claims(folder: str, barrier: Any, told: Any) -> None:
    barrier.wait()
    with held(folder):
        used = Used(folder)
        told.put("request" not in used.ids)
        if "request" not in used.ids:
            used.keep({"request": 9}, {})


def test_of_two_processes_that_use_one_approval_one_does(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(5):
        folder = tmp_path / str(number)
        barrier, told = context.Barrier(2), context.Queue()
        both = [context.Process(target=_claims, args=(str(folder), barrier, told)) for _ in range(2)]
        for one in both:
            one.start()
        assert sorted(told.get(timeout=30) for _ in both) == [False, True]
        for one in both:
            one.join()
