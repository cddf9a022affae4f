"""The room of end-to-end mode, built: without a relay it takes nothing new, and what is sealed stays sealed."""

from dataclasses import dataclass, field

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.errors import Conflict
from failgate.relay.commands import SealedCommands
from failgate.relay.directory import KeyDirectory
from failgate.relay.manifests import Manifests
from failgate.relay.relay import Relay
from failgate.relay.rules import SealedRules


@dataclass(frozen=True, slots=True)
class RelayRoom:
    """What there is of end-to-end mode on this server; `relay` is None where `[gate] relay` names no plugin."""

    relay: Relay | None
    directory: KeyDirectory
    manifests: Manifests
    commands: SealedCommands
    rules: SealedRules
    _sealed: dict[str, bool] = field(default_factory=dict[str, bool])

    def opened(self) -> Relay:
        """Return the relay. Raises: Conflict (this server has none)."""
        if self.relay is None:
            raise Conflict(
                "This server relays no sealed commands.", hint='Its operator names a plugin: [gate] relay = "e2ee".'
            )
        return self.relay

    async def opened_for(self, workspace_id: str, cid: str, principal: Principal) -> Relay:
        """Return the relay for a verb about one command.

        Raises: NotFound (no such command), Conflict (this server has no relay).
        """
        if self.relay is None:
            await self.commands.view(workspace_id, cid, principal)  # what is not there is not there, first
        return self.opened()

    async def refuse_clear(self, workspace_id: str) -> None:
        """Return where commands may be asked in the clear.

        Raises: Conflict in a sealed workspace, whatever plugins are enabled.
        """
        is_sealed = self._sealed.get(workspace_id)
        if is_sealed is None:
            is_sealed = await self.manifests.is_sealed(workspace_id)
            if is_sealed or self.relay is None:  # otherwise another process may seal it at any time
                self._sealed[workspace_id] = is_sealed
        if is_sealed:
            raise Conflict(
                "This workspace is sealed: it takes no command in the clear.",
                hint="Enrol the agent (failgate agent enroll), pin the manifest (failgate agent pin), and ask again.",
            )


def build_relay(db: Database, audit: AuditLog, clock: Clock, relay: Relay | None) -> RelayRoom:
    """Return the room over one database."""
    directory = KeyDirectory(db, audit, clock)
    manifests = Manifests(db, audit, clock, directory)
    commands = SealedCommands(db, audit, clock, directory, manifests)
    return RelayRoom(relay, directory, manifests, commands, SealedRules(db, audit, clock, directory, manifests))
