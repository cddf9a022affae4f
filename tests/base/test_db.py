import asyncio
import errno
import os
import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from failgate.base.db import Database, Transaction, Verb
from failgate.base.errors import BadInput, StorageUnavailable
from failgate.base.open_database import open_database
from failgate.base.sqlite import SqliteWriter


@pytest.fixture
def numbers(number_table: Database) -> Database:
    return number_table


def insert(n: int):
    async def verb(tx: Transaction) -> int:
        return await tx.execute("INSERT INTO number (n, label) VALUES ($1, $2)", n, f"n{n}")

    return verb


async def stored(database: Database) -> list[int]:
    return [row["n"] for row in await database.fetch("SELECT n FROM number ORDER BY n")]


async def test_a_change_is_visible_to_readers_once_write_returned(numbers: Database) -> None:
    assert await numbers.write(insert(1)) == 1
    assert await stored(numbers) == [1]


async def test_a_commit_waits_for_the_disk_whatever_the_database_was_set_to(empty_database_url: str) -> None:
    """P1: FULL on SQLite; `synchronous_commit` on PostgreSQL, also where the database says off."""

    async def set_off(tx: Transaction) -> None:
        if tx.dialect == "postgres":
            name = await tx.fetch_one("SELECT current_database() AS name")
            assert name is not None
            await tx.execute(f'ALTER DATABASE "{name["name"]}" SET synchronous_commit = off')

    async def setting(tx: Transaction) -> object:
        rows = await tx.fetch("PRAGMA synchronous" if tx.dialect == "sqlite" else "SHOW synchronous_commit")
        return next(iter(rows[0].values()))

    database = await open_database(empty_database_url)
    await database.write(set_off)
    await database.close()
    database = await open_database(empty_database_url)
    assert await database.write(setting) == (2 if database.dialect == "sqlite" else "on")  # 2: FULL
    await database.close()


async def test_a_failing_verb_takes_back_only_its_own_changes(numbers: Database) -> None:
    async def failing(tx: Transaction) -> None:
        await insert(2)(tx)
        raise BadInput("no")

    results = await asyncio.gather(
        numbers.write(insert(1)), numbers.write(failing), numbers.write(insert(3)), return_exceptions=True
    )
    assert isinstance(results[1], BadInput)
    assert results[0] == results[2] == 1
    assert await stored(numbers) == [1, 3]


async def test_a_failing_verb_alone_in_its_group_leaves_nothing(numbers: Database) -> None:
    async def failing(tx: Transaction) -> None:
        await insert(2)(tx)
        raise BadInput("no")

    with pytest.raises(BadInput):
        await numbers.write(failing)
    assert await stored(numbers) == []
    assert await numbers.write(insert(2)) == 1


async def test_a_statement_that_fails_does_not_poison_its_group(numbers: Database) -> None:
    results = await asyncio.gather(*(numbers.write(insert(n)) for n in (1, 1, 2)), return_exceptions=True)
    assert isinstance(results[1], Exception)
    assert await stored(numbers) == [1, 2]


def put_off(n: int):
    async def verb(tx: Transaction) -> None:
        tx.put_off("INSERT INTO number (label, n) VALUES ($2, $1)", n, f"n{n}")

    return verb


async def test_what_is_put_off_is_kept_with_its_group_and_dropped_with_its_verb(numbers: Database) -> None:
    async def failing(tx: Transaction) -> None:
        await put_off(2)(tx)
        raise BadInput("no")

    results = await asyncio.gather(
        numbers.write(put_off(1)), numbers.write(failing), numbers.write(put_off(3)), numbers.write(insert(4)),
        return_exceptions=True,
    )  # fmt: skip
    assert isinstance(results[1], BadInput)
    assert await numbers.fetch("SELECT n, label FROM number ORDER BY n") == [
        {"n": n, "label": f"n{n}"} for n in (1, 3, 4)
    ]


async def test_rows_that_go_together_are_one_statement_without_those_of_a_verb_that_failed(
    numbers: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = {
        "sqlite": "INSERT INTO number (n, label) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')"
        " FROM json_each($1)",
        "postgres": "INSERT INTO number (n, label) SELECT CAST(value ->> 0 AS INTEGER), value ->> 1"
        " FROM json_array_elements($1::text::json)",
    }[numbers.dialect]

    def put(n: int, label: str) -> Verb[None]:
        async def verb(tx: Transaction) -> None:
            tx.put_together(together, n, label)
            if n == 2:
                raise BadInput("no")

        return verb

    writer = numbers._writer  # statements are counted where they are run
    run, seen = writer.execute, list[str]()

    async def execute(sql: str, args: Sequence[Any]) -> int:
        seen.append(sql)
        return await run(sql, args)

    monkeypatch.setattr(writer, "execute", execute)
    labels = ("\"quoted\", 'so'", "lost", "ein ß\\ 失")
    await asyncio.gather(*(numbers.write(put(n, label)) for n, label in enumerate(labels, 1)), return_exceptions=True)
    rows = await numbers.fetch("SELECT n, label FROM number ORDER BY n")
    assert [(row["n"], row["label"]) for row in rows] == [(1, labels[0]), (3, labels[2])]
    assert sum("INSERT INTO number" in sql for sql in seen) == 1


async def test_what_is_put_off_and_cannot_be_kept_refuses_its_group(numbers: Database) -> None:
    results = await asyncio.gather(*(numbers.write(verb) for verb in (insert(1), put_off(1))), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable, StorageUnavailable]
    assert await stored(numbers) == []
    await numbers.write(put_off(1))
    assert await stored(numbers) == [1]


def put_off_all(*numbers: int):
    async def verb(tx: Transaction) -> None:
        tx.put_off_all([("INSERT INTO number (n, label) VALUES ($1, $2)", (n, f"n{n}")) for n in numbers])

    return verb


@pytest.mark.parametrize("many", [0, 1, 2, 63, 64, 65, 203])
async def test_all_rows_that_are_put_off_are_kept_however_many(numbers: Database, many: int) -> None:
    await numbers.write(put_off_all(*range(many)))
    assert await numbers.fetch("SELECT n, label FROM number ORDER BY n") == [
        {"n": n, "label": f"n{n}"} for n in range(many)
    ]


async def test_rows_that_are_put_off_are_refused_together(numbers: Database) -> None:
    with pytest.raises(StorageUnavailable):
        await numbers.write(put_off_all(*range(70), 69))
    assert await stored(numbers) == []


async def test_rows_that_are_put_off_share_statements_on_sqlite(tmp_path: Path) -> None:
    numbers = await open_database(f"sqlite://{tmp_path / 'numbers.sqlite'}")
    statements: list[str] = []
    try:
        await numbers.write(lambda tx: tx.execute("CREATE TABLE number (n INTEGER, label TEXT)"))
        numbers._writer._connection.set_trace_callback(statements.append)
        await numbers.write(put_off_all(*range(67)))
    finally:
        await numbers.close()
    assert len([each for each in statements if each.startswith("INSERT")]) == 3  # of 64, of 2 and of 1


@pytest.mark.parametrize("value", [None, b"", b"\x00\xff", "", "0", 0, -(2**53)])
async def test_a_value_reaches_the_database_as_it_is(numbers: Database, value: object) -> None:
    kinds = {type(None): "TEXT", bytes: "BLOB" if numbers.dialect == "sqlite" else "BYTEA", str: "TEXT", int: "BIGINT"}
    found = await numbers.fetch(f"SELECT CAST($1 AS {kinds[type(value)]}) AS value", value)
    assert found == [{"value": value}]
    assert type(found[0]["value"]) is type(value)


async def test_a_verb_without_a_statement_has_no_savepoint(numbers: Database) -> None:
    statements: list[str] = []
    execute = numbers._writer.execute

    async def noted(sql: str, args: object) -> int:
        statements.append(sql)
        return await execute(sql, args)

    numbers._writer.execute = noted
    await asyncio.gather(*(numbers.write(put_off(n)) for n in (1, 2)))
    assert statements == []
    await asyncio.gather(*(numbers.write(insert(n)) for n in (3, 4)))
    assert statements.count("SAVEPOINT verb") == statements.count("RELEASE SAVEPOINT verb") == 2


async def test_many_writers_share_commits(numbers: Database) -> None:
    commits = 0
    commit = numbers._writer.commit

    async def counted() -> None:
        nonlocal commits
        commits += 1
        await commit()

    numbers._writer.commit = counted
    await asyncio.gather(*(numbers.write(insert(n)) for n in range(256)))
    assert commits <= 8
    assert len(await stored(numbers)) == 256


async def test_cached_state_is_undone_with_the_verb_that_changed_it(numbers: Database) -> None:
    async def keep(tx: Transaction) -> None:
        tx.state["head"] = 1

    async def spoil(tx: Transaction) -> None:
        tx.state["head"] = 2
        raise BadInput("no")

    async def read(tx: Transaction) -> object:
        return tx.state.get("head")

    results = await asyncio.gather(
        numbers.write(keep), numbers.write(spoil), numbers.write(read), return_exceptions=True
    )
    assert results[2] == 1
    with pytest.raises(BadInput):
        await numbers.write(spoil)
    assert await numbers.write(read) == 1


async def test_a_failing_commit_refuses_the_whole_group_and_keeps_nothing(numbers: Database) -> None:
    commit = numbers._writer.commit

    async def broken() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def remember(tx: Transaction) -> None:
        tx.state["head"] = 9
        await insert(5)(tx)

    numbers._writer.commit = broken
    calls: list[int] = []

    async def noted(tx: Transaction) -> None:
        tx.after_commit(lambda: calls.append(1))

    results = await asyncio.gather(
        numbers.write(insert(4)), numbers.write(remember), numbers.write(noted), return_exceptions=True
    )
    assert all(isinstance(result, StorageUnavailable) for result in results)
    assert not numbers.is_healthy()
    numbers._writer.commit = commit

    async def read(tx: Transaction) -> object:
        return tx.state.get("head")

    assert await numbers.write(read) is None
    assert numbers.is_healthy()
    assert await stored(numbers) == []
    assert calls == []


async def test_a_cancelled_caller_leaves_the_change_to_finish(numbers: Database) -> None:
    calls: list[str] = []

    async def verb(tx: Transaction) -> None:
        await insert(7)(tx)
        tx.after_commit(lambda: calls.append("done"))

    task = asyncio.create_task(numbers.write(verb))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await numbers.write(insert(8))
    assert await stored(numbers) == [7, 8]
    assert calls == ["done"]


async def test_a_hook_runs_once_for_its_group(numbers: Database) -> None:
    runs: list[int] = []

    async def hook(tx: Transaction) -> None:
        runs.append(await tx.execute("INSERT INTO number (n, label) VALUES ($1, 'hook')", 100 + len(runs)))

    def verb(n: int):
        async def change(tx: Transaction) -> None:
            await insert(n)(tx)
            tx.before_commit("hook", hook)

        return change

    await asyncio.gather(*(numbers.write(verb(n)) for n in range(10)))
    assert runs == [1]
    assert await stored(numbers) == [*range(10), 100]


async def test_a_verb_cannot_open_a_second_transaction(numbers: Database) -> None:
    async def nested(tx: Transaction) -> None:
        await numbers.write(insert(1))

    with pytest.raises(RuntimeError, match="second transaction"):
        await numbers.write(nested)


async def test_on_sqlite_a_verb_that_awaits_something_else_is_refused(tmp_path) -> None:
    database = await open_database(f"sqlite://{tmp_path / 'x.db'}")

    async def slow(tx: Transaction) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="other than its transaction"):
        await database.write(slow)
    await database.close()


async def test_parameters_may_repeat_and_come_in_any_order(numbers: Database) -> None:
    await numbers.write(insert(3))
    rows = await numbers.fetch("SELECT n FROM number WHERE label = $2 AND n = $1 AND label = $2", 3, "n3")
    assert rows == [{"n": 3}]


async def test_readers_cannot_write(numbers: Database) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"):
        await numbers.fetch("INSERT INTO number (n, label) VALUES (9, 'x') RETURNING n")


async def test_close_finishes_the_verbs_that_wait(empty_database_url: str) -> None:
    database = await open_database(empty_database_url)

    async def make(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE number (n BIGINT PRIMARY KEY, label TEXT)")

    await database.write(make)
    tasks = [asyncio.create_task(database.write(insert(n))) for n in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*tasks)
    with pytest.raises(StorageUnavailable):
        await database.write(insert(99))
    again = await open_database(empty_database_url)
    assert len(await stored(again)) == 20
    await again.close()


async def test_of_64_deciders_one_wins(numbers: Database) -> None:
    await numbers.write(insert(1))

    def decide(label: str):
        async def verb(tx: Transaction) -> int:
            return await tx.execute("UPDATE number SET label = $1 WHERE n = 1 AND label = 'n1'", label)

        return verb

    wins = await asyncio.gather(*(numbers.write(decide(f"w{k}")) for k in range(64)))
    assert sum(wins) == 1


async def test_a_long_log_of_sqlite_is_folded_once_in_its_length_not_once_in_so_many_commits(tmp_path, monkeypatch):
    """The file keeps its length when the log begins again, so its size alone would say `long` for ever after."""
    monkeypatch.setattr("failgate.base.sqlite.CHECKPOINT_BYTES", 1024 * 1024)
    folded: list[int] = []
    fold = SqliteWriter._checkpoint
    monkeypatch.setattr(SqliteWriter, "_checkpoint", lambda self: (folded.append(count), fold(self)))
    numbers = await open_database(f"sqlite://{tmp_path / 'numbers.sqlite'}")
    await numbers.write(lambda tx: tx.execute("CREATE TABLE number (n INTEGER PRIMARY KEY, label BLOB)"))
    for count in range(1, 1201):  # each writes one page of 4 KiB or two
        await numbers.write(lambda tx: tx.execute("INSERT INTO number (label) VALUES ('a')"))
    size = (tmp_path / "numbers.sqlite-wal").stat().st_size
    await numbers.close()
    assert 1024 * 1024 < size < 1.3 * 1024 * 1024
    assert len(folded) >= 3
    assert min(later - sooner for sooner, later in pairwise([0, *folded])) > 100


@pytest.mark.parametrize("message", ["database or disk is full", "disk I/O error"])
async def test_a_log_that_cannot_be_folded_now_stops_no_change_unless_the_disk_lied(tmp_path, monkeypatch, message):
    monkeypatch.setattr("failgate.base.sqlite.CHECKPOINT_BYTES", 64 * 1024)
    tried: list[int] = []

    def fails(_self: SqliteWriter) -> None:
        tried.append(1)
        raise sqlite3.OperationalError(message)

    monkeypatch.setattr(SqliteWriter, "_checkpoint", fails)
    numbers = await open_database(f"sqlite://{tmp_path / 'numbers.sqlite'}")
    await numbers.write(lambda tx: tx.execute("CREATE TABLE number (n INTEGER PRIMARY KEY, label BLOB)"))

    async def write_all() -> None:
        for _ in range(100):
            await numbers.write(lambda tx: tx.execute("INSERT INTO number (label) VALUES ('a')"))

    if "I/O" in message:
        with pytest.raises(StorageUnavailable):
            await write_all()
        assert len(tried) == 1
    else:
        await write_all()
        assert len(tried) > 1
        assert numbers.is_healthy()
    await numbers.close()


async def test_a_log_is_looked_at_where_no_descriptor_is_left(tmp_path, monkeypatch):
    opened = os.open

    def none_left(path: str, *more: int, **named: int) -> int:
        if str(path).endswith("-wal"):
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "open", none_left)
    numbers = await open_database(f"sqlite://{tmp_path / 'numbers.sqlite'}")
    await numbers.write(lambda tx: tx.execute("CREATE TABLE number (n INTEGER PRIMARY KEY)"))
    for _ in range(40):
        await numbers.write(lambda tx: tx.execute("INSERT INTO number DEFAULT VALUES"))
    assert len(await numbers.fetch("SELECT n FROM number")) == 40
    await numbers.close()
