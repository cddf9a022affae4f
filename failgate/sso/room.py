"""The room of single sign-on, built once: what its doors need, by name."""

from dataclasses import dataclass

from failgate.accounts.accounts import Accounts
from failgate.accounts.logins import Logins
from failgate.accounts.sessions import Sessions
from failgate.accounts.throttle import Throttle
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.errors import BadInput, Conflict, StartRefused
from failgate.base.outbound import Outbound
from failgate.base.secretbox import SecretBox
from failgate.config.sso import SsoTable
from failgate.sso.connections import Connections
from failgate.sso.declared import Refreshing, declared_of, kept_metadata
from failgate.sso.domains import Domains, ReadTexts, dns_reader
from failgate.sso.enforcement import Enforcements
from failgate.sso.linking import Linking
from failgate.sso.logout import Logouts
from failgate.sso.speaking import Speakers
from failgate.sso.sso import SingleSignOn
from failgate.sso.step_up import StepUps
from failgate.workspaces.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class SignOnRoom:
    """Single sign-on as the doors meet it."""

    connections: Connections
    domains: Domains
    linking: Linking
    enforcements: Enforcements
    speakers: Speakers
    refreshing: Refreshing
    sign_on: SingleSignOn
    logouts: Logouts
    step_ups: StepUps

    async def declare(self, table: SsoTable) -> None:
        """Make the installation's connections what the config declares.

        Raises: StartRefused.
        """
        try:
            declared = await declared_of(table, self.speakers.read_metadata)
            await self.connections.declare(declared, kept_metadata)
        except (BadInput, Conflict) as error:
            raise StartRefused(error.sentence, hint=error.hint) from None

    async def sweep(self) -> None:
        """Forget what is past any use, end what has run out. To be called once a minute."""
        await self.sign_on.sweep()
        await self.logouts.sweep()
        await self.refreshing.sweep()


def build_room(
    database: Database,
    audit: AuditLog,
    clock: Clock,
    box: SecretBox,
    *,
    accounts: Accounts,
    sessions: Sessions,
    workspaces: Workspaces,
    outbound: Outbound,
    table: SsoTable,
    logins: Logins,
    throttle: Throttle,
    base_url: str,
    allow_loopback: bool,
    read_texts: ReadTexts | None = None,
) -> SignOnRoom:
    """Build the room over what stands below it; `read_texts` asks DNS (default: as `table` says)."""
    connections = Connections(database, audit, clock, box, sessions=sessions)
    linking = Linking(database, audit, clock, accounts=accounts, sessions=sessions, workspaces=workspaces)
    enforcements = Enforcements(database, audit, clock, connections)
    workspaces.also_end(linking.forget_membership)
    workspaces.also_keep(enforcements.keep_break_glass)
    connections.also_close(logins.end_through)
    linking.also_end(logins.end_through)
    speakers = Speakers(
        clock, outbound, connections, base_url=base_url, allow_loopback=allow_loopback, rsa_bits=table.rsa_bits
    )
    refreshing = Refreshing(clock, connections, speakers)
    step_ups = StepUps(database, clock, connections=connections, linking=linking, sessions=sessions)
    sign_on = SingleSignOn(
        database, audit, clock, box,
        connections=connections, linking=linking, sessions=sessions, speakers=speakers, refreshing=refreshing,
        step_ups=step_ups, throttle=throttle,
    )  # fmt: skip
    logouts = Logouts(database, clock, box, connections=connections, sessions=sessions, speakers=speakers, sso=sign_on)
    domains = Domains(database, audit, clock, read_texts or dns_reader(table.name_servers))
    return SignOnRoom(connections, domains, linking, enforcements, speakers, refreshing, sign_on, logouts, step_ups)
