"""Who is in which group: the members of a group as rows, changed as a provider asks."""

import json
from collections.abc import Sequence

from failgate.base.db import Transaction
from failgate.base.ids import new_id
from failgate.sso.connection import Connection
from failgate.sso.provisioned import group_names
from failgate.sso.scim.dialects import MemberChange
from failgate.sso.scim.errors import invalid_value
from failgate.sso.scim.stored import Kept, chunks, places


async def set_members(
    tx: Transaction,
    connection: Connection,
    before: Kept | None,
    kept: Kept,
    changes: tuple[MemberChange, ...],
) -> list[str]:
    """Carry out `changes`; return the people whose roles depend on this group and may be others now."""
    touched: dict[str, None] = {}
    for change in changes:
        for user_id in await _carry_out(tx, connection, kept.id, change):
            touched[user_id] = None
    await touch(tx, touched)
    is_now = is_mapped(connection, kept)
    was_mapped = before is not None and is_mapped(connection, before)
    if before is not None and is_now != was_mapped:
        query = "SELECT user_id FROM scim_member WHERE group_id = $1"
        touched |= {row["user_id"]: None for row in await tx.fetch(query, kept.id)}
    return list(touched) if is_now or was_mapped else []


async def _carry_out(tx: Transaction, connection: Connection, group_id: str, change: MemberChange) -> list[str]:
    query = "SELECT user_id FROM scim_member WHERE group_id = $1"
    wanted = set(change.ids or ())
    is_whole = change.op == "set" or change.ids is None
    there: set[str] = {row["user_id"] for row in await tx.fetch(query, group_id)} if is_whole else set()
    if change.op == "remove":
        leaving, coming = (there if change.ids is None else wanted), set[str]()
    else:
        leaving, coming = (there - wanted if change.op == "set" else set[str]()), wanted - there
    touched: list[str] = []
    for some in chunks(sorted(leaving)):
        whom = places(2, len(some))
        query = f"DELETE FROM scim_member WHERE group_id = $1 AND user_id IN ({whom}) RETURNING user_id"
        rows = await tx.fetch(query, group_id, *some)
        touched += [row["user_id"] for row in rows]
    for some in chunks(sorted(coming)):
        await _must_be_people(tx, connection, some)
        for user_id in some:
            touched += [user_id] * await tx.execute(
                "INSERT INTO scim_member (id, connection_id, group_id, user_id) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (group_id, user_id) DO NOTHING",
                new_id(), connection.id, group_id, user_id,
            )  # fmt: skip
    return touched


async def _must_be_people(tx: Transaction, connection: Connection, ids: list[str]) -> None:
    query = f"SELECT id FROM scim_resource WHERE connection_id = $1 AND kind = 'User' AND id IN ({places(2, len(ids))})"
    rows = await tx.fetch(query, connection.id, *ids)
    if len(rows) != len(set(ids)):
        raise invalid_value("A member names nobody whom this connection provisioned.")


async def touch(tx: Transaction, ids: Sequence[str] | dict[str, None]) -> None:
    """Give resources whose derived members or groups changed another version."""
    for some in chunks(ids):
        await tx.execute(f"UPDATE scim_resource SET version = version + 1 WHERE id IN ({places(1, len(some))})", *some)


def is_mapped(connection: Connection, kept: Kept) -> bool:
    """Tell whether a rule of the connection names this group."""
    names = set(group_names(kept.label, json.dumps(kept.body)))
    return any(group in names for group, _ in connection.roles)
