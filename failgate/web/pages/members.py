"""The members of a workspace, and invitations into it."""

from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.access.role import Role
from failgate.accounts import letters
from failgate.accounts.account import Account
from failgate.accounts.invitations import INVITATION_DAYS
from failgate.accounts.password_reset import RESET_MINUTES
from failgate.administration.people import mail_invitation
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, NotFound
from failgate.gate.reviewers import reviewed_in
from failgate.web.context import services_of, visit_of
from failgate.web.pages.frame import may
from failgate.web.pages.members_view import InvitationLine, MembersView, reviewer_lines
from failgate.web.pages.people_view import (
    PEOPLE,
    InviteView,
    MemberLine,
    MemberView,
    ShownView,
    role_choices,
    role_of,
)
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect
from failgate.workspaces.workspaces import Member, may_grant


async def listing(request: Asking) -> Page:
    """List the members, their roles, whether they can vote, and the open invitations."""
    visit, services = visit_of(request), services_of(request)
    found = await services.workspaces.members(visit.here().id)
    accounts = await services.accounts.by_ids(member.account_id for member in found)
    shown = await services.sso.step_ups.shown_in(visit.here().id)
    rows = [await _line(request, one, accounts[one.account_id], shown) for one in found if one.account_id in accounts]
    now_us = services.clock.now_us()
    invitations = tuple(
        InvitationLine(
            one.id, one.email, one.role.value, moment(one.created_us, now_us), moment(one.expires_us, now_us)
        )
        for one in await services.invitations.list(visit.here().id)
    )
    reviewers = None
    if grants(visit, Permission.WORKSPACE_AUDIT_READ):
        emails = {account.id: account.email for account in accounts.values()}
        reviewers = reviewer_lines(await reviewed_in(services.db, visit.here().id, now_us), emails)
    view = MembersView(tuple(rows), invitations, grants(visit, Permission.WORKSPACE_MEMBER_WRITE), reviewers)
    return await show(request, "members.html", view, title="Members", room="members")


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one member, and what may be changed of the membership."""
    return await _show_member(request, id)


async def change_role(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Give the member another role."""
    visit = visit_of(request)
    try:
        role = role_of(visit.form.get("role", ""))
        await services_of(request).workspaces.change_role(visit.here().id, id, role, Actor.of(visit.principal))
    except (BadInput, Conflict, Forbidden) as error:
        return await _show_member(request, id, error)
    return redirect(f"/w/{visit.here().slug}/members")


async def remove(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End the membership."""
    visit = visit_of(request)
    try:
        await services_of(request).workspaces.remove_member(visit.here().id, id, Actor.of(visit.principal))
    except (Conflict, Forbidden) as error:
        return await _show_member(request, id, error)
    return redirect("/" if id == visit.principal.account_id else f"/w/{visit.here().slug}/members")


async def reset_link(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Make a link for a new password and show it, this once, to an owner who answers for all of the person's work."""
    visit, services = visit_of(request), services_of(request)
    _, account = await _member(request, id)
    if not await _may_reset(request, account):
        refusal = Forbidden(
            "You may not reset this person's password.",
            hint="An owner of all of their workspaces may, or whoever runs the server.",
        )
        return await _show_member(request, id, refusal)
    try:
        _, token = await services.password_reset.mint(account.id, Actor.of(visit.principal))
    except Conflict as error:
        return await _show_member(request, id, error)
    back = f"/w/{visit.here().slug}/members"
    return await show(request, "shown.html", shown_reset(services.config.server.base_url, account, token, back),
                      title="New password", room="members")  # fmt: skip


def shown_reset(base_url: str, account: Account, token: str, back: str) -> ShownView:
    """Return the view that hands a reset link over."""
    return ShownView(
        "A link for a new password",
        letters.reset_link(base_url, token),
        f"Hand it to {account.email} in a way that nobody else reads. It works once, for {RESET_MINUTES} minutes, ends "
        "every session of the account and leaves the second factor as it is.",
        "",
        back,
        "I have handed it over",
    )


async def invite_form(request: Asking) -> Page:
    """Ask whom to invite, in which role."""
    return await _show_invite(request)


async def invite(request: Asking) -> Page:
    """Make the invitation and show its link, this once."""
    visit, services = visit_of(request), services_of(request)
    workspace, email = visit.here(), visit.form.get("email", "")
    try:
        role = role_of(visit.form.get("role", ""))
        made, token = await services.invitations.create(workspace.id, role, Actor.of(visit.principal), email=email)
    except (BadInput, Conflict, Forbidden) as error:
        return await _show_invite(request, error)
    is_mailed = mail_invitation(services, workspace, made, token)
    who = made.email or "the person"
    sent = f"A letter with it is on its way to {made.email}." if is_mailed else f"Hand it to {who}."
    view = ShownView(
        "An invitation",
        letters.invitation_link(services.config.server.base_url, token),
        f"{sent} It works once, for {INVITATION_DAYS} days, and makes {who} a member as {made.role.value}."
        + ("" if made.email else " Whoever holds the link can use it."),
        "",
        f"/w/{workspace.slug}/members",
        "Back to the members",
    )
    return await show(request, "shown.html", view, title="Invitation", room="members")


async def revoke(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End an open invitation."""
    visit = visit_of(request)
    await services_of(request).invitations.revoke(visit.here().id, id, Actor.of(visit.principal))
    return redirect(f"/w/{visit.here().slug}/members")


def _grantable(request: Asking) -> tuple[Role, ...]:
    mine = visit_of(request).role
    return tuple(role for role in PEOPLE if mine is not None and may_grant(mine, role))


async def _member(request: Asking, account_id: str) -> tuple[Member, Account]:
    services = services_of(request)
    account = await services.accounts.by_id(account_id)
    for member in await services.workspaces.members(visit_of(request).here().id):
        if account is not None and member.account_id == account_id:
            return member, account
    raise NotFound("There is no such member.")


async def _may_reset(request: Asking, account: Account) -> bool:
    """Tell whether the visitor owns every workspace of `account`: whose password one resets, whose work one can see."""
    visit, services = visit_of(request), services_of(request)
    if visit.role is not Role.OWNER or account.is_platform_admin or account.id == visit.principal.account_id:
        return False
    here = visit.principal.workspace_id
    for one in await services.workspaces.memberships(account.id):
        if here not in {None, one.workspace.id}:  # the provider of one workspace vouches for its owner there alone
            return False
        if await services.workspaces.role_of(one.workspace.id, visit.principal.account_id or "") is not Role.OWNER:
            return False
    return True


async def _line(request: Asking, member: Member, account: Account, through_provider: frozenset[str]) -> MemberLine:
    services = services_of(request)
    return MemberLine(
        member.account_id,
        account.email,
        member.role.value,
        may(member.role.value),
        has_second_factor=await services.second_factors.has(member.account_id),
        is_disabled=not account.is_enabled,
        is_self=member.account_id == visit_of(request).principal.account_id,
        since=moment(member.added_us, services.clock.now_us()),
        has_providers_factor=member.account_id in through_provider,
    )


async def _show_member(request: Asking, account_id: str, error: FailgateError | None = None) -> Page:
    services = services_of(request)
    member, account = await _member(request, account_id)
    grantable = _grantable(request)
    agents = await services.agents.list(visit_of(request).here().id)
    view = MemberView(
        await _line(request, member, account, await services.sso.step_ups.shown_in(visit_of(request).here().id)),
        role_choices(grantable, member.role) if member.role in grantable else (),
        tuple(agent.name for agent in agents if agent.owner_account_id == account_id and agent.is_enabled),
        member.role in grantable,
        await _may_reset(request, account),
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "member.html", view, title=account.email, room="members", status=status)


async def _show_invite(request: Asking, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    view = InviteView(
        role_choices(_grantable(request), Role.DEVELOPER),
        services.mail.is_configured,
        await services.invitations.takes_password(visit.here().id),
        visit.form.get("email", "")[:254],
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "invite.html", view, title="Invite", room="members", status=status)
