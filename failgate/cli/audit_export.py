"""`failgate audit export` and `failgate audit proof`: what an auditor takes along, and verifies without the server."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from failgate import __version__
from failgate.audit.moments import moment_us
from failgate.audit.packing import TAR_END, tar_header, tar_padding
from failgate.base.errors import BadInput, StorageUnavailable
from failgate.cli.beside import core_database
from failgate.cli.server import config_option, data_option, read_config, run_loop

if TYPE_CHECKING:
    from failgate.audit.bundle import Head, Period

workspace_option = click.option(
    "--workspace", required=True, metavar="W", help="A workspace's slug, the id of a deleted one, or `system`."
)


@click.command()
@workspace_option
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="A folder, or a file whose name ends with .tar."
)
@click.option("--from", "begin", metavar="TIME", help="Records since then: 2026-11-01 or 2026-11-01T08:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Records before then.")
@click.option(
    "--bodies", "with_bodies", is_flag=True, help="Take the addresses of records along; nobody erases them there."
)
@data_option
@config_option
def export(
    workspace: str,
    output: Path,
    begin: str | None,
    end: str | None,
    data: Path,
    config_path: Path | None,
    *,
    with_bodies: bool,
) -> None:
    """Write a log, or a period of it, as a bundle that `failgate-verify full` proves."""
    from failgate.audit.bundle import Period

    period = Period(_moment(begin, "--from"), _moment(end, "--to"))
    if period.from_us is not None and period.to_us is not None and period.from_us >= period.to_us:
        raise BadInput("--from is not before --to.", hint="--from is included, --to is not any more.")
    must_be_free(output)
    records = run_loop(_export(workspace, output, period, data, config_path, with_bodies=with_bodies))
    print(f"{records} records of {workspace} in {output}; prove them with: failgate-verify full {output}")


@click.command()
@workspace_option
@click.option("--seq", required=True, type=click.IntRange(0, 2**40 - 1), help="The number of the record.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="A file; its name may end as you like.")
@data_option
@config_option
def proof(workspace: str, seq: int, output: Path, data: Path, config_path: Path | None) -> None:
    """Write a record with the proof that it is in the log, as c2sp.org/tlog-proof@v1 (the record stands in `extra`)."""
    must_be_free(output)
    text = run_loop(_proof(workspace, seq, data, config_path))
    with put_in_place(output) as fresh:
        write_new(fresh, text.encode())
    print(f"Record {seq} of {workspace} in {output}; prove it with: failgate-verify inclusion {output}")


async def _export(
    workspace: str, output: Path, period: "Period", data: Path, config_path: Path | None, *, with_bodies: bool
) -> int:
    from failgate.audit.bundle import BODIES, CHECKPOINT, files_of, lines_of_bodies, span_of
    from failgate.base.clock import SystemClock

    async with opened(workspace, data, config_path) as (database, audit, head):
        span = await span_of(audit, head, period)
        made_us = SystemClock().now_us()
        with (
            put_in_place(output) as fresh,
            writing(fresh, made_us // 1_000_000, is_tar=output.suffix == ".tar") as bundle,
        ):
            async for name, content in files_of(audit, head, period, tool=f"failgate {__version__}", made_us=made_us):
                await bundle.put(name, one_piece(content))
                if with_bodies and name == CHECKPOINT:  # before the records: a file that is cut off says so
                    await bundle.put(BODIES, lines_of_bodies(database, audit, head, period))
        return span.last - span.first + 1


async def _proof(workspace: str, seq: int, data: Path, config_path: Path | None) -> str:
    from failgate.audit.bundle import proof_of

    async with opened(workspace, data, config_path) as (database, audit, head):
        return await proof_of(database, audit, head, seq)


@contextlib.asynccontextmanager
async def opened(workspace: str, data: Path, config_path: Path | None) -> "AsyncIterator[tuple[Any, Any, Head]]":
    """Sign the head of the log, through the running server or without one; give database, log and head.

    Raises: StartRefused, NotFound (no such workspace).
    """
    from failgate.audit.bundle import Head
    from failgate.audit.checkpoint import read_unverified
    from failgate.audit.log import AuditLog
    from failgate.base.clock import SystemClock
    from failgate.cli.control import carry_out

    signed = await carry_out("audit.checkpoint", {"log": workspace}, data, config_path)
    head = Head(signed["log"], read_unverified(signed["checkpoint"]), signed["checkpoint"], signed["vkey"])
    config = read_config(config_path)
    async with core_database(config, data) as database:
        yield database, AuditLog(database, SystemClock(), data, origin=config.audit.origin), head


def _moment(text: str | None, option: str) -> int | None:
    return None if text is None else moment_us(text, option)


def must_be_free(output: Path) -> None:
    """Return when nothing is at `output` and its folder is there. Raises: BadInput."""
    if output.exists() or output.is_symlink():
        raise BadInput(f"{output} is there already.", hint="Name another path, or move it away first.")
    if not output.absolute().parent.is_dir():
        raise BadInput(f"There is no folder {output.absolute().parent}.", hint="Make it first.")


@contextlib.contextmanager
def put_in_place(output: Path) -> Iterator[Path]:
    """Give a path beside `output` to write to, and rename what is there when it is whole; else nothing is left.

    Raises: BadInput (something is there by now), StorageUnavailable (it cannot be written).
    """
    fresh = output.absolute().with_name(f".{output.name}.{os.getpid()}.part")
    try:
        yield fresh
        must_be_free(output)
        fresh.rename(output)
    except OSError as error:
        raise StorageUnavailable(
            f"{output} cannot be written: {error.strerror}.", hint="Check the space and the rights there."
        ) from error
    finally:
        if fresh.is_dir():
            shutil.rmtree(fresh, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)


class Bundle(Protocol):
    """Where a bundle is written."""

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Write one file of it, a piece at a time. Raises: OSError."""
        ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        path = self._path / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _created(path) as file:
            async for piece in pieces:
                file.write(piece)


class _Archive:
    def __init__(self, file: IO[bytes], made_at: int) -> None:
        self._file = file
        self._made_at = made_at

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        file = self._file
        begin = file.tell()
        file.write(tar_header(name, 0, self._made_at))
        size = 0
        async for piece in pieces:
            size += len(piece)
            file.write(piece)
        file.write(tar_padding(size))
        end = file.tell()
        file.seek(begin)
        file.write(tar_header(name, size, self._made_at))  # how much it is, is known only now
        file.seek(end)


async def one_piece(content: bytes) -> AsyncIterator[bytes]:
    """Yield `content` at once."""
    yield content


@contextlib.contextmanager
def writing(fresh: Path, made_at: int, *, is_tar: bool) -> Iterator[Bundle]:
    """Give what writes the files of a bundle, into a folder or a tar archive; all of it is durable at the end."""
    if not is_tar:
        fresh.mkdir(mode=0o700)
        yield _Folder(fresh)
        return
    with _created(fresh) as file:
        yield _Archive(file, made_at)
        file.write(TAR_END)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that was not there, and the folders above it, for its owner alone. Raises: OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _created(path) as file:
        file.write(content)


@contextlib.contextmanager
def _created(path: Path) -> Iterator[Any]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
