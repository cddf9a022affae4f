"""How long things are kept, and legal hold."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.params import FromPath

from failgate.base.errors import BadInput
from failgate.reports.retention import LEFTOVER, REPORT, SESSION, SUBJECTS
from failgate.web.context import services_of, visit_of
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import Moment, moment
from failgate.web.render import redirect

NAMES = {
    "report": "A whole report",
    "leftover": "An unfinished or quarantined upload",
    "session": "A recorded shell",
    "output": "Output of a command",
    "diff": "Changes (diff)",
    "environment": "Environment",
    "source": "Source files",
    "recording": "Recording",
    "file": "Captured files",
    "snapshot": "Source snapshot",
    "bundle": "History (git bundle)",
    "junit": "JUnit XML",
    "sarif": "SARIF log",
    "envelope": "Sentry envelope",
}


@dataclass(frozen=True, slots=True)
class KeptRow:
    """One thing that is kept: for so many days, empty for good; `is_own`: said here, not by the server's config."""

    subject: str
    name: str
    days: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class RetentionPage:
    """The form. `going` says what saving it would delete at once, which is asked; `word` says yes to these days."""

    rows: tuple[KeptRow, ...]
    error: str | None
    is_saved: bool
    going: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True, slots=True)
class HoldPage:
    """A report's legal hold, or the form for one."""

    report_id: str
    title: str
    since: Moment | None
    by: str
    reason: str
    error: str | None


async def terms(request: Asking) -> Page:
    """Show for how long things are kept."""
    return await _show_terms(request)


async def change_terms(request: Asking) -> Page:
    """Change what is not as it was; what would delete something at once is asked about first."""
    visit, services = visit_of(request), services_of(request)
    before = (await services.report_room.retention.terms(visit.here().id)).days
    try:
        wished = {subject: _days(visit.form[subject]) for subject in SUBJECTS if subject in visit.form}
        changed = {subject: days for subject, days in wished.items() if days != before.get(subject)}
        due = await services.report_room.retention.due(visit.here().id, changed)
        if due and visit.form.get("confirm") != _word(wished, due):
            return await _show_terms(request, wished=wished, due=due)
        await services.report_room.retention.set_terms(visit.principal, visit.here().id, changed)
    except BadInput as error:
        return await _show_terms(request, error)
    return await _show_terms(request, is_saved=True)


async def hold_form(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show the hold on a report, or ask for its reason."""
    return await _show_hold(request, id)


async def hold(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Put the report under legal hold."""
    visit = visit_of(request)
    try:
        await services_of(request).report_room.retention.hold(
            visit.principal, visit.here().id, id, visit.form.get("reason", "")
        )
    except BadInput as error:
        return await _show_hold(request, id, error)
    return redirect(f"/w/{visit.here().slug}/reports/{id}/hold")


async def release(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Release it."""
    visit = visit_of(request)
    await services_of(request).report_room.retention.release(visit.principal, visit.here().id, id)
    return redirect(f"/w/{visit.here().slug}/reports/{id}/hold")


def _days(text: str) -> int | None:
    number = text.strip()
    if not number:
        return None
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise BadInput("Days are a whole number.", hint="Leave it empty to keep things for good.")
    return int(number)


async def _show_terms(
    request: Asking,
    error: BadInput | None = None,
    *,
    is_saved: bool = False,
    wished: Mapping[str, int | None] | None = None,
    due: Mapping[str, int] | None = None,
) -> Page:
    visit, services = visit_of(request), services_of(request)
    days = {**(await services.report_room.retention.terms(visit.here().id)).days, **(wished or {})}
    own = await services.report_room.retention.own_terms(visit.here().id)
    rows = tuple(KeptRow(one, NAMES[one], str(days.get(one) or ""), one in own) for one in SUBJECTS)
    going = tuple(_going(subject, number) for subject, number in (due or {}).items())
    view = RetentionPage(rows, str(error) if error else None, is_saved, going, _word(days, due or {}))
    status = error.status if error else 200
    return await show(request, "retention.html", view, title="Retention", room="settings", status=status)


def _word(days: Mapping[str, int | None], due: Mapping[str, int]) -> str:
    """Return what says yes to these days, and to no others that are typed beside it."""
    return " ".join(f"{subject}:{days[subject]}" for subject in due)


def _going(subject: str, number: int) -> str:
    if subject == REPORT:
        return f"{number} {'report' if number == 1 else 'reports'} with everything in {'it' if number == 1 else 'them'}"
    if subject == LEFTOVER:
        return f"{number} unfinished or quarantined {'upload' if number == 1 else 'uploads'}"
    if subject == SESSION:
        return f"{number} recorded {'shell' if number == 1 else 'shells'}"
    return f"{number} {'artifact' if number == 1 else 'artifacts'}: {NAMES[subject]}"


async def _show_hold(request: Asking, report_id: str, error: BadInput | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    report = await services.reports.view(visit.principal, visit.here().id, report_id)
    hold = await services.report_room.retention.hold_on(visit.here().id, report_id)
    by = await services.accounts.by_id(hold.by) if hold is not None else None
    view = HoldPage(
        report_id,
        report.title,
        moment(hold.since_us, services.clock.now_us()) if hold is not None else None,
        by.email if by is not None else hold.by if hold is not None else "",
        hold.reason if hold is not None else "",
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "hold.html", view, title="Legal hold", room="reports", status=status)
