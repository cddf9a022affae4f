"""The single writer: the only way to change the database, on SQLite and PostgreSQL alike.

A change is a *verb*: a coroutine function that takes the open `Transaction` and awaits nothing else. `Database.write`
queues it; the writer runs the verbs that wait, up to 64 together, each in a savepoint of one transaction, commits once
and only then releases every caller (group commit). A verb that fails takes back its own savepoint alone; a commit that
fails gives `StorageUnavailable` to the whole group, and nothing was kept, or nobody knows (`OutcomeUnknown`). The
savepoint begins with the verb's first statement: a verb that only puts statements off has none.

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
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

from failgate.base.canonical import JSON
from failgate.base.dialect import Dialect, Statement, compiled, compiled_rows
from failgate.base.engine import Newcomers, Readers, Recognise, WriterConnection
from failgate.base.errors import DiskFull, FailgateError, OutcomeUnknown, StorageUnavailable
from failgate.base.gathering import Gathering
from failgate.base.log import request_context
from failgate.base.reserve import Reserve, takes_reserve
from failgate.base.undo import UndoMapping

T = TypeVar("T")
Row = dict[str, Any]
Verb = Callable[["Transaction"], Awaitable[T]]

LONGEST_GATHERING_SECONDS = 0.002
GROUP_LIMIT = 64  # verbs in one commit; more would only lengthen the wait of the first
MOST_STEPS = 16  # of the reserve for one verb: a quota can refuse what the disk has room for
_log = logging.getLogger("failgate.database")
_encode = msgspec.json.Encoder().encode


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

    async def execute_many(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of `rows`, in their order; rows of an INSERT are few statements on SQLite."""
        if self.savepoint == "due":
            await self._set_savepoint()
        await self._connection.execute_many(*compiled_rows(query, rows, self.dialect))

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

    def put_off_all(self, statements: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
        """Put off statements with their values, as `put_off` does one."""
        self._group.later.extend(statements)

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


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    verb: Verb[T]
    future: "asyncio.Future[T]"
    request: Any
    takes_reserve: bool
    steps: int = 0  # of the reserve that were given for it
    result: T | None = None
    error: BaseException | None = None


class Database:
    """One database: reads by `fetch`, changes by `write`."""

    def __init__(
        self, dialect: Dialect, writer: WriterConnection, readers: Readers, newcomers: Newcomers | None = None
    ) -> None:
        self.dialect: Dialect = dialect
        self._writer = writer
        self._readers = readers
        self._newcomers = newcomers or Newcomers()
        self._state = UndoMapping()
        self._jobs: deque[_Job[Any]] = deque()
        self._wake = asyncio.Event()
        self._is_closing = False
        self._joined = 0
        self._last_group = 1
        self._gathering = Gathering(self._has_gathered)
        self._failure: str | None = None
        self._reserve: Reserve | None = None
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
        self._jobs.append(_Job(verb, future, request_context.get(), takes_reserve.get()))
        self._wake.set()
        self._gathering.note()
        return future

    def note_joined(self) -> None:
        """Count one more change that a verb will make that waits already: who gathers a group counts them too."""
        self._joined += 1
        self._gathering.note()

    def keep_reserve(self, reserve: Reserve) -> None:
        """Give from `reserve` to changes that may take it, once the disk is full."""
        self._reserve = reserve

    def recognise_by(self, recognise: Recognise) -> None:
        """Have `recognise` look at each new connection to a database server before it is used; a file needs none."""
        self._newcomers.recognise = recognise

    def is_healthy(self) -> bool:
        """Tell whether the last commit succeeded, and every change may be made."""
        return self.failure is None

    @property
    def failure(self) -> str | None:
        """Return why the last commit failed or others than denials are refused, or None."""
        return self._failure or ("the disk is full" if self._lives_on_reserve() else None)

    async def close(self) -> None:
        """Finish the verbs that wait, then release every connection."""
        self._is_closing = True
        self._wake.set()
        self._gathering.note()
        await self._task
        await self._readers.close()
        await self._writer.close()
        if self._reserve is not None:
            self._reserve.close()

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
            jobs = self._admitted(jobs)
            if not jobs:
                continue
            group = _Group(self._state)
            try:
                await self._commit_group(jobs, group)
            except Exception as error:  # noqa: BLE001  # every waiter gets the answer
                self._refuse(self._without_hope(jobs, error), error)
                continue
            self._failure = None
            self._release(jobs, group)
            await self._writer.between()

    def _lives_on_reserve(self) -> bool:
        """Tell whether some of the reserve is gone, and the disk has no room to take it back."""
        return self._reserve is not None and self._reserve.is_given and not self._reserve.take_back()

    def _admitted(self, jobs: list[_Job[Any]]) -> list[_Job[Any]]:
        """Return those that may be tried; the others are answered."""
        if self._reserve is None or not self._lives_on_reserve():
            return jobs
        self._answer([job for job in jobs if not job.takes_reserve], DiskFull(self._reserve.wanted_bytes))
        return [job for job in jobs if job.takes_reserve]

    def _without_hope(self, jobs: list[_Job[Any]], error: Exception) -> list[_Job[Any]]:
        """Return those for which there is no hope; what may take from the reserve gets a step of it and waits again."""
        hopeful = [job for job in jobs if job.takes_reserve and job.steps < MOST_STEPS]
        if not (hopeful and isinstance(error, DiskFull) and self._reserve is not None and self._reserve.give()):
            return jobs
        self._jobs.extendleft(replace(job, error=None, steps=job.steps + 1) for job in reversed(hopeful))
        return [job for job in jobs if job not in hopeful]

    async def _let_gather(self) -> None:
        """Wait for those who were in the last group and may be about to ask again, no longer than a commit takes."""
        if self._last_group > 1:
            seconds = min(LONGEST_GATHERING_SECONDS, self._writer.commit_seconds)
            await self._gathering.wait(min(self._last_group, GROUP_LIMIT), seconds)

    def _has_gathered(self, wanted: int) -> bool:
        return len(self._jobs) + self._joined >= wanted or self._is_closing

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
        self._answer(jobs, error)

    def _answer(self, jobs: list[_Job[Any]], error: Exception) -> None:
        """Tell all of `jobs` that nothing was kept; who has a reason of its own is told that."""
        for job in jobs:
            if job.future.done():
                continue
            if isinstance(job.error, FailgateError):
                job.future.set_exception(job.error)
                continue
            refusal = StorageUnavailable(
                "The database did not take the change; nothing was kept.", hint=_mend_of(error)
            )
            if isinstance(error, OutcomeUnknown):
                refusal = OutcomeUnknown()
            refusal.__cause__ = error
            job.future.set_exception(refusal)


def _mend_of(error: Exception) -> str:
    return error.hint if isinstance(error, StorageUnavailable) and error.hint else "Ask again in a moment."


workspace_scope: ContextVar[str | None] = ContextVar("failgate_workspace_scope", default=None)
"""The workspace whose request is being answered: PostgreSQL shows its reads no private row of another one."""

current_transaction: ContextVar[Transaction | None] = ContextVar("failgate_transaction", default=None)
