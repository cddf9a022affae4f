"""What an operator with access to the host may do, as named verbs; every door to it is local to the machine.

The command line calls these through the server's control socket while it runs, else over services that it opens itself:
the same verbs, the same audit records. Arguments and answers are JSON objects.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from failgate.access.role import Role
from failgate.accounts.accounts import Account
from failgate.accounts.tokens import Wish
from failgate.assembly import Services
from failgate.base.db import Transaction
from failgate.base.errors import BadInput, NotFound
from failgate.people_verbs import OPERATOR, PeopleVerbs
from failgate.sso.connection import Connection
from failgate.wire.gate import Rule
from failgate.workspaces.certificates import check_san
from failgate.workspaces.workspaces import Workspace

Answer = dict[str, Any]


class NewUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `user.create` and `bootstrap`."""

    email: str
    password: str
    workspace: str | None = None
    with_totp: bool = False


class OneUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of the verbs about one account."""

    email: str
    password: str | None = None


class NewWorkspace(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `workspace.create`."""

    workspace: str
    owner: str
    name: str | None = None


class NewMember(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `workspace.add_member`."""

    workspace: str
    email: str
    role: str


class NewAgent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `agent.create`; `owner` answers for the agent, by default the workspace's first owner."""

    workspace: str
    name: str
    owner: str | None = None


class AgentName(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `agent.certificate`: `san` is registered for the agent, or with `is_revoked` revoked."""

    workspace: str
    name: str
    san: str
    is_revoked: bool = False


class NewAllow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `allow.add`."""

    workspace: str
    argv: list[str]
    note: str | None = None


class NewKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `api_key.create`."""

    email: str
    workspace: str
    label: str = "command line"


class Nothing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of a verb that takes none."""


class OneLog(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `audit.checkpoint`: `system`, or a workspace's slug."""

    log: str


class OneConnection(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of the verbs about provisioning through one connection; `email` is whose account is allowed."""

    connection: str
    email: str | None = None


class OneDomain(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `sso.verify_domain`."""

    connection: str
    domain: str


class KeyRotation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `signing_key.rotate`; with `is_compromised` what the old keys signed ends at once."""

    is_compromised: bool = False


class Administration:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._verbs: dict[str, tuple[type[msgspec.Struct], Callable[[Any], Awaitable[Answer]]]] = {
            "bootstrap": (NewUser, self._bootstrap),
            "user.create": (NewUser, self._create_user),
            "user.disable": (OneUser, self._disable_user),
            "user.enable": (OneUser, self._enable_user),
            "user.set_password": (OneUser, self._set_password),
            "workspace.create": (NewWorkspace, self._create_workspace),
            "workspace.add_member": (NewMember, self._add_member),
            "agent.create": (NewAgent, self._create_agent),
            "agent.certificate": (AgentName, self._name_agent),
            "allow.add": (NewAllow, self._add_allow),
            "platform_role.grant": (OneUser, self._grant_platform_role),
            "api_key.create": (NewKey, self._create_key),
            "scim.token": (OneConnection, self._mint_scim_token),
            "scim.revoke": (OneConnection, self._revoke_scim_token),
            "scim.allow": (OneConnection, self._allow_in_scim),
            "sso.verify_domain": (OneDomain, self._verify_domain),
            "rules.stored": (Nothing, self._stored_rules),
            "audit.checkpoint": (OneLog, self._checkpoint),
            "signing_key.rotate": (KeyRotation, self._rotate_signing_key),
            **PeopleVerbs(services).table(),
        }

    async def run(self, verb: str, arguments: Mapping[str, Any]) -> Answer:
        """Carry out `verb` and return its answer.

        Raises: BadInput for an unknown verb or wrong arguments; whatever the services refuse.
        """
        if verb not in self._verbs:
            raise BadInput(f"There is no administrative verb {verb!r}.", hint="Update failgate on this host.")
        shape, call = self._verbs[verb]
        try:
            struct = msgspec.convert(dict(arguments), shape)
        except msgspec.ValidationError as error:
            raise BadInput(f"{verb}: {error}.") from error
        return await call(struct)

    async def _bootstrap(self, new: NewUser) -> Answer:
        if new.workspace is None:
            raise BadInput("bootstrap needs a workspace.", hint="Say --workspace SLUG.")
        slug, services = new.workspace, self._services

        async def furnish(tx: Transaction, account: Account) -> Answer:
            workspace = await services.workspaces.create_within(tx, slug, slug, account.id, OPERATOR)
            wish = Wish("bootstrap")
            key = await services.tokens.mint_within(tx, "usr", account.id, workspace.id, wish, actor=OPERATOR)
            return {"user": account.id, "workspace": workspace.slug, "api_key": key}

        return await services.accounts.create_and(new.email, new.password, OPERATOR, furnish)

    async def _create_user(self, new: NewUser) -> Answer:
        account = await self._services.accounts.create(new.email, new.password, OPERATOR)
        answer: Answer = {"user": account.id}
        if new.with_totp:
            answer["totp_secret"] = await self._services.second_factors.issue(account.id, OPERATOR)
        return answer

    async def _disable_user(self, user: OneUser) -> Answer:
        account = await self._account(user.email)
        await self._services.accounts.disable(account.id, OPERATOR)
        return {"user": account.id}

    async def _enable_user(self, user: OneUser) -> Answer:
        account = await self._account(user.email)
        await self._services.accounts.enable(account.id, OPERATOR)
        return {"user": account.id}

    async def _set_password(self, user: OneUser) -> Answer:
        if user.password is None:
            raise BadInput("set-password needs a password.", hint="Give it on standard input.")
        account = await self._account(user.email)
        await self._services.accounts.set_password(account.id, user.password, OPERATOR)
        return {"user": account.id}

    async def _create_workspace(self, new: NewWorkspace) -> Answer:
        owner = await self._account(new.owner)
        workspace = await self._services.workspaces.create(new.workspace, new.name or new.workspace, owner.id, OPERATOR)
        return {"workspace": workspace.slug}

    async def _add_member(self, new: NewMember) -> Answer:
        workspace, account = await self._workspace(new.workspace), await self._account(new.email)
        if new.role not in {role.value for role in Role if role is not Role.AGENT}:
            raise BadInput(
                f"{new.role!r} is not a role of people.", hint="Use owner, admin, reviewer, developer or auditor."
            )
        await self._services.workspaces.add_member(workspace.id, account.id, Role(new.role), OPERATOR)
        return {"workspace": workspace.slug, "user": account.id, "role": new.role}

    async def _create_agent(self, new: NewAgent) -> Answer:
        workspace = await self._workspace(new.workspace)
        owner_id = (await self._account(new.owner)).id if new.owner else await self._first_owner(workspace)
        agent = await self._services.agents.create(workspace.id, new.name, owner_id, OPERATOR)
        token = await self._services.tokens.mint("agt", agent.id, workspace.id, label=new.name, actor=OPERATOR)
        return {"agent": agent.id, "token": token}

    async def _name_agent(self, given: AgentName) -> Answer:
        workspace, services = await self._workspace(given.workspace), self._services
        found = [each for each in await services.agents.list(workspace.id) if each.name == given.name]
        if not found:
            raise NotFound(f"Workspace {workspace.slug} has no agent {given.name}.", hint="failgate admin agent create")
        if not given.is_revoked:
            made = await services.certificates.register(workspace.id, found[0].id, given.san, OPERATOR)
            return {"agent": made.agent_id, "certificate": made.id, "san": made.san}
        san = check_san(given.san)
        for each in await services.certificates.list(workspace.id, found[0].id):
            if each.san == san:
                await services.certificates.revoke(workspace.id, each.id, OPERATOR)
                return {"agent": each.agent_id, "certificate": each.id, "san": each.san}
        raise NotFound(f"No certificate {san} stands for the agent {given.name}.")

    async def _first_owner(self, workspace: Workspace) -> str:
        for member in await self._services.workspaces.members(workspace.id):
            if member.role is Role.OWNER:
                return member.account_id
        raise NotFound(f"Workspace {workspace.slug} has no owner.", hint="Name one with --owner EMAIL.")

    async def _add_allow(self, new: NewAllow) -> Answer:
        workspace = await self._workspace(new.workspace)
        rule = Rule(kind="exact", effect="allow", argv=new.argv, note=new.note)
        view = await self._services.rules.create(OPERATOR, workspace.id, rule)
        return {"rule": view.id}

    async def _grant_platform_role(self, user: OneUser) -> Answer:
        account = await self._account(user.email)
        await self._services.accounts.grant_platform_role(account.id, OPERATOR)
        return {"user": account.id}

    async def _create_key(self, new: NewKey) -> Answer:
        account, workspace = await self._account(new.email), await self._workspace(new.workspace)
        key = await self._mint_key(account, workspace, new.label)
        return {"user": account.id, "workspace": workspace.slug, "api_key": key}

    async def _mint_key(self, account: Account, workspace: Workspace, label: str) -> str:
        return await self._services.tokens.mint("usr", account.id, workspace.id, label=label, actor=OPERATOR)

    async def _mint_scim_token(self, one: OneConnection) -> Answer:
        connection = await self._connection(one.connection)
        url = f"{self._services.config.server.base_url}/scim/v2"
        return {"token": await self._services.scim.tokens.mint(connection, OPERATOR), "url": url}

    async def _revoke_scim_token(self, one: OneConnection) -> Answer:
        connection = await self._connection(one.connection)
        await self._services.scim.tokens.revoke(connection, OPERATOR)
        return {"connection": connection.slug}

    async def _allow_in_scim(self, one: OneConnection) -> Answer:
        connection = await self._connection(one.connection)
        await self._services.scim.directory.allow(connection, one.email or "", OPERATOR)
        return {"connection": connection.slug}

    async def _verify_domain(self, one: OneDomain) -> Answer:
        connection = await self._connection(one.connection)
        if connection.workspace_id is None:
            raise BadInput("This connection is of the config file.", hint="Its domains stand there too.")
        connections = self._services.sso.connections
        domain = await self._services.sso.domains.vouch(
            connection.workspace_id, connection.id, one.domain, OPERATOR, lambda tx: connections.forget(tx, connection)
        )
        return {"connection": connection.slug, "domain": domain}

    async def _connection(self, slug: str) -> Connection:
        connection = await self._services.sso.connections.by_slug(slug)
        if connection is None:
            raise NotFound(f"There is no connection {slug}.", hint="Declare it in [sso.connections], or ask its owner.")
        return connection

    async def _stored_rules(self, _: Nothing) -> Answer:
        book = self._services.plugins.rulebook
        return {"rules": [list(row) for row in await book.stored()] if book is not None else []}

    async def _rotate_signing_key(self, how: KeyRotation) -> Answer:
        key = await self._services.signing_keys.rotate(OPERATOR, is_compromised=how.is_compromised)
        return {"kid": key.id}

    async def _checkpoint(self, one: OneLog) -> Answer:
        log = one.log if one.log == "system" else (await self._workspace(one.log)).id
        return {"checkpoint": await self._services.audit.checkpoint(log)}

    async def _account(self, email: str) -> Account:
        account = await self._services.accounts.by_email(email)
        if account is None:
            raise NotFound(f"There is no account {email}.", hint="failgate admin user create makes one.")
        return account

    async def _workspace(self, slug: str) -> Workspace:
        workspace = await self._services.workspaces.by_slug(slug)
        if workspace is None:
            raise NotFound(f"There is no workspace {slug}.", hint="failgate admin workspace create makes one.")
        return workspace
