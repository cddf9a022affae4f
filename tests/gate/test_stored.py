"""What a row of `gate_command` holds, and what it says of itself when it is new."""

import msgspec
import pytest

from failgate.gate.stored import LATER, SELDOM, Stored, insert_of, load

NEW = Stored(
    id="018f0000-0000-7000-8000-000000000001",
    workspace_id="",
    state="approved",
    digest="d",
    body="{}",
    reason="because",
    requester_kind="agent",
    requester_id="r",
    requester_account_id="a",
    requester_label="bot",
    host="h",
    excluded="[]",
    need=0,
    policy="p",
    policy_snapshot="{}",
    findings="[]",
    created_us=1,
    expires_us=2,
    decided_us=3,
    decided_by="[]",
    note="note",
    use_by_us=4,
    terms="{}",
    alike="alike",
    program="make",
    observed="wait",
    observing_id="o",
    edits="018f0000-0000-7000-8000-000000000002",
)


@pytest.mark.parametrize("without", [(), SELDOM, *((name,) for name in SELDOM)])
async def test_a_new_row_is_read_as_it_was_written(house, without):
    new = msgspec.structs.replace(NEW, workspace_id=house.workspace, **dict.fromkeys(without))
    statement, values = insert_of(new)
    assert (len(values) == len(insert_of(NEW)[1])) is (without != SELDOM)

    async def keep(tx):
        await tx.execute(statement, *values)

    await house.db.write(keep)
    assert await load(house.db, house.workspace, new.id) == new


def test_a_column_is_left_out_only_where_the_row_begins_without_it():
    """Each other column has a value above, so that none of them is left out unseen."""
    defaults = dict(zip(Stored.__struct_fields__[-len(Stored.__struct_defaults__) :], Stored.__struct_defaults__))
    members = msgspec.structs.asdict(NEW)
    assert {name for name, value in members.items() if name != "votes" and value == defaults.get(name, ...)} == LATER
