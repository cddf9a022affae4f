"""Large data folders, made once by the real services and kept beside the other scratch folders.

`python corpus.py FOLDER REPORTS RECORDS` fills FOLDER. A change of the schema or of the record's form makes a new one.
"""

import asyncio
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import payload
from harness import run_script, scratch
from server import OWNER, PASSWORD, WORKSPACE

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
_ROOT = Path(__file__).resolve().parents[2]


def prepared(reports: int, records: int) -> Path:
    """Return a data folder with that many reports, and at least that many records in its workspace's log."""
    form = hashlib.sha256()
    for path in sorted(
        [*(_ROOT / "migrations").glob("*.sql"), _ROOT / "failgate/audit/record.py", _ROOT / "failgate/audit/tree.py"]
    ):
        form.update(path.read_bytes())
    folder = scratch() / f"corpus-{reports}-{records}-{form.hexdigest()[:12]}"
    if not (folder / "complete").exists():
        print(f"preparing {folder}: {reports:,} reports, {records:,} records …", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        run_script("corpus.py", "", str(folder), str(reports), str(records))
    return folder


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
    bodies: Iterator[dict] = (payload.report(next(identifiers), place) for place in range(number))

    async def send() -> None:
        for body in bodies:
            begun = await services.reports.begin(
                agent, workspace_id, BeginReport(body["manifest"], Consent(**body["consent"]))
            )
            assert begun.state == "sealed", begun

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))


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
    asyncio.run(fill(folder, reports, records))
    (folder / "complete").write_text(json.dumps({"reports": reports, "records": records}))
    print("{}")


if __name__ == "__main__":
    main()
