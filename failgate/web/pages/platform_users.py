"""The accounts of the installation, for the platform role: barred, let in, helped back in."""

from typing import Final
from urllib.parse import urlencode

from litestar.params import FromPath

from failgate.accounts.directory import Entry
from failgate.accounts.second_factors import Evidence
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, NotFound
from failgate.web.context import services_of, visit_of
from failgate.web.pages.members import shown_reset
from failgate.web.pages.platform_view import UserLine, UsersView, UserView
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import moment
from failgate.web.render import redirect

HERE = "/platform/users"
_EVIDENCE: Final[dict[str, Evidence]] = {"met": "met", "called_back": "called_back", "vouched": "vouched"}


async def listing(request: Asking) -> Page:
    """List the accounts by address."""
    services = services_of(request)
    search, after = (request.query_params.get(name, "")[:254] for name in ("q", "after"))
    entries, following = await services.directory.page(search, after)
    total, disabled = await services.directory.counts()
    rows = tuple([await _line(request, entry) for entry in entries])
    href = f"{HERE}?{urlencode({'q': search, 'after': following})}" if following is not None else None
    view = UsersView(rows, search, total, disabled, href)
    return await show(request, "platform_users.html", view, title="Users", room="platform-users")


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one account and what may be done with it."""
    return await _show(request, id)


async def disable(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Bar the account; everything that was opened with it ends at once."""
    visit = visit_of(request)
    if id == visit.principal.account_id:
        return await _show(request, id, error=Conflict("This is your own account.", hint="Ask another administrator."))
    await services_of(request).accounts.disable(id, Actor.of(visit.principal))
    return await _show(request, id, done="Disabled. Sessions, keys and tokens have ended.")


async def enable(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Let the account sign in again."""
    await services_of(request).accounts.enable(id, Actor.of(visit_of(request).principal))
    return await _show(request, id, done="Enabled. What had ended stays ended.")


async def reset_factor(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Take every factor away, passkeys too; every session of the account ends."""
    visit, services = visit_of(request), services_of(request)
    try:
        _must_be_another(request, id)
        evidence = _evidence_of(visit.form.get("evidence", ""))
        await services.password_reset.must_not_have_minted(id, Actor.of(visit.principal))
        await services.second_factors.reset(id, Actor.of(visit.principal), evidence)
    except (Conflict, BadInput) as error:
        return await _show(request, id, error=error)
    return await _show(request, id, done="Every second factor is gone; their owner sets up a new one.")


async def reset_link(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Have a new password chosen: by a letter to the person where e-mail is sent, else by a link to hand over.

    A link is shown for accounts of no workspace only: the role opens nothing private.
    """
    visit, services = visit_of(request), services_of(request)
    account = await services.accounts.by_id(id)
    if account is None:
        raise NotFound("There is no such account.")
    try:
        _must_be_another(request, id)
        if services.password_reset.is_by_mail:
            await services.password_reset.mail_to(account, Actor.of(visit.principal))
            return await _show(request, id, done=f"A letter with a link is on its way to {account.email}.")
        await _must_open_nothing_private(request, id)
        _, token = await services.password_reset.mint(id, Actor.of(visit.principal))
    except Conflict as error:
        return await _show(request, id, error=error)
    view = shown_reset(services.config.server.base_url, account, token, f"{HERE}/{id}")
    return await show(request, "shown.html", view, title="New password", room="platform-users")


async def change_platform_role(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Give or take the platform role."""
    visit, services = visit_of(request), services_of(request)
    actor = Actor.of(visit.principal)
    match visit.form.get("role", ""):
        case "grant":
            await services.accounts.grant_platform_role(id, actor)
            return await _show(request, id, done="It has the platform role.")
        case "revoke":
            try:
                await services.accounts.revoke_platform_role(id, actor)
            except Conflict as error:
                return await _show(request, id, error=error)
            return redirect("/") if id == visit.principal.account_id else await _show(request, id, done="It is taken.")
        case _:
            refusal = BadInput("The form says neither grant nor revoke.", hint="Send it from the page.")
            return await _show(request, id, error=refusal)


def _must_be_another(request: Asking, account_id: str) -> None:
    if account_id == visit_of(request).principal.account_id:
        raise Conflict("This is your own account.", hint="Use the pages of your account.")


async def _must_open_nothing_private(request: Asking, account_id: str) -> None:
    """Return when the account reaches no workspace: who is shown its link could read there, without the role to.

    Raises: Conflict.
    """
    if await services_of(request).workspaces.memberships(account_id):
        raise Conflict(
            "This account belongs to a workspace, and the link would open it to you.",
            hint="An owner of all of its workspaces makes the link, or the operator on the host: "
            "failgate admin user reset-link.",
        )


def _evidence_of(text: str) -> Evidence:
    """Return how it was made sure who asks. Raises: BadInput."""
    found = _EVIDENCE.get(text)
    if found is None:
        raise BadInput("The form does not say how you made sure who asks.", hint="Choose what you did.")
    return found


async def _show(
    request: Asking, account_id: str, *, error: FailgateError | None = None, done: str | None = None
) -> Page:
    services = services_of(request)
    entry = await services.directory.one(account_id)
    if entry is None:
        raise NotFound("There is no such account.")
    view = UserView(
        await _line(request, entry), services.password_reset.is_by_mail, str(error) if error else None, done
    )
    status = error.status if error else 200
    return await show(request, "platform_user.html", view, title=entry.email, room="platform-users", status=status)


async def _line(request: Asking, entry: Entry) -> UserLine:
    services = services_of(request)
    now_us = services.clock.now_us()
    return UserLine(
        entry.id,
        entry.email,
        moment(entry.created_us, now_us),
        moment(entry.seen_us, now_us) if entry.seen_us is not None else None,
        entry.workspaces,
        await services.second_factors.has(entry.id),
        entry.has_password,
        entry.is_platform_admin,
        entry.disabled_us is not None,
        entry.id == visit_of(request).principal.account_id,
    )
