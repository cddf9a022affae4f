"""The pack `access`: who may do what at the end of a period, how they came to it, and what changed within it.

Everything is folded from the records, from the first one on; memory holds what is live. Sign-ins and second factors are
read in the log `system`, of those alone who are members at the end.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from failgate.audit.catalogue import acts_named
from failgate.audit.record import Act
from failgate.evidence.reading import Reading
from failgate.evidence.sheets import Column, Line, Names, Record, Section, facts_of, line, told, when

_MEMBERS: Final = Section(
    "members",
    "Members",
    "Everybody who had a role at the end of the period, and how they came to it.",
    (
        Column("member", "who", is_printed=True),
        Column("member_id", "the ID of the account"),
        Column("role", "owner, admin, reviewer, developer or auditor", is_printed=True),
        Column("role_since", "when this role was given, UTC", is_printed=True),
        Column("role_by", "who gave it", is_printed=True),
        Column("member_since", "when the membership began, UTC", is_printed=True),
        Column("how", "by an invitation, added by somebody, by single sign-on, provisioned", is_printed=True),
        Column("account", "enabled, or disabled since", is_printed=True),
        Column("last_sign_in_at", "the last one before the end of the period, UTC", is_printed=True),
        Column("last_signed_in_by", "by which methods"),
        Column("second_factors", "what is enrolled at the end of the period", is_printed=True),
        Column("second_factors_since", "when the last of them changed, UTC"),
    ),
)
_AGENTS: Final = Section(
    "agents",
    "Agents",
    "Every agent of the workspace, who answers for it, and whether it is enabled.",
    (
        Column("agent", "its name", is_printed=True),
        Column("agent_id", "its ID", is_printed=True),
        Column("state", "enabled or disabled", is_printed=True),
        Column("owner", "who answers for it", is_printed=True),
        Column("owner_id", "the ID of that account"),
        Column("owner_since", "when, UTC", is_printed=True),
        Column("created_at", "when, UTC", is_printed=True),
        Column("created_by", "who made it", is_printed=True),
    ),
)
_CREDENTIALS: Final = Section(
    "credentials",
    "Tokens, keys and certificates",
    "Everything that opened the workspace to a program at the end of the period: neither revoked nor expired.",
    (
        Column("credential", "agent token, API key, SCIM token, ingest key, certificate", is_printed=True),
        Column("credential_id", "its ID", is_printed=True),
        Column("holder", "the agent or person it speaks for", is_printed=True),
        Column("holder_id", "its ID"),
        Column("made_at", "when, UTC", is_printed=True),
        Column("made_by", "who made it", is_printed=True),
        Column("expires_at", "when, UTC; never, or not stated by the record", is_printed=True),
        Column("scopes", "to how many rights it is confined; all: to those of its holder", is_printed=True),
        Column("networks", "to how many networks it is confined", is_printed=True),
    ),
)
_SIGN_ON: Final = Section(
    "sign_on",
    "Single sign-on and provisioning",
    "Connections and domains that there were at the end of the period, and whether single sign-on was demanded.",
    (
        Column("what", "connection, domain, demand", is_printed=True),
        Column("its_id", "its ID", is_printed=True),
        Column("state", "as of the last record about it", is_printed=True),
        Column("since", "when that was recorded, UTC", is_printed=True),
        Column("by", "who did it", is_printed=True),
        Column("stated", "what that record states", is_printed=True),
    ),
)
CHANGE_COLUMNS: Final = (
    Column("at", "when, UTC", is_printed=True),
    Column("act", "the name of the event", is_printed=True),
    Column("what", "the same in words", is_printed=True),
    Column("outcome", "ok, deny or error", is_printed=True),
    Column("who", "who did it", is_printed=True),
    Column("who_id", "its ID"),
    Column("object", "to whom or what", is_printed=True),
    Column("object_id", "its ID"),
    Column("stated", "what the record states", is_printed=True),
    Column("second_factor", "what who did it had shown; empty when no person did", is_printed=True),
    Column("second_factor_age_seconds", "how old that proof was"),
)
_CHANGES: Final = Section(
    "changes",
    "What changed",
    "Every change of members, agents, credentials and single sign-on in the period.",
    CHANGE_COLUMNS,
)
SECTIONS: Final = (_MEMBERS, _AGENTS, _CREDENTIALS, _SIGN_ON, _CHANGES)

_KINDS: Final = {"agt": "agent token", "usr": "API key", "scim": "SCIM token"}
_CHANGED: Final = tuple(
    str(act)
    for group in ("people", "single-sign-on", "agents-and-keys")
    for act in acts_named(group)
    if act not in {Act.ABSENCE_DECLARED, Act.ABSENCE_ENDED, Act.STAND_IN_ENDED, Act.SSO_REFUSED, Act.SSO_LOGGED_OUT}
)
_SIGN_INS: Final = frozenset({str(Act.SESSION_OPENED), str(Act.LOGIN_OPENED)})
_HOW: Final = {
    "operator": "by the operator of the server",
    "sso_connection": "by single sign-on",
    "scim": "provisioned",
}


@dataclass(slots=True)
class _Member:
    joined: Record
    given: Record
    invitation: tuple[Record, ...] = ()


@dataclass(slots=True)
class _Agent:
    created: Record
    owned: Record
    owner: str
    disabled: Record | None = None


@dataclass(slots=True)
class _Credential:
    made: Record
    limited: Record | None = None


@dataclass(slots=True)
class _State:
    """What is live, by its id."""

    end_us: int
    members: dict[str, _Member] = field(default_factory=dict[str, _Member])
    invitations: dict[str, Record] = field(default_factory=dict[str, Record])
    agents: dict[str, _Agent] = field(default_factory=dict[str, _Agent])
    credentials: dict[str, _Credential] = field(default_factory=dict[str, _Credential])
    sign_on: dict[tuple[str, str], Record] = field(default_factory=dict[tuple[str, str], Record])

    def take(self, record: Record) -> None:
        """Fold a record; they come in their order."""
        _FOLDS[record.act](self, record)

    def added(self, record: Record) -> None:
        self.members[_account(record)] = _Member(record, record)

    def changed(self, record: Record) -> None:
        member = self.members.get(_account(record))
        if member is not None:
            member.given = record

    def removed(self, record: Record) -> None:
        self.members.pop(_account(record), None)

    def invited(self, record: Record) -> None:
        self.invitations[record.object_id] = record

    def uninvited(self, record: Record) -> None:
        self.invitations.pop(record.object_id, None)

    def accepted(self, record: Record) -> None:
        invited = self.invitations.pop(record.object_id, None)
        member = self.members.get(str(record.data.get("account")))
        if member is not None:
            member.invitation = (record,) if invited is None else (invited, record)

    def agent_created(self, record: Record) -> None:
        self.agents[record.object_id] = _Agent(record, record, str(record.data.get("owner") or ""))

    def agent_changed(self, record: Record) -> None:
        agent, owner = self.agents.get(record.object_id), record.data.get("owner")
        if agent is not None and owner:
            agent.owner, agent.owned = str(owner), record

    def agent_disabled(self, record: Record) -> None:
        agent = self.agents.get(record.object_id)
        if agent is not None:
            agent.disabled = record

    def made(self, record: Record) -> None:
        expires = record.data.get("expires_us")
        if expires is None or expires > self.end_us:
            self.credentials[record.object_id] = _Credential(record)

    def limited(self, record: Record) -> None:
        credential = self.credentials.get(record.object_id)
        if credential is not None:
            credential.limited = record
            if record.data.get("expires_us") is not None and record.data["expires_us"] <= self.end_us:
                del self.credentials[record.object_id]

    def revoked(self, record: Record) -> None:
        self.credentials.pop(record.object_id, None)

    def set_up(self, record: Record) -> None:
        self.sign_on[str(record.said["obj"]["t"]), record.object_id] = record

    def taken_down(self, record: Record) -> None:
        self.sign_on.pop((str(record.said["obj"]["t"]), record.object_id), None)


_FOLDS: Final[Mapping[str, Callable[[_State, Record], None]]] = {
    str(act): fold
    for act, fold in {
        Act.MEMBER_ADDED: _State.added,
        Act.MEMBER_CHANGED: _State.changed,
        Act.MEMBER_REMOVED: _State.removed,
        Act.INVITATION_CREATED: _State.invited,
        Act.INVITATION_ACCEPTED: _State.accepted,
        Act.INVITATION_REVOKED: _State.uninvited,
        Act.AGENT_CREATED: _State.agent_created,
        Act.AGENT_CHANGED: _State.agent_changed,
        Act.AGENT_DISABLED: _State.agent_disabled,
        Act.TOKEN_MINTED: _State.made,
        Act.TOKEN_LIMITED: _State.limited,
        Act.TOKEN_REVOKED: _State.revoked,
        Act.CERTIFICATE_REGISTERED: _State.made,
        Act.CERTIFICATE_REVOKED: _State.revoked,
        Act.INGEST_KEY_MINTED: _State.made,
        Act.INGEST_KEY_REVOKED: _State.revoked,
        Act.SSO_CONNECTION_CREATED: _State.set_up,
        Act.SSO_CONNECTION_CHANGED: _State.set_up,
        Act.SSO_CONNECTION_ENABLED: _State.set_up,
        Act.SSO_CONNECTION_DISABLED: _State.set_up,
        Act.SSO_CONNECTION_REMOVED: _State.taken_down,
        Act.DOMAIN_CLAIMED: _State.set_up,
        Act.DOMAIN_VERIFIED: _State.set_up,
        Act.DOMAIN_REMOVED: _State.taken_down,
        Act.SSO_ENFORCED: _State.set_up,
        Act.SSO_RELEASED: _State.taken_down,
    }.items()
}


async def access(reading: Reading) -> AsyncIterator[Line]:
    """Yield the lines of the pack: what is live at the end of the period, then what changed in it."""
    state = _State(reading.end_us)
    async for record in reading.records(tuple(_FOLDS), is_from_start=True):
        state.take(record)
    for account_id, member in state.members.items():
        yield await _member(reading, account_id, member)
    for agent in state.agents.values():
        yield _agent(reading.names, agent)
    for credential in state.credentials.values():
        yield _credential(reading.names, credential)
    for (kind, key), record in state.sign_on.items():
        yield _sign_on(reading.names, kind, key, record)
    async for record in reading.records(_CHANGED):
        yield await changed(reading, _CHANGES, record)


async def changed(reading: Reading, section: Section, record: Record, **more: object) -> Line:
    """Return the line of something that was done, for a section with the columns that `changes` has."""
    names, factor = reading.names, await reading.factor(record)
    return line(
        section, record, (factor.proof,),
        at=record.ts,
        act=record.act,
        what=told(record),
        outcome=record.said["out"],
        who=names.actor(record),
        who_id=record.actor_id,
        object=f"{record.said['obj']['t']} {names.of(record.object_id)}",
        object_id=record.object_id,
        stated=facts_of(record, names),
        second_factor=factor.words if record.said["actor"]["t"] in {"user", "api_key"} else None,
        second_factor_age_seconds=factor.age,
        **more,
    )  # fmt: skip


async def _member(reading: Reading, account_id: str, member: _Member) -> Line:
    names, given = reading.names, member.given
    of_system = await reading.of_account(account_id)
    signed_in, factors = of_system.signed_in, of_system.factors
    return line(
        _MEMBERS, given,
        (member.joined, *member.invitation, signed_in, of_system.factor_changed, of_system.disabled),
        member=names.of(account_id),
        member_id=account_id,
        role=given.data["role"],
        role_since=given.ts,
        role_by=names.actor(given),
        member_since=member.joined.ts,
        how=_how(names, account_id, member),
        account=f"disabled since {of_system.disabled.ts}" if of_system.disabled else "enabled",
        last_sign_in_at=signed_in.ts if signed_in else "none recorded",
        last_signed_in_by=signed_in and " ".join(signed_in.auth),
        second_factors=", ".join(factors) or "none",
        second_factors_since=of_system.factor_changed and of_system.factor_changed.ts,
    )  # fmt: skip


def _how(names: Names, account_id: str, member: _Member) -> str:
    if member.invitation:
        first = member.invitation[0]
        return f"invited by {names.actor(first)}" if first.act == Act.INVITATION_CREATED else "by an invitation"
    actor = member.joined.said["actor"]
    if actor["id"] == account_id:
        return "by itself"
    return _HOW.get(actor["t"]) or f"added by {names.actor(member.joined)}"


def _agent(names: Names, agent: _Agent) -> Line:
    created = agent.created
    return line(
        _AGENTS, agent.disabled or agent.owned, (created, agent.owned),
        agent=names.of(created.object_id),
        agent_id=created.object_id,
        state=f"disabled since {agent.disabled.ts}" if agent.disabled else "enabled",
        owner=names.of(agent.owner),
        owner_id=agent.owner,
        owner_since=agent.owned.ts,
        created_at=created.ts,
        created_by=names.actor(created),
    )  # fmt: skip


def _credential(names: Names, credential: _Credential) -> Line:
    made, limited = credential.made, credential.limited
    data = made.data
    expires = (limited or made).data.get("expires_us")
    is_token, is_certificate = made.act == Act.TOKEN_MINTED, made.act == Act.CERTIFICATE_REGISTERED
    kind = str(data.get("kind") or "")
    holder = data.get("owner") if is_token else data.get("agent")
    scopes = data.get("scopes")
    return line(
        _CREDENTIALS, limited or made, (made,),
        credential=_KINDS.get(kind, kind) if is_token else "certificate" if is_certificate else "ingest key",
        credential_id=made.object_id,
        holder=names.of(holder),
        holder_id=holder,
        made_at=made.ts,
        made_by=names.actor(made),
        expires_at=when(expires) or ("never" if is_token else "not stated"),
        scopes=(("all" if scopes is None else scopes) if is_token else None),
        networks=data.get("networks") if is_token else None,
    )  # fmt: skip


def _sign_on(names: Names, kind: str, key: str, record: Record) -> Line:
    return line(
        _SIGN_ON, record, (),
        what={"sso_connection": "connection", "workspace": "demand"}.get(kind, kind),
        its_id=key,
        state=record.act.partition(".")[2],
        since=record.ts,
        by=names.actor(record),
        stated=facts_of(record, names),
    )  # fmt: skip


def _account(record: Record) -> str:
    return str(record.data.get("account") or record.object_id)
