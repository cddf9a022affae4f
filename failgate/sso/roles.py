"""From the groups that a provider asserts to roles in workspaces. Pure.

A rule of a workspace's own connection names a group and a role. A rule of the installation's connection names the
workspace too, as `workspace:role`. The group `*` is everybody whom the connection signs in. Where several rules fit one
workspace the strongest role holds. No rule gives the platform role, and none the role of agents.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from failgate.access.role import Role
from failgate.base.errors import BadInput
from failgate.sso.connection import Connection

EVERYBODY: Final = "*"
STRENGTH: Final = (Role.OWNER, Role.ADMIN, Role.REVIEWER, Role.AUDITOR, Role.DEVELOPER)  # the strongest first
MOST_RULES: Final = 200
MOST_GROUP_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True)
class Given:
    """A role that a sign-in gives in `workspace` (a slug; None: the connection's own), because of `group`."""

    workspace: str | None
    role: Role
    group: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """What the groups of a sign-in give, one role a workspace, and the `unmapped` groups that no rule names."""

    given: tuple[Given, ...]
    unmapped: tuple[str, ...]


def map_groups(connection: Connection, groups: Iterable[str]) -> Mapping:
    """Return which roles `groups` give through `connection`. Groups are compared exactly, case and all."""
    asserted = list(dict.fromkeys(groups))
    rules = [(group, *split_target(target)) for group, target in connection.roles]
    found: dict[str | None, Given] = {}
    for group, workspace, role in rules:
        if group in asserted or group == EVERYBODY:
            _keep_stronger(found, Given(workspace, role, group))
    if connection.default_role is not None:
        workspace, role = split_target(connection.default_role)
        if workspace not in found:
            found[workspace] = Given(workspace, role, EVERYBODY)
    named = {group for group, _, _ in rules}
    return Mapping(tuple(found.values()), tuple(group for group in asserted if group not in named))


def named_workspaces(connection: Connection) -> frozenset[str | None]:
    """Return the workspaces (slugs; None: the connection's own) in which this connection decides about roles."""
    targets = [target for _, target in connection.roles]
    targets += [connection.default_role] if connection.default_role is not None else []
    return frozenset(split_target(target)[0] for target in targets)


def split_target(target: str) -> tuple[str | None, Role]:
    """Return the workspace (None: the connection's own) and the role that `[workspace:]role` names.

    Raises: BadInput (no role that a person may hold).
    """
    workspace, _, role = target.rpartition(":")
    if role not in {each.value for each in STRENGTH}:
        raise BadInput(
            f"{role[:40]!r} is no role that people hold.",
            hint=f"Use one of {', '.join(each.value for each in STRENGTH)}.",
        )
    return workspace or None, Role(role)


def check_rules(rules: Iterable[tuple[str, str]], *, names_workspace: bool) -> tuple[tuple[str, str], ...]:
    """Return `rules` without outer spaces, each once.

    Raises: BadInput (an empty or overlong group, a target that is no role, a workspace where none or one is due, one
    group with two roles in one workspace, too many).
    """
    kept: dict[tuple[str, str | None], str] = {}
    for raw_group, raw_target in rules:
        group, target = raw_group.strip(), raw_target.strip()
        if not group or len(group) > MOST_GROUP_CHARACTERS or not group.isprintable():
            raise BadInput(
                f"A group has 1 to {MOST_GROUP_CHARACTERS} printable characters.",
                hint="Copy it as the provider sends it; the test page shows how.",
            )
        workspace, _ = split_target(target)
        if names_workspace != (workspace is not None):
            raise BadInput(
                f"The rule for the group {group} names {'no' if names_workspace else 'a'} workspace.",
                hint="Say workspace:role." if names_workspace else "Say the role alone.",
            )
        if kept.setdefault((group, workspace), target) != target:
            raise BadInput(f"The group {group} is given two roles.", hint="Keep one of them.")
    if len(kept) > MOST_RULES:
        raise BadInput(f"There are more than {MOST_RULES} rules.", hint="Use fewer, broader groups.")
    return tuple((group, target) for (group, _), target in kept.items())


def _keep_stronger(found: dict[str | None, Given], given: Given) -> None:
    held = found.get(given.workspace)
    if held is None or STRENGTH.index(given.role) < STRENGTH.index(held.role):
        found[given.workspace] = given
