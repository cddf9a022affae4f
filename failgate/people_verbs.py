"""The operator's verbs about people, agents and their credentials; `administration.py` joins them to the others."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from failgate.access.role import Role
from failgate.accounts import letters
from failgate.accounts.accounts import Account
from failgate.accounts.invitations import INVITATION_DAYS
from failgate.accounts.token_text import token_id_of
from failgate.accounts.tokens import Token
from failgate.assembly import Services
from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import is_id
from failgate.workspaces.agents import Agent
from failgate.workspaces.workspaces import Workspace

OPERATOR: Final = Actor(t="operator", id="host")
Answer = dict[str, Any]
Verbs = Mapping[str, tuple[type[msgspec.Struct], Callable[[Any], Awaitable[Answer]]]]


class Person(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of the verbs about one account."""

    email: str


class ImportedUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `user.import`: a bcrypt hash of another system."""

    email: str
    password_hash: str
    with_totp: bool = False


class OneToken(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `token.revoke`: the token itself, or its id."""

    token: str


class OneMember(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `workspace.remove_member`."""

    workspace: str
    email: str


class NewInvitation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `invitation.create`."""

    workspace: str
    role: str
    email: str | None = None


class OneWorkspace(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of the lists."""

    workspace: str


class OneAgent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of `agent.disable`: the agent's name or id."""

    workspace: str
    name: str


class PeopleVerbs:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def table(self) -> Verbs:
        """Return each verb with the shape of its arguments."""
        return {
            "user.import": (ImportedUser, self._import_user),
            "user.reset_link": (Person, self._reset_link),
            "user.reset_factor": (Person, self._reset_factor),
            "platform_role.revoke": (Person, self._revoke_platform_role),
            "workspace.remove_member": (OneMember, self._remove_member),
            "invitation.create": (NewInvitation, self._invite),
            "token.revoke": (OneToken, self._revoke_token),
            "api_key.list": (OneWorkspace, self._list_keys),
            "api_key.revoke": (OneToken, self._revoke_key),
            "agent.list": (OneWorkspace, self._list_agents),
            "agent.disable": (OneAgent, self._disable_agent),
        }

    async def _import_user(self, new: ImportedUser) -> Answer:
        account = await self._services.accounts.create_imported(new.email, new.password_hash, OPERATOR)
        answer: Answer = {"user": account.id}
        if new.with_totp:
            answer["totp_secret"] = await self._services.second_factors.issue(account.id, OPERATOR)
        return answer

    async def _reset_link(self, person: Person) -> Answer:
        account = await self._account(person.email)
        reset, token = await self._services.password_reset.mint(account.id, OPERATOR)
        link = letters.reset_link(self._services.config.server.base_url, token)
        return {"user": account.id, "link": link, "expires_at": to_rfc3339(reset.expires_us)}

    async def _reset_factor(self, person: Person) -> Answer:
        account = await self._account(person.email)
        await self._services.second_factors.reset(account.id, OPERATOR)
        return {"user": account.id}

    async def _revoke_platform_role(self, person: Person) -> Answer:
        account = await self._account(person.email)
        await self._services.accounts.revoke_platform_role(account.id, OPERATOR)
        return {"user": account.id}

    async def _remove_member(self, one: OneMember) -> Answer:
        account, workspace = await self._account(one.email), await self._workspace(one.workspace)
        await self._services.workspaces.remove_member(workspace.id, account.id, OPERATOR)
        return {"workspace": workspace.slug, "user": account.id}

    async def _invite(self, new: NewInvitation) -> Answer:
        services, workspace = self._services, await self._workspace(new.workspace)
        role = next((role for role in Role if role.value == new.role), None)
        if role is None:
            raise BadInput(
                f"{new.role!r} is not a role of people.", hint="Use owner, admin, reviewer, developer or auditor."
            )
        made, token = await services.invitations.create(workspace.id, role, OPERATOR, email=new.email)
        base_url = services.config.server.base_url
        is_mailed = made.email is not None and services.mail.post(
            letters.invitation(base_url, made.email, workspace.name, made.role.value, token, INVITATION_DAYS)
        )
        return {
            "invitation": made.id,
            "link": letters.invitation_link(base_url, token),
            "expires_at": to_rfc3339(made.expires_us),
            "is_mailed": is_mailed,
        }

    async def _revoke_token(self, one: OneToken) -> Answer:
        token_id = _id_of(one.token)
        await self._services.tokens.revoke(token_id, OPERATOR)
        return {"token": token_id}

    async def _list_keys(self, one: OneWorkspace) -> Answer:
        workspace = await self._workspace(one.workspace)
        tokens = await self._services.tokens.list_in(workspace.id, "usr")
        owners = await self._services.accounts.by_ids(token.account_id for token in tokens)
        names = {key: account.email for key, account in owners.items()}
        return {"api_keys": [_key_line(token, names.get(token.account_id, "")) for token in tokens]}

    async def _revoke_key(self, one: OneToken) -> Answer:
        return await self._revoke_token(one)

    async def _list_agents(self, one: OneWorkspace) -> Answer:
        workspace = await self._workspace(one.workspace)
        agents = await self._services.agents.list(workspace.id)
        owners = await self._services.accounts.by_ids(agent.owner_account_id for agent in agents)
        names = {key: account.email for key, account in owners.items()}
        return {"agents": [_agent_line(agent, names.get(agent.owner_account_id, "")) for agent in agents]}

    async def _disable_agent(self, one: OneAgent) -> Answer:
        workspace = await self._workspace(one.workspace)
        for agent in await self._services.agents.list(workspace.id):
            if one.name in {agent.name, agent.id}:
                await self._services.agents.disable(workspace.id, agent.id, OPERATOR)
                return {"workspace": workspace.slug, "agent": agent.id}
        raise NotFound(
            f"Workspace {workspace.slug} has no agent {one.name}.", hint="failgate admin agent list shows all."
        )

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
