"""The owner's pages about identity providers: make, look at, test; what they change is in `connection_changes.py`."""

from typing import Any

from litestar.params import FromPath

from failgate.access.role import Role
from failgate.audit.record import Actor
from failgate.base.destination import OutboundRefused
from failgate.base.errors import BadInput, Conflict, FailgateError, NotFound, TooLarge, Unprocessable
from failgate.sso.connection import Connection, OidcSettings, SamlSettings
from failgate.sso.protocol import Refusal
from failgate.sso.requests import Errand
from failgate.sso.stored import Kept
from failgate.web.context import services_of, visit_of
from failgate.web.pages.connection_forms import draft_from
from failgate.web.pages.connections_view import (
    KINDS,
    REASONS,
    Address,
    CertificateLine,
    ConnectionLine,
    ConnectionView,
    DomainLine,
    HistoryLine,
    NewView,
    OwnerChoice,
    Rule,
    SignInView,
    StepLine,
    TrialView,
    padded,
    role_word,
    subject_words,
    verdict_of,
)
from failgate.web.pages.departing import depart
from failgate.web.pages.showing import Asking, Page, account_of, show
from failgate.web.pages.text import moment, moment_of
from failgate.web.render import redirect

MISTAKES = (BadInput, Conflict, Unprocessable, TooLarge, OutboundRefused)
HISTORY = 50


async def listing(request: Asking) -> Page:
    """List the connections of the workspace and say whether single sign-on is demanded."""
    return await show_listing(request)


async def show_listing(request: Asking, error: FailgateError | None = None, message: str | None = None) -> Page:
    """Show the list with what was refused or done."""
    visit, services = visit_of(request), services_of(request)
    workspace, room, now_us = visit.here(), services.sso, services.clock.now_us()
    enforcement = await room.enforcements.of(workspace.id)
    owners = [one.account_id for one in await services.workspaces.members(workspace.id) if one.role is Role.OWNER]
    accounts = await services.accounts.by_ids([*owners, enforcement.break_glass_account_id or ""])
    named = accounts.get(enforcement.break_glass_account_id or "")
    view = SignInView(
        slug=workspace.slug,
        rows=tuple(_line(kept, now_us) for kept in await room.connections.of_workspace(workspace.id)),
        installed=tuple(
            _line(kept, now_us) for kept in await room.connections.of_installation() if kept.connection.is_enabled
        ),
        kinds=tuple(KINDS.items()),
        is_enforced=enforcement.is_on,
        since=moment(enforcement.since_us, now_us) if enforcement.since_us is not None else None,
        break_glass=named.email if named is not None else None,
        owners=tuple(OwnerChoice(one, accounts[one].email) for one in owners if one in accounts),
        error=str(error) if error is not None else None,
        message=message,
    )
    status = error.status if error is not None else 200
    return await show(request, "connections.html", view, title="Sign-in", room="settings", status=status)


async def new(request: Asking) -> Page:
    """Ask for what a new connection needs."""
    kind = request.query_params.get("kind", "saml")
    return await _show_new(request, kind if kind in KINDS else "saml")


async def create(request: Asking) -> Page:
    """Make a connection."""
    visit, services = visit_of(request), services_of(request)
    kind, form = visit.form.get("kind", ""), visit.form
    if kind not in KINDS:
        raise BadInput("There is no such kind of connection.", hint="Choose one on the page.")
    allow_loopback = services.config.server.allow_loopback
    try:
        draft = await draft_from(form, kind, services.sso.speakers, allow_loopback=allow_loopback)
        slug = form.get("slug", "").strip()
        made = await services.sso.connections.create(visit.here().id, slug, draft, Actor.of(visit.principal))
    except MISTAKES as error:
        return await _show_new(request, kind, error)
    return redirect(f"{_root(request)}/{made.id}")


async def one(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show one connection."""
    return await show_one(request, id)


async def show_one(
    request: Asking, connection_id: str, error: FailgateError | None = None, message: str | None = None
) -> Page:
    """Show one connection with what was refused or done. Raises: NotFound."""
    visit, services = visit_of(request), services_of(request)
    room, now_us = services.sso, services.clock.now_us()
    kept = await room.connections.one_of(visit.here().id, connection_id)
    connection, settings = kept.connection, kept.connection.settings
    keys: tuple[CertificateLine, ...] = ()
    certificates: tuple[CertificateLine, ...] = ()
    if isinstance(settings, SamlSettings):
        service = await room.speakers.service(connection)
        keys = tuple(_certificate(key.certificate, now_us) for key in service.keys)
        certificates = tuple(_certificate(pem, now_us) for pem in settings.certificates)
    domains = tuple(
        DomainLine(each.id, each.domain, each.verified_us is not None, each.record_name, each.record_text)
        for each in await room.domains.of(connection.id)
    )
    view = ConnectionView(
        workspace=visit.here().slug,
        id=connection.id,
        slug=connection.slug,
        title=connection.title,
        kind=kind_of(connection),
        label=KINDS[kind_of(connection)],
        is_enabled=connection.is_enabled,
        is_listed=connection.is_listed,
        addresses=_addresses(request, connection),
        settings=_facts(connection),
        values=_values(connection),
        rules=padded(tuple(Rule(group, role) for group, role in connection.roles)),
        default_role=connection.default_role or "",
        trusted_methods=" ".join(connection.trusted_methods),
        domains=domains,
        certificates=certificates,
        keys=keys,
        history=await _history(request, connection),
        tested=moment(kept.tested_us, now_us) if kept.tested_us is not None else None,
        people=await room.linking.count(connection.id),
        error=str(error) if error is not None else None,
        message=message,
    )
    status = error.status if error is not None else 200
    return await show(request, "connection.html", view, title=connection.title, room="settings", status=status)


async def test(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Go through the provider's real sign-in, to be shown what it says; nobody is signed in by it."""
    visit, services = visit_of(request), services_of(request)
    kept = await services.sso.connections.one_of(visit.here().id, id)
    session_id = visit.session.id if visit.session is not None else None
    errand = Errand("test", f"{_root(request)}/{id}/tests", account_of(visit), session_id)
    try:
        return await depart(request, kept.connection.slug, errand)
    except Refusal as refusal:
        said = refusal.detail or f"The reason is {refusal.reason}."
        return await show_one(request, id, Unprocessable(f"The test could not begin. {said}"))


async def trial(request: Asking, id: FromPath[str], trial: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show what a test showed, to who made it."""
    visit, services = visit_of(request), services_of(request)
    kept = await services.sso.connections.one_of(visit.here().id, id)
    found = await services.sso.sign_on.trials.one(id, account_of(visit), trial)
    if found is None:
        raise NotFound("There is no such test.")
    now_us = services.clock.now_us()
    facts = (
        ("Issuer", found.issuer), ("Subject", subject_words(found.subject)), ("E-mail", found.email),
        ("E-mail vouched for", ("yes" if found.is_email_verified else "no") if found.issuer else None),
        ("Name", found.name), ("Methods (amr)", " ".join(found.methods) or None), ("Context (acr)", found.context),
        ("Counts as a second factor", ("yes" if found.is_factor_trusted else "no") if found.issuer else None),
        ("Signed in there", moment(found.authenticated_us, now_us).exact if found.authenticated_us else None),
        ("Session there ends", moment(found.session_ends_us, now_us).exact if found.session_ends_us else None),
    )  # fmt: skip
    view = TrialView(
        workspace=visit.here().slug,
        id=id,
        title=kept.connection.title,
        has_passed=found.reason is None,
        verdict=verdict_of(found.account, found.reason),
        detail=found.detail,
        facts=tuple((name, value) for name, value in facts if value),
        attributes=found.attributes,
        groups=found.groups,
        unmapped=found.unmapped,
        steps=tuple(
            StepLine(slug, role_word(before), role_word(after), REASONS[why])
            for slug, before, after, why in found.steps
        ),
        made=moment(found.made_us, now_us),
    )
    return await show(request, "connection_test.html", view, title="Test", room="settings")


def kind_of(connection: Connection) -> str:
    """Return the kind of a connection as the page names it: a key of KINDS."""
    if isinstance(connection.settings, SamlSettings):
        return "saml"
    return "oidc" if connection.settings.preset == "generic" else connection.settings.preset


async def _show_new(request: Asking, kind: str, error: FailgateError | None = None) -> Page:
    visit = visit_of(request)
    base = services_of(request).config.server.base_url
    values = {name: value[:2000] for name, value in visit.form.items() if name not in {"client_secret", "csrf_token"}}
    if "metadata" in visit.form:
        values["metadata"] = visit.form["metadata"]
    view = NewView(visit.here().slug, kind, KINDS[kind], values, base, str(error) if error is not None else None)
    status = error.status if error is not None else 200
    return await show(request, "connection_new.html", view, title="New connection", room="settings", status=status)


def _root(request: Asking) -> str:
    return f"/w/{visit_of(request).here().slug}/settings/sign-in"


def _line(kept: Kept, now_us: int) -> ConnectionLine:
    connection = kept.connection
    tested = moment(kept.tested_us, now_us) if kept.tested_us is not None else None
    return ConnectionLine(
        connection.id, connection.slug, connection.title, KINDS[kind_of(connection)], connection.is_enabled,
        connection.domains, tested,
    )  # fmt: skip


def _addresses(request: Asking, connection: Connection) -> tuple[Address, ...]:
    url = services_of(request).sso.speakers.url
    if connection.kind == "saml":
        return (
            Address("Entity ID, audience, metadata", url(connection, "metadata")),
            Address("ACS, reply or single sign-on URL", url(connection, "acs")),
            Address("Single logout URL", url(connection, "logout")),
            Address("Start of a sign-in, for a tile", url(connection, "start")),
        )
    found = [Address("Redirect URI, callback URL", url(connection, "callback"))]
    if kind_of(connection) != "github":
        found.append(Address("Post-logout redirect URI", url(connection, "logout")))
        found.append(Address("Back-channel logout URI", url(connection, "backchannel-logout")))
    return (*found, Address("Start of a sign-in, for a tile", url(connection, "start")))


def _facts(connection: Connection) -> tuple[tuple[str, str], ...]:
    settings = connection.settings
    if isinstance(settings, SamlSettings):
        found: tuple[tuple[str, str | None], ...] = (
            ("Entity ID", settings.entity_id),
            ("Sign-in at", settings.sso_url),
            ("Logout at", settings.slo_url),
            ("Metadata from", settings.metadata_url),
        )
    else:
        found = (("Issuer", settings.issuer), ("Client ID", settings.client_id))
    return tuple((name, value) for name, value in found if value)


def _values(connection: Connection) -> dict[str, str]:
    settings = connection.settings
    values: dict[str, Any] = {"title": connection.title, "listed": connection.is_listed}
    if isinstance(settings, SamlSettings):
        values |= {
            "metadata_url": settings.metadata_url, "email_attribute": settings.email_attribute,
            "name_attribute": settings.name_attribute, "groups_attribute": settings.groups_attribute,
            "idp_initiated": settings.is_idp_initiated_allowed, "require_encryption": settings.is_encryption_required,
            "email_unverified": not settings.is_email_verified,
        }  # fmt: skip
    else:
        values |= _oidc_values(settings)
    return {name: value if isinstance(value, str) else "on" for name, value in values.items() if value}


def _oidc_values(settings: OidcSettings) -> dict[str, Any]:
    return {
        "issuer": settings.issuer, "client_id": settings.client_id, "scopes": " ".join(settings.scopes),
        "tenants": " ".join(settings.tenants), "groups_claim": settings.groups_claim,
        "email_verified": settings.is_email_trusted, "logout_untyped": not settings.is_logout_typed,
    }  # fmt: skip


def _certificate(pem: str, now_us: int) -> CertificateLine:
    from failgate.sso.saml.certificates import certificate_facts  # heavy; on pages of SAML connections only

    facts = certificate_facts(pem)
    return CertificateLine(facts.sha256, moment(facts.not_after_us, now_us), facts.is_expired(now_us))


async def _history(request: Asking, connection: Connection) -> tuple[HistoryLine, ...]:
    services = services_of(request)
    now_us = services.clock.now_us()
    log = visit_of(request).here().id
    records = [found.record for found in await services.audit.newest(log, limit=HISTORY, obj_id=connection.id)]
    people = {record["actor"]["id"] for record in records if record["actor"]["t"] == "user"}
    emails = {one: account.email for one, account in (await services.accounts.by_ids(people)).items()}
    return tuple(_history_line(record, emails, now_us) for record in records)


def _history_line(record: dict[str, Any], emails: dict[str, str], now_us: int) -> HistoryLine:
    given = record["data"]
    what = str(given.get("reason") or given.get("result") or given.get("change") or given.get("kind") or "")
    actor = record["actor"]
    who = emails.get(actor["id"], "the provider" if actor["t"] in {"anonymous", "sso_connection"} else "the server")
    at = moment_of(record["ts"], now_us)
    return HistoryLine(record["act"], what, who, at, record["act"] == "sso.refused")
