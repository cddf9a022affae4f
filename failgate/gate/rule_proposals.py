"""Rules that other people have to approve before they are in effect, where the workspace wants that.

Who proposes does not approve, nor does who answers for the proposing program; each approval is a person's, who may
still make rules when the last one is given. A change of the number leaves what waits as it is. Rules that refuse need
nobody. Source: SECURITY section 4, "Whitelist bypass" and "Self-approval".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from failgate.access.permission import Permission
from failgate.access.principal import Principal
from failgate.access.role import GRANTS
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import digest_of
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction, Verb
from failgate.base.errors import Conflict, Forbidden, NotFound, Unprocessable
from failgate.base.idempotency import FirstAnswers, RequestKey, request_key
from failgate.base.ids import new_id
from failgate.gate.rules import RULE, Rules, approvers_of
from failgate.wire.gate import Rule

PROPOSAL: Final = "rule_proposal"
MOST_APPROVERS: Final = 10
MOST_RULES: Final = 1000
MOST_WAITING: Final = 100
_SET_TERMS: Final = (
    "INSERT INTO gate_rule_terms (workspace_id, approvers) VALUES ($1, $2)"
    " ON CONFLICT (workspace_id) DO UPDATE SET approvers = excluded.approvers"
)
_ADD: Final = (
    "INSERT INTO gate_rule_proposal"
    " (id, workspace_id, rules, digest, need, proposed_by, account_id, created_us, approvals)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
_ONE: Final = "SELECT * FROM gate_rule_proposal WHERE workspace_id = $1 AND id = $2"
_ALL: Final = "SELECT * FROM gate_rule_proposal WHERE workspace_id = $1 ORDER BY id"
_APPROVE: Final = "UPDATE gate_rule_proposal SET approvals = $1 WHERE id = $2"
_END: Final = "DELETE FROM gate_rule_proposal WHERE workspace_id = $1 AND id = $2"
_MAKING_ROLES: Final = tuple(
    sorted(role.value for role, grants in GRANTS.items() if Permission.WORKSPACE_RULE_WRITE in grants)
)
_MAY_MAKE: Final = (
    "SELECT membership.id FROM membership JOIN account ON account.id = membership.account_id"
    " WHERE membership.workspace_id = $1 AND membership.account_id = $2 AND account.disabled_us IS NULL"
    f" AND membership.role IN ({', '.join(f'${place}' for place in range(3, 3 + len(_MAKING_ROLES)))})"
)
_rules_of = msgspec.json.Decoder(list[Rule]).decode
_texts_of = msgspec.json.Decoder(list[str]).decode
_text_of = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Proposal:
    """Rules that wait for `need` others; `approvals` are the accounts that have approved. `created_us` since 1970."""

    id: str
    workspace_id: str
    rules: tuple[Rule, ...]
    digest: str
    need: int
    proposed_by: str
    account_id: str
    created_us: int
    approvals: tuple[str, ...]


class Taken(NamedTuple):
    """How many starter rules were new, or the proposal of them."""

    added: int
    proposal: Proposal | None


class RuleProposals:
    """Proposes, approves, withdraws; and how many approvers a workspace wants."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, rules: Rules) -> None:
        """Make approved rules by `rules`."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._rules = rules
        self._answers = FirstAnswers(db, clock.now_us)

    async def approvers(self, workspace_id: str) -> int:
        """Return how many others have to approve a rule that lets commands pass; 0 lets one person make it."""
        return await approvers_of(self._db, workspace_id)

    async def set_approvers(self, actor: Actor, workspace_id: str, number: int) -> None:
        """Change that number. Raises: Unprocessable (not 0 to 10)."""
        if not 0 <= number <= MOST_APPROVERS:
            raise Unprocessable(f"A rule waits for 0 to {MOST_APPROVERS} others, not {number}.")

        async def change(tx: Transaction) -> None:
            await tx.execute(_SET_TERMS, workspace_id, number)
            facts: dict[str, Any] = {"approvers": number}
            await self._audit.append(tx, Event(Act.RULE_TERMS_CHANGED, workspace_id, RULE, workspace_id, actor, facts))

        await self._db.write(change)

    async def propose(
        self, principal: Principal, workspace_id: str, rules: list[Rule], key: RequestKey | None = None
    ) -> Proposal:
        """Keep `rules` until others have approved them; the same `key` gives the first answer again.

        Raises: Unprocessable, TooLarge, BadInput (one that may not be made), Conflict (nobody has to approve here, too
        many wait).
        """
        known = None if key is None else await self._answers.answer(key, Proposal)
        if known is not None:
            return known
        return await self._answers.once(key, Proposal, await self._proposing(principal, workspace_id, rules))

    async def _proposing(self, principal: Principal, workspace_id: str, rules: list[Rule]) -> Verb[Proposal]:
        """Return the verb that keeps `rules`. Raises: as `propose`."""
        need = await self.approvers(workspace_id)
        if need == 0:
            raise Conflict("Nobody has to approve rules here.", hint="Make the rule.")
        if not 1 <= len(rules) <= MOST_RULES:
            raise Unprocessable(f"A proposal has 1 to {MOST_RULES} rules, not {len(rules)}.")
        for rule in rules:
            self._rules.check_new(rule)
        account = principal.account_id or principal.owner_account_id or ""
        digest = _digest(workspace_id, rules)
        made = Proposal(
            new_id(), workspace_id, tuple(rules), digest, need, principal.id, account, self._clock.now_us(), ()
        )

        async def keep(tx: Transaction) -> Proposal:
            if len(await tx.fetch(_ALL, workspace_id)) >= MOST_WAITING:
                raise Conflict(f"{MOST_WAITING} proposals wait already.", hint="Approve or withdraw some.")
            values = (_text_of(rules).decode(), digest, need, principal.id, account, made.created_us, "[]")
            await tx.execute(_ADD, made.id, workspace_id, *values)
            facts: dict[str, Any] = {"digest": digest, "need": need, "rules": len(rules)}
            await self._audit.append(
                tx, Event(Act.RULE_PROPOSED, workspace_id, PROPOSAL, made.id, Actor.of(principal), facts)
            )
            return made

        return keep

    async def take_starter(
        self,
        principal: Principal,
        workspace_id: str,
        directories: Sequence[str],
        review_by: str | None = None,
        key: RequestKey | None = None,
    ) -> Taken:
        """Take the starter rules over, or propose that; return how many were new, and the proposal.

        The same `key` gives the first answer again. Raises: as `propose` and `Rules.take_starter`.
        """
        if await self.approvers(workspace_id) == 0:

            async def take() -> Taken:
                added = await self._rules.take_starter(Actor.of(principal), workspace_id, directories, review_by)
                return Taken(added, None)

            return await self._answers.after(key, Taken, take)
        known = None if key is None else await self._answers.answer(key, Taken)
        if known is not None:
            return known
        missing = await self._rules.missing_starter(workspace_id, directories, review_by)
        proposing = await self._proposing(principal, workspace_id, missing) if missing else None

        async def keep(tx: Transaction) -> Taken:
            return Taken(0, await proposing(tx) if proposing is not None else None)

        return await self._answers.once(key, Taken, keep)

    async def waiting(self, workspace_id: str) -> list[Proposal]:
        """Return what waits, the oldest first."""
        return [_proposal(row) for row in await self._db.fetch(_ALL, workspace_id)]

    async def approve(
        self,
        principal: Principal,
        workspace_id: str,
        proposal_id: str,
        digest: str,
        key: RequestKey | None = None,
    ) -> Proposal:
        """Count a person's approval of exactly these rules; with the last one they are in effect when this returns.

        The same `key` gives the first answer again.

        Raises: NotFound, Forbidden (no person, the proposer, or who answers for the proposer), Conflict (other rules
        than what was seen, approved already).
        """

        async def act() -> Proposal:
            return await self._approve(principal, workspace_id, proposal_id, digest)

        return await self._answers.after(key, Proposal, act)

    async def _approve(self, principal: Principal, workspace_id: str, proposal_id: str, digest: str) -> Proposal:
        account_id = principal.account_id
        proposed = await self._recorded_digest(workspace_id, proposal_id)

        async def approve(tx: Transaction) -> Proposal:
            found = await self._sound(tx, workspace_id, proposal_id, proposed)
            if principal.kind != "user" or account_id is None:
                raise Forbidden("A person approves rules.", hint="Sign in.")
            if found.digest != digest:
                raise Conflict("These are other rules than those that you saw.", hint="Read the proposal again.")
            if account_id == found.account_id:
                raise Forbidden("Who proposes a rule does not approve it.", hint="Ask another owner or admin.")
            kept = [one for one in found.approvals if await self._may_make(tx, workspace_id, one)]
            if account_id not in kept:
                kept.append(account_id)
                await tx.execute(_APPROVE, _text_of(kept).decode(), proposal_id)
                facts: dict[str, Any] = {"digest": digest, "approvals": len(kept)}
                await self._audit.append(
                    tx, Event(Act.RULE_APPROVED, workspace_id, PROPOSAL, proposal_id, Actor.of(principal), facts)
                )
            elif len(kept) < found.need:
                raise Conflict("You have approved this already.", hint="It waits for others.")
            return replace(found, approvals=tuple(kept))

        approved = await self._db.write(approve)
        if len(approved.approvals) >= approved.need:
            await self._make(approved)
        return approved

    async def withdraw(self, actor: Actor, workspace_id: str, proposal_id: str) -> None:
        """End a proposal, whoever made it. Raises: NotFound."""

        async def end(tx: Transaction) -> None:
            if await tx.execute(_END, workspace_id, proposal_id) != 1:
                raise _absent()
            await self._audit.append(tx, Event(Act.RULE_WITHDRAWN, workspace_id, PROPOSAL, proposal_id, actor))

        await self._db.write(end)

    async def _make(self, approved: Proposal) -> None:
        """Make the rules in the proposer's name; after a crash in between, approving once more goes on here."""
        for place, rule in enumerate(approved.rules):
            key = request_key(
                f"{approved.id}-{place}", approved.proposed_by, ("rules.approved", approved.workspace_id), rule
            )
            await self._rules.create_approved(Actor("user", approved.proposed_by), approved.workspace_id, rule, key)
        await self._db.write(lambda tx: tx.execute(_END, approved.workspace_id, approved.id))

    async def _sound(self, tx: Transaction, workspace_id: str, proposal_id: str, proposed: str | None) -> Proposal:
        """Return the proposal when its row says what its audit record says.

        Raises: NotFound, Conflict.
        """
        row = await tx.fetch_one(_ONE, workspace_id, proposal_id)
        if row is None:
            raise _absent()
        found = _proposal(row)
        if not _digest(workspace_id, list(found.rules)) == found.digest == proposed:
            raise Conflict("The stored rules are not those that were proposed.", hint="Withdraw and propose them anew.")
        return found

    async def _recorded_digest(self, workspace_id: str, proposal_id: str) -> str | None:
        """Return the digest of the rules as the audit record of the proposal has it; None without such a record."""
        for stored in await self._audit.newest(workspace_id, limit=1000, obj_id=proposal_id):
            if stored.record["act"] == Act.RULE_PROPOSED:
                return str(stored.record["data"]["digest"])
        return None

    async def _may_make(self, tx: Transaction, workspace_id: str, account_id: str) -> bool:
        return await tx.fetch_one(_MAY_MAKE, workspace_id, account_id, *_MAKING_ROLES) is not None


def _digest(workspace_id: str, rules: list[Rule]) -> str:
    return digest_of({"v": 1, "ws": workspace_id, "rules": msgspec.to_builtins(rules)})


def _absent() -> NotFound:
    return NotFound("There is no such proposal in this workspace.")


def _proposal(row: Row) -> Proposal:
    return Proposal(
        row["id"],
        row["workspace_id"],
        tuple(_rules_of(row["rules"])),
        row["digest"],
        row["need"],
        row["proposed_by"],
        row["account_id"],
        row["created_us"],
        tuple(_texts_of(row["approvals"])),
    )
