"""The runs of an agent: what its sessions asked for, and what that led to."""

from dataclasses import dataclass
from typing import Annotated

from litestar.params import FromPath, QueryParameter

from failgate.access.permission import Permission
from failgate.gate.runs import Run
from failgate.web.api.agents import agent_here
from failgate.web.context import services_of, visit_of
from failgate.web.pages.command_view import RequestRow, row_of
from failgate.web.pages.people_view import RunLine
from failgate.web.pages.queue import report_of
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.text import moment
from failgate.workspaces.agents import Agent

After = Annotated[str | None, QueryParameter(name="after", max_length=64)]
PAGE = 50
_LATEST = 20


@dataclass(frozen=True, slots=True)
class RunCommandLine:
    """A command of a run, the tool it was for, the report that it led to."""

    line: RequestRow
    tool: str | None
    report_id: str | None


@dataclass(frozen=True, slots=True)
class RunPageView:
    """One run."""

    agent: str
    agent_id: str
    run: RunLine
    rows: tuple[RunCommandLine, ...]
    next_href: str | None


async def runs_on(request: Asking, agent: Agent) -> tuple[RunLine, ...]:
    """Return the latest runs of the agent, for whoever may read commands."""
    visit, services = visit_of(request), services_of(request)
    if not grants(visit, Permission.WORKSPACE_COMMAND_READ):
        return ()
    now_us = services.clock.now_us()
    found = await services.gate.runs(agent.workspace_id, agent.id, _LATEST)
    return tuple(run_line(run, now_us) for run in found)


async def one(
    request: Asking,
    id: FromPath[str],  # noqa: A002 - the path's word
    run: FromPath[str],
    after: After = None,
) -> Page:
    """Show one run with its commands, newest first."""
    visit, services, agent = visit_of(request), services_of(request), await agent_here(request, id)
    now_us = services.clock.now_us()
    found, commands = await services.gate.run_commands(agent.workspace_id, agent.id, run, PAGE + 1, after)
    shown = commands[:PAGE]
    rows = tuple(
        [
            RunCommandLine(
                row_of(command, now_us, visit.principal.label), tool, await report_of(request, visit, command)
            )
            for command, tool in shown
        ]
    )
    here = f"/w/{visit.here().slug}/agents/{agent.id}/runs/{found.id}"
    following = f"{here}?after={shown[-1][0].id}" if len(commands) > PAGE else None
    view = RunPageView(agent.name, agent.id, run_line(found, now_us), rows, following)
    return await show(request, "agent_run.html", view, title=view.run.name, room="agents")


def run_line(run: Run, now_us: int) -> RunLine:
    """Return the run as a line."""
    counts = ((run.executed, "executed"), (run.denied, "denied"), (run.failed, "failed"))
    led_to = ", ".join(f"{number} {word}" for number, word in counts if number)
    name = " · ".join(word for word in (run.program, run.run or (run.session or "")[:13]) if word)
    return RunLine(
        run.id,
        name or "a run",
        run.model,
        run.session,
        moment(run.began_us, now_us),
        moment(run.last_us, now_us),
        run.commands,
        led_to or "nothing yet",
    )
