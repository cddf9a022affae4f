"""Reports found by words and filters, on both engines. F13."""

import contextlib
import random
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from failgate.base.clock import FrozenClock
from failgate.base.db import Transaction
from failgate.base.errors import BadInput
from failgate.base.ids import new_id
from failgate.reports.reading import COLUMNS
from failgate.reports.search import ReportFilter, page_query
from failgate.reports.words import kept, sqlite_match, words_of

from .conftest import SECRET, Room, agent, user


async def found(room: Room, **members: Any) -> list[str]:
    page = await room.reports.page(user(), room.workspace_id, wanted=ReportFilter(**members))
    return [one.id for one in page.items]


async def test_each_filter_finds_its_own(room: Room):
    bot = agent()
    first = await room.sealed(bot, b"KeyError: 'konto'\n", argv=["make", "unit_tests"], project="till", exit_code=2)
    second = await room.sealed(user(), b"panic: kasse offen\n", argv=["go", "test"], version="1.0", source="pytest")
    group = (await room.reports.view(user(), room.workspace_id, first)).group_id
    assert await found(room, text="konto") == [first]
    assert await found(room, text="KEYERROR kon") == [first]
    assert await found(room, text="onto") == []
    assert await found(room, command="tests") == [first]
    assert await found(room, command="kasse") == []
    assert await found(room, text="test") == [second, first]
    assert await found(room, project="till") == [first]
    assert await found(room, version="1.0") == [second]
    assert await found(room, exit_code=2) == [first]
    assert await found(room, agent=bot.id) == [first]
    assert await found(room, group=group) == [first]
    assert await found(room, kind="pytest") == [second]
    assert await found(room, state="sealed") == [second, first]
    assert await found(room, state="quarantined") == []
    assert await found(room, project="till", text="kasse") == []


async def test_a_word_of_the_command_is_kept_once_and_found_as_a_word_too(room: Room):
    made = await room.sealed(user(), b"ValueError: konto\n", argv=["make", "konto", "steuern"])
    rows = await room.database.fetch("SELECT words FROM report_text")
    kept = re.findall(r"[a-z0-9_]+", str(rows[0]["words"]))
    assert [word for word in kept if "konto" in word] == ["c_konto"]
    assert await found(room, text="konto steuern") == [made]
    assert await found(room, text="konto steu") == [made]
    assert await found(room, text="valueerror konto") == [made]
    assert await found(room, text="steuer konto") == []


async def test_a_report_that_an_earlier_version_kept_is_found(room: Room):
    """It kept the words of the command twice."""
    made = await room.sealed(user(), b"ValueError: konto\n", argv=["make", "steuern"])

    async def as_before(tx: Transaction) -> None:
        rows = await tx.fetch("SELECT words FROM report_text WHERE report_id = $1", made)
        await tx.execute("DELETE FROM report_text WHERE report_id = $1", made)
        if tx.dialect == "sqlite":
            words = rows[0]["words"] + " make steuern"
            await tx.execute("INSERT INTO report_text (workspace_id, report_id, words) VALUES ($1, $2, $3)",
                room.workspace_id, made, words)  # fmt: skip
            return
        words = " ".join([*re.findall(r"'([^']+)'", str(rows[0]["words"])), "make", "steuern"])
        await tx.execute(
            "INSERT INTO report_text (workspace_id, report_id, words)"
            " VALUES ($1, $2, array_to_tsvector(ARRAY(SELECT DISTINCT unnest(string_to_array($3, ' ')))))",
            room.workspace_id, made, words,
        )  # fmt: skip

    await room.database.write(as_before)
    assert await found(room, text="steuern") == [made]
    assert await found(room, command="steuern") == [made]
    assert await found(room, text="konto make") == [made]


async def test_three_letters_begin_a_word_and_one_sign_of_east_asia_does(room: Room):
    made = await room.sealed(user(), "ValueError: konto 42 失敗です\n".encode())
    assert await found(room, text="kon") == [made]
    assert await found(room, text="ko") == []
    assert await found(room, text="42") == [made]
    assert await found(room, text="4") == []
    assert await found(room, text="失") == [made]


@pytest.mark.parametrize("members", [{}, {"since": 20_000}, {"since": 20_000, "until": 30_000}, {"until": 30_000}])
async def test_a_search_walks_the_index_of_words_once(room: Room, members: dict[str, int]):
    """SQLite would else walk it anew for each report of the days: 1.6 s among 1,000 reports."""
    if room.database.dialect != "sqlite":
        return
    query = page_query(
        COLUMNS, ReportFilter(text="word", **members), "sqlite",
        workspace_id=room.workspace_id, reader_id=new_id(), after=None, count=51,
    )  # fmt: skip
    plan = [row["detail"] for row in await room.database.fetch(f"EXPLAIN QUERY PLAN {query.sql}", *query.args)]
    tables = [detail.split()[1] for detail in plan if detail.startswith(("SCAN report", "SEARCH report"))]
    assert tables[0] == "report_words", plan
    assert not any("TEMP B-TREE" in detail for detail in plan), plan


async def test_another_workspace_is_never_found(room: Room):
    await room.sealed(user(), b"ValueError: shared words\n")
    page = await room.reports.page(user(), new_id(), wanted=ReportFilter(text="shared"))
    assert page.items == []


async def test_what_is_quarantined_is_not_searched(room: Room):
    begun = await room.begin(user(), title=f"secret {SECRET}")
    assert begun.state == "quarantined"
    assert await found(room, text="secret") == []
    assert await found(room, state="quarantined") == [begun.id]


async def test_days_bound_the_list_and_the_search(room: Room):
    """Ids carry the time that they were made, so days are of the machine's clock."""
    made = await room.sealed(user(), b"ValueError: today\n")
    today = int(made.replace("-", "")[:12], 16) // 86_400_000
    for text in (None, "today"):
        assert await found(room, text=text, since=today) == [made]
        assert await found(room, text=text, until=today) == [made]
        assert await found(room, text=text, until=today - 1) == []
        assert await found(room, text=text, since=today + 1) == []


async def test_pages_of_a_search_follow_one_another(room: Room):
    made = [await room.sealed(user(), b"ValueError: again\n") for _ in range(5)]
    wanted = ReportFilter(text="again")
    first = await room.reports.page(user(), room.workspace_id, 2, None, wanted)
    assert [one.id for one in first.items] == [made[4], made[3]]
    await room.reports.delete(user(), room.workspace_id, made[3])
    rest = await room.reports.page(user(), room.workspace_id, 10, first.next, wanted)
    assert ([one.id for one in rest.items], rest.next) == ([made[2], made[1], made[0]], None)


async def test_a_deleted_report_is_found_no_more(room: Room):
    made = await room.sealed(user(), b"ValueError: gone\n")
    await room.reports.delete(user(), room.workspace_id, made)
    assert await found(room, text="gone") == []


@pytest.mark.parametrize(
    "members",
    [
        {"text": "  == !! "},
        {"text": " ".join(f"w{number}" for number in range(17))},
        {"project": "a' OR 'b"},
        {"project": 'a" OR "b'},
        {"agent": "x'"},
        {"agent": "a b"},
        {"kind": "//evil.example"},
        {"kind": ""},
        {"group": "x\ufeffy"},
        {"state": "begun", "text": "x"},
    ],
)
async def test_what_cannot_be_searched_is_refused(room: Room, members: dict[str, Any], clock: FrozenClock):
    assert clock
    with pytest.raises(BadInput):
        await found(room, **members)


@pytest.mark.parametrize("text", ['" OR 1', "a* NEAR b", "words:x", "'x' | !y", "-a (b", "NOT AND OR"])
async def test_marks_of_query_languages_mean_nothing(room: Room, text: str):
    assert await found(room, text=text) == []


def test_a_word_is_one_token_of_the_index():
    """Every character of Unicode: a word that FTS5 took apart would be a phrase, which `detail = none` has not."""
    migration = (Path(__file__).parents[2] / "migrations" / "0016_life.sqlite.sql").read_text()
    options = re.search(r"tokenize = .*", migration)
    assert options is not None
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE VIRTUAL TABLE t USING fts5 (words, content = '', detail = none, {options[0]})")
        letters = (chr(number) for number in range(sys.maxunicode + 1))
        words = [word for letter in letters if not "\ud800" <= letter <= "\udfff" for word in words_of(f"a{letter}b")]
        for start in range(0, len(words), 100):
            query = sqlite_match([], words[start : start + 100])
            connection.execute("SELECT 1 FROM t WHERE t MATCH ?", (query,)).fetchall()


def test_words_of_ascii_are_those_of_any_text():
    """The short way folds and parts bytes; a letter beside the text sends the same text the long way."""
    dice = random.Random(11)
    for _ in range(2000):
        text = "".join(chr(dice.randrange(128)) for _ in range(dice.randrange(90)))
        assert [*words_of(text), "ö"] == list(dict.fromkeys(words_of(f"{text} ö")))


def test_a_word_of_the_command_is_kept_as_that_alone():
    assert kept(["x_1"], "make -C lib make", "Make it", "twice") == "x_1 c_make c_c c_lib it twice"
    assert kept(["x_1"], "", "one") == "x_1 one"
    many = " ".join(f"w{number}" for number in range(500))
    assert kept([], many, "other").split() == [f"c_w{number}" for number in range(400)]
