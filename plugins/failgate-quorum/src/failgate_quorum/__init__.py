"""Every command waits for a number of people, unless another policy decides it."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Final, Literal

import msgspec

from failgate.plugin import (
    Between,
    Command,
    CommandContext,
    Duration,
    Escalation,
    Finding,
    Group,
    Host,
    Plugin,
    Provides,
    SettingRefused,
    Terms,
)

__all__ = ["EscalationSettings", "GroupSettings", "Quorum", "QuorumSettings", "plugin"]

MOST: Final = 20
MOST_STEPS: Final = 10
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
VotingRole = Literal["owner", "admin", "reviewer"]


class GroupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People of whom `need` have to approve: by their role in the workspace, or by their address."""

    need: Annotated[int, Between(1, MOST)] = 1
    roles: tuple[VotingRole, ...] = ()
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a group that nobody can be in. Raises: SettingRefused."""
        if not self.roles and not self.members:
            raise SettingRefused("members", "a group has roles or members, or nobody could approve for it")
        if not self.roles and len(set(map(str.casefold, self.members))) < self.need:
            raise SettingRefused("need", "the group has fewer members than have to approve")
        _check_addresses("members", self.members)


class EscalationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People who are told when nobody decided for `after`: by their role in the workspace, or by their address."""

    after: Annotated[Duration, Between("1s", "24h")]
    roles: tuple[VotingRole, ...] = ()
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a step that names nobody. Raises: SettingRefused."""
        if not self.roles and not self.members:
            raise SettingRefused("members", "a step has roles or members, or nobody would be told")
        _check_addresses("members", self.members)


class QuorumSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many distinct people have to approve, of which groups, and how long they have.

    `deny_after` denials end a request; `exclude` names addresses that never decide; `escalation` has the steps of the
    ladder, by their names, taken in the order of their times. `break_glass` says who may let a request run without its
    quorum in an emergency: nobody, owners, or whoever may vote.
    """

    need: Annotated[int, Between(1, MOST)] = 1
    groups: dict[str, GroupSettings] = {}
    deny_after: Annotated[int, Between(1, MOST)] = 1
    exclude: tuple[str, ...] = ()
    decide_within: Annotated[Duration, Between("1s", "24h")] | None = None
    use_within: Annotated[Duration, Between("1s", "24h")] | None = None
    escalation: dict[str, EscalationSettings] = {}
    break_glass: Literal["off", "owner", "reviewer"] = "off"

    def __post_init__(self) -> None:
        """Refuse what could not be met. Raises: SettingRefused."""
        if any(not _NAME.fullmatch(name) for name in self.groups):
            raise SettingRefused("groups", "names of groups are lower-case letters, digits and hyphens")
        if self.people > MOST:
            raise SettingRefused(
                "groups", f"more than {MOST} people would have to approve: nobody stands for two groups"
            )
        _check_addresses("exclude", self.exclude)
        if any(not _NAME.fullmatch(name) for name in self.escalation):
            raise SettingRefused("escalation", "names of steps are lower-case letters, digits and hyphens")
        if len(self.escalation) > MOST_STEPS:
            raise SettingRefused("escalation", f"a ladder has at most {MOST_STEPS} steps")
        end = self.decide_within
        if end is not None and any(step.after.seconds >= end.seconds for step in self.escalation.values()):
            raise SettingRefused("escalation", "a step comes before decide_within is over, or nobody is told by it")

    @property
    def people(self) -> int:
        """Return how many distinct people have to approve."""
        return max(self.need, sum(group.need for group in self.groups.values()))


class Quorum:
    """Asks for people. Who counts is the gate's law."""

    def __init__(self, settings: QuorumSettings) -> None:
        """Ask as `settings` say."""
        people = "one person has" if settings.people == 1 else f"{settings.people} people have"
        groups = [f"{group.need} of {name}" for name, group in sorted(settings.groups.items())]
        reason = f"{people} to approve" + (f": {', '.join(groups)}" if groups else "")
        self._finding = Finding("ask", reason, need=settings.people, terms=_terms_of(settings))
        self._snapshot: dict[str, object] = {"need": settings.need}
        if self._finding.terms != Terms():
            self._snapshot["terms"] = msgspec.to_builtins(self._finding.terms)

    async def judge(self, command: Command, context: CommandContext) -> Finding:  # noqa: ARG002 - every command alike
        """Ask for people."""
        return self._finding

    def snapshot(self, workspace_id: str) -> dict[str, object]:  # noqa: ARG002 - every workspace alike
        """Return what is asked for."""
        return dict(self._snapshot)


def _terms_of(settings: QuorumSettings) -> Terms:
    return Terms(
        groups=tuple(
            Group(name, group.need, group.roles, group.members) for name, group in sorted(settings.groups.items())
        ),
        deny_after=None if settings.deny_after == 1 else settings.deny_after,
        excluded=settings.exclude,
        decide_within_seconds=None if settings.decide_within is None else round(settings.decide_within.seconds),
        use_within_seconds=None if settings.use_within is None else round(settings.use_within.seconds),
        escalations=tuple(
            sorted(
                Escalation(round(step.after.seconds), name, step.roles, step.members)
                for name, step in settings.escalation.items()
            )
        ),
        break_glass=None if settings.break_glass == "off" else settings.break_glass,
    )


def _check_addresses(key: str, addresses: tuple[str, ...]) -> None:
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise SettingRefused(key, "say the addresses of people as their accounts have them: ann@acme.example")


@asynccontextmanager
async def open_quorum(config: QuorumSettings, _host: Host) -> AsyncGenerator[Provides]:
    """Open the policy."""
    yield Provides(approval_policy=Quorum(config))


plugin = Plugin(name="quorum", config=QuorumSettings, open=open_quorum)
