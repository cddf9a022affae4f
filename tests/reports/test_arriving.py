"""Reports that arrive at once are kept as if each had come by itself. E4"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from failgate.access.principal import Principal
from failgate.audit.beside import bodies_of
from failgate.base.clock import FrozenClock
from failgate.base.db import Transaction
from failgate.base.errors import (
    Conflict,
    FailgateError,
    NotFound,
    StorageUnavailable,
    TooManyRequests,
    Unprocessable,
)
from failgate.base.idempotency import RequestKey
from failgate.base.ids import new_id
from failgate.base.log import RequestContext, request_context
from failgate.reports.arriving import _Arrival
from failgate.reports.beginning import Beginning
from failgate.wire.reports import BeginReport, BegunReport

from .conftest import SECRET, Room, agent, consented, entry, manifest, user

KNOWN = entry(b"an output that nobody sent", "output.txt")


class Sent(NamedTuple):
    """One request: who sends which manifest, under which key; `name` tells it from the others."""

    name: str
    principal: Principal
    request: BeginReport
    key: RequestKey | None = None


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many reports were made by each verb that made more than one."""
    sizes: list[int] = []
    begin_all = Beginning.begin_all

    async def counted(self: Beginning, tx: Transaction, workspace_id: str, uploads: Sequence[Any]) -> Any:
        begun = await begin_all(self, tx, workspace_id, uploads)
        sizes.append(sum(one is not None for one in begun))
        return begun

    monkeypatch.setattr(Beginning, "begin_all", counted)
    return sizes


async def send(room: Room, workspace_id: str, sent: Sent) -> BegunReport | FailgateError:
    token = request_context.set(RequestContext(sent.name, "192.0.2.1"))
    try:
        return await room.reports.begin(sent.principal, workspace_id, sent.request, sent.key)
    except FailgateError as error:
        return error
    finally:
        request_context.reset(token)


def mix(seed: int, people: Sequence[Principal], workspace_id: str) -> list[Sent]:
    """Return requests some of which repeat others, contradict them, need bytes, hold a secret or join one group."""
    chance = random.Random(seed)
    ids = [f"01890000-0000-7000-8000-{number:012x}" for number in range(24)]
    sent: list[Sent] = []
    for number in range(60):
        members: dict[str, Any] = {"id": chance.choice(ids), "argv": ["pytest", f"case-{chance.randrange(6)}"]}
        members |= {"project": chance.choice(["web", "db"]), "version": f"1.{chance.randrange(4)}"}
        kind = chance.randrange(12)
        artifacts = [KNOWN] if kind == 0 else []
        if kind == 1:
            members["host"] = f"token={SECRET}"
        request = consented(manifest(*artifacts, **members))
        principal = chance.choice(people)
        key = None
        if chance.random() < 0.4:  # a key is used for one request alone; the request may come without it, too
            content = f"{principal.id} {request.consent}"
            key = RequestKey(f"{workspace_id} {content} {chance.randrange(2)}", content)
        sent.append(Sent(f"request-{number}", principal, request, key))
    return sent


async def kept(room: Room, workspace_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return everything that is kept of a workspace's reports, without what is another each time."""
    tables = {
        "report": "manifest_id",
        "report_group": "project, fingerprint",
        "report_group_day": "count",
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for table, order in tables.items():
        found[table] = await room.database.fetch(
            f"SELECT * FROM {table} WHERE workspace_id = $1 ORDER BY {order}", workspace_id
        )
    names = {row["id"]: f"report {row['uploader_id']} {row['manifest_id']}" for row in found["report"]}
    names |= {row["id"]: f"group {row['project']} {row['fingerprint']}" for row in found["report_group"]}
    names[workspace_id] = "here"
    days = sorted((names[row["group_id"]], row["day"], row["count"]) for row in found.pop("report_group_day"))
    rows = {
        table: sorted(({column: names.get(value, value) for column, value in row.items()} for row in rows), key=repr)
        for table, rows in found.items()
    }
    text = "words" if room.database.dialect == "sqlite" else "array_to_string(tsvector_to_array(words), ' ') AS words"
    words = await room.database.fetch(
        f"SELECT report_id, {text} FROM report_text WHERE workspace_id = $1", workspace_id
    )
    ids = {identifier.replace("-", ""): name for identifier, name in names.items()}
    indexed = {
        names[row["report_id"]]: sorted(
            word[:2] + ids.get(word[2:], word[2:]) if word[1:2] == "_" else word for word in row["words"].split()
        )
        for row in words
    }
    claims = await room.database.fetch("SELECT id, request_digest, created_us FROM idempotency ORDER BY id")
    mine = [row | {"id": row["id"][36:]} for row in claims if row["id"].startswith(workspace_id)]
    return rows | {"days": [{"days": days}], "words": [indexed], "keys": mine}


async def acts(room: Room, workspace_id: str) -> list[tuple[str, str, str, Any]]:
    records = [stored.record for stored in await room.audit.records(workspace_id, limit=1000)]
    bodies = await bodies_of(room.database, workspace_id, [one["seq"] for one in records])
    places = {seq: body.body for seq, body in bodies.items()}
    return [(one["act"], one["req"], places.get(one["seq"]), one["data"] | {"report": None}) for one in records]


def told(answer: BegunReport | FailgateError, names: dict[str, str]) -> object:
    if isinstance(answer, FailgateError):
        return type(answer), answer.sentence
    return names[answer.id], answer.state, answer.missing


@pytest.mark.parametrize("seed", range(6))
async def test_any_mix_that_is_kept_together_is_kept_as_one_after_the_other(
    room: Room, clock: FrozenClock, together: list[int], seed: int
) -> None:
    people = [user(), agent()]
    spaces = [new_id(), new_id()]
    for here in spaces:  # two groups that were resolved before, one of them in a version that some are older than
        for number, version in enumerate(("1.2", "")):
            members = {"id": f"01890000-0000-7000-8000-f{number:011x}", "argv": ["pytest", f"case-{number}"]}
            await room.reports.begin(people[0], here, consented(manifest(**members, project="web", version="0.1")))
            resolve = "UPDATE report_group SET state = 'resolved', resolved_in_version = $1 WHERE command = $2"
            args = version, f"pytest case-{number}"
            await room.database.write(lambda tx, query=resolve, args=args: tx.execute(query, *args))
    at_once = mix(seed, people, spaces[0])
    answers = await asyncio.gather(*(send(room, spaces[0], one) for one in at_once))
    assert together, "nothing was kept together"

    # One after the other, in the order in which they were kept; what made no report comes last.
    order = [request for _, request, _, _ in await acts(room, spaces[0])]
    place = {name: number for number, name in reversed(list(enumerate(order)))}
    one_by_one = sorted(mix(seed, people, spaces[1]), key=lambda one: place.get(one.name, len(order)))
    others = {one.name: await send(room, spaces[1], one) for one in one_by_one}

    assert await kept(room, spaces[0]) == await kept(room, spaces[1])
    names: list[dict[str, str]] = []
    for here in spaces:
        rows = await room.database.fetch(
            "SELECT id, uploader_id, manifest_id FROM report WHERE workspace_id = $1", here
        )
        names.append({row["id"]: f"{row['uploader_id']} {row['manifest_id']}" for row in rows})
    for one, answer in zip(at_once, answers, strict=True):
        assert told(answer, names[0]) == told(others[one.name], names[1]), one
    assert await acts(room, spaces[0]) == await acts(room, spaces[1])


async def test_those_that_wait_are_one_verb_and_each_record_names_its_own_request(
    room: Room, together: list[int]
) -> None:
    sender, here = agent(), room.workspace_id
    sent = [Sent(f"request-{n}", sender, consented(manifest(argv=["make", f"part-{n}"]))) for n in range(20)]
    begun = await asyncio.gather(*(send(room, here, one) for one in sent))
    assert together == [20]
    records = {stored.record["obj"]["id"]: stored.record for stored in await room.audit.records(here)}
    assert [records[one.id]["req"] for one in begun] == [one.name for one in sent]
    rows = await room.database.fetch("SELECT id, manifest_id FROM report WHERE workspace_id = $1", here)
    named = {row["id"]: row["manifest_id"] for row in rows}
    assert [named[one.id] for one in begun] == [one.request.manifest["id"] for one in sent]


async def test_reports_of_two_workspaces_are_not_kept_together(room: Room, together: list[int]) -> None:
    sent = [Sent(f"request-{n}", user(), consented(manifest())) for n in range(10)]
    spaces = [new_id(), new_id()]
    await asyncio.gather(*(send(room, spaces[n % 2], one) for n, one in enumerate(sent)))
    assert together == [5, 5]


async def test_a_key_that_was_used_for_another_request_refuses_its_own_alone(room: Room, together: list[int]) -> None:
    sender, here = user(), room.workspace_id
    await send(room, here, Sent("before", sender, consented(manifest()), RequestKey("used", "another body")))
    keys = [None, RequestKey("used", "body"), RequestKey("new", "body"), RequestKey("new", "a different body"), None]
    sent = [Sent(f"request-{n}", sender, consented(manifest()), key) for n, key in enumerate(keys)]
    answers = await asyncio.gather(*(send(room, here, one) for one in sent))
    refused = [isinstance(answer, Unprocessable) for answer in answers]
    assert refused[:2] + refused[4:] == [False, True, False]
    assert sorted(refused[2:4]) == [False, True]  # one of the two was the first
    assert await room.acts() == ["report.sealed"] * 4


async def test_a_key_or_a_manifest_that_stands_twice_is_left_for_a_verb_of_its_own(room: Room) -> None:
    sender, document = user(), manifest()
    key = RequestKey("k", "body")
    sent = [(manifest(), key), (manifest(), key), (document, None), (document, None), (manifest(), None)]
    arrivals = [
        _Arrival(await room.reports._beginning.checked(sender, room.workspace_id, consented(one)), its_key, None)
        for one, its_key in sent
    ]
    await room.database.write(lambda tx: room.reports._arriving._keep_all(tx, room.workspace_id, arrivals))
    assert [one.begun is not None for one in arrivals] == [True, False, True, False, True]
    assert await room.acts() == ["report.sealed"] * 3


async def test_the_key_of_a_refused_report_may_be_used_again(room: Room) -> None:
    sender, here = user(), room.workspace_id
    document = manifest()
    first = await send(room, here, Sent("first", sender, consented(document)))
    other = document | {"argv": ["something", "else"]}
    sent = [Sent("refused", sender, consented(other), RequestKey("k", "body"))]
    sent += [Sent(f"request-{n}", sender, consented(manifest())) for n in range(3)]
    answers = await asyncio.gather(*(send(room, here, one) for one in sent))
    assert isinstance(answers[0], Conflict)
    assert not any(isinstance(answer, FailgateError) for answer in answers[1:])
    again = await send(room, here, Sent("again", sender, consented(document), RequestKey("k", "body")))
    assert again == first


@pytest.mark.parametrize("left", [0, 3, 5])
async def test_what_a_quota_refuses_takes_no_other_with_it(room: Room, left: int) -> None:
    used: list[int] = []

    async def admit(_tx: Transaction, _workspace_id: str, quota: str, more: int) -> None:
        if quota == "reports_per_day":
            if len(used) + more > left:
                raise TooManyRequests("used up", retry_after_seconds=1)
            used.extend([1] * more)

    room.reports._beginning._admit = admit
    sent = [Sent(f"request-{n}", user(), consented(manifest())) for n in range(5)]
    answers = await asyncio.gather(*(send(room, room.workspace_id, one) for one in sent))
    assert [isinstance(answer, TooManyRequests) for answer in answers] == [False] * left + [True] * (5 - left)
    assert await room.acts() == ["report.sealed"] * left


async def test_a_workspace_that_was_ended_takes_none(room: Room) -> None:
    async def end(tx: Transaction) -> None:
        room.audit.end(tx, room.workspace_id)

    await room.database.write(end)
    sent = [Sent(f"request-{n}", user(), consented(manifest())) for n in range(5)]
    answers = await asyncio.gather(*(send(room, room.workspace_id, one) for one in sent))
    assert all(isinstance(answer, NotFound) for answer in answers)
    assert await room.database.fetch("SELECT id FROM report") == []


async def test_a_commit_that_fails_keeps_nothing_and_says_so_to_all(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise StorageUnavailable("gone")

    sent = [Sent(f"request-{n}", user(), consented(manifest()), RequestKey(f"k{n}", "body")) for n in range(5)]
    with monkeypatch.context() as broken:
        broken.setattr(room.database._writer, "commit", refuse)
        answers = await asyncio.gather(*(send(room, room.workspace_id, one) for one in sent))
    assert all(isinstance(answer, StorageUnavailable) for answer in answers)
    assert await room.database.fetch("SELECT id FROM report") == []
    answers = await asyncio.gather(*(send(room, room.workspace_id, one) for one in sent))
    assert not any(isinstance(answer, FailgateError) for answer in answers)


async def test_who_leaves_takes_no_report_back(room: Room) -> None:
    sent = [Sent(f"request-{n}", user(), consented(manifest())) for n in range(3)]
    waiting = [asyncio.create_task(send(room, room.workspace_id, one)) for one in sent]
    while room.reports._arriving._together._joinable == {}:
        await asyncio.sleep(0)
    waiting[1].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [False, True, False]
    assert await room.acts() == ["report.sealed"] * 3
