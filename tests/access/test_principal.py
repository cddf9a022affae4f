"""Who speaks."""

import dataclasses

import pytest

from failgate.access.principal import ANONYMOUS, SYSTEM, Principal


@pytest.mark.parametrize(
    ("principal", "known_as"),
    [
        (Principal("user", account_id="a"), "a"),
        (Principal("api_key", account_id="a", workspace_id="w"), "a"),
        (Principal("agent", agent_id="g", owner_account_id="a", workspace_id="w"), "g"),
        (ANONYMOUS, "anonymous"),
        (SYSTEM, "system"),
    ],
)
def test_the_log_names_the_one_who_acts_and_not_who_answers_for_them(principal: Principal, known_as: str) -> None:
    """E7: an agent's act is the agent's, not its owner's."""
    assert principal.id == known_as


def test_a_principal_cannot_be_raised_after_it_was_made() -> None:
    speaker = Principal("agent", agent_id="g", workspace_id="w")
    with pytest.raises(dataclasses.FrozenInstanceError):
        speaker.kind = "user"  # type: ignore[misc]  # this is the attack
    assert not hasattr(speaker, "__dict__")


def test_nobody_and_the_system_carry_no_credential() -> None:
    for one in (ANONYMOUS, SYSTEM):
        assert one.account_id is one.agent_id is one.workspace_id is one.session_id is one.second_factor_us is None
        assert one.auth == ()
