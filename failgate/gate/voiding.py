"""Votes that count no more, and requests that nobody decides any more.

Who cast such a vote was deactivated before the quorum was complete; such a request is of a workspace that is deleted.

A quorum asks its voters anew when it completes (`deciding`), so such a vote would not count while its voter is out. It
is taken away nevertheless: who is let in again later does not find it counting.
"""

from msgspec.structs import replace

from failgate.audit.record import Actor
from failgate.base.db import Transaction
from failgate.gate import lifecycle as life
from failgate.gate.parts import Parts
from failgate.gate.stored import load_locked, request_of

_OPEN = (
    "SELECT gate_vote.command_id, gate_command.workspace_id FROM gate_vote"
    " JOIN gate_command ON gate_command.id = gate_vote.command_id"
    " WHERE gate_vote.account_id = $1 AND gate_command.state = 'pending' ORDER BY gate_vote.command_id"
)
_PENDING = "SELECT id FROM gate_command WHERE workspace_id = $1 AND state = 'pending' ORDER BY id"
_CANCEL = "UPDATE gate_command SET state = 'cancelled', reason = $1 WHERE id = $2 AND state = 'pending'"
_TAKE_AWAY = "DELETE FROM gate_vote WHERE command_id = $1 AND account_id = $2"


async def void_votes(
    parts: Parts, tx: Transaction, account_id: str, actor: Actor, *, reason: str, workspace_id: str | None = None
) -> None:
    """Take away the votes of `account_id` on pending requests, of `workspace_id` alone when it is given."""
    for row in await tx.fetch(_OPEN, account_id):
        if workspace_id not in {None, row["workspace_id"]}:
            continue
        stored = await load_locked(tx, row["workspace_id"], row["command_id"])
        facts = {"digest": stored.digest, "reason": reason}
        await parts.append(tx, stored, life.VoteVoided(account_id), actor, facts)
        await tx.execute(_TAKE_AWAY, stored.id, account_id)
        votes = tuple(vote for vote in stored.votes if vote.account_id != account_id)
        parts.tell(tx, replace(stored, votes=votes), "voted")


async def cancel_all(parts: Parts, tx: Transaction, workspace_id: str, actor: Actor) -> None:
    """Cancel every pending request of a workspace that is deleted."""
    for row in await tx.fetch(_PENDING, workspace_id):
        stored = await load_locked(tx, workspace_id, row["id"])
        event = life.Cancelled(parts.time.now_us())
        facts = {"digest": stored.digest, "reason": "workspace_deleted"}
        await parts.append(tx, stored, event, actor, facts)
        ended = replace(stored, state=life.apply(request_of(stored), event).state)
        if await tx.execute(_CANCEL, "workspace_deleted", stored.id) == 1:
            parts.tell(tx, ended, "cancelled")
