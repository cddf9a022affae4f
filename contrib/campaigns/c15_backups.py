"""C15: an older backup never comes back in silence; one of an older schema is taken in; what is restored is whole."""

import asyncio
import random
import shutil
from pathlib import Path
from typing import Any

from campaign import Campaign, Seen
from ground import opened, records, verification


async def install(folder: Path, chance: random.Random) -> tuple[Any, str]:
    """Make an installation with an older backup of it; return its config and a checkpoint of after the backup."""
    from failgate.assembly import open_services
    from failgate.audit.record import Actor
    from failgate.backup.making import Wishes, make_backup
    from failgate.base.clock import SystemClock
    from failgate.config.load import parse_config

    config, operator = parse_config(""), Actor("operator", "host")
    async with open_services(config, folder / "data", is_serving=False) as services:
        owner = await services.db.write(
            lambda tx: services.accounts.create_within(tx, "o@acme.example", "none", operator)
        )
        await services.workspaces.create("acme", "Acme", owner.id, operator)
        await services.audit.checkpoint("system")
        is_older = bool(chance.getrandbits(1))
        if is_older:
            await services.db.write(lambda tx: tx.execute("DROP TABLE backup_made"))
            await services.db.write(lambda tx: tx.execute("DELETE FROM schema_migration WHERE name = '0051_backups'"))
        await make_backup(
            config, folder / "data", folder / "b", Wishes(),
            store=services.plugins.artifact_store, clock=SystemClock(), tell=lambda _: None,
        )  # fmt: skip
        for number in range(chance.randint(1, 5)):
            await services.workspaces.create(f"w{number}", "W", owner.id, operator)
            await services.db.write(
                lambda tx, number=number: services.accounts.create_within(tx, f"{number}@x.example", "none", operator)
            )
        return config, await services.audit.checkpoint("system")


async def one(folder: Path, chance: random.Random, seen: Seen, where: str) -> None:
    from failgate.backup.proof import RollbackRefused
    from failgate.backup.restoring import Terms, restore_backup
    from failgate.base.clock import SystemClock

    config, note = await install(folder, chance)

    async def restored(data: Path, **terms: Any) -> bool:
        try:
            await restore_backup(config, data, folder / "b", Terms(**terms), clock=SystemClock(), tell=lambda _: None)
        except RollbackRefused:
            return False
        return True

    keys = folder / "keys"
    keys.mkdir()
    for name in ("audit.key", "secrets.key"):
        shutil.copy2(folder / "data" / name, keys / name)
    kept = [("kept", note)]
    seen.expect(not await restored(folder / "data"), f"{where}: the folder went back in silence")
    seen.expect(not await restored(folder / "new", against=kept), f"{where}: a newer checkpoint did not stop it")
    seen.expect(
        await restored(folder / "new", against=kept, accept_rollback=True, keys=keys), f"{where}: it did not go back"
    )
    with opened(folder / "new" / "failgate.sqlite") as connection:
        told = [record["act"] for record in records(connection)]
        is_migrated = connection.execute(
            "SELECT count(*) FROM schema_migration WHERE name = '0051_backups'"
        ).fetchone()[0]
    seen.expect("rollback.accepted" in told, f"{where}: nothing tells that it went back")
    seen.expect("backup.restored" in told, f"{where}: nothing tells that it was restored")
    seen.expect(is_migrated == 1, f"{where}: the older schema was not brought up")
    seen.expect(await restored(folder / "third", keys=keys), f"{where}: an empty folder was refused")
    seen.count += 1


def run(folder: Path, count: int, chance: random.Random) -> Seen:
    seen = Seen()
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        asyncio.run(one(place, chance, seen, f"round {number}"))
        state, why = verification(place / "new" / "failgate.sqlite", place / "new")
        seen.expect(state == "intact", f"round {number}: what was restored is {state}: {why}")
        shutil.rmtree(place)
    return seen


def control(folder: Path, chance: random.Random) -> Seen:
    """A restore that does not compare with what is known since."""
    from failgate.backup.proof import Proof

    genuine = Proof.meet_present, Proof.meet_kept
    Proof.meet_present = Proof.meet_kept = lambda *_: None
    seen = Seen()
    try:
        asyncio.run(one(folder, chance, seen, "control"))
    except Exception as error:  # what follows a rollback that was taken for none may be anything
        seen.broken.append(f"{type(error).__name__}")
    finally:
        Proof.meet_present, Proof.meet_kept = genuine
    return Seen(1, [one for one in seen.broken if "silence" in one or "did not stop" in one])


CAMPAIGN = Campaign(
    "C15", "an older backup does not come back in silence, and one of an older schema is taken in", "restores",
    "a restore that compares with nothing", {"ci": 3, "nightly": 10, "release": 50}, run, control,
)  # fmt: skip
