"""The doors of the pages: name, method, path, handler, permission. `failgate/web/routes.py` joins them to the table."""

from collections.abc import Callable
from typing import Any, Final

from failgate.access.permission import Permission as P  # noqa: N817 - the table is read in columns
from failgate.web.door import Door, Reauthentication
from failgate.web.pages import (
    account,
    audit,
    audit_export,
    audit_saved,
    away,
    commands,
    device,
    devices,
    editing,
    further,
    glass,
    link,
    mutes,
    observing,
    overview,
    passkeys,
    playing,
    queue,
    redaction,
    report_deletion,
    report_groups,
    reports,
    retention,
    rules,
    sealed,
    second_factor,
    session_deletion,
    sessions,
    setup,
    shared,
    shares,
    sign_ins,
    signin,
    signin_sso,
    sso,
    step_up,
    usage,
    verifier,
    why,
)
from failgate.web.pages.connection_doors import CONNECTIONS
from failgate.web.pages.notification_doors import NOTIFICATIONS
from failgate.web.pages.people_doors import PEOPLE, PLATFORM

_ROOM: Final = "/w/{workspace}"


def _page(name: str, method: str, path: str, handler: Callable[..., Any], needs: P) -> Door:
    """Return a door of the pages."""
    return Door(name=name, method=method, path=path, handler=handler, permission=needs, kind="page")


def _sensitive(name: str, method: str, path: str, handler: Callable[..., Any], needs: P) -> Door:
    """Return a door of the pages that needs a second factor of the last five minutes."""
    return Door(name=name, method=method, path=path, handler=handler, permission=needs, kind="page", is_sensitive=True)


def _anew(
    name: str, method: str, path: str, handler: Callable[..., Any], needs: P, asks: Reauthentication = "all"
) -> Door:
    """Return a door of one's own account that needs all factors of the last five minutes, or any one."""
    return Door(
        name=name, method=method, path=path, handler=handler, permission=needs, kind="page",
        is_sensitive=asks == "all", asks_anew=asks,
    )  # fmt: skip


def _room(name: str, method: str, path: str, handler: Callable[..., Any], needs: P) -> Door:
    """Return a door of the pages inside a workspace."""
    return _page(name, method, _ROOM + path, handler, needs)


def _foreign(name: str, path: str, handler: Callable[..., Any]) -> Door:
    """Return a door that takes what an identity provider has a browser post; no session counts there."""
    return Door(
        name=name, method="POST", path=path, handler=handler, permission=P.PUBLIC_SESSION_OPEN, kind="page",
        credentials=frozenset(), is_cross_site=True,
    )  # fmt: skip


SSO: Final[tuple[Door, ...]] = (
    _page("page.sso_start", "GET", "/sso/{connection}/start", sso.start, P.PUBLIC_SESSION_OPEN),
    _page("page.sso_go", "POST", "/sso/{connection}/start", sso.go, P.PUBLIC_SESSION_OPEN),
    _foreign("page.sso_acs", "/sso/{connection}/acs", sso.acs),
    _page("page.sso_callback", "GET", "/sso/{connection}/callback", sso.callback, P.PUBLIC_SESSION_OPEN),
    _page("page.sso_metadata", "GET", "/sso/{connection}/metadata", sso.metadata, P.PUBLIC_PAGE_READ),
    _page("page.sso_logout", "GET", "/sso/{connection}/logout", sso.logout, P.PUBLIC_SESSION_OPEN),
    _foreign("page.sso_logout_post", "/sso/{connection}/logout", sso.logout_post),
    _foreign("page.sso_backchannel", "/sso/{connection}/backchannel-logout", sso.backchannel_logout),
)

PAGES: Final[tuple[Door, ...]] = (
    *SSO,
    *CONNECTIONS,
    _page("page.sign_ins", "GET", "/account/sign-ins", sign_ins.listing, P.ACCOUNT_SELF_READ),
    _anew("page.sign_in_link", "POST", "/account/sign-ins", sign_ins.link, P.ACCOUNT_SELF_WRITE),
    _anew("page.sign_in_unlink", "POST", "/account/sign-ins/{id}/unlink", sign_ins.unlink, P.ACCOUNT_SELF_WRITE),
    _page("page.link", "GET", "/link", link.form, P.PUBLIC_PAGE_READ),
    _page("page.link_open", "POST", "/link", link.open_link, P.PUBLIC_SHARE_OPEN),
    _page("page.setup", "GET", "/setup", setup.form, P.PUBLIC_PAGE_READ),
    _page("page.setup_complete", "POST", "/setup", setup.complete, P.PUBLIC_SETUP_COMPLETE),
    _page("page.signin", "GET", "/signin", signin.form, P.PUBLIC_PAGE_READ),
    _page("page.signin_password", "POST", "/signin", signin.sign_in, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_code", "GET", "/signin/code", signin.code_form, P.PUBLIC_PAGE_READ),
    _page("page.signin_prove", "POST", "/signin/code", signin.prove, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_options", "POST", "/signin/passkey/options", signin.passkey_options, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_passkey", "POST", "/signin/passkey", signin.sign_in_by_passkey, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_link", "GET", "/signin/link", signin.link_form, P.PUBLIC_PAGE_READ),
    _page("page.signin_redeem", "POST", "/signin/link", signin.redeem, P.PUBLIC_SESSION_OPEN),
    # Public, because a session that still waits for its second factor is nobody and may end itself all the same.
    _page("page.signout", "POST", "/signout", signin.sign_out, P.PUBLIC_SESSION_OPEN),
    _page("page.signin_sso", "GET", "/signin/sso", signin_sso.through_provider, P.PUBLIC_PAGE_READ),
    _page("page.signin_find", "POST", "/signin/sso", signin_sso.find_provider, P.PUBLIC_SESSION_OPEN),
    _page("page.overview", "GET", "/", overview.overview, P.ACCOUNT_SELF_READ),
    _page("page.account", "GET", "/account", account.overview, P.ACCOUNT_SELF_READ),
    _page("page.step_up", "GET", "/account/step-up", step_up.form, P.ACCOUNT_SELF_READ),
    # Public like the code at sign-in: a session that may not change its account may prove its factor all the same.
    _page("page.step_up_prove", "POST", "/account/step-up", step_up.prove, P.PUBLIC_SESSION_OPEN),
    _page("page.step_up_options", "POST", "/account/step-up/options", step_up.options, P.PUBLIC_SESSION_OPEN),
    _page("page.step_up_passkey", "POST", "/account/step-up/passkey", step_up.prove_passkey, P.PUBLIC_SESSION_OPEN),
    _page(
        "page.step_up_provider", "POST", "/account/step-up/provider", step_up.leave_for_provider, P.PUBLIC_SESSION_OPEN
    ),
    _page("page.second_factor", "GET", "/account/second-factor", second_factor.overview, P.ACCOUNT_SELF_READ),
    _anew(
        "page.second_factor_begin", "POST", "/account/second-factor/begin", second_factor.begin, P.ACCOUNT_SELF_WRITE
    ),
    _sensitive(
        "page.second_factor_confirm", "POST", "/account/second-factor", second_factor.confirm, P.ACCOUNT_SELF_WRITE
    ),
    _anew(
        "page.second_factor_remove", "POST", "/account/second-factor/remove", second_factor.remove, P.ACCOUNT_SELF_WRITE
    ),
    _anew("page.backup_codes", "POST", "/account/second-factor/codes", second_factor.renew_codes, P.ACCOUNT_SELF_WRITE),
    _page("page.passkeys", "GET", "/account/passkeys", passkeys.listing, P.ACCOUNT_SELF_READ),
    _sensitive("page.passkey_register", "POST", "/account/passkeys", passkeys.register, P.ACCOUNT_SELF_WRITE),
    _anew("page.passkey_options", "POST", "/account/passkeys/options", passkeys.options, P.ACCOUNT_SELF_WRITE),
    _page("page.passkey_rename", "POST", "/account/passkeys/{id}/rename", passkeys.rename, P.ACCOUNT_SELF_WRITE),
    _anew("page.passkey_remove", "POST", "/account/passkeys/{id}/remove", passkeys.remove, P.ACCOUNT_SELF_WRITE),
    _sensitive("page.password", "GET", "/account/password", account.password, P.ACCOUNT_SELF_READ),
    _sensitive("page.password_change", "POST", "/account/password", account.change_password, P.ACCOUNT_SELF_WRITE),
    _page("page.devices", "GET", "/account/devices", devices.listing, P.ACCOUNT_SELF_READ),
    _page("page.devices_revoke", "POST", "/account/devices/revoke", devices.revoke_all, P.ACCOUNT_SELF_WRITE),
    _page("page.device_revoke", "POST", "/account/devices/{id}/revoke", devices.revoke, P.ACCOUNT_SELF_WRITE),
    _page("page.sessions", "GET", "/account/sessions", account.sessions, P.ACCOUNT_SELF_READ),
    _anew(
        "page.session_close",
        "POST",
        "/account/sessions/{id}/close",
        account.close_session,
        P.ACCOUNT_SESSION_CLOSE,
        "any",
    ),
    _anew(
        "page.sessions_close", "POST", "/account/sessions/close", account.close_others, P.ACCOUNT_SESSION_CLOSE, "any"
    ),
    _page(
        "page.session_known", "POST", "/account/sessions/{id}/known", account.recognise_session, P.ACCOUNT_SELF_WRITE
    ),
    _sensitive("page.device", "GET", "/device", device.form, P.ACCOUNT_SELF_READ),
    _sensitive("page.device_code", "POST", "/device", device.look_up, P.ACCOUNT_LOGIN_OPEN),
    _sensitive("page.device_decision", "POST", "/device/decision", device.decide, P.ACCOUNT_LOGIN_OPEN),
    _sensitive("page.away", "GET", "/account/away", away.form, P.ACCOUNT_SELF_READ),
    _sensitive("page.away_declare", "POST", "/account/away", away.declare, P.ACCOUNT_SELF_WRITE),
    _page("page.logins", "GET", "/account/logins", device.logins, P.ACCOUNT_SELF_READ),
    _anew("page.login_close", "POST", "/account/logins/{id}/close", device.close_login, P.ACCOUNT_LOGIN_CLOSE, "any"),
    _room("page.queue", "GET", "/queue", queue.queue, P.WORKSPACE_COMMAND_READ),
    _room("page.vote", "POST", "/commands/{id}/votes", queue.vote, P.WORKSPACE_COMMAND_VOTE),
    _room("page.unmute", "POST", "/mutes/{id}/end", mutes.unmute, P.WORKSPACE_COMMAND_VOTE),
    _room("page.sealed", "GET", "/sealed", sealed.page, P.WORKSPACE_SEALED_DECIDE),
    _room("page.commands", "GET", "/commands", commands.listing, P.WORKSPACE_COMMAND_READ),
    _room("page.command", "GET", "/commands/{id}", commands.one, P.WORKSPACE_COMMAND_READ),
    _sensitive("page.glass", "GET", f"{_ROOM}/commands/{{id}}/glass", glass.page, P.WORKSPACE_COMMAND_VOTE),
    _sensitive("page.glass_break", "POST", f"{_ROOM}/commands/{{id}}/glass", glass.break_it, P.WORKSPACE_COMMAND_VOTE),
    _sensitive(
        "page.glass_review", "POST", f"{_ROOM}/commands/{{id}}/glass/review", glass.review, P.WORKSPACE_COMMAND_VOTE
    ),
    _sensitive("page.edit", "GET", f"{_ROOM}/commands/{{id}}/edit", editing.form, P.WORKSPACE_COMMAND_VOTE),
    _sensitive("page.edit_make", "POST", f"{_ROOM}/commands/{{id}}/edit", editing.make, P.WORKSPACE_COMMAND_VOTE),
    _sensitive("page.further", "GET", f"{_ROOM}/commands/{{id}}/further", further.form, P.WORKSPACE_RULE_WRITE),
    _sensitive("page.further_make", "POST", f"{_ROOM}/commands/{{id}}/further", further.make, P.WORKSPACE_RULE_WRITE),
    _sensitive(
        "page.suggestions", "GET", f"{_ROOM}/settings/rules/suggestions", further.suggestions, P.WORKSPACE_RULE_WRITE
    ),
    _room("page.reports", "GET", "/reports", reports.listing, P.WORKSPACE_REPORT_READ),
    _sensitive("page.retention", "GET", f"{_ROOM}/settings/retention", retention.terms, P.WORKSPACE_REPORT_DELETE),
    _sensitive(
        "page.retention_change",
        "POST",
        f"{_ROOM}/settings/retention",
        retention.change_terms,
        P.WORKSPACE_REPORT_DELETE,
    ),
    _sensitive("page.hold", "GET", f"{_ROOM}/reports/{{id}}/hold", retention.hold_form, P.WORKSPACE_REPORT_HOLD),
    _sensitive("page.hold_put", "POST", f"{_ROOM}/reports/{{id}}/hold", retention.hold, P.WORKSPACE_REPORT_HOLD),
    _sensitive(
        "page.hold_release", "POST", f"{_ROOM}/reports/{{id}}/release", retention.release, P.WORKSPACE_REPORT_HOLD
    ),
    _sensitive(
        "page.report_delete_form",
        "GET",
        f"{_ROOM}/reports/{{id}}/delete",
        report_deletion.form,
        P.WORKSPACE_REPORT_DELETE,
    ),
    _sensitive(
        "page.report_delete",
        "POST",
        f"{_ROOM}/reports/{{id}}/delete",
        report_deletion.delete,
        P.WORKSPACE_REPORT_DELETE,
    ),
    _room("page.usage", "GET", "/usage", usage.page, P.WORKSPACE_USAGE_READ),
    _room("page.report_groups", "GET", "/report-groups", report_groups.listing, P.WORKSPACE_REPORT_READ),
    _room("page.report_group", "GET", "/report-groups/{id}", report_groups.one, P.WORKSPACE_REPORT_READ),
    _room(
        "page.report_group_resolve",
        "POST",
        "/report-groups/{id}/resolve",
        report_groups.resolve,
        P.WORKSPACE_REPORT_TRIAGE,
    ),
    _room(
        "page.report_group_ignore",
        "POST",
        "/report-groups/{id}/ignore",
        report_groups.ignore,
        P.WORKSPACE_REPORT_TRIAGE,
    ),
    _room(
        "page.report_group_reopen",
        "POST",
        "/report-groups/{id}/reopen",
        report_groups.reopen,
        P.WORKSPACE_REPORT_TRIAGE,
    ),
    _room("page.recordings", "GET", "/sessions", sessions.listing, P.WORKSPACE_RECORDING_READ),
    _room("page.recording", "GET", "/sessions/{id}", sessions.one, P.WORKSPACE_RECORDING_READ),
    _sensitive(
        "page.recording_delete_form",
        "GET",
        f"{_ROOM}/sessions/{{id}}/delete",
        session_deletion.form,
        P.WORKSPACE_REPORT_DELETE,
    ),
    _sensitive(
        "page.recording_delete",
        "POST",
        f"{_ROOM}/sessions/{{id}}/delete",
        session_deletion.delete,
        P.WORKSPACE_REPORT_DELETE,
    ),
    _room("page.recording_playback", "GET", "/sessions/{id}/playback", sessions.frames, P.WORKSPACE_RECORDING_READ),
    _room("page.report", "GET", "/reports/{id}", reports.one, P.WORKSPACE_REPORT_READ),
    _room("page.report_playback", "GET", "/reports/{id}/playback", playing.frames, P.WORKSPACE_REPORT_READ),
    _room("page.shares", "GET", "/reports/{id}/shares", shares.listing, P.WORKSPACE_SHARE_READ),
    _room("page.share_create", "POST", "/reports/{id}/shares", shares.create, P.WORKSPACE_SHARE_WRITE),
    _room("page.share_revoke", "POST", "/reports/{id}/shares/{link}/revoke", shares.revoke, P.WORKSPACE_SHARE_WRITE),
    _room(
        "page.share_review", "POST", "/reports/{id}/artifacts/{sha256}/review", shares.review, P.WORKSPACE_SHARE_WRITE
    ),
    _sensitive("page.sharing", "GET", f"{_ROOM}/settings/sharing", shares.switch_page, P.WORKSPACE_SHARING_WRITE),
    _sensitive("page.sharing_switch", "POST", f"{_ROOM}/settings/sharing", shares.switch, P.WORKSPACE_SHARING_WRITE),
    _room("page.redaction", "GET", "/settings/redaction", redaction.listing, P.WORKSPACE_REDACTION_READ),
    _sensitive(
        "page.redaction_create", "POST", f"{_ROOM}/settings/redaction", redaction.create, P.WORKSPACE_REDACTION_WRITE
    ),
    _sensitive(
        "page.redaction_revoke",
        "POST",
        f"{_ROOM}/settings/redaction/{{id}}/revoke",
        redaction.revoke,
        P.WORKSPACE_REDACTION_WRITE,
    ),
    _room("page.observing", "GET", "/settings/observing", observing.page, P.WORKSPACE_COMMAND_READ),
    _sensitive(
        "page.observing_begin", "POST", f"{_ROOM}/settings/observing", observing.begin, P.WORKSPACE_OBSERVING_WRITE
    ),
    _sensitive(
        "page.observing_end",
        "POST",
        f"{_ROOM}/settings/observing/{{id}}/end",
        observing.end,
        P.WORKSPACE_OBSERVING_WRITE,
    ),
    _room("page.rules", "GET", "/settings/rules", rules.listing, P.WORKSPACE_RULE_READ),
    _sensitive("page.rules_create", "POST", f"{_ROOM}/settings/rules", rules.create, P.WORKSPACE_RULE_WRITE),
    _sensitive(
        "page.rules_starter", "POST", f"{_ROOM}/settings/rules/starter", rules.take_starter, P.WORKSPACE_RULE_WRITE
    ),
    _sensitive(
        "page.rules_terms", "POST", f"{_ROOM}/settings/rules/terms", rules.set_terms, P.WORKSPACE_SETTINGS_WRITE
    ),
    _sensitive(
        "page.rules_approve",
        "POST",
        f"{_ROOM}/settings/rules/proposals/{{id}}/approve",
        rules.approve,
        P.WORKSPACE_RULE_WRITE,
    ),
    _sensitive(
        "page.rules_withdraw",
        "POST",
        f"{_ROOM}/settings/rules/proposals/{{id}}/withdraw",
        rules.withdraw,
        P.WORKSPACE_RULE_WRITE,
    ),
    _room("page.why", "GET", "/settings/rules/why", why.form, P.WORKSPACE_COMMAND_SUBMIT),
    _room("page.why_explain", "POST", "/settings/rules/why", why.explain, P.WORKSPACE_COMMAND_SUBMIT),
    _room("page.rule", "GET", "/settings/rules/{id}", rules.one, P.WORKSPACE_RULE_READ),
    _sensitive(
        "page.rule_revoke", "POST", f"{_ROOM}/settings/rules/{{id}}/revoke", rules.revoke, P.WORKSPACE_RULE_WRITE
    ),
    # Of whoever holds a link: no session, no workspace, and nothing of either is asked for.
    _page("page.shared", "GET", "/s/{share}", shared.one, P.PUBLIC_PAGE_READ),
    _page("page.shared_prove", "POST", "/s/{share}", shared.prove, P.PUBLIC_SHARE_OPEN),
    _page("page.shared_artifact", "GET", "/s/{share}/artifacts/{sha256}", shared.artifact, P.PUBLIC_PAGE_READ),
    _page("page.shared_playback", "GET", "/s/{share}/playback", shared.playback, P.PUBLIC_PAGE_READ),
    # Of auditors, who need no account: what they verify stays in their browser.
    _page("page.verifier", "GET", "/verify", verifier.verifier, P.PUBLIC_PAGE_READ),
    _room("page.audit", "GET", "/audit", audit.log, P.WORKSPACE_AUDIT_READ),
    _sensitive("page.audit_export", "GET", f"{_ROOM}/audit/export", audit_export.form, P.WORKSPACE_AUDIT_EXPORT),
    _sensitive("page.audit_take", "POST", f"{_ROOM}/audit/export", audit_export.export, P.WORKSPACE_AUDIT_EXPORT),
    _room("page.audit_save", "POST", "/audit/views", audit_saved.save, P.WORKSPACE_AUDIT_VIEW_WRITE),
    _room("page.audit_rename", "POST", "/audit/views/{id}", audit_saved.change, P.WORKSPACE_AUDIT_VIEW_WRITE),
    _room("page.audit_forget", "POST", "/audit/views/{id}/remove", audit_saved.remove, P.WORKSPACE_AUDIT_VIEW_WRITE),
    *NOTIFICATIONS,
    *PEOPLE,
    *PLATFORM,
)
