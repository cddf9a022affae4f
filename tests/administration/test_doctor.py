"""The doctor's comparison while artifacts go: what is on its way out is not told as lost, on both databases. F3 F14."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failgate.administration.doctor import CHECKS, Examination, Finding
from failgate.artifacts.comparison import Comparison
from failgate.audit.erasure_list import LIST_FILE
from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.errors import NotFound
from tests.workspaces.closing import House, furnished, opened


@pytest.fixture
async def house(database_url: str, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[House]:
    async with opened(tmp_path, database_url, clock) as services:
        yield await furnished(services, clock)


async def examined(house: House) -> list[Finding]:
    return [one for check in CHECKS for one in await check(house.services, Examination(deep=True))]


async def test_objects_of_a_workspace_that_is_being_emptied_are_not_lost_and_those_of_others_are(house: House) -> None:
    eve = (await house.services.workspaces.members(house.other))[0].account_id
    for number in range(3):
        await house.report(house.acme, house.ann, f"output {number}\n".encode())
    theirs = await house.report(house.other, type(house.ann)(kind="user", account_id=eve), b"theirs\n")
    await house.confirmed()
    await house.services.artifacts.remove_objects(house.acme, 2)  # killed here: two objects are gone, no row is
    found = [one for one in await examined(house) if one.name == "artifacts"]
    assert {one.verdict for one in found} == {"ok"}
    assert "2 artifacts of deleted workspaces" in found[-1].sentence
    for file in house.objects():
        file.unlink()
    [lost] = [one for one in await examined(house) if one.verdict == "fail"]
    assert lost.sentence == f"1 artifacts have no object in the store; reports: other/{theirs}."
    assert await house.services.emptying.run_once() == 1
    assert not [one for one in await examined(house) if "deleted workspaces" in one.sentence]


async def test_an_artifact_deleted_while_it_is_compared_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = house.services
    await house.report(house.acme, house.ann, b"output\n")
    store = services.plugins.artifact_store

    async def size(key: str) -> int:
        await services.db.write(lambda tx: tx.execute("DELETE FROM report_artifact"))
        await services.db.write(lambda tx: tx.execute("DELETE FROM artifact WHERE id = $1", key))
        raise NotFound("The store has no such object.")

    monkeypatch.setattr(store, "size", size)
    comparison = Comparison(services.db, store, services.artifacts, services.artifact_keys)
    compared = await comparison.run(is_deep=False)
    assert (compared.rows, compared.lost_count) == (1, 0)


async def test_a_damaged_or_lagging_list_of_erasures_is_told(house: House, tmp_path: Path) -> None:
    """P1: what was asked to be erased outlives a restore only while both places list it."""

    async def told() -> Finding:
        [found] = [one for one in await examined(house) if one.name == "audit erasures"]
        return found

    erasing, eve = house.services.evidence.erasing, str(house.ann.account_id)
    assert (await told()).verdict == "ok"
    await erasing.erase_account(eve, Actor("user", eve))
    assert (await told()).verdict == "ok"
    [file] = tmp_path.rglob(LIST_FILE)
    whole = file.read_text()
    file.unlink()
    assert ((await told()).verdict, "1 are missing in audit.erasures.json" in (await told()).sentence) == ("warn", True)
    file.write_text(whole)
    await house.services.db.write(lambda tx: tx.execute("DELETE FROM audit_erasure"))
    assert ((await told()).verdict, "1 in the database" in (await told()).sentence) == ("warn", True)
    file.write_text(whole[:-3])
    assert (await told()).verdict == "fail"
    assert "is no list of erasures" in (await told()).sentence
    assert "Put back a copy of it" in (await told()).mend
    file.write_text(whole)
    await erasing.catch_up()
    assert (await told()).verdict == "ok"
