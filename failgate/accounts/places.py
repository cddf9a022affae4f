"""Where an account signed in before: which client, from which network address. It decides nothing; it tells news.

Version numbers of a client do not count, so that its next update is no news. What was not seen for 90 days is
forgotten.
"""

import hashlib
import re
from typing import Final

from failgate.accounts.throttle import network_of
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Transaction
from failgate.base.ids import new_id

KEPT_SECONDS: Final = 90 * 86_400
_VERSION: Final = re.compile(r"[0-9][0-9._]*", re.ASCII)


async def is_new_place(tx: Transaction, account_id: str, address: str, user_agent: str, now_us: int) -> bool:
    """Note a sign-in from there; tell whether it is the first from there of an account that signed in elsewhere."""
    mark = hashlib.sha256(f"{network_of(address)}\n{_VERSION.sub('', user_agent)}".encode()).hexdigest()
    forgotten_us = now_us - KEPT_SECONDS * MICROSECONDS
    await tx.execute("DELETE FROM sign_in_place WHERE account_id = $1 AND seen_us < $2", account_id, forgotten_us)
    query = "UPDATE sign_in_place SET seen_us = $1 WHERE account_id = $2 AND mark = $3"
    if await tx.execute(query, now_us, account_id, mark) == 1:
        return False
    others = await tx.fetch_one("SELECT id FROM sign_in_place WHERE account_id = $1 LIMIT 1", account_id)
    await tx.execute(
        "INSERT INTO sign_in_place (id, account_id, mark, seen_us) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        new_id(), account_id, mark, now_us,
    )  # fmt: skip
    return others is not None
