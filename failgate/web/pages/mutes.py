"""What is muted, on the pages: the form of deny-and-mute, the list beside the queue, unmute."""

from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.base.errors import BadInput
from failgate.gate.mutes import What
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.mutes_view import MuteLine, line_of
from failgate.web.pages.showing import Asking, Page, grants
from failgate.web.render import redirect
from failgate.wire.gate import Vote


async def lines_of(request: Asking, visit: Visit) -> tuple[MuteLine, ...]:
    """Return what is muted in the workspace of the visit."""
    services, here = services_of(request), visit.here()
    running = await services.gate.muting.mutes.running(here.id)
    if not running:
        return ()
    people = await services.accounts.by_ids({one.account_id for one in running})
    emails = {key: account.email for key, account in people.items()}
    may_end = grants(visit, Permission.WORKSPACE_COMMAND_VOTE)
    now_us = services.clock.now_us()
    return tuple(line_of(one, now_us, slug=here.slug, emails=emails, may_end=may_end) for one in running)


async def mute_by_form(request: Asking, visit: Visit, command_id: str, vote: Vote) -> None:
    """Deny and mute as the form says. Raises: BadInput (it does not say what, or how long), as `Muting.mute`."""
    typed = visit.form.get("mute_minutes", "")
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 4):
        raise BadInput("The form does not say for how many minutes.", hint="Use the fields of the page.")
    what = _what(visit.form.get("mute_what", ""))
    await services_of(request).gate.muting.mute(visit.principal, visit.here().id, command_id, vote, what, int(typed))


async def unmute(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Ask people again."""
    visit = visit_of(request)
    await services_of(request).gate.muting.unmute(visit.principal, visit.here().id, id)
    return redirect(f"/w/{visit.here().slug}/queue")


def _what(typed: str) -> What:
    if typed == "same":
        return "same"
    if typed == "program":
        return "program"
    raise BadInput("The form does not say what is muted.", hint="Use the fields of the page.")
