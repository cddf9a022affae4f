"""How each reviewer decided in the last thirty days, read from their votes: nothing is kept for it.

Who approves all but everything, and takes no time for it, reads nothing. How long somebody read is known to nobody; at
most it is the time since the request came, or since their decision before, whichever is shorter. Somebody who decides a
hundred requests in a hundred seconds had a second for each, however long they had waited.

Source: SECURITY section 4, "Approver fatigue".
"""

from typing import Final

import msgspec

from failgate.base.clock import MICROSECONDS
from failgate.base.db import Database

DAYS: Final = 30
FEW: Final = 20  # decisions below which a share says nothing
STAMP_PERCENT: Final = 98  # approvals among a hundred decisions, from which on somebody may be a rubber stamp
STAMP_SECONDS: Final = 5  # of reading, at the median
_DAY_US: Final = 86_400 * MICROSECONDS
# `before_us` is when the same person decided before, in this workspace. CROSS JOIN is what keeps SQLite from beginning
# with every command of the workspace: it then begins with the votes.
_READ: Final = (
    "WITH decided AS (SELECT gate_vote.account_id, gate_vote.decision, gate_vote.at_us, gate_command.created_us,"
    " LAG(gate_vote.at_us) OVER (PARTITION BY gate_vote.account_id ORDER BY gate_vote.at_us, gate_vote.id) AS before_us"
    " FROM gate_vote CROSS JOIN gate_command"
    " WHERE gate_command.id = gate_vote.command_id"
    " AND gate_vote.account_id IN (SELECT account_id FROM membership WHERE workspace_id = $1)"
    " AND gate_vote.at_us >= $2 AND gate_command.workspace_id = $1),"
    " timed AS (SELECT account_id, decision,"
    " at_us - CASE WHEN before_us > created_us THEN before_us ELSE created_us END AS took_us FROM decided),"
    " placed AS (SELECT account_id, decision, took_us,"
    " ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY took_us) AS place,"
    " COUNT(*) OVER (PARTITION BY account_id) AS number FROM timed)"
    " SELECT account_id, COUNT(*) AS decided, COUNT(CASE WHEN decision = 'approve' THEN 1 END) AS approved,"
    " MAX(CASE WHEN place = (number + 1) / 2 THEN took_us END) AS median_us"
    " FROM placed GROUP BY account_id ORDER BY account_id"
)


class Reviewed(msgspec.Struct, frozen=True):
    """How a member decided in `DAYS` days: how often, how often they approved, how long they read at most.

    `median_us` is the median over their decisions, microseconds (of an even number the lower of the two middle ones).
    """

    account_id: str
    decided: int
    approved: int
    median_us: int

    @property
    def percent(self) -> int:
        """Return how many of a hundred decisions approved, rounded down."""
        return 100 * self.approved // max(1, self.decided)

    @property
    def is_stamp(self) -> bool:
        """Tell whether they approved all but everything, and cannot have read much of it."""
        is_fast = self.median_us < STAMP_SECONDS * MICROSECONDS
        return self.decided >= FEW and self.percent >= STAMP_PERCENT and is_fast


async def reviewed_in(db: Database, workspace_id: str, now_us: int) -> list[Reviewed]:
    """Return how the members of the workspace decided; who did not decide is not among them."""
    rows = await db.fetch(_READ, workspace_id, now_us - DAYS * _DAY_US)
    return [Reviewed(row["account_id"], *(max(0, int(row[name])) for name in _NUMBERS)) for row in rows]


_NUMBERS: Final = ("decided", "approved", "median_us")
