"""Large data folders, made once by the real services and kept beside the other scratch folders.

`python corpus.py FOLDER REPORTS RECORDS` fills FOLDER. A change of the schema or of the record's form makes a new one.
Every verb is the real one, and so is each audit record; only the syncs are left out until the end.
"""

import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import payload
from harness import run_script, scratch
from server import OWNER, PASSWORD, WORKSPACE, scratch_folder

from failgate.access.principal import Principal
from failgate.administration.administration import Administration
from failgate.assembly import open_services
from failgate.audit.record import Act, Actor, Event
from failgate.base.db import Transaction
from failgate.config.load import load_config
from failgate.roster import Services
from failgate.wire.reports import BeginReport, Consent

AT_ONCE = 64
GROUP = 500
OUTPUT_EVERY = 5  # each fifth report has an output of 1.5 KB with its text, the others a command alone
FULL = (100_000, 1_000_000)  # reports and records of the rows that ask for a large folder
TINY = (1_000, 20_000)
_ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent


def prepared(reports: int, records: int) -> Path:
    """Return a data folder with that many reports, and at least that many records in its workspace's log."""
    form = hashlib.sha256()
    for path in sorted(
        [
            *(_ROOT / "migrations").glob("*.sql"),
            *(_ROOT / "failgate/audit" / name for name in ("record.py", "tree.py")),
            *(_HERE / name for name in ("payload.py", "corpus.py")),
        ]
    ):
        form.update(path.read_bytes())
    place = Path(os.environ.get("FAILGATE_BENCH_CORPUS") or scratch())
    place.mkdir(parents=True, exist_ok=True)
    folder = place / f"corpus-{reports}-{records}-{form.hexdigest()[:12]}"
    if not (folder / "complete").exists():
        print(f"preparing {folder}: {reports:,} reports, {records:,} records …", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        run_script("corpus.py", "", str(folder), str(reports), str(records))
    return folder


@contextmanager
def copied(reports: int, records: int) -> Iterator[Path]:
    """Yield a copy of such a folder that may be changed; it is gone afterwards."""
    with scratch_folder("copy") as place:
        yield Path(shutil.copytree(prepared(reports, records), place / "data"))


async def fill(folder: Path, reports: int, records: int) -> None:
    """Make an owner, a workspace, an agent, the reports, and records until there are enough."""
    async with open_services(load_config(None, {}), folder, is_serving=False) as services:
        administration = Administration(services)
        await administration.run("bootstrap", {"email": OWNER, "password": PASSWORD, "workspace": WORKSPACE})
        minted = await administration.run("agent.create", {"workspace": WORKSPACE, "name": "agent-0"})
        workspace = await services.workspaces.by_slug(WORKSPACE)
        agent = await services.tokens.resolve(minted["token"])
        assert workspace is not None
        assert agent is not None
        await _send_reports(services, agent, workspace.id, reports)
        await add_records(services, agent, workspace.id, records - await services.audit.size(workspace.id))


async def _send_reports(services: Services, agent: Principal, workspace_id: str, number: int) -> None:
    identifiers = payload.identifiers(0)
    bodies: Iterator[tuple[dict, bytes | None]] = (
        payload.with_output(next(identifiers), place)
        if place % OUTPUT_EVERY == 0
        else (payload.report(next(identifiers), place), None)
        for place in range(number)
    )

    async def send() -> None:
        for body, content in bodies:
            begun = await services.reports.begin(
                agent, workspace_id, BeginReport(body["manifest"], Consent(**body["consent"]))
            )
            state = begun.state
            if content is not None:
                digest = hashlib.sha256(content).hexdigest()
                await services.reports.put_artifact(agent, workspace_id, begun.id, digest, _stream(content))
                state = (await services.reports.seal(agent, workspace_id, begun.id)).state
            assert state == "sealed", begun

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))


async def _stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


@contextmanager
def _unsynced() -> Iterator[None]:
    """Let the disk be waited for once, at the end: a folder that breaks while it is made is made again anyway."""
    honest = os.fsync
    os.fsync = lambda _descriptor: None
    try:
        yield
    finally:
        os.fsync = honest
        os.sync()


async def add_records(services: Services, agent: Principal, workspace_id: str, number: int) -> None:
    """Append `number` records of the kind that decisions leave."""
    actor = Actor.of(agent)
    identifiers = payload.identifiers(1)
    while number > 0:
        events = [decision(workspace_id, next(identifiers), actor) for _ in range(min(GROUP, number))]

        async def append(tx: Transaction, events: list[Event] = events) -> None:
            for event in events:
                await services.audit.append(tx, event)

        await services.db.write(append)
        number -= len(events)


def decision(workspace_id: str, identifier: str, actor: Actor) -> Event:
    """Return the event of a command that a rule allowed, as the gate records it."""
    digest = "qL8R4QIcQ_ZsRqOAbeRfcZhilN_MksRtDaErMA0YZXc"
    data = {"digest": digest, "policy": digest, "rule": identifier, "use_by_us": 1_760_000_000_000_000}
    return Event(Act.COMMAND_ALLOWED, workspace_id, "command", identifier, actor, data, req=identifier, ip="127.0.0.1")


def main() -> None:
    """Fill the folder of the command line."""
    folder, reports, records = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with _unsynced():
        asyncio.run(fill(folder, reports, records))
    (folder / "complete").write_text(json.dumps({"reports": reports, "records": records}))
    print("{}")


if __name__ == "__main__":
    main()
