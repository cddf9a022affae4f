"""Piccolo's queries read beside the writer or inside a verb; nothing else of Piccolo reaches the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from failgate.base.db import Database, Transaction
from failgate.workspaces.tables import WorkspaceRow


def row(slug: str) -> WorkspaceRow:
    return WorkspaceRow(id=slug, slug=slug, name="It's", created_us=1)


async def test_a_query_changes_inside_a_verb_and_reads_what_is_committed_outside(database: Database) -> None:
    seen: list[Any] = []

    async def verb(tx: Transaction) -> None:
        await tx.execute(WorkspaceRow.insert(row("acme")))
        seen.append(await WorkspaceRow.select(WorkspaceRow.name).where(WorkspaceRow.slug == "acme"))
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(verb)
    assert seen == [[{"name": "It's"}]]
    assert await WorkspaceRow.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda: WorkspaceRow.insert(row("acme")).run(),
        lambda: WorkspaceRow.update({WorkspaceRow.name: "x"}, force=True).run(),
        lambda: WorkspaceRow.delete(force=True).run(),
        lambda: WorkspaceRow.alter().drop_table().run(),
        lambda: WorkspaceRow.create_table().run(),
    ],
    ids=["insert", "update", "delete", "drop", "create"],
)
async def test_nothing_changes_outside_of_a_verb(database: Database, change: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(RuntimeError, match=r"outside Database\.write|made by migrations"):
        await change()
    assert await WorkspaceRow.count() == 0


async def test_a_transaction_of_its_own_is_refused(database: Database) -> None:
    engine = WorkspaceRow._meta.db
    for begin in (engine.transaction, engine.atomic):
        with pytest.raises(RuntimeError, match="only way to open a transaction"):
            begin()
