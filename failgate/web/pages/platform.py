"""The installation's own pages, for the platform role: what runs and who may sign in, never what anybody works on."""

import platform as machine
import sqlite3
import sys

from failgate import __version__
from failgate.audit.record import SYSTEM
from failgate.base.migrate import core_migrations, pending_migrations, read_migrations
from failgate.base.sizes import database_bytes
from failgate.roster import Services
from failgate.web.api.operation import run_checks
from failgate.web.context import services_of
from failgate.web.pages.platform_view import (
    CheckLine,
    ConnectionLine,
    ConnectionsView,
    Fact,
    InstallationView,
    MailLine,
    PluginLine,
    PluginsView,
)
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import moment, size


async def installation(request: Asking) -> Page:
    """Show version, database, health, storage and mail."""
    services = services_of(request)
    pending = await pending_migrations(services.db, core_migrations())
    checks = [CheckLine(check.name, check.problem) for check in await run_checks(services)]
    view = InstallationView(
        __version__,
        moment(services.opened_us, services.clock.now_us()),
        _facts(services),
        tuple(checks),
        await _storage(services),
        _mail(services),
        not pending,
        tuple(step.name for step in read_migrations(core_migrations(), services.db.dialect)),
    )
    return await show(request, "platform.html", view, title="Installation", room="platform")


async def plugins(request: Asking) -> Page:
    """List the enabled plugins, their versions and the digests of their files."""
    services = services_of(request)
    problems = {check.name: check.problem for check in await run_checks(services)}
    rows = tuple(
        PluginLine(
            one.identity.name, one.identity.plugin, one.identity.version, one.identity.distribution,
            one.identity.digest, problems.get(f"plugin {one.identity.name}"),
        )
        for one in services.plugins.plugins
    )  # fmt: skip
    return await show(request, "platform_plugins.html", PluginsView(rows), title="Plugins", room="platform-plugins")


async def connections(request: Asking) -> Page:
    """List the connections that the config file declares; they are changed there."""
    rows = tuple(
        ConnectionLine(
            kept.connection.slug,
            kept.connection.title,
            "SAML 2.0" if kept.connection.kind == "saml" else "OpenID Connect",
            "enabled" if kept.connection.is_enabled else "disabled",
        )
        for kept in await services_of(request).sso.connections.of_installation()
    )
    view = ConnectionsView(rows)
    return await show(request, "platform_connections.html", view, title="Connections", room="platform-connections")


def _facts(services: Services) -> tuple[Fact, ...]:
    config = services.config
    engine = f"SQLite {sqlite3.sqlite_version}" if services.db.dialect == "sqlite" else "PostgreSQL"
    return (
        Fact("Address", config.server.base_url),
        Fact("Listens at", config.server.listen),
        Fact("Database", engine),
        Fact("Config file", config.source.name),
        Fact("Python", f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"),
        Fact("System", f"{machine.system()} {machine.machine()}"),
        Fact("Sign-in by password", "on" if config.accounts.password else "off"),
    )


async def _storage(services: Services) -> tuple[Fact, ...]:
    count, artifact_bytes = await services.artifacts.stored()
    records, log_bytes = await services.audit.stored()
    return (
        Fact("Database", size(await database_bytes(services.db)), "with everything but artifacts"),
        Fact("Artifacts", size(artifact_bytes), f"{count} kept"),
        Fact("Audit log", f"about {size(log_bytes)}", f"{records} records, part of the database"),
        Fact("System log", str(await services.audit.size(SYSTEM)), "records that belong to no workspace"),
    )


def _mail(services: Services) -> MailLine:
    standing, smtp = services.mail.standing, services.config.notify.smtp
    return MailLine(
        standing.is_configured,
        smtp.host if smtp is not None else "",
        standing.sent,
        standing.failed,
        standing.waiting,
        standing.failure,
        moment(standing.failed_us, services.clock.now_us()) if standing.failed_us is not None else None,
    )
