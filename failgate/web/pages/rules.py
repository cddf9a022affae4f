"""The rules of the allowlist as pages: listed, tried, made, taken over, looked at and ended."""

from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, TooLarge, Unprocessable
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.rules_view import (
    FIELDS,
    RulesView,
    RuleView,
    lines_of,
    row_of,
    rule_of,
    tried,
    waiting_row,
)
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.render import redirect

MAX_SHOWN = 200


async def listing(request: Asking) -> Page:
    """List the rules in effect; the query's `after` goes on behind a rule."""
    return await _show(request)


async def create(request: Asking) -> Page:
    """Make the rule of the form; with `action` `try`, show what it would let pass instead."""
    visit, services = visit_of(request), services_of(request)
    typed = {name: visit.form.get(name, "") for name in FIELDS}
    try:
        rule = rule_of(typed)
        if visit.form.get("action") == "try":
            return await _show(request, typed=typed, trial=tried(rule, lines_of(typed["examples"])))
        if rule.effect == "allow" and await services.rule_proposals.approvers(visit.here().id):
            await services.rule_proposals.propose(visit.principal, visit.here().id, [rule])
        else:
            await services.rules.create(Actor.of(visit.principal), visit.here().id, rule)
    except (BadInput, Unprocessable, TooLarge, Conflict) as error:
        return await _show(request, error, typed)
    return redirect(_here(visit))


async def take_starter(request: Asking) -> Page:
    """Take the starter rules over for the folders of the form."""
    visit = visit_of(request)
    typed = {name: visit.form.get(name, "") for name in FIELDS}
    try:
        await services_of(request).rule_proposals.take_starter(
            visit.principal,
            visit.here().id,
            lines_of(visit.form.get("directories", "")),
            visit.form.get("review_by") or None,
        )
    except (BadInput, Unprocessable, TooLarge, Conflict) as error:
        return await _show(request, error, typed)
    return redirect(_here(visit))


async def approve(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Approve proposed rules."""
    visit = visit_of(request)
    room = services_of(request).rule_proposals
    try:
        await room.approve(visit.principal, visit.here().id, id, visit.form.get("digest", ""))
    except (Conflict, Forbidden) as error:
        return await _show(request, error)
    return redirect(_here(visit))


async def withdraw(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End a proposal."""
    visit = visit_of(request)
    await services_of(request).rule_proposals.withdraw(Actor.of(visit.principal), visit.here().id, id)
    return redirect(_here(visit))


async def set_terms(request: Asking) -> Page:
    """Say how many others approve a rule."""
    visit = visit_of(request)
    typed = visit.form.get("approvers", "")
    try:
        number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 4 else -1  # digits
        await services_of(request).rule_proposals.set_approvers(Actor.of(visit.principal), visit.here().id, number)
    except Unprocessable as error:
        return await _show(request, error)
    return redirect(_here(visit))


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show a rule with all that it says, and the way to end it."""
    visit, services = visit_of(request), services_of(request)
    rule = await services.rules.one(visit.here().id, id)
    view = RuleView(
        _here(visit),
        row_of(rule, services.clock.now_us(), await _label_of(request, rule.created_by)),
        grants(visit, Permission.WORKSPACE_RULE_WRITE),
    )
    return await show(request, "rule.html", view, title="Rule", room="settings")


async def revoke(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End a rule."""
    visit = visit_of(request)
    await services_of(request).rules.revoke(Actor.of(visit.principal), visit.here().id, id)
    return redirect(_here(visit))


def _here(visit: Visit) -> str:
    return f"/w/{visit.here().slug}/settings/rules"


async def _label_of(request: Asking, account_id: str) -> str:
    found = await services_of(request).accounts.by_ids([account_id])
    return found[account_id].email if account_id in found else "the operator"


async def _show(
    request: Asking,
    error: FailgateError | None = None,
    typed: dict[str, str] | None = None,
    trial: tuple[tuple[str, ...], tuple[tuple[str, bool], ...]] | None = None,
) -> Page:
    visit, services = visit_of(request), services_of(request)
    page = await services.rules.page(visit.here().id, MAX_SHOWN, request.query_params.get("after"))
    waiting = await services.rule_proposals.waiting(visit.here().id)
    people = {one.created_by for one in page.items} | {one.account_id for one in waiting}
    emails = {key: account.email for key, account in (await services.accounts.by_ids(people)).items()}
    now_us = services.clock.now_us()
    rows = tuple(row_of(rule, now_us, emails.get(rule.created_by, "the operator")) for rule in page.items)
    view = RulesView(
        _here(visit),
        rows,
        page.next,
        grants(visit, Permission.WORKSPACE_RULE_WRITE),
        str(error) if error else None,
        typed or dict.fromkeys(FIELDS, "") | {"kind": "argument", "effect": "allow"},
        trial,
        tuple(
            waiting_row(one, emails.get(one.account_id, "the operator"), visit.principal.account_id) for one in waiting
        ),
        await services.rule_proposals.approvers(visit.here().id),
        grants(visit, Permission.WORKSPACE_SETTINGS_WRITE),
        grants(visit, Permission.WORKSPACE_COMMAND_SUBMIT),
    )
    status = error.status if error else 200
    return await show(request, "rules.html", view, title="Rules", room="settings", status=status)
