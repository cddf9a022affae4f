"""The body of a policy, and its digest."""

from typing import Any

import pytest

from failgate.base.canonical import digest_of
from failgate.sealed.policy import read_policy
from tests.sealed.parties import CRITICAL, POLICY
from tests.sealed.test_form import refused


def test_a_policy_is_named_by_its_digest() -> None:
    found = read_policy(CRITICAL)
    assert (found.id, found.need, found.require, found.digest) == ("critical", 2, {"native": 1}, digest_of(CRITICAL))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "value"),
        ({"need": 0}, "value"),
        ({"need": True}, "value"),
        ({"need": "2"}, "value"),
        ({"deny": "loses"}, "value"),
        ({"require": {"phone": 1}}, "value"),
        ({"require": {"native": 0}}, "value"),
        ({"require": ["native"]}, "shape"),
        ({"id": ""}, "value"),
        ({"other": 1}, "members"),
    ],
)
def test_what_a_policy_may_not_say(change: dict[str, Any], reason: str) -> None:
    refused(reason, read_policy, {**POLICY, **change})
