"""What the relay believes, and what it does not (E10 E15)."""

import pytest
from failgate_e2ee import E2ee, E2eeSettings, plugin

from failgate.plugin import Duration, sealed
from failgate.testing import host_at, opened, settings_from

RELAY = E2ee(E2eeSettings())
EC = {
    "crv": "P-256",
    "kty": "EC",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}  # of RFC 7515 appendix A.3


async def test_it_opens_with_its_settings(tmp_path) -> None:
    settings = settings_from(plugin, 'longest_wait = "1h"\nwaiting_per_agent = 20')
    async with opened(plugin, settings, host_at(tmp_path)) as provides:
        assert provides.relay is not None
        assert (provides.relay.longest_wait_seconds, provides.relay.waiting_per_agent) == (3600, 20)


def test_the_defaults_are_those_of_the_format() -> None:
    assert (E2eeSettings().longest_wait, RELAY.waiting_per_agent) == (Duration("24h"), 100)


def test_a_key_signs_or_opens_and_never_both() -> None:
    assert RELAY.thumbprint("deciding", EC) == RELAY.thumbprint("asking", EC)
    for purpose, jwk in (("opening", EC), ("deciding", {"kty": "RSA", "e": "AQAB", "n": "AQAB"}), ("asking", 7)):
        with pytest.raises(sealed.Refused):
            RELAY.thumbprint(purpose, jwk)


@pytest.mark.parametrize("value", [None, 7, [], "x", {}, {"payload": "e30", "signatures": []}, {"aad": "e30"}])
def test_anything_else_is_refused_and_raises_nothing_else(value: object) -> None:
    for ask in (
        lambda: RELAY.manifest(value, None, 0),
        lambda: RELAY.context(value),
        lambda: RELAY.run(value, "x", {}),
        lambda: RELAY.thumbprint("asking", value),
        lambda: RELAY.receipt("x.y.z", None, value),
    ):
        with pytest.raises(sealed.Refused):
            ask()
