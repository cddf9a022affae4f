"""Work on a real database and a real store, each acknowledgement a line on standard output: what tracers look at.

`worker.py power DATA COUNT [FAULT]` does it once. `worker.py points DATA COUNT CALL:HIT:POINT…` forks a child for each
point, in a copy of DATA of its own; see `c02_points.py`. Everything happens on one thread, in one order.
"""

import asyncio
import hashlib
import os
import random
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any


def on_one_thread() -> None:
    """Let executors do at once what they are given: tracers then see one process with one order of calls."""

    genuine = ThreadPoolExecutor.submit

    def submit(self: Any, call: Callable[..., Any], /, *args: Any, **options: Any) -> "Future[Any]":
        if not self._thread_name_prefix.startswith(("sqlite", "asyncio")):
            return genuine(self, call, *args, **options)
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **options))
        except BaseException as error:
            future.set_exception(error)
        return future

    ThreadPoolExecutor.submit = submit


def acknowledge(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def work(data: Path, count: int, chance: random.Random, fault: str = "") -> None:
    """Append records, keep objects, sign heads; each is acknowledged when it is promised to stay."""
    from failgate_filesystem import FolderStore

    from failgate.audit.log import AuditLog
    from failgate.audit.record import SERVER, Act, Event
    from failgate.base.clock import SystemClock
    from failgate.base.errors import FailgateError
    from failgate.base.ids import new_id
    from failgate.base.open_database import open_database

    database = await open_database(f"sqlite://{data / 'failgate.sqlite'}")
    if fault:
        database._writer._connection.execute(f"PRAGMA synchronous={fault}")  # noqa: SLF001  # no door changes how it syncs
    audit = AuditLog(database, SystemClock(), data, sign_every_seconds=3600)
    await audit.open()
    store = await FolderStore.opened(data / "objects")
    planted, expected = os.environ.get("CAMPAIGN_FAULT"), 3  # `prepare` made three
    for number in range(count):
        try:
            if number % 4 == 3:
                key, content = new_id(), chance.randbytes(chance.randint(1, 3000))
                async with store.put(key) as incoming:
                    await incoming.write(content)
                    await incoming.commit()
                acknowledge(f"OBJECT {key} {hashlib.sha256(content).hexdigest()}")
            elif number % 10 == 5:
                await audit.checkpoint("system")
                acknowledge("SIGNED")
            else:
                if planted == "early":
                    acknowledge(f"RECORD {expected}")
                event = Event(Act.SERVER_STARTED, "system", "server", f"n{number}", SERVER, {"version": "x" * 100})
                appended = await audit.record(event)
                acknowledge(f"RECORD {appended.seq}")
                expected = appended.seq + 1
            if number % 16 == 15:
                database._writer._checkpoint()  # noqa: SLF001  # one comes by itself after a thousand pages only
        except FailgateError as error:
            acknowledge(f"RECORD {expected}" if planted == "deaf" else f"REFUSED {error.slug}")
    await audit.close()
    await database.close()
    acknowledge("END")


def prepare(data: Path) -> None:
    """Make an empty database that has the tables of the audit log, and one record: what was there before the fall."""
    from failgate.base.migrate import core_migrations, migrate
    from failgate.base.open_database import open_database

    data.mkdir(parents=True)
    (data / "migrations").mkdir()
    for source in core_migrations().iterdir():
        if source.name.startswith("0001_"):
            (data / "migrations" / source.name).write_text(source.read_text())

    async def migrated() -> None:
        database = await open_database(f"sqlite://{data / 'failgate.sqlite'}")
        await migrate(database, data / "migrations")
        await database.close()

    asyncio.run(migrated())
    asyncio.run(work(data, 3, random.Random(0)))


def at_point(data: Path, call: str, hit: int, point: int, count: int, number: int) -> None:
    """Be the child of one point: its own output; its `point`th call is the one that the tracer hits as the `hit`th."""
    place = data.with_name(f"point-{number}")
    shutil.copytree(data, place)
    out = os.open(place / "told", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    void = os.open("/dev/null", os.O_RDWR)
    scratch = place / "scratch"
    scratch.touch()
    before: dict[str, Callable[[], object]] = {
        "pwrite64": lambda: os.pwrite(void, b"x", 0),
        "write": lambda: os.write(void, b"x"),
        "fsync": lambda: _quietly(os.fsync, void),
        "fdatasync": lambda: _quietly(os.fdatasync, void),
        "rename": lambda: _quietly(os.rename, place / "none", place / "nowhere"),
        "ftruncate": lambda: _quietly(os.ftruncate, void, 0),
        "unlink": lambda: _quietly(os.unlink, place / "none"),
    }
    for _ in range(hit - point):
        before[call]()
    asyncio.run(work(place, count, random.Random(number)))


def _quietly(call: Callable[..., object], *args: object) -> None:
    try:
        call(*args)
    except OSError:
        return


if __name__ == "__main__":
    mode, folder = sys.argv[1], Path(sys.argv[2])
    on_one_thread()
    if mode == "prepare":
        prepare(folder)
    elif mode == "again":
        for name in sys.argv[3:]:
            try:
                asyncio.run(work(folder / name, 4, random.Random(2)))
            except Exception as failed:
                acknowledge(f"FAILED {name} {type(failed).__name__}: {failed}")
    elif mode == "power":
        asyncio.run(work(folder, int(sys.argv[3]), random.Random(1), *sys.argv[4:]))
    else:
        for name in ("failgate_filesystem", "failgate.audit.log", "failgate.base.sqlite"):
            import_module(name)  # once, before the children

        for order, word in enumerate(sys.argv[4:]):
            call, hit, point = word.split(":")
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    at_point(folder, call, int(hit), int(point), int(sys.argv[3]), order)
                    code = 0
                finally:
                    os._exit(code)
            os.waitpid(child, 0)
