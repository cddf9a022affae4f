"""Which of a person's opening keys the next manifest names, and what the administrator is told of each key. E10"""

from typing import Any

import pytest

from failgate.client.administering import people_of
from failgate.sealed.keys import OpeningKey, SigningKey

OPENING = [OpeningKey.generate() for _ in range(3)]
DECIDING = SigningKey.generate()


def listed(*opening: tuple[int, bool]) -> list[dict[str, Any]]:
    """Return what the server lists: a deciding key, and these of `OPENING`, each shared or not."""
    own = {"account": "ann", "agent": None, "rp": None, "origins": None, "class": None, "copies": None}
    keys = [own | {"purpose": "deciding", "class": "browser", "jwk": DECIDING.public_jwk()}]
    for place, is_shared in opening:
        copies = {"to": "a.b.c"} if is_shared else None
        keys.append(own | {"purpose": "opening", "jwk": OPENING[place].public_jwk(), "copies": copies})
    return keys


@pytest.mark.parametrize(
    ("opening", "known", "chosen"),
    [
        ([(0, False)], [], 0),
        ([(0, False), (1, False)], [], 1),  # nothing is named yet: the newest
        ([(0, False), (1, False)], [0], 0),  # a second device takes nothing away from the first
        ([(1, False)], [0], 1),  # what was named is revoked
        ([(0, False), (1, False), (2, True)], [0], 2),  # what both share
        ([(0, False), (2, True), (1, False)], [2], 2),  # a third device is not yet given it
        ([(0, False), (2, True), (1, False)], [0], 2),
        ([(0, True), (1, False), (2, True)], [0], 2),  # the newest that is shared
    ],
)
def test_a_manifest_names_what_the_devices_of_a_person_share(
    opening: list[tuple[int, bool]], known: list[int], chosen: int
) -> None:
    members, _, _ = people_of(listed(*opening), frozenset(OPENING[one].jkt for one in known))
    assert [one["enc"] for one in members] == [OPENING[chosen].jkt]


def test_class_and_origins_are_told_beside_the_number() -> None:
    """A server that lists a browser's key as one of a terminal is seen by who compares."""
    passkey = SigningKey.generate()
    own = {"account": "ann", "agent": None, "copies": None, "purpose": "deciding", "rp": "gate.example"}
    more = own | {"class": "webauthn", "origins": ["https://gate.example"], "jwk": passkey.public_jwk()}
    _, _, found = people_of([*listed((0, False)), more], frozenset())
    assert found == [
        ("ann", "deciding, browser", DECIDING.jkt),
        ("ann", "opening", OPENING[0].jkt),
        ("ann", "deciding, webauthn on https://gate.example", passkey.jkt),
    ]
