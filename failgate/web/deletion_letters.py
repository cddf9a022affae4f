"""The letters to the owners of a workspace that is to be deleted, where the server sends e-mail; for API and pages."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.accounts import letters
from failgate.accounts.account import Account
from failgate.accounts.mail import Letter
from failgate.workspaces.deletion import WORD_HOURS, Asked
from failgate.workspaces.workspaces import Workspace

if TYPE_CHECKING:
    from failgate.roster import Services


async def owners_of(services: "Services", workspace_id: str) -> Sequence[Account]:
    """Return the accounts that own the workspace and are not barred, the earliest owner first."""
    members = await services.workspaces.members(workspace_id)
    accounts = await services.accounts.by_ids(one.account_id for one in members if one.role is Role.OWNER)
    return [one for one in accounts.values() if one.is_enabled]


async def tell_asked(services: "Services", workspace: Workspace, asked: Asked) -> None:
    """Ask the other owners for their word."""
    owners = await owners_of(services, workspace.id)
    by = next((one.email for one in owners if one.id == asked.asked_by), "An owner")
    base_url = services.config.server.base_url
    _post(
        services, owners, asked.asked_by,
        lambda to: letters.deletion_asked(base_url, to, workspace.slug, by, WORD_HOURS),
    )  # fmt: skip


async def tell_withdrawn(services: "Services", by: Principal, workspace: Workspace) -> None:
    """Tell the other owners that the workspace stays."""
    owners, base_url = await owners_of(services, workspace.id), services.config.server.base_url
    _post(
        services, owners, by.id,
        lambda to: letters.deletion_withdrawn(base_url, to, workspace.slug, by.label),
    )  # fmt: skip


async def confirm(services: "Services", by: Principal, workspace: Workspace, deletion_id: str, name: str) -> None:
    """Confirm a deletion, then tell the other owners. Raises: as `WorkspaceDeletion.confirm`."""
    owners, base_url = await owners_of(services, workspace.id), services.config.server.base_url
    await services.deletion.confirm(by, workspace.id, deletion_id, name)
    _post(
        services, owners, by.id,
        lambda to: letters.workspace_deleted(base_url, to, workspace.slug, by.label),
    )  # fmt: skip


def _post(services: "Services", owners: Sequence[Account], by: str, letter_to: Callable[[str], Letter]) -> None:
    for owner in owners:
        if owner.id != by:
            services.mail.post(letter_to(owner.email))
