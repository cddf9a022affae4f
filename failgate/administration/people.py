"""The operator's verbs about people: their accounts, their ways in, their membership."""

import msgspec

from failgate.accounts import letters
from failgate.accounts.account import Account
from failgate.accounts.invitations import INVITATION_DAYS, Invitation
from failgate.accounts.second_factors import Evidence
from failgate.accounts.token import Wish
from failgate.administration.verb import OPERATOR, Answer, Arguments, OneUser, Subjects, Verbs, role_of_people
from failgate.base.clock import to_rfc3339
from failgate.base.db import Transaction
from failgate.roster import Services
from failgate.workspaces.workspaces import Workspace


class Bootstrap(Arguments, frozen=True):
    """Arguments of `bootstrap`: the first account, and the workspace that it owns."""

    email: str
    password: str
    workspace: str


class NewUser(Arguments, frozen=True):
    """Arguments of `user.create`."""

    email: str
    password: str
    with_totp: bool = False


class ImportedUser(Arguments, frozen=True):
    """Arguments of `user.import`: a bcrypt hash of another system."""

    email: str
    password_hash: str
    with_totp: bool = False


class NewPassword(OneUser, frozen=True):
    """Arguments of `user.set_password`."""

    password: str


class NewWorkspace(Arguments, frozen=True):
    """Arguments of `workspace.create`."""

    workspace: str
    owner: str
    name: str | None = None


class NewMember(Arguments, frozen=True):
    """Arguments of `workspace.add_member`."""

    workspace: str
    email: str
    role: str


class LostFactor(Arguments, frozen=True):
    """Arguments of `user.reset_factor`: whose factors are lost, and by what it was made sure who asks."""

    email: str
    evidence: Evidence


class OneMember(Arguments, frozen=True):
    """Arguments of `workspace.remove_member`."""

    workspace: str
    email: str


class NewInvitation(Arguments, frozen=True):
    """Arguments of `invitation.create`."""

    workspace: str
    role: str
    email: str | None = None


def mail_invitation(services: Services, workspace: Workspace, made: Invitation, token: str) -> bool:
    """Put the letter of an invitation for one address in the line; False when there is none to send."""
    if made.email is None:
        return False
    base_url = services.config.server.base_url
    return services.mail.post(
        letters.invitation(base_url, made.email, workspace.name, made.role.value, token, INVITATION_DAYS)
    )


class People:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._subjects = Subjects(services)

    def table(self) -> Verbs:
        """Return each verb with the shape of its arguments."""
        return {
            "bootstrap": (Bootstrap, self._bootstrap),
            "user.create": (NewUser, self._create_user),
            "user.import": (ImportedUser, self._import_user),
            "user.disable": (OneUser, self._disable_user),
            "user.enable": (OneUser, self._enable_user),
            "user.set_password": (NewPassword, self._set_password),
            "user.reset_link": (OneUser, self._reset_link),
            "user.reset_factor": (LostFactor, self._reset_factor),
            "user.erase_addresses": (OneUser, self._erase_addresses),
            "platform_role.grant": (OneUser, self._grant_platform_role),
            "platform_role.revoke": (OneUser, self._revoke_platform_role),
            "workspace.create": (NewWorkspace, self._create_workspace),
            "workspace.add_member": (NewMember, self._add_member),
            "workspace.remove_member": (OneMember, self._remove_member),
            "workspace.deleted": (Arguments, self._list_deleted),
            "invitation.create": (NewInvitation, self._invite),
        }

    async def _bootstrap(self, new: Bootstrap) -> Answer:
        slug, services = new.workspace, self._services

        async def furnish(tx: Transaction, account: Account) -> Answer:
            workspace = await services.workspaces.create_within(tx, slug, slug, account.id, OPERATOR)
            wish = Wish("bootstrap")
            key = await services.tokens.mint_within(tx, "usr", account.id, workspace.id, wish, actor=OPERATOR)
            return {"user": account.id, "workspace": workspace.slug, "api_key": key}

        return await services.accounts.create_and(new.email, new.password, OPERATOR, furnish)

    async def _create_user(self, new: NewUser) -> Answer:
        account = await self._services.accounts.create(new.email, new.password, OPERATOR)
        return await self._made(account, with_totp=new.with_totp)

    async def _import_user(self, new: ImportedUser) -> Answer:
        account = await self._services.accounts.create_imported(new.email, new.password_hash, OPERATOR)
        return await self._made(account, with_totp=new.with_totp)

    async def _made(self, account: Account, *, with_totp: bool) -> Answer:
        if not with_totp:
            return {"user": account.id}
        return {"user": account.id, "totp_secret": await self._services.second_factors.issue(account.id, OPERATOR)}

    async def _disable_user(self, user: OneUser) -> Answer:
        account = await self._subjects.account(user.email)
        await self._services.accounts.disable(account.id, OPERATOR)
        return {"user": account.id}

    async def _erase_addresses(self, user: OneUser) -> Answer:
        account = await self._subjects.account(user.email)
        return {"user": account.id, "erased": await self._services.evidence.erasing.erase_account(account.id, OPERATOR)}

    async def _enable_user(self, user: OneUser) -> Answer:
        account = await self._subjects.account(user.email)
        await self._services.accounts.enable(account.id, OPERATOR)
        return {"user": account.id}

    async def _set_password(self, user: NewPassword) -> Answer:
        account = await self._subjects.account(user.email)
        await self._services.accounts.set_password(account.id, user.password, OPERATOR)
        return {"user": account.id}

    async def _reset_link(self, user: OneUser) -> Answer:
        account = await self._subjects.account(user.email)
        reset, token = await self._services.password_reset.mint(account.id, OPERATOR)
        link = letters.reset_link(self._services.config.server.base_url, token)
        return {"user": account.id, "link": link, "expires_at": to_rfc3339(reset.expires_us)}

    async def _reset_factor(self, lost: LostFactor) -> Answer:
        account = await self._subjects.account(lost.email)
        await self._services.second_factors.reset(account.id, OPERATOR, lost.evidence)
        return {"user": account.id}

    async def _grant_platform_role(self, user: OneUser) -> Answer:
        account = await self._subjects.account(user.email)
        await self._services.accounts.grant_platform_role(account.id, OPERATOR)
        return {"user": account.id}

    async def _revoke_platform_role(self, user: OneUser) -> Answer:
        account = await self._subjects.account(user.email)
        await self._services.accounts.revoke_platform_role(account.id, OPERATOR)
        return {"user": account.id}

    async def _create_workspace(self, new: NewWorkspace) -> Answer:
        owner = await self._subjects.account(new.owner)
        workspace = await self._services.workspaces.create(new.workspace, new.name or new.workspace, owner.id, OPERATOR)
        return {"workspace": workspace.slug}

    async def _add_member(self, new: NewMember) -> Answer:
        workspace, account = await self._subjects.workspace(new.workspace), await self._subjects.account(new.email)
        role = role_of_people(new.role)
        await self._services.workspaces.add_member(workspace.id, account.id, role, OPERATOR)
        return {"workspace": workspace.slug, "user": account.id, "role": new.role}

    async def _remove_member(self, one: OneMember) -> Answer:
        account, workspace = await self._subjects.account(one.email), await self._subjects.workspace(one.workspace)
        await self._services.workspaces.remove_member(workspace.id, account.id, OPERATOR)
        return {"workspace": workspace.slug, "user": account.id}

    async def _list_deleted(self, _: Arguments) -> Answer:
        return {"workspaces": [msgspec.to_builtins(one) for one in await self._services.deletion.deleted()]}

    async def _invite(self, new: NewInvitation) -> Answer:
        services, workspace = self._services, await self._subjects.workspace(new.workspace)
        role = role_of_people(new.role)
        made, token = await services.invitations.create(workspace.id, role, OPERATOR, email=new.email)
        base_url = services.config.server.base_url
        return {
            "invitation": made.id,
            "link": letters.invitation_link(base_url, token),
            "expires_at": to_rfc3339(made.expires_us),
            "is_mailed": mail_invitation(services, workspace, made, token),
        }
