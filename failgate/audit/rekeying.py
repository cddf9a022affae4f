"""The key that signs the audit logs is changed: recorded first, then handed over, and every head is signed anew.

A kill at any moment leaves a state from which the next start goes on: a new key that waits in `audit.key.next`, a
record that says so, a list of keys in which it took over, or the new key in its place.
"""

from dataclasses import dataclass

from failgate.audit.handover import mark_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.db import Database, Transaction


@dataclass(frozen=True, slots=True)
class Handed:
    """Which key signs now, which one did before, and the verifier key of the log of the installation."""

    key: str
    key_before: str
    vkey: str


class LogKey:
    """Changes the key of a log that is open."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        """Change the key of `audit`, whose records lie in `database`."""
        self._database = database
        self._audit = audit

    async def rotate(self, actor: Actor) -> Handed:
        """Let a new key sign from now on; return once it does, and every head is signed by it.

        Raises: Conflict (the key is with a secrets manager or a signer, where none waits), StorageUnavailable.
        """
        fresh = await self._audit.notary.fresh(is_wanted=True)
        assert fresh is not None
        return await self._hand_over(fresh, actor)

    async def go_on(self) -> Handed | None:
        """Finish a change that a stop interrupted, or that `[keys] previous_log` asks for; None: there is none."""
        fresh = await self._audit.notary.fresh(is_wanted=False)
        return None if fresh is None else await self._hand_over(fresh, SERVER)

    async def _hand_over(self, new: bytes, actor: Actor) -> Handed:
        old = (await self._audit.notary.signer()).public
        event = Event(
            Act.LOG_KEY_ROTATED, SYSTEM, "log_key", mark_of(new), actor,
            {"public_key": new.hex(), "public_key_before": old.hex()},
        )  # fmt: skip

        async def verb(tx: Transaction) -> None:
            if not await self._audit.of_object(tx, SYSTEM, mark_of(new)):
                await self._audit.append(tx, event)

        await self._database.write(verb)
        signer = await self._audit.notary.hand_over(new)
        return Handed(mark_of(new), mark_of(old), signer.verifier(SYSTEM).vkey)
