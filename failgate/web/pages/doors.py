"""The doors of the pages: name, method, path, handler, permission. `failgate/web/routes.py` joins them to the table."""

from collections.abc import Callable
from typing import Any, Final

from failgate.access.permission import Permission as P  # noqa: N817 - the table is read in columns
from failgate.web.door import Door
from failgate.web.pages import account, audit, commands, overview, people, queue, reports, setup, signin

_ROOM: Final = "/w/{workspace}"


def _page(name: str, method: str, path: str, handler: Callable[..., Any], needs: P) -> Door:
    """Return a door of the pages."""
    return Door(name=name, method=method, path=path, handler=handler, permission=needs, kind="page")


def _room(name: str, method: str, path: str, handler: Callable[..., Any], needs: P) -> Door:
    """Return a door of the pages inside a workspace."""
    return _page(name, method, _ROOM + path, handler, needs)


PAGES: Final[tuple[Door, ...]] = (
    _page("page.setup", "GET", "/setup", setup.form, P.PUBLIC_PAGE_READ),
    _page("page.setup_complete", "POST", "/setup", setup.complete, P.PUBLIC_SETUP_COMPLETE),
    _page("page.signin", "GET", "/signin", signin.form, P.PUBLIC_PAGE_READ),
    _page("page.signin_password", "POST", "/signin", signin.sign_in, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_code", "GET", "/signin/code", signin.code_form, P.PUBLIC_PAGE_READ),
    _page("page.signin_prove", "POST", "/signin/code", signin.prove, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_link", "GET", "/signin/link", signin.link_form, P.PUBLIC_PAGE_READ),
    _page("page.signin_redeem", "POST", "/signin/link", signin.redeem, P.PUBLIC_SESSION_OPEN),
    # Public, because a session that still waits for its second factor is nobody and may end itself all the same.
    _page("page.signout", "POST", "/signout", signin.sign_out, P.PUBLIC_SESSION_OPEN),
    _page("page.overview", "GET", "/", overview.overview, P.ACCOUNT_SELF_READ),
    _page("page.account", "GET", "/account", account.overview, P.ACCOUNT_SELF_READ),
    _page("page.second_factor", "GET", "/account/second-factor", account.second_factor, P.ACCOUNT_SELF_READ),
    _page(
        "page.second_factor_begin",
        "POST",
        "/account/second-factor/begin",
        account.begin_enrolment,
        P.ACCOUNT_SELF_WRITE,
    ),
    _page(
        "page.second_factor_confirm", "POST", "/account/second-factor", account.confirm_enrolment, P.ACCOUNT_SELF_WRITE
    ),
    _page("page.sessions", "GET", "/account/sessions", account.sessions, P.ACCOUNT_SELF_READ),
    _page("page.session_close", "POST", "/account/sessions/{id}/close", account.close_session, P.ACCOUNT_SESSION_CLOSE),
    _room("page.queue", "GET", "/queue", queue.queue, P.WORKSPACE_COMMAND_READ),
    _room("page.vote", "POST", "/commands/{id}/votes", queue.vote, P.WORKSPACE_COMMAND_VOTE),
    _room("page.commands", "GET", "/commands", commands.listing, P.WORKSPACE_COMMAND_READ),
    _room("page.command", "GET", "/commands/{id}", commands.one, P.WORKSPACE_COMMAND_READ),
    _room("page.reports", "GET", "/reports", reports.listing, P.WORKSPACE_REPORT_READ),
    _room("page.report", "GET", "/reports/{id}", reports.one, P.WORKSPACE_REPORT_READ),
    _room("page.audit", "GET", "/audit", audit.log, P.WORKSPACE_AUDIT_READ),
    _room("page.agents", "GET", "/agents", people.agents, P.WORKSPACE_AGENT_READ),
    _room("page.members", "GET", "/members", people.members, P.WORKSPACE_MEMBER_READ),
)
