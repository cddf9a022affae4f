"""E25: what a token may be limited to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.access.role import GRANTS, Role
from failgate.accounts.token_limits import check_networks, check_scopes, is_within, offered_scopes, parsed_networks
from failgate.base.errors import BadInput


@pytest.mark.parametrize("role", list(Role))
def test_no_token_is_offered_more_than_the_role_or_what_is_done_in_person(role: Role) -> None:
    offered = set(offered_scopes(role))
    assert offered <= GRANTS[role]
    assert offered.isdisjoint({P.WORKSPACE_COMMAND_VOTE, P.WORKSPACE_KEY_WRITE})


def test_a_scope_is_one_of_those_offered() -> None:
    assert check_scopes(None, Role.OWNER) is None
    assert check_scopes([P.WORKSPACE_RULE_READ, P.WORKSPACE_RULE_READ], Role.AUDITOR) == ("workspace:rule:read",)
    for scopes, role in (
        ([], Role.OWNER), (["*"], Role.OWNER), ([P.WORKSPACE_COMMAND_VOTE], Role.OWNER),
        ([P.WORKSPACE_RULE_WRITE], Role.DEVELOPER), ([P.PLATFORM_USER_WRITE], Role.OWNER),
    ):  # fmt: skip
        with pytest.raises(BadInput):
            check_scopes(scopes, role)


@pytest.mark.parametrize("text", ["", "host", "10.0.0.1/8", "10.0.0.0/33", "::1/129", "10.0.0.1 10.0.0.2", "0x7f.1"])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadInput, match="neither an address nor a network"):
        check_networks([text])


def test_addresses_in_every_writing_are_compared_as_addresses() -> None:
    networks = parsed_networks(check_networks(["10.0.0.0/8", " 192.0.2.7 ", "2001:db8::/32"]))
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8:0:0::1"):
        assert is_within(inside, networks)
    for outside in ("11.0.0.1", "192.0.2.8", "::ffff:11.0.0.1", "2001:db9::1", "", None, "unix", "10.0.0.1, 11.0.0.1"):
        assert not is_within(outside, networks)


@given(st.ip_addresses(), st.ip_addresses())
def test_one_address_lets_in_itself_alone(one, other) -> None:
    networks = parsed_networks(check_networks([str(one)]))
    assert is_within(str(one), networks)
    assert is_within(str(other), networks) == (plain(other) == plain(one))


def plain(address):
    return getattr(address, "ipv4_mapped", None) or address


def test_a_network_of_mapped_addresses_is_the_ipv4_network() -> None:
    assert check_networks(["::ffff:10.0.0.0/104", "10.0.0.0/8", "::ffff:192.0.2.7"]) == ("10.0.0.0/8", "192.0.2.7/32")


def test_a_token_has_at_most_32_networks() -> None:
    assert len(check_networks([f"10.0.0.{number}" for number in range(32)])) == 32
    with pytest.raises(BadInput, match="at most 32"):
        check_networks([f"10.0.0.{number}" for number in range(33)])
