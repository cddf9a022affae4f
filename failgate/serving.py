"""What a server does besides answering: it brings rules and queue back, keeps time, exports, sweeps; recorded."""

import asyncio
import contextlib
from collections.abc import Sequence

from failgate import __version__
from failgate.audit.record import SERVER, Act, Event
from failgate.base.canonical import JSON
from failgate.base.log import get_logger
from failgate.base.sweeping import Sweep, Sweeping
from failgate.redaction import RULES_VERSION
from failgate.roster import Services
from failgate.unlisted import tell_unlisted
from failgate.wire.recordings import SILENT_SECONDS

EXPIRE_SECONDS = 1.0  # between two looks for sealed commands whose time is over
LISTEN_SECONDS = 5.0  # between two looks for recorders that fell silent
log = get_logger("failgate.serving")


async def begin_serving(services: Services, stack: contextlib.AsyncExitStack) -> None:
    """Record what runs, bring the rules and the queue back, start timers and exporters."""
    await _record_start(services)
    stack.push_async_callback(_record_stop, services)
    services.log_of_logs.start()
    stack.push_async_callback(services.log_of_logs.close)
    await services.sso.declare(services.config.sso)
    await tell_unlisted(services.db, services.outbound)
    await services.rules.check()
    rebuilt = await services.gate.rebuild()
    log.info("gate.rebuilt", pending=rebuilt.pending, quarantined=rebuilt.quarantined, expired=rebuilt.expired)
    services.gate.run()
    stack.push_async_callback(services.gate.close)
    stack.push_async_callback(services.exporting.close)
    await services.exporting.start()
    for name, sentence in services.plugins.advice:
        log.warning("plugin.advised", plugin=name, advice=sentence)
    services.notifications.start()
    stack.push_async_callback(services.notifications.close)
    services.emptying.due.start()
    stack.push_async_callback(services.emptying.due.close)
    renewed = await services.redaction_rules.renew()
    if renewed:
        log.info("redaction.renewed", workspaces=renewed, rules=RULES_VERSION)
    services.rescanning.due.start()
    stack.push_async_callback(services.rescanning.due.close)
    services.report_room.scanning.due.start()
    stack.push_async_callback(services.report_room.scanning.due.close)
    services.recording_room.rescanning.due.start()
    stack.push_async_callback(services.recording_room.rescanning.due.close)
    expiring = Sweeping(
        (services.relay_room.commands.expire_due,),
        at_start=services.relay_room.commands.expire_due,
        every_seconds=EXPIRE_SECONDS,
    )
    expiring.start()
    stack.push_async_callback(expiring.close)
    preparing = asyncio.get_running_loop().create_task(services.scim.prepare(), name="preparing-scim")
    stack.push_async_callback(asyncio.wait, {preparing})
    services.reconciliation.start()
    stack.push_async_callback(services.reconciliation.close)
    sweeping = Sweeping(_sweeps(services), at_start=services.artifacts.sweep_orphans)
    sweeping.start()
    stack.push_async_callback(sweeping.close)
    listening = Sweeping(
        (services.recording_room.recordings.sweep,), at_start=_let_recorders_be_heard, every_seconds=LISTEN_SECONDS
    )
    listening.start()
    stack.push_async_callback(listening.close)


async def _let_recorders_be_heard() -> None:
    """Wait as long as a recorder may be silent: of the time before the start nobody knows who spoke."""
    await asyncio.sleep(SILENT_SECONDS)


def _sweeps(services: Services) -> Sequence[Sweep]:
    return (
        services.sessions.sweep,
        services.tokens.sweep,
        services.scim.tokens.sweep,
        services.accounts.sweep,
        services.second_factors.sweep,
        services.passkeys.sweep,
        services.devices.sweep,
        services.first_answers.sweep,
        services.logins.sweep,
        services.device_login.sweep,
        services.signing_keys.sweep,
        services.sso.sweep,
        services.sharing.sweep,
        services.deletion.sweep,
        services.report_room.retention.sweep,
        services.notifications.outbox.sweep,
        services.gate.glass.remind,
        services.evidence.erasing.sweep,
        services.evidence.erasing.catch_up,
    )


async def _record_start(services: Services) -> None:
    for opened in services.plugins.plugins:
        identity = opened.identity
        facts: dict[str, JSON] = {"name": identity.name, "version": identity.version, "hash": identity.digest}
        await services.audit.record(
            Event(act=Act.PLUGIN_ENABLED, ws="system", obj_t="plugin", obj_id=identity.name, actor=SERVER, data=facts)
        )
    started: dict[str, JSON] = {"version": __version__}
    await services.audit.record(Event(Act.SERVER_STARTED, "system", "server", "server", SERVER, started))


async def _record_stop(services: Services) -> None:
    await services.audit.record(Event(Act.SERVER_STOPPED, "system", "server", "server", SERVER, {}))
