"""The single writer: the only way to change the database, on SQLite and PostgreSQL alike.

A change is a *verb*: a coroutine function that takes the open `Transaction` and awaits nothing else. `Database.write`
queues it; the writer runs the verbs that wait, up to 64 together, each in a savepoint of one transaction, commits once
and only then releases every caller (group commit). A verb that fails takes back its own savepoint alone; a commit that
fails gives `StorageUnavailable` to the whole group, and nothing was kept. The savepoint begins with the verb's first
statement: a verb that only puts statements off has none.

```python
async def rename(tx: Transaction) -> None:
    await tx.execute("UPDATE workspace SET name = $1 WHERE id = $2", name, workspace_id)
    await audit.append(tx, event)

await database.write(rename)
```

SQL is portable, with `$1 $2` for its parameters. Engines live in `sqlite.py` and `postgres.py`; `migrate.py` brings a
database up to date.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

import msgspec

from failgate.base.canonical import JSON
from failgate.base.dialect import Dialect, Statement, compiled, compiled_rows
from failgate.base.errors import FailgateError, StorageUnavailable
from failgate.base.log import request_context
from failgate.base.undo import UndoMapping

T = TypeVar("T")
Row = dict[str, Any]
Verb = Callable[["Transaction"], Awaitable[T]]

LONGEST_GATHERING_SECONDS = 0.002
GROUP_LIMIT = 64  # verbs in one commit; more would only lengthen the wait of the first
_log = logging.getLogger("failgate.database")
_encode = msgspec.json.Encoder().encode


class WriterConnection(Protocol):
    """What the writer needs of an engine: one connection that alone changes the database.

    `commit_seconds` is how long a commit took lately.
    """

    commit_seconds: float

    async def begin(self) -> None:
        """Open a transaction that no other writer can enter."""
        ...

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one statement; return its rows."""
        ...

    async def execute(self, sql: str, args: Sequence[Any]) -> int:
        """Run one statement; return how many rows it changed."""
        ...

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, in their order."""
        ...

    async def commit(self) -> None:
        """Make the transaction durable."""
        ...

    async def rollback(self) -> None:
        """End the transaction without effect; must work after any error."""
        ...

    def drive(self, verb: Awaitable[T]) -> Awaitable[T]:
        """Return what the writer awaits to run `verb`."""
        ...

    async def between(self) -> None:
        """Do upkeep while no transaction is open."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...


class Readers(Protocol):
    """What reads committed rows beside the writer."""

    async def run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Run one query; return its rows."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class Transaction:
    """An open transaction, handed to a verb and valid only inside it."""

    def __init__(self, connection: WriterConnection, dialect: Dialect, group: "_Group") -> None:
        self._connection = connection
        self._group = group
        self.dialect: Dialect = dialect
        self.savepoint: Literal["none", "due", "set"] = "none"

    @property
    def state(self) -> UndoMapping:
        """Return the cache that lives across transactions; changes are undone when the verb or its group fails."""
        return self._group.state

    async def fetch(self, query: Statement, *args: Any) -> list[Row]:
        """Return the rows of `query`, this transaction's own changes included."""
        if self.savepoint == "due":
            await self._set_savepoint()
        sql, values = compiled(query, args, self.dialect)
        return await self._connection.fetch(sql, values)

    async def fetch_one(self, query: Statement, *args: Any) -> Row | None:
        """Return the first row, or None."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    async def execute(self, query: Statement, *args: Any) -> int:
        """Run a statement; return how many rows it changed."""
        if self.savepoint == "due":
            await self._set_savepoint()
        sql, values = compiled(query, args, self.dialect)
        return await self._connection.execute(sql, values)

    def put_off(self, query: str, *args: Any) -> None:
        """Run a statement at the end of the group commit, together with all others of the same text.

        For a row that nobody can know of before: no verb of the group reads it. When it fails, the group fails.
        """
        self._group.later.append((query, args))

    def put_together(self, query: str, *row: JSON) -> None:
        """Put off one statement for the rows of all verbs: its only parameter is a JSON list of them, lists too.

        For what costs more by the statement than by the row, as a full-text index does; otherwise as `put_off`.
        """
        self._group.later.append((query, _Together(row)))

    def put_off_rows(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Put the statement off for each of `rows`, as `put_off` does for one."""
        self._group.later.extend([(query, row) for row in rows])

    def expect_savepoint(self, *, is_due: bool) -> None:
        """Set a savepoint before the next statement, or none from now on."""
        self.savepoint = "due" if is_due else "none"

    async def _set_savepoint(self) -> None:
        await self._connection.execute("SAVEPOINT verb", ())
        self.savepoint = "set"

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call `call` once the change is durable, in commit order and before `write` returns."""
        self._group.calls.append(call)

    def before_commit(self, key: Hashable, verb: Verb[None]) -> None:
        """Run `verb` once for this group commit, however often it is asked for under `key`."""
        if key not in self._group.hooks:
            self._group.hooks[key] = verb


class _Together(tuple[JSON, ...]):
    """A row that goes to the database in one value with the other rows of its statement."""

    __slots__ = ()


@dataclass
class _Group:
    state: UndoMapping
    hooks: UndoMapping = field(default_factory=UndoMapping)
    calls: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    later: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list[tuple[str, tuple[Any, ...]]])


@dataclass(slots=True)
class _Job(Generic[T]):
    verb: Verb[T]
    future: "asyncio.Future[T]"
    request: Any
    result: T | None = None
    error: BaseException | None = None


class Database:
    """One database: reads by `fetch`, changes by `write`."""

    def __init__(self, dialect: Dialect, writer: WriterConnection, readers: Readers) -> None:
        self.dialect: Dialect = dialect
        self._writer = writer
        self._readers = readers
        self._state = UndoMapping()
        self._jobs: deque[_Job[Any]] = deque()
        self._wake = asyncio.Event()
        self._is_closing = False
        self._joined = 0
        self._last_group = 1
        self._failure: str | None = None
        self._task = asyncio.get_running_loop().create_task(self._drain(), name="database-writer")

    async def fetch(self, query: Statement, *args: Any) -> list[Row]:
        """Return the rows of `query`, of committed data only."""
        sql, values = compiled(query, args, self.dialect)
        return await self._readers.run(sql, values)

    async def fetch_one(self, query: Statement, *args: Any) -> Row | None:
        """Return the first row, or None."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    async def write(self, verb: Verb[T]) -> T:
        """Run `verb` in a transaction; return its result once it is durable.

        A caller that is cancelled meanwhile leaves the verb to finish.

        Raises: StorageUnavailable (nothing was kept); whatever the verb raises (its changes are taken back).
        """
        return await self.put(verb)

    def put(self, verb: Verb[T]) -> "asyncio.Future[T]":
        """Begin what `write` does; the future that is returned ends as `write` would.

        Raises: StorageUnavailable (the server is stopping).
        """
        if self._is_closing:
            raise StorageUnavailable("The server is stopping.", hint="Ask again in a moment.")
        if current_transaction.get() is not None:
            raise RuntimeError("a verb opened a second transaction: pass `tx` on instead")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(verb, future, request_context.get()))
        self._wake.set()
        return future

    def note_joined(self) -> None:
        """Count one more change that a verb will make that waits already: who gathers a group counts them too."""
        self._joined += 1

    def is_healthy(self) -> bool:
        """Tell whether the last commit succeeded."""
        return self._failure is None

    @property
    def failure(self) -> str | None:
        """Return why the last commit failed, or None."""
        return self._failure

    async def close(self) -> None:
        """Finish the verbs that wait, then release every connection."""
        self._is_closing = True
        self._wake.set()
        await self._task
        await self._readers.close()
        await self._writer.close()

    async def _drain(self) -> None:
        while True:
            if not self._jobs:
                if self._is_closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._let_gather()
            jobs = [self._jobs.popleft() for _ in range(min(GROUP_LIMIT, len(self._jobs)))]
            self._last_group, self._joined = len(jobs) + self._joined, 0
            group = _Group(self._state)
            try:
                await self._commit_group(jobs, group)
            except Exception as error:  # noqa: BLE001  # every waiter gets the answer
                self._refuse(jobs, error)
                continue
            self._failure = None
            self._release(jobs, group)
            await self._writer.between()

    async def _let_gather(self) -> None:
        """Wait for those who were in the last group and may be about to ask again, no longer than a commit takes."""
        if self._last_group == 1:
            return
        wanted = min(self._last_group, GROUP_LIMIT)
        deadline = time.monotonic() + min(LONGEST_GATHERING_SECONDS, self._writer.commit_seconds)
        while (  # noqa: ASYNC110 - until the deadline, one turn of the loop at a time: an event would cost each change
            len(self._jobs) + self._joined < wanted and not self._is_closing and time.monotonic() < deadline
        ):
            await asyncio.sleep(0)

    async def _commit_group(self, jobs: list[_Job[Any]], group: _Group) -> None:
        tx = Transaction(self._writer, self.dialect, group)
        try:
            await self._writer.begin()
            for job in jobs:
                await self._run_job(job, tx, group, in_savepoint=len(jobs) > 1)
            if all(job.error is not None for job in jobs):
                await self._writer.rollback()
                self._state.keep()
                return
            for verb in list(group.hooks.values()):
                await self._writer.drive(cast("Verb[None]", verb)(tx))
            await self._run_later(group.later)
            await self._writer.commit()
        except BaseException:
            self._state.forget()
            await self._writer.rollback()
            raise
        self._state.keep()

    async def _run_later(self, later: list[tuple[str, tuple[Any, ...]]]) -> None:
        """Run what the verbs put off: each statement once for all its rows."""
        rows_of: dict[str, list[Sequence[Any]]] = {}
        for query, args in later:
            rows_of.setdefault(query, []).append(args)
        for query, rows in rows_of.items():
            if isinstance(rows[0], _Together):
                await self._writer.execute(*compiled(query, (_encode(rows).decode(),), self.dialect))
                continue
            await self._writer.execute_many(*compiled_rows(query, rows, self.dialect))

    async def _run_job(self, job: _Job[Any], tx: Transaction, group: _Group, *, in_savepoint: bool) -> None:
        marks = group.state.mark(), group.hooks.mark(), len(group.calls), len(group.later)
        tx.expect_savepoint(is_due=in_savepoint)
        token, request = current_transaction.set(tx), request_context.set(job.request)
        try:
            job.result = await self._writer.drive(job.verb(tx))
        except Exception as error:
            job.error = error
            group.state.undo_to(marks[0])
            group.hooks.undo_to(marks[1])
            del group.calls[marks[2] :], group.later[marks[3] :]
            if isinstance(error, StorageUnavailable):
                raise
            if tx.savepoint == "set":
                await self._writer.execute("ROLLBACK TO SAVEPOINT verb", ())
        finally:
            current_transaction.reset(token)
            request_context.reset(request)
        if tx.savepoint == "set":
            await self._writer.execute("RELEASE SAVEPOINT verb", ())
        tx.expect_savepoint(is_due=False)

    def _release(self, jobs: list[_Job[Any]], group: _Group) -> None:
        for call in group.calls:
            try:
                call()
            except Exception:  # noqa: BLE001  # the change is durable already
                _log.exception("after-commit call failed")
        for job in jobs:
            if job.future.done():
                if job.error is not None:
                    _log.warning("a verb failed after its caller had left: %s", type(job.error).__name__)
            elif job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)

    def _refuse(self, jobs: list[_Job[Any]], error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, StorageUnavailable) and error.__cause__ else error
        self._failure = f"{type(cause).__name__}: {cause}"
        _log.error("commit failed: %s", self._failure)
        for job in jobs:
            if job.future.done():
                continue
            if isinstance(job.error, FailgateError):
                job.future.set_exception(job.error)
                continue
            refusal = StorageUnavailable(
                "The database did not take the change; nothing was kept.", hint=_mend_of(error)
            )
            refusal.__cause__ = error
            job.future.set_exception(refusal)


def _mend_of(error: Exception) -> str:
    return error.hint if isinstance(error, StorageUnavailable) and error.hint else "Ask again in a moment."


workspace_scope: ContextVar[str | None] = ContextVar("failgate_workspace_scope", default=None)
"""The workspace whose request is being answered: PostgreSQL shows its reads no private row of another one."""

current_transaction: ContextVar[Transaction | None] = ContextVar("failgate_transaction", default=None)
