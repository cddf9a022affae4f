"""What an owner or the config says of a connection, and the connection that it makes. Pure."""

from dataclasses import dataclass
from typing import Final

from failgate.base.errors import BadInput
from failgate.sso.connection import Connection, OidcSettings, Settings
from failgate.sso.roles import check_rules
from failgate.workspaces.names import check_name

MOST_METHODS: Final = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """What an owner or the config says of a connection. `client_secret` None keeps the one that is kept."""

    title: str
    settings: Settings
    roles: tuple[tuple[str, str], ...] = ()
    default_role: str | None = None
    trusted_methods: tuple[str, ...] = ()
    is_listed: bool = True
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A connection of the config file: its slug, its domains on the operator's word, and the rest."""

    slug: str
    domains: tuple[str, ...]
    draft: Draft


def draft_of(connection: Connection) -> Draft:
    """Return what would make `connection` as it is."""
    return Draft(
        title=connection.title,
        settings=connection.settings,
        roles=connection.roles,
        default_role=connection.default_role,
        trusted_methods=connection.trusted_methods,
        is_listed=connection.is_listed,
    )


def connection_of(connection_id: str, slug: str, draft: Draft, workspace_id: str | None) -> Connection:
    """Return the connection that `draft` describes. Raises: BadInput."""
    if draft.default_role is not None:
        ((_, default_role),) = check_rules([("*", draft.default_role)], names_workspace=workspace_id is None)
    else:
        default_role = None
    methods = tuple(dict.fromkeys(method.strip() for method in draft.trusted_methods if method.strip()))
    if len(methods) > MOST_METHODS or any(len(method) > 256 or not method.isprintable() for method in methods):
        raise BadInput(f"At most {MOST_METHODS} trusted methods of 256 printable characters.", hint="Name fewer.")
    if draft.client_secret is not None and isinstance(draft.settings, OidcSettings) and not draft.client_secret.strip():
        raise BadInput("The client secret is empty.", hint="Copy it from the provider.")
    return Connection(
        id=connection_id,
        slug=slug,
        title=check_name(draft.title),
        settings=draft.settings,
        workspace_id=workspace_id,
        roles=check_rules(draft.roles, names_workspace=workspace_id is None),
        default_role=default_role,
        trusted_methods=methods,
        is_listed=draft.is_listed,
        client_secret=draft.client_secret.strip() if draft.client_secret else None,
    )
