"""Looking for records: what is found, that nothing is left out, and by which index. E7"""

import random

import pytest

from failgate.audit.blocks import _ALSO, _OF_ONE, unnoted
from failgate.audit.catalogue import acts_named, groups, words_of
from failgate.audit.moments import moment_us
from failgate.audit.places import record_position
from failgate.audit.record import Act, Actor
from failgate.audit.search import _NEWEST_OF, Search, Wanted
from failgate.base.errors import BadInput
from failgate.base.migrate import core_migrations, read_migrations
from failgate.base.undo import UndoMapping
from tests.audit.conftest import WS, event, fill

ACTORS = (
    Actor("user", "u1", ("pwd", "otp")),
    Actor("user", "u2"),
    Actor("agent", "a1", ("token",)),
    Actor("system", "failgate"),
)
PLAIN = {
    Act.COMMAND_CONSUMED: {"digest": "d" * 43},
    Act.VOTE_CAST: {"digest": "d" * 43, "decision": "deny"},
    Act.MEMBER_REMOVED: {},
    Act.SHARING_STOPPED: {},
}
COUNT = 2500  # two full blocks and an open one


@pytest.fixture
async def search(database, audit, clock) -> Search:
    """A log in which everything is mixed, beside another one, ten seconds between any two groups of ten records."""
    dice = random.Random(5)
    await fill(database, audit, 30, ws="0197f0c2-0000-7000-8000-000000000002")
    for _ in range(COUNT // 10):
        clock.advance(10)

        async def verb(tx):
            for _ in range(10):
                act = dice.choice(list(PLAIN))
                told = event(ws=WS, act=act, data=PLAIN[act], actor=dice.choice(ACTORS), obj_id=f"o{dice.randrange(9)}")
                await audit.append(tx, told)

        await database.write(verb)
    return Search(database, audit)


async def every(audit) -> list[dict]:
    found = []
    for after in (None, 999, 1999):
        found += await audit.records(WS, after, 1000)
    return [one.record for one in reversed(found)]


def meets(record: dict, wanted: Wanted) -> bool:
    at = moment_us(record["ts"], "ts")
    return (
        (not wanted.acts or record["act"] in wanted.acts)
        and wanted.actor_id in {None, record["actor"]["id"]}
        and wanted.object_id in {None, record["obj"]["id"]}
        and (wanted.from_us is None or at >= wanted.from_us)
        and (wanted.to_us is None or at < wanted.to_us)
    )


async def test_pages_hold_exactly_what_a_look_at_every_record_finds(audit, search):
    records = await every(audit)
    times = [moment_us(one["ts"], "ts") for one in records]
    for acts in ((), ("vote.cast",), ("vote.cast", "member.removed"), ("glass.broken",)):
        for actor in (None, "u1", "failgate", "nobody"):
            for obj in (None, "o3", "o99"):
                for from_us, to_us in ((None, None), (times[1300], None), (None, times[100]), (times[1250], times[90])):
                    wanted = Wanted(acts, actor, obj, from_us, to_us)
                    expected = [one["seq"] for one in records if meets(one, wanted)]
                    found: list[int] = []
                    before = None
                    while True:
                        page = await search.newest(WS, wanted, before, 23, most_read=10**9)
                        assert len(page.records) <= 23
                        found += [one.seq for one in page.records]
                        before = page.before
                        if before is None:
                            break
                    assert found == expected, wanted


async def test_a_page_that_would_read_too_much_says_how_far_it_came(audit, search):
    wanted, found, pages, before = Wanted(("glass.broken", "vote.cast"), "a1"), [], 0, None
    while True:
        page = await search.newest(WS, wanted, before, 500, most_read=40)
        pages += 1
        found += [one.seq for one in page.records]
        before = page.before
        if before is None:
            break
        assert page.is_cut
    assert found == [one["seq"] for one in await every(audit) if meets(one, wanted)]
    assert pages == 3


@pytest.mark.parametrize("span", [(50, 1100), (0, 2500), (1024, 2048), (2200, 2250), (300, 300)])
async def test_records_of_some_acts_come_in_their_order(audit, search, monkeypatch, span):
    monkeypatch.setattr("failgate.audit.search._BLOCKS", 1)
    found = [one async for one in search.of_acts(WS, ("vote.cast", "member.removed"), *span)]
    expected = [one["seq"] for one in reversed(await every(audit)) if one["act"] in {"vote.cast", "member.removed"}]
    assert [one.seq for one in found] == [seq for seq in expected if span[0] <= seq < span[1]]


async def test_records_of_some_objects_and_of_somebody_come_whole(audit, search, monkeypatch):
    monkeypatch.setattr("failgate.audit.search._CHUNK", 7)
    every_one = (await every(audit))[::-1]
    found = [one.seq async for one in search.of_objects(WS, ("o3", "o5", "nobody"), 300)]
    assert found == [one["seq"] for one in every_one if one["obj"]["id"] in {"o3", "o5"} and one["seq"] < 300]
    of_one = await search.of_actor(WS, "u2", 200, 5)
    assert [one.seq for one in of_one] == [
        one["seq"] for one in reversed(every_one) if one["actor"]["id"] == "u2" and one["seq"] < 200
    ][:5]


QUERIES = {
    "object": (None, "audit_record_obj"),
    "act": (_OF_ONE.format(value=4, also="", order="DESC"), "audit_block"),
    "actor and act": (_OF_ONE.format(value=4, also=_ALSO.format(values="$5"), order="DESC"), "audit_block"),
}


@pytest.mark.parametrize("by", QUERIES)
async def test_each_condition_is_answered_by_its_index_and_without_sorting(database, audit, search, by):
    dialect, (query, name) = database.dialect, QUERIES[by]
    query = query or _NEWEST_OF[dialect].format(value=4)
    bounds = record_position(2, 0), record_position(3, 0), 51, "u1", *(["act vote.cast"] if "$5" in query else [])
    if dialect == "sqlite":
        plan = " ".join(row["detail"] for row in await database.fetch(f"EXPLAIN QUERY PLAN {query}", *bounds))
        assert "SCAN" not in plan, plan
    else:
        await database.write(lambda tx: tx.execute("ANALYZE audit_record"))
        plan = " ".join(row["QUERY PLAN"] for row in await database.fetch(f"EXPLAIN {query}", *bounds))
        if "Seq Scan" in plan:  # as many rows as the test has fit in a few pages

            async def explained(tx):
                await tx.execute("SET LOCAL enable_seqscan = off")
                return await tx.fetch(f"EXPLAIN {query}", *bounds)

            plan = " ".join(row["QUERY PLAN"] for row in await database.write(explained))
    assert name in plan, plan
    assert "TEMP B-TREE" not in plan, plan
    if dialect == "postgres":
        assert "Index Cond" in plan, plan


async def test_what_cannot_hold_the_answer_is_not_read(database, audit):
    """Thousands of records of one, one of another before them: a page reads the block of that one and the open one."""
    await database.write(lambda tx: audit.append(tx, event(ws=WS, actor=Actor("user", "once"))))
    await fill(database, audit, 4200)
    search, asked = Search(database, audit), []
    fetch = database.fetch

    async def counted(sql, *args):
        rows = await fetch(sql, *args)
        asked.extend(row["position"] for row in rows if "leaf" in row)
        return rows

    database.fetch = counted
    page = await search.newest(WS, Wanted(actor_id="once"))
    assert [one.seq for one in page.records] == [0]
    assert page.before is None
    assert len(asked) == 1024 + (4201 - 4096)


async def test_every_full_block_is_noted_and_a_note_that_is_gone_is_found(database, audit, search):
    [_, stored] = await audit.heads()
    assert stored.head.size == COUNT
    assert await unnoted(database, stored) == {}
    with pytest.raises(Exception, match="never"):
        await database.write(lambda tx: tx.execute("DELETE FROM audit_block WHERE what = 'actor u2'"))
    off = (
        "DROP TRIGGER audit_block_is_kept"
        if database.dialect == "sqlite"
        else "ALTER TABLE audit_block DISABLE TRIGGER ALL"
    )
    await database.write(lambda tx: tx.execute(off))
    await database.write(lambda tx: tx.execute("DELETE FROM audit_block WHERE what = 'actor u2'"))
    assert await unnoted(database, stored) == {0: "actor u2", 1: "actor u2"}


async def test_a_block_is_noted_whole_after_a_start_within_it_and_without_what_was_taken_back(database, audit):
    """What the server remembers of the open block ends with the process; a verb that fails leaves nothing in it."""
    query = "SELECT what, block FROM audit_block WHERE what LIKE 'actor %' ORDER BY block, what"
    told = [event(ws=WS, actor=Actor("user", name)) for name in ("first", "failed", "foreign", "last")]

    async def fails(tx):
        await audit.append(tx, told[1])
        raise BadInput("taken back")

    await database.write(lambda tx: audit.append(tx, told[0]))
    with pytest.raises(BadInput):
        await database.write(fails)
    await fill(database, audit, 500)
    database._state = UndoMapping()  # as a start leaves it
    await database.write(lambda tx: audit.append(tx, told[2]))
    await fill(database, audit, 1545)
    await database.write(lambda tx: audit.append(tx, told[3]))
    expected = [("actor first", 0), ("actor foreign", 0), ("actor u1", 0), ("actor last", 1), ("actor u1", 1)]
    found = [(row["what"], row["block"] & 0xFFFF) for row in await database.fetch(query)]
    assert found == expected
    [stored] = [head for head in await audit.heads() if head.log == WS]
    assert stored.head.size == 2048
    assert await unnoted(database, stored) == {}


async def test_whatever_bytes_stand_in_the_table_a_search_answers(database, audit, search):
    """Who tampers with the table below the product does not stop an auditor from looking."""
    if database.dialect == "sqlite":
        await database.write(lambda tx: tx.execute("DROP TRIGGER audit_record_stays"))
    else:
        await database.write(lambda tx: tx.execute("ALTER TABLE audit_record DISABLE TRIGGER ALL"))
    for number, garbage in enumerate(
        (b"", b"\xff\xfe\x00", b'{"act":"', b'{"act":"vote.cast","actor":{"auth":[],"id":"u1')
    ):
        place = record_position(2, number)
        await database.write(
            lambda tx, place=place, garbage=garbage: tx.execute(
                "UPDATE audit_record SET leaf = $1 WHERE position = $2", garbage, place
            )
        )
    for wanted in (Wanted(("vote.cast",)), Wanted(actor_id="u1"), Wanted(object_id="o1")):
        page = await search.newest(WS, wanted, None, 1000, most_read=10**9)
        assert all(one.seq > 3 for one in page.records)


def test_every_act_is_in_one_group_and_has_words():
    listed = [act for group in groups() for act in group.words]
    assert sorted(listed) == sorted(str(act) for act in Act)
    assert len({group.id for group in groups()}) == len(groups())
    assert not {group.id for group in groups()} & set(listed)
    assert all(words and not words.endswith(".") for group in groups() for words in group.words.values())
    assert (words_of("vote.cast"), words_of("thing.unheard_of")) == ("voted on a command", "thing.unheard_of")
    assert acts_named("vote.cast") == (Act.VOTE_CAST,)
    assert Act.GLASS_BROKEN in acts_named("emergency")
    assert acts_named("nothing") == ()


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-02", 86_400_000_000),
        ("1970-01-01T00:01", 60_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01T02:00:00+02:00", 0),
    ],
)
def test_a_time_is_read_as_utc(text, us):
    assert moment_us(text, "From") == us


@pytest.mark.parametrize(
    "text", ["", "yesterday", "20260101", "2026-13-01", "2026-01-01T25:00", "1969-12-31", "٢026-01-01"]
)
def test_what_is_no_time_is_named(text):
    with pytest.raises(BadInput, match=r"From .* is no time"):
        moment_us(text, "From")


async def test_an_older_database_gets_the_notes_that_a_newer_one_writes(database, audit, search):
    query = "SELECT what, block FROM audit_block ORDER BY what, block"
    written = await database.fetch(query)
    assert len(written) == 16
    migrations = [
        next(one for one in read_migrations(core_migrations(), database.dialect) if one.name.startswith(number))
        for number in ("0050", "0054", "0059")
    ]

    async def again(tx):
        await tx.execute("DROP TABLE audit_block")
        for migration in migrations:
            for statement in migration.statements:
                await tx.execute(statement)

    await database.write(again)
    assert await database.fetch(query) == written
