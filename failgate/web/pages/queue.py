"""The queue: what waits, the request that is looked at, and the vote of a browser without scripts."""

from typing import Annotated

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.access.role import Role
from failgate.base.errors import BadInput
from failgate.gate.absences import Away, seats_of
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.absences_view import away_line, seats_in_words
from failgate.web.pages.command_view import Standing
from failgate.web.pages.frame import Frame
from failgate.web.pages.glass_view import GlassLine, line_of
from failgate.web.pages.history_view import Beside
from failgate.web.pages.mutes import lines_of, mute_by_form
from failgate.web.pages.queue_view import QueueView, in_turn, queue_view
from failgate.web.pages.showing import Asking, Page, frame_of, grants
from failgate.web.pages.text import microseconds
from failgate.web.render import page, redirect
from failgate.wire.gate import CommandView, Vote

DECIDED = 60  # how many of the newest requests the recent ones and the chart are taken from
Chosen = Annotated[str | None, QueryParameter(name="c", max_length=64)]
Full = Annotated[bool, QueryParameter(name="full")]
Part = Annotated[str | None, QueryParameter(name="part", max_length=16)]


async def queue(request: Asking, chosen: Chosen = None, full: Full = False, part: Part = None) -> Page:  # noqa: FBT002 - a query parameter
    """Show what waits; with `c` that request, with `part=panes` without the frame, for the page that stands open."""
    visit = visit_of(request)
    view = await _view(request, visit, chosen, is_full=full)
    frame: Frame = await frame_of(request, "Queue", "queue")
    return page("queue/panes.html" if part == "panes" else "queue.html", frame=frame, view=view)


async def vote(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Count the vote of a form; the page then says what stands."""
    visit = visit_of(request)
    decision = visit.form.get("decision")
    if decision not in {"approve", "deny", "changes", "deny-alike", "mute"}:
        raise BadInput("The form says neither approve nor deny.", hint="Use the buttons of the page.")
    cast_vote = Vote(
        decision="approve" if decision == "approve" else "deny",
        digest=visit.form.get("digest", ""),
        note=visit.form.get("note", "").strip() or None,
        wants_changes=decision == "changes",
        confirm=visit.form.get("confirm", "").strip() or None,
    )
    if decision == "approve":
        services_of(request).exporting.required.must_keep_up()
    gate = services_of(request).gate
    if decision == "mute":
        await mute_by_form(request, visit, id, cast_vote)
    else:
        cast = gate.muting.deny_alike if decision == "deny-alike" else gate.vote
        await cast(visit.principal, visit.here().id, id, cast_vote)
    return redirect(f"/w/{visit.here().slug}/queue?c={id}")


async def _view(request: Asking, visit: Visit, chosen: str | None, *, is_full: bool) -> QueueView:
    services, workspace_id = services_of(request), visit.here().id
    waiting, alike = services.gate.pending(workspace_id), services.gate.alike(workspace_id)
    newest = await services.gate.page(workspace_id, None, DECIDED)
    turns = in_turn(waiting, alike)
    number = chosen or (turns[0][0].id if turns else None)
    selected = None if number is None else await services.gate.view(workspace_id, number, visit.principal)
    return queue_view(
        waiting,
        [command for command in newest.items if command.state != "pending"],
        selected,
        now_us=services.clock.now_us(),
        standing=await standing_of(request, visit, selected),
        viewer=visit.principal.label,
        is_chosen=chosen is not None,
        is_full=is_full,
        report_id=await report_of(request, visit, selected),
        server_url=str(request.base_url).rstrip("/"),
        beside=None if selected is None else await beside_of(request, visit, selected),
        alike=alike,
        owed=await _owed(request, visit),
        muted=await lines_of(request, visit),
        away=[away_line(one, services.clock.now_us()) for one in await services.absences.now(workspace_id)],
    )


async def _owed(request: Asking, visit: Visit) -> tuple[GlassLine, ...]:
    """Return the broken glass that waits for a review, for who may review."""
    if not grants(visit, Permission.WORKSPACE_COMMAND_VOTE):
        return ()
    services = services_of(request)
    found = await services.gate.glass.listed(visit.here().id)
    return tuple(line_of(one, services.clock.now_us()) for one in found if one.review == "open")


async def _is_own(request: Asking, visit: Visit, command: CommandView) -> bool:
    """Tell whether the visitor asked for `command`, or answers for the agent that did."""
    agents = await services_of(request).agents.list(visit.here().id)
    owners = {agent.name: agent.owner_account_id for agent in agents}
    return command.agent == visit.principal.label or owners.get(command.agent) == visit.principal.account_id


async def report_of(request: Asking, visit: Visit, command: CommandView | None) -> str | None:
    """Return the report of the command's run that the visitor may open, or None."""
    if command is None or command.outcome is None or not grants(visit, Permission.WORKSPACE_REPORT_READ):
        return None
    newest = await services_of(request).reports.of_command(visit.here().id, command.id)
    return newest or command.outcome.report_id


async def beside_of(request: Asking, visit: Visit, command: CommandView) -> Beside:
    """Return what went before `command`, with the reports of earlier runs that the visitor may open."""
    history = await services_of(request).gate.history(visit.here().id, command.id, visit.principal)
    found = {one.id: await report_of(request, visit, one) for one in history.last}
    reports = {number: report_id for number, report_id in found.items() if report_id is not None}
    may_break: set[str | None] = {"reviewer"} if grants(visit, Permission.WORKSPACE_COMMAND_VOTE) else set()
    may_break |= {"owner"} if visit.role is Role.OWNER else set()
    if await _is_own(request, visit, command):
        may_break = set()
    gate, edits = services_of(request).gate, command.edits
    asked = None if edits is None else await gate.view(visit.here().id, edits, visit.principal)
    seats = await _seats(request, visit, command)
    since = [
        one.absence.counts_from_us
        for one in seats
        if one.stand_in is not None and one.stand_in.account_id == visit.principal.account_id
    ]
    voted = [microseconds(vote.at) for vote in command.votes if vote.reviewer == visit.principal.label]
    return Beside(
        history,
        reports,
        grants(visit, Permission.WORKSPACE_RULE_WRITE),
        frozenset(may_break),
        asked,
        seats_in_words(seats),
        bool(since and voted) and max(voted) < max(since),
    )


async def _seats(request: Asking, visit: Visit, command: CommandView) -> list[Away]:
    """Return those who are away and whose place in the groups that `command` waits for somebody may take."""
    if command.state != "pending":
        return []
    services, here = services_of(request), visit.here().id
    terms, excluded = await services.gate.terms_of(here, command.id, visit.principal)
    return seats_of(terms, excluded, await services.absences.now(here)) if terms.groups else []


async def standing_of(request: Asking, visit: Visit, command: CommandView | None) -> Standing:
    """Return whether the visitor may vote on `command`, and if not, why; the gate decides all the same."""
    if not grants(visit, Permission.WORKSPACE_COMMAND_VOTE):
        return "role"
    if command is not None and await _is_own(request, visit, command):
        return "own"
    if visit.principal.second_factor_us is not None:
        return "vote"
    services = services_of(request)
    has_factor = await services.second_factors.has(visit.principal.account_id or "")
    return "prove" if has_factor or await services.sso.step_ups.way(visit.session) is not None else "enrol"
