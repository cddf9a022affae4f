"""The operator's verbs about programs: agents, API keys, tokens, and what may run without asking."""

from collections.abc import Iterable

import msgspec

from failgate.access.role import Role
from failgate.accounts.token import Token
from failgate.accounts.token_text import token_id_of
from failgate.administration.verb import OPERATOR, Answer, Arguments, OneWorkspace, Subjects, Verbs
from failgate.base.clock import to_rfc3339
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import is_id
from failgate.gate.rule_words import rule_in_words
from failgate.roster import Services
from failgate.wire.gate import Argument, Rule, RuleExecutable, RuleKind, RuleScope, RuleView
from failgate.workspaces.agents import Agent
from failgate.workspaces.certificates import check_san
from failgate.workspaces.workspaces import Workspace


class NewAgent(Arguments, frozen=True):
    """Arguments of `agent.create`; `owner` answers for the agent, by default the workspace's first owner."""

    workspace: str
    name: str
    owner: str | None = None


class OneAgent(OneWorkspace, frozen=True):
    """Arguments of `agent.disable`; `name` is the agent's name or id."""

    name: str


class OneCertificate(OneAgent, frozen=True):
    """Arguments of `agent.certificate`: `san` is registered for the agent, or with `is_revoked` revoked."""

    san: str
    is_revoked: bool = False


class NewKey(Arguments, frozen=True):
    """Arguments of `api_key.create`."""

    email: str
    workspace: str
    label: str = "command line"


class OneToken(Arguments, frozen=True):
    """Arguments of `token.revoke`: the token itself, or its id."""

    token: str


class NewAllow(Arguments, frozen=True):
    """Arguments of `allow.add`: a rule. For the kinds `re2` and `path`, `argv` holds the pattern alone."""

    workspace: str
    argv: list[str]
    note: str | None = None
    kind: RuleKind | None = "exact"
    is_denied: bool = False
    arguments: tuple[str, ...] = ()  # each JSON of an Argument
    rest: str | None = None
    executable: str | None = None
    sha256: str | None = None
    agents: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ttl_seconds: int | None = None
    max_uses: int | None = None
    owner: str | None = None
    review_by: str | None = None


class StarterRules(OneWorkspace, frozen=True):
    """Arguments of `allow.starter`: the folders for whose calls the starter rules are taken over."""

    directories: list[str]
    review_by: str | None = None


class OneRule(Arguments, frozen=True):
    """Arguments of `allow.remove`."""

    rule: str


class NewIngestKey(OneWorkspace, frozen=True):
    """Arguments of `ingest_key.create`; `owner` answers for it, by default the workspace's first owner."""

    project: str
    owner: str | None = None


class OneIngestKey(OneWorkspace, frozen=True):
    """Arguments of `ingest_key.revoke`."""

    key: str


class Programs:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._subjects = Subjects(services)

    def table(self) -> Verbs:
        """Return each verb with the shape of its arguments."""
        return {
            "agent.create": (NewAgent, self._create_agent),
            "agent.list": (OneWorkspace, self._list_agents),
            "agent.disable": (OneAgent, self._disable_agent),
            "agent.certificate": (OneCertificate, self._certify_agent),
            "api_key.create": (NewKey, self._create_key),
            "api_key.list": (OneWorkspace, self._list_keys),
            "api_key.revoke": (OneToken, self._revoke_token),
            "token.revoke": (OneToken, self._revoke_token),
            "ingest_key.create": (NewIngestKey, self._create_ingest_key),
            "ingest_key.list": (OneWorkspace, self._list_ingest_keys),
            "ingest_key.revoke": (OneIngestKey, self._revoke_ingest_key),
            "allow.add": (NewAllow, self._add_allow),
            "allow.remove": (OneRule, self._remove_allow),
            "allow.list": (OneWorkspace, self._list_allow),
            "allow.starter": (StarterRules, self._take_starter),
        }

    async def _create_agent(self, new: NewAgent) -> Answer:
        workspace = await self._subjects.workspace(new.workspace)
        owner_id = (await self._subjects.account(new.owner)).id if new.owner else await self._first_owner(workspace)
        agent = await self._services.agents.create(workspace.id, new.name, owner_id, OPERATOR)
        token = await self._services.tokens.mint("agt", agent.id, workspace.id, label=new.name, actor=OPERATOR)
        return {"agent": agent.id, "token": token}

    async def _list_agents(self, one: OneWorkspace) -> Answer:
        workspace = await self._subjects.workspace(one.workspace)
        agents = await self._services.agents.list(workspace.id)
        emails = await self._emails(agent.owner_account_id for agent in agents)
        return {"agents": [_agent_line(agent, emails.get(agent.owner_account_id, "")) for agent in agents]}

    async def _disable_agent(self, one: OneAgent) -> Answer:
        workspace = await self._subjects.workspace(one.workspace)
        agent = await self._agent(workspace, one.name)
        await self._services.agents.disable(workspace.id, agent.id, OPERATOR)
        return {"workspace": workspace.slug, "agent": agent.id}

    async def _certify_agent(self, given: OneCertificate) -> Answer:
        workspace, services = await self._subjects.workspace(given.workspace), self._services
        agent = await self._agent(workspace, given.name)
        if not given.is_revoked:
            made = await services.certificates.register(workspace.id, agent.id, given.san, OPERATOR)
            return {"agent": made.agent_id, "certificate": made.id, "san": made.san}
        san = check_san(given.san)
        for each in await services.certificates.list(workspace.id, agent.id):
            if each.san == san:
                await services.certificates.revoke(workspace.id, each.id, OPERATOR)
                return {"agent": each.agent_id, "certificate": each.id, "san": each.san}
        raise NotFound(
            f"No certificate {san} stands for the agent {given.name}.",
            hint="The page of the agent shows those that do.",
        )

    async def _agent(self, workspace: Workspace, name_or_id: str) -> Agent:
        for agent in await self._services.agents.list(workspace.id):
            if name_or_id in {agent.name, agent.id}:
                return agent
        raise NotFound(
            f"Workspace {workspace.slug} has no agent {name_or_id}.", hint="failgate admin agent list shows all."
        )

    async def _first_owner(self, workspace: Workspace) -> str:
        for member in await self._services.workspaces.members(workspace.id):
            if member.role is Role.OWNER:
                return member.account_id
        raise NotFound(f"Workspace {workspace.slug} has no owner.", hint="Name one with --owner EMAIL.")

    async def _create_ingest_key(self, new: NewIngestKey) -> Answer:
        workspace, services = await self._subjects.workspace(new.workspace), self._services
        owner_id = (await self._subjects.account(new.owner)).id if new.owner else await self._first_owner(workspace)
        key, text = await services.report_room.ingestion.keys.create(workspace.id, new.project, owner_id, OPERATOR)
        scheme, _, host = services.config.server.base_url.partition("://")
        return {
            "key": key.id,
            "project": key.project,
            "number": key.number,
            "dsn": f"{scheme}://{text}@{host}/{key.number}",
        }

    async def _list_ingest_keys(self, one: OneWorkspace) -> Answer:
        workspace = await self._subjects.workspace(one.workspace)
        keys = await self._services.report_room.ingestion.keys.list(workspace.id)
        return {
            "keys": [
                {"key": key.id, "project": key.project, "number": key.number, "created_at": to_rfc3339(key.created_us)}
                for key in keys
            ]
        }

    async def _revoke_ingest_key(self, one: OneIngestKey) -> Answer:
        workspace = await self._subjects.workspace(one.workspace)
        await self._services.report_room.ingestion.keys.revoke(workspace.id, one.key, OPERATOR)
        return {"workspace": workspace.slug, "key": one.key}

    async def _create_key(self, new: NewKey) -> Answer:
        account, workspace = await self._subjects.account(new.email), await self._subjects.workspace(new.workspace)
        key = await self._services.tokens.mint("usr", account.id, workspace.id, label=new.label, actor=OPERATOR)
        return {"user": account.id, "workspace": workspace.slug, "api_key": key}

    async def _list_keys(self, one: OneWorkspace) -> Answer:
        workspace = await self._subjects.workspace(one.workspace)
        tokens = await self._services.tokens.list_in(workspace.id, "usr")
        emails = await self._emails(token.account_id for token in tokens)
        return {"api_keys": [_key_line(token, emails.get(token.account_id, "")) for token in tokens]}

    async def _emails(self, account_ids: Iterable[str]) -> dict[str, str]:
        return {key: account.email for key, account in (await self._services.accounts.by_ids(account_ids)).items()}

    async def _revoke_token(self, one: OneToken) -> Answer:
        token_id = _id_of(one.token)
        await self._services.tokens.revoke(token_id, OPERATOR)
        return {"token": token_id}

    async def _add_allow(self, new: NewAllow) -> Answer:
        workspace = await self._subjects.workspace(new.workspace)
        view = await self._services.rules.create(OPERATOR, workspace.id, _rule_of(new))
        return {"rule": view.id}

    async def _list_allow(self, one: OneWorkspace) -> Answer:
        workspace = await self._subjects.workspace(one.workspace)
        lines: list[Answer] = []
        after: str | None = None
        while True:
            page = await self._services.rules.page(workspace.id, 200, after)
            lines += [_rule_line(view) for view in page.items]
            if (after := page.next) is None:
                return {"rules": lines}

    async def _take_starter(self, wish: StarterRules) -> Answer:
        workspace = await self._subjects.workspace(wish.workspace)
        taken = await self._services.rules.take_starter(OPERATOR, workspace.id, wish.directories, wish.review_by)
        return {"workspace": workspace.slug, "rules_added": taken}

    async def _remove_allow(self, one: OneRule) -> Answer:
        await self._services.rules.revoke_anywhere(OPERATOR, one.rule)
        return {"rule": one.rule}


def _rule_of(new: NewAllow) -> Rule:
    """Return the rule of the command line. Raises: BadInput."""
    if new.kind is None:
        raise BadInput("The kind of the rule is missing.", hint="--exact, --prefix, --argument, --re2 or --path.")
    is_pattern = new.kind in {"re2", "path"}
    if is_pattern and len(new.argv) != 1:
        raise BadInput(f"The kind {new.kind} takes one pattern.", hint="Quote it, so that it is one word.")
    try:
        arguments = [msgspec.json.decode(text, type=Argument) for text in new.arguments]
        rest = None if new.rest is None else msgspec.json.decode(new.rest, type=Argument)
    except msgspec.DecodeError as error:
        raise BadInput(
            f"An argument is not usable: {str(error)[:200]}.", hint='Write it as {"one_of": ["-a"], "under": "."}.'
        ) from error
    scope = RuleScope(list(new.agents) or None, list(new.hosts) or None, list(new.directories) or None)
    return Rule(
        kind=new.kind,
        effect="deny" if new.is_denied else "allow",
        argv=[] if is_pattern else new.argv,
        note=new.note,
        ttl_seconds=new.ttl_seconds,
        max_uses=new.max_uses,
        pattern=new.argv[0] if is_pattern else None,
        arguments=arguments or None,
        rest=rest,
        executable=None if new.executable is None else RuleExecutable(new.executable, new.sha256),
        scope=None if scope == RuleScope() else scope,
        env=list(new.env) or None,
        owner=new.owner,
        review_by=new.review_by,
    )


def _rule_line(view: RuleView) -> Answer:
    return {
        "id": view.id,
        "effect": view.effect,
        "kind": view.kind,
        "says": rule_in_words(view)[0],
        "uses": view.uses,
        "owner": view.owner,
        "review_by": view.review_by,
        "expires_at": view.expires_at,
    }


def _id_of(text: str) -> str:
    token_id = text if is_id(text) else token_id_of(text.strip())
    if token_id is None:
        raise BadInput(
            "That is neither a token nor the id of one.", hint="Give the whole token, or the id of the list."
        )
    return token_id


def _key_line(token: Token, owner: str) -> Answer:
    return {
        "id": token.id,
        "label": token.label,
        "owner": owner,
        "created_at": to_rfc3339(token.created_us),
        "expires_at": None if token.expires_us is None else to_rfc3339(token.expires_us),
        "last_used_at": None if token.last_used_us is None else to_rfc3339(token.last_used_us),
        "last_used_from": token.last_used_address,
    }


def _agent_line(agent: Agent, owner: str) -> Answer:
    return {
        "id": agent.id,
        "name": agent.name,
        "model": agent.model,
        "owner": owner,
        "is_enabled": agent.is_enabled,
    }
