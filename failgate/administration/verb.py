"""What every verb has: arguments of a declared shape, a JSON answer, and the words that name what it is about."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from failgate.access.role import Role
from failgate.accounts.account import Account
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, NotFound
from failgate.roster import Services
from failgate.sso.connection import Connection
from failgate.workspaces.workspaces import Workspace

OPERATOR: Final = Actor(t="operator", id="host")
Answer = dict[str, Any]


class Arguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of a verb."""


Verbs = Mapping[str, tuple[type[Arguments], Callable[[Any], Awaitable[Answer]]]]


class OneUser(Arguments, frozen=True):
    """Arguments of the verbs about one account."""

    email: str


class OneWorkspace(Arguments, frozen=True):
    """Arguments of the verbs about one workspace."""

    workspace: str


class Subjects:
    """Finds what an argument names."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def account(self, email: str) -> Account:
        """Return the account of `email`. Raises: NotFound."""
        account = await self._services.accounts.by_email(email)
        if account is None:
            raise NotFound(f"There is no account {email}.", hint="failgate admin user create makes one.")
        return account

    async def workspace(self, slug: str) -> Workspace:
        """Return the workspace `slug`. Raises: NotFound."""
        workspace = await self._services.workspaces.by_slug(slug)
        if workspace is None:
            raise NotFound(f"There is no workspace {slug}.", hint="failgate admin workspace create makes one.")
        return workspace

    async def connection(self, slug: str) -> Connection:
        """Return the connection `slug`. Raises: NotFound."""
        connection = await self._services.sso.connections.by_slug(slug)
        if connection is None:
            raise NotFound(f"There is no connection {slug}.", hint="Declare it in [sso.connections], or ask its owner.")
        return connection


def role_of_people(word: str) -> Role:
    """Return the role that `word` names. Raises: BadInput."""
    if word not in {role.value for role in Role if role is not Role.AGENT}:
        raise BadInput(f"{word!r} is not a role of people.", hint="Use owner, admin, reviewer, developer or auditor.")
    return Role(word)
