"""Who speaks."""

import dataclasses
from dataclasses import replace

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


@pytest.mark.parametrize(("principal", "known_as"), [
    (Principal("scim", connection_id="c"), "c"),
    (Principal("scim"), "scim"),
    (Principal("share", share_id="s", account_id="a"), "s"),
])  # fmt: skip
def test_a_directory_and_a_share_are_named_too(principal: Principal, known_as: str) -> None:
    assert principal.id == known_as


@pytest.mark.parametrize(
    ("auth", "proven_us", "is_proven"),
    [
        (("pwd", "otp"), 40_000_000, True),  # 60 s ago, to the microsecond
        (("pwd", "otp"), 39_999_999, False),
        (("pwd", "otp"), 100_000_000, True),
        (("pwd", "otp"), 100_000_001, False),  # in the future
        (("pwd", "otp"), None, False),
        (("pwd", "recovery"), 100_000_000, False),
        (("pwd", "recovery", "otp"), 100_000_000, True),
    ],
)
def test_a_second_factor_is_proven_for_a_time_and_by_no_backup_code(
    auth: tuple[str, ...], proven_us: int | None, is_proven: bool
) -> None:
    speaker = Principal("user", account_id="a", auth=auth, second_factor_us=proven_us)
    assert not speaker.proved_within(100_000_000, 60)  # without the cookie that went out with it
    assert replace(speaker, carries_proof=True).proved_within(100_000_000, 60) is is_proven


@pytest.mark.parametrize(
    ("shown_us", "is_shown"),
    [(40_000_000, True), (39_999_999, False), (100_000_000, True), (100_000_001, False), (None, False)],
)
def test_a_first_factor_was_shown_for_a_time(shown_us: int | None, is_shown: bool) -> None:
    speaker = Principal("user", account_id="a", first_factor_us=shown_us)
    assert not speaker.showed_first_within(100_000_000, 60)
    assert replace(speaker, carries_proof=True).showed_first_within(100_000_000, 60) is is_shown


@pytest.mark.parametrize(
    ("auth", "last"), [((), None), (("pwd",), None), (("pwd", "otp"), "otp"), (("pwd", "otp", "recovery"), "recovery")]
)
def test_the_last_second_factor_is_told(auth: tuple[str, ...], last: str | None) -> None:
    assert Principal("user", account_id="a", auth=auth).last_factor == last
