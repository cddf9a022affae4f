"""Whose seats of a group stand-ins take, when a quorum is counted.

A stand-in is a member of the groups of whoever they stand in for, and one person all the same: one seat. They take no
seat of somebody who decided themselves, or who would not be let decide on this request. Chains are not followed: whom
an absent person stands in for is not passed on.
"""

from collections.abc import Sequence
from dataclasses import replace

from failgate.base.db import Transaction
from failgate.gate.electorate import Electorate
from failgate.gate.lifecycle import Request
from failgate.gate.stored import Stored
from failgate.gate.terms import Person, Terms, mailbox


async def with_seats(
    tx: Transaction,
    electorate: Electorate,
    stored: Stored,
    request: Request,
    terms: Terms,
    approvers: Sequence[Person],
    now_us: int,
) -> list[Person]:
    """Return `approvers`, each with those for whom they stand in at `now_us`, as far as that counts here."""
    if not terms.groups:
        return list(approvers)
    # By mailbox, as people are told apart: nobody's other account is a way around it.
    barred = await electorate.mailboxes(tx, {*request.excluded, *request.approvals, *request.denials})
    barred |= {mailbox(address) for address in terms.excluded}
    seated: list[Person] = []
    for person in approvers:
        absent = await electorate.absent_for(tx, stored.workspace_id, person.account_id, now_us)
        seated.append(replace(person, stands_for=tuple(one for one in absent if mailbox(one.email) not in barred)))
    return seated


def stand_ins_in(approvers: Sequence[Person]) -> tuple[str, ...]:
    """Return who stands in for whom, as the record of an approval names them: `stand-in/absent`, by account."""
    return tuple(f"{person.account_id}/{one.account_id}" for person in approvers for one in person.stands_for)
