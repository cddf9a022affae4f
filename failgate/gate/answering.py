"""What a rule would have answered of what people were asked: read from real requests, before anybody makes it."""

from itertools import islice
from typing import Final

import msgspec

from failgate.base.db import Database
from failgate.base.errors import Unprocessable
from failgate.gate.command import stored_command
from failgate.matching.calls import call_of
from failgate.matching.matcher import matcher_of
from failgate.wire.gate import Rule

LOOKED_AT: Final = 200  # newest requests of the program
MAX_BODY_BYTES: Final = 32 * 1024
EXAMPLES: Final = 5

_OF_PROGRAM: Final = (
    "SELECT body, requester_id FROM gate_command"
    " WHERE workspace_id = $1 AND program = $2 AND LENGTH(body) <= $3 AND (observed IS NULL OR observed = 'wait')"
    " ORDER BY id DESC LIMIT $4"
)


class Answered(msgspec.Struct, frozen=True):
    """How many of `of` requests the rule would have let pass; `examples` are the argument lists of some, each once."""

    number: int
    of: int
    examples: tuple[tuple[str, ...], ...]


async def answered_by(db: Database, workspace_id: str, program: str, rule: Rule) -> Answered:
    """Return what `rule` would have let pass of the newest requests for `program` that people were asked about."""
    matcher, number = matcher_of(rule), 0
    rows = await db.fetch(_OF_PROGRAM, workspace_id, program, MAX_BODY_BYTES, LOOKED_AT)
    examples: dict[tuple[str, ...], None] = {}
    for row in rows:
        try:
            call = call_of(stored_command(row["body"]), row["requester_id"])
        except Unprocessable:
            continue  # a row that was damaged answers nothing
        if matcher.fits(call):
            number += 1
            examples[call.argv] = None
    return Answered(number, len(rows), tuple(islice(examples, EXAMPLES)))
