"""The workspace's own redaction rules as a page of its settings: listed, added, ended."""

from dataclasses import dataclass

import msgspec
from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.audit.record import Actor
from failgate.base.errors import Conflict, FailgateError, Unprocessable
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.render import redirect
from failgate.wire.redaction import RedactionRule, RedactionRulePage

FIELDS = ("name", "pattern", "description", "must_match", "must_not_match")


@dataclass(frozen=True, slots=True)
class RedactionView:
    """The rules and a form; `typed` is what was typed into it when it was refused."""

    here: str
    page: RedactionRulePage
    may_change: bool
    error: str | None
    typed: dict[str, str]


async def listing(request: Asking) -> Page:
    """Show the rules and how far stored reports were scanned by them."""
    return await _show(request)


async def create(request: Asking) -> Page:
    """Add a rule."""
    visit, services = visit_of(request), services_of(request)
    form = visit.form
    typed = {name: form.get(name, "") for name in FIELDS}
    wanted: dict[str, object] = {
        **typed,
        "must_match": _lines(typed["must_match"]),
        "must_not_match": _lines(typed["must_not_match"]),
    }
    try:
        rule = msgspec.convert(wanted, RedactionRule)
        await services.redaction_rules.create(Actor.of(visit.principal), visit.here().id, rule)
    except msgspec.ValidationError as error:
        refused = Unprocessable("The rule is not complete, or a part of it is too long.", hint=str(error)[:200])
        return await _show(request, refused, typed)
    except (Unprocessable, Conflict) as error:
        return await _show(request, error, typed)
    services.rescanning.due.wake()
    return redirect(_here(visit.here().slug))


async def revoke(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End a rule."""
    visit = visit_of(request)
    await services_of(request).redaction_rules.revoke(Actor.of(visit.principal), visit.here().id, id)
    return redirect(_here(visit.here().slug))


def _here(slug: str) -> str:
    return f"/w/{slug}/settings/redaction"


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


async def _show(request: Asking, error: FailgateError | None = None, typed: dict[str, str] | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    view = RedactionView(
        _here(visit.here().slug),
        await services.redaction_rules.page(visit.here().id),
        grants(visit, Permission.WORKSPACE_REDACTION_WRITE),
        str(error) if error else None,
        typed or dict.fromkeys(FIELDS, ""),
    )
    status = error.status if error else 200
    return await show(request, "redaction.html", view, title="Redaction rules", room="settings", status=status)
