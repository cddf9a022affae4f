"""The one decision, over everything that can come to it."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.access.decision import NEEDS_SECOND_FACTOR, PERSON_ONLY, WIDER, decide
from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.access.principal import ANONYMOUS, SYSTEM, Principal
from failgate.access.role import GRANTS, Role

HERE, ELSEWHERE = "w-here", "w-elsewhere"
PROVEN_US = 1_700_000_000_000_000
PERSON = Principal("user", account_id="a", session_id="s", second_factor_us=PROVEN_US, auth=("pwd", "otp"))
WITHOUT_FACTOR = replace(PERSON, second_factor_us=None, auth=("pwd",))
KEY = Principal("api_key", account_id="a", workspace_id=HERE, auth=("key",))
AGENT = Principal("agent", agent_id="g", owner_account_id="a", workspace_id=HERE, auth=("token",))
IN_WORKSPACE = [one for one in P if one.startswith("workspace:")]

speakers = st.sampled_from([ANONYMOUS, SYSTEM, PERSON, WITHOUT_FACTOR, KEY, AGENT]).flatmap(
    lambda one: st.builds(
        replace,
        st.just(one),
        workspace_id=st.sampled_from([None, HERE, ELSEWHERE]),
        scopes=st.one_of(st.none(), st.frozensets(st.sampled_from([str(each) for each in P]), max_size=4)),
        second_factor_us=st.sampled_from([None, PROVEN_US]),
    )
)
anything = {
    "principal": speakers,
    "permission": st.sampled_from(list(P)),
    "workspace_id": st.sampled_from([None, HERE, ELSEWHERE]),
    "role": st.sampled_from([None, *Role]),
    "is_platform_admin": st.booleans(),
}


@given(**anything)
def test_nothing_in_a_workspace_is_allowed_without_a_role_that_grants_it(
    principal: Principal, permission: P, workspace_id: str | None, role: Role | None, is_platform_admin: bool
) -> None:
    """F4 F5: whatever else is true of the speaker, the platform role included."""
    decided = decide(principal, permission, workspace_id=workspace_id, role=role, is_platform_admin=is_platform_admin)
    if permission.startswith("workspace:") and decided.allowed:
        assert decided.reason == "role"
        assert principal.kind != "anonymous"
        assert workspace_id is not None
        assert role is not None
        assert permission in GRANTS[role]
        assert principal.workspace_id in {None, workspace_id}
        assert principal.scopes is None or {permission, WIDER.get(permission, permission)} & principal.scopes


@given(**anything)
def test_a_vote_is_a_persons_with_a_second_factor_or_nothing(
    principal: Principal, permission: P, workspace_id: str | None, role: Role | None, is_platform_admin: bool
) -> None:
    """E4 E22: no key, no agent, no system, no session that has only its password."""
    decided = decide(
        principal, P.WORKSPACE_COMMAND_VOTE, workspace_id=workspace_id, role=role, is_platform_admin=is_platform_admin
    )
    if decided.allowed:
        assert principal.kind == "user"
        assert principal.second_factor_us is not None


@given(**anything)
def test_the_platform_is_for_people_with_the_platform_role_alone(
    principal: Principal, permission: P, workspace_id: str | None, role: Role | None, is_platform_admin: bool
) -> None:
    """F12: an owner gets nothing of the platform, a key of a platform administrator neither.

    Nor does somebody of whom only the provider of one workspace says that they are an administrator.
    """
    for wanted in (P.PLATFORM_METRICS_READ, P.PLATFORM_INSTALLATION_READ):
        decided = decide(principal, wanted, workspace_id=workspace_id, role=role, is_platform_admin=is_platform_admin)
        assert decided.allowed == (is_platform_admin and principal.kind == "user" and principal.workspace_id is None)


@given(**anything)
def test_the_platform_role_gives_nothing_inside_a_workspace(
    principal: Principal, permission: P, workspace_id: str | None, role: Role | None, is_platform_admin: bool
) -> None:
    if permission.startswith("workspace:"):
        assert decide(
            principal, permission, workspace_id=workspace_id, role=role, is_platform_admin=is_platform_admin
        ) == decide(principal, permission, workspace_id=workspace_id, role=role, is_platform_admin=False)


@given(**anything)
def test_a_decision_says_allowed_exactly_when_its_reason_does(
    principal: Principal, permission: P, workspace_id: str | None, role: Role | None, is_platform_admin: bool
) -> None:
    decided = decide(principal, permission, workspace_id=workspace_id, role=role, is_platform_admin=is_platform_admin)
    assert decided.allowed == (decided.reason in {"public", "self", "role", "platform_role"})


@pytest.mark.parametrize("permission", [one for one in P if not one.startswith("public:")])
def test_nobody_gets_nothing_that_is_not_public(permission: P) -> None:
    """F11."""
    decided = decide(ANONYMOUS, permission, workspace_id=HERE, role=Role.OWNER, is_platform_admin=True)
    assert (decided.allowed, decided.reason) == (False, "not_signed_in")


@pytest.mark.parametrize("permission", [one for one in P if one.startswith("public:")])
def test_what_is_public_is_everybodys(permission: P) -> None:
    for one in (ANONYMOUS, PERSON, KEY, AGENT, SYSTEM):
        assert decide(one, permission).reason == "public"


@pytest.mark.parametrize(("role", "permission"), list(itertools.product(Role, IN_WORKSPACE)))
def test_a_person_with_a_second_factor_has_exactly_what_the_role_grants(role: Role, permission: P) -> None:
    decided = decide(PERSON, permission, workspace_id=HERE, role=role)
    assert decided.allowed == (permission in GRANTS[role])
    assert decided.reason == ("role" if decided.allowed else "role_lacks_it")


@pytest.mark.parametrize("permission", IN_WORKSPACE)
def test_a_key_or_a_token_of_another_workspace_opens_nothing_here(permission: P) -> None:
    for one, role in ((KEY, Role.OWNER), (AGENT, Role.AGENT)):
        decided = decide(replace(one, workspace_id=ELSEWHERE), permission, workspace_id=HERE, role=role)
        assert decided.reason == "other_workspace"


@pytest.mark.parametrize("permission", IN_WORKSPACE)
def test_without_membership_or_without_a_workspace_there_is_nothing(permission: P) -> None:
    assert decide(PERSON, permission, workspace_id=HERE, role=None).reason == "not_a_member"
    assert decide(PERSON, permission, workspace_id=None, role=Role.OWNER).reason == "not_a_member"


def test_a_key_is_narrowed_to_the_context_of_reports_alone() -> None:
    """B5: a program that reads a report's context needs neither its manifest nor its artifacts."""
    told = replace(KEY, scopes=frozenset({"workspace:context:read"}))
    reader = replace(KEY, scopes=frozenset({"workspace:report:read"}))

    def may(who: Principal, permission: P, role: Role = Role.DEVELOPER) -> bool:
        return decide(who, permission, workspace_id=HERE, role=role).allowed

    assert may(told, P.WORKSPACE_CONTEXT_READ)
    assert not may(told, P.WORKSPACE_REPORT_READ)
    assert may(reader, P.WORKSPACE_CONTEXT_READ), "who reads a report may be told it"
    assert may(reader, P.WORKSPACE_REPORT_READ)
    assert not may(reader, P.WORKSPACE_CONTEXT_READ, Role.AUDITOR), "a scope gives nothing that the role lacks"


def test_scopes_narrow_a_token_and_never_widen_it() -> None:
    """E25."""
    scoped = replace(AGENT, scopes=frozenset({"workspace:command:submit", "workspace:command:vote"}))
    answers = {one: decide(scoped, one, workspace_id=HERE, role=Role.AGENT).reason for one in IN_WORKSPACE}
    assert [one for one, reason in answers.items() if reason == "role"] == [P.WORKSPACE_COMMAND_SUBMIT]
    assert answers[P.WORKSPACE_COMMAND_CONSUME] == "out_of_scope"
    assert answers[P.WORKSPACE_COMMAND_VOTE] == "role_lacks_it"
    nothing = replace(AGENT, scopes=frozenset())
    assert not any(decide(nothing, one, workspace_id=HERE, role=Role.AGENT).allowed for one in IN_WORKSPACE)


def test_a_key_reads_who_it_is_and_changes_nothing_of_its_owner() -> None:
    """B3: what ends sessions and factors is done in person."""
    assert decide(KEY, P.ACCOUNT_SELF_READ).reason == "self"
    assert decide(AGENT, P.ACCOUNT_SELF_READ).reason == "self"
    for one in (P.ACCOUNT_SELF_WRITE, P.ACCOUNT_SESSION_CLOSE):
        assert decide(KEY, one).reason == "out_of_scope"
        assert decide(AGENT, one).reason == "no_rule"
        assert decide(WITHOUT_FACTOR, one).reason == "self"


def test_who_signed_in_by_a_provider_that_does_not_answer_for_the_account_changes_nothing_of_it() -> None:
    assert decide(Principal("user", account_id="a"), P.ACCOUNT_SELF_WRITE).reason == "self"
    person = replace(WITHOUT_FACTOR, may_change_account=False)
    assert decide(person, P.ACCOUNT_SELF_WRITE).reason == "other_sign_in_needed"
    for one in (P.ACCOUNT_SELF_READ, P.ACCOUNT_LOGIN_OPEN, P.ACCOUNT_LOGIN_CLOSE):
        assert decide(person, one).reason == "self"


def test_a_person_without_a_second_factor_is_told_so_only_when_the_role_would_suffice() -> None:
    """A stranger to the role learns nothing of factors."""
    assert decide(WITHOUT_FACTOR, P.WORKSPACE_COMMAND_VOTE, workspace_id=HERE, role=Role.REVIEWER).reason == (
        "second_factor_needed"
    )
    assert decide(WITHOUT_FACTOR, P.WORKSPACE_COMMAND_VOTE, workspace_id=HERE, role=Role.DEVELOPER).reason == (
        "role_lacks_it"
    )


def test_every_vote_needs_both_walls() -> None:
    """The lists are the law; who takes the vote out of one of them is seen here."""
    assert P.WORKSPACE_COMMAND_VOTE in NEEDS_SECOND_FACTOR
    assert P.WORKSPACE_COMMAND_VOTE in PERSON_ONLY
