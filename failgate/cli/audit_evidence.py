"""`failgate audit evidence`: an evidence pack, made beside the server or without one; that it was made is on record."""

import os
from pathlib import Path
from typing import Any

import click

from failgate import __version__
from failgate.audit.moments import moment_us
from failgate.base.errors import BadInput
from failgate.cli.audit_export import must_be_free, put_in_place
from failgate.cli.beside import core_database
from failgate.cli.server import config_option, data_option, read_config, run_loop

PACKS = ("approvals", "access", "privileged")


@click.command()
@click.option("--workspace", required=True, metavar="W", help="A workspace's slug.")
@click.option("--pack", required=True, type=click.Choice(PACKS), help="What it tells of.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file; its name ends with .tar.")
@click.option("--from", "begin", metavar="TIME", help="Records since then: 2026-10-01 or 2026-10-01T08:00:00Z.")
@click.option("--until", "end", metavar="TIME", help="Records before then.")
@data_option
@config_option
def evidence(
    workspace: str, pack: str, out: Path, begin: str | None, end: str | None, data: Path, config_path: Path | None
) -> None:
    """Write who did what in a period as CSV and as HTML that prints, each line with the record that proves it."""
    from_us = None if begin is None else moment_us(begin, "--from")
    to_us = None if end is None else moment_us(end, "--until")
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise BadInput("--from is not before --until.", hint="--from is included, --until is not any more.")
    must_be_free(out)
    asked = {"workspace": workspace, "pack": pack, "from_us": from_us, "to_us": to_us}
    run_loop(_evidence(asked, out, data, config_path))
    print(f"The pack {pack} of {workspace} in {out}; prove it with: failgate-verify evidence {out}")


async def _evidence(asked: dict[str, Any], out: Path, data: Path, config_path: Path | None) -> None:
    from failgate.audit.bundle import Head, Period
    from failgate.audit.checkpoint import read_unverified
    from failgate.audit.log import AuditLog
    from failgate.base.clock import SystemClock
    from failgate.cli.control import carry_out
    from failgate.evidence.packs import Making, Place, make, pack_of

    begun = await carry_out("audit.evidence", asked, data, config_path)
    heads = [
        Head(one["log"], read_unverified(one["checkpoint"]), one["checkpoint"], one["vkey"]) for one in begun["heads"]
    ]
    config, clock = read_config(config_path), SystemClock()
    async with core_database(config, data) as database:
        audit = AuditLog(database, clock, data, origin=config.audit.origin)
        making = Making(database, audit, out.absolute().parent, f"failgate {__version__}")
        period = Period(asked["from_us"], asked["to_us"])
        pack, place = pack_of(asked["pack"]), Place(begun["slug"], begun["name"])
        pieces = await make(making, pack, place, (heads[0], heads[1]), period, clock.now_us())
        with put_in_place(out) as fresh:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                async for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
