"""Members of a workspace, and invitations into it."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.access.role import Role
from failgate.accounts import letters
from failgate.accounts.invitations import Invitation
from failgate.administration.people import mail_invitation
from failgate.audit.record import Actor
from failgate.base.clock import to_rfc3339
from failgate.base.db import Transaction
from failgate.base.errors import NotFound
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.people import (
    InvitationPage,
    InvitationView,
    MadeInvitation,
    MemberPage,
    MemberRole,
    MemberView,
    NewInvitation,
)

Asking = Request[Any, Any, Any]


async def listing(request: Asking) -> MemberPage:
    """List the members, the earliest first."""
    return MemberPage(await _members(request), None)


async def change_role(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    data: JSONBody[MemberRole],
    idempotency_key: IdempotencyKey = None,
) -> MemberView:
    """Give a member another role; the old one ends at once. `id` is the account's."""
    visit, services = visit_of(request), services_of(request)

    async def act() -> MemberView:
        await services.workspaces.change_role(visit.here().id, id, Role(data.role), Actor.of(visit.principal))
        found = [member for member in await _members(request) if member.id == id]
        if not found:
            raise NotFound("There is no such member.")
        return found[0]

    return await services.first_answers.after(key_of(request, idempotency_key, data), MemberView, act)


async def remove(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End a membership, and with it the member's tokens, sockets and uncounted votes there."""
    visit = visit_of(request)
    await services_of(request).workspaces.remove_member(visit.here().id, id, Actor.of(visit.principal))


async def invitations(request: Asking) -> InvitationPage:
    """List the open invitations, the newest first."""
    found = await services_of(request).invitations.list(visit_of(request).here().id)
    return InvitationPage(
        [
            InvitationView(one.id, one.role.value, one.email, to_rfc3339(one.created_us), to_rfc3339(one.expires_us))
            for one in found
        ],
        None,
    )


async def invite(
    request: Asking, data: JSONBody[NewInvitation], idempotency_key: IdempotencyKey = None
) -> MadeInvitation:
    """Make an invitation; its link is shown this once, and mailed where the server sends e-mail."""
    visit, services = visit_of(request), services_of(request)
    actor, workspace = Actor.of(visit.principal), visit.here()
    mailing = services.mail.is_configured and bool((data.email or "").strip())
    made_now: list[tuple[Invitation, str]] = []

    async def verb(tx: Transaction) -> MadeInvitation:
        made, token = await services.invitations.create_within(
            tx, workspace.id, Role(data.role), actor, email=data.email
        )
        made_now.append((made, token))
        link = letters.invitation_link(services.config.server.base_url, token)
        return MadeInvitation(made.id, made.role.value, made.email, to_rfc3339(made.expires_us), link, mailing)

    key = key_of(request, idempotency_key, data)
    answer = await services.first_answers.once(key, MadeInvitation, verb, _without_link)
    if answer.link is not None:
        for made, token in made_now:
            mail_invitation(services, workspace, made, token)
    return answer


async def revoke(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End an open invitation."""
    visit = visit_of(request)
    await services_of(request).invitations.revoke(visit.here().id, id, Actor.of(visit.principal))


def _without_link(made: MadeInvitation) -> MadeInvitation:
    return MadeInvitation(made.id, made.role, made.email, made.expires_at, None, made.is_mailed)


async def _members(request: Asking) -> list[MemberView]:
    services, workspace_id = services_of(request), visit_of(request).here().id
    found = await services.workspaces.members(workspace_id)
    accounts = await services.accounts.by_ids(member.account_id for member in found)
    through_provider = await services.sso.step_ups.shown_in(workspace_id)
    return [
        MemberView(
            member.account_id,
            accounts[member.account_id].email,
            member.role.value,
            to_rfc3339(member.added_us),
            await services.second_factors.has(member.account_id) or member.account_id in through_provider,
            accounts[member.account_id].is_enabled,
        )
        for member in found
        if member.account_id in accounts
    ]
