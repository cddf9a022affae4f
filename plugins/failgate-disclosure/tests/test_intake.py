"""What is taken from strangers, and what is not. F24 E27"""

import re
import sqlite3

import pytest
from failgate_disclosure import plugin
from failgate_disclosure.fields import FIELDS, LARGEST_FORM_BYTES, LONGEST_MESSAGE, visible
from failgate_disclosure.limits import Pace

from failgate.base.clock import FrozenClock
from failgate.plugin import (
    Actor,
    Asked,
    Conflict,
    FailgateError,
    NotFound,
    SentOn,
    Shown,
    StorageUnavailable,
    Unprocessable,
)
from failgate.testing import host_at, opened, settings_from

SETTINGS = 'contacts = ["mailto:security@acme.example"]\nexpires = 2027-05-01\nchanged = 2026-11-20\n'
NOBODY = Actor("anonymous", "anonymous")
GOOD = {
    "title": "A share link opens twice",
    "affected": "failgate 0.1.0, /s/{share}",
    "steps": "1. Make a link.\r\n2. Open it twice.",
    "actual": "It opens.",
    "contact": "finder@example.org",
}


class Desk:
    """An opened desk and whoever writes to it."""

    def __init__(self, doors, clock, recorded):
        self.doors = {door.name: door for door in doors}
        self.clock = clock
        self.recorded = recorded

    async def ask(self, name, form=None, key=None, ip="192.0.2.1"):
        asked = Asked("/x", NOBODY, {"key": key} if key else {}, form or {}, ip)
        return await self.doors[name].handler(asked)

    async def stamp(self, after=10):
        stamp = (await self.ask("form")).view.stamp
        self.clock.advance(after)
        return stamp

    async def send(self, ip="192.0.2.1", **changes):
        return await self.ask("send", {"stamp": await self.stamp(), **GOOD, **changes}, ip=ip)

    async def link(self, **changes):
        sent = await self.send(**changes)
        assert isinstance(sent, SentOn)
        return sent.path.removeprefix("/security/follow/")


@pytest.fixture
async def desk(tmp_path):
    clock, recorded = FrozenClock(), []
    host = host_at(tmp_path, "disclosure", clock, recorded=recorded)
    async with opened(plugin, settings_from(plugin, SETTINGS), host) as provides:
        yield Desk(provides.pages.doors, clock, recorded)


async def test_a_report_is_taken_followed_and_answered(desk) -> None:
    link = await desk.link()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", link)
    page = await desk.ask("follow", key=link)
    assert (page.view.number, page.view.state) == (1, "new")
    assert {part.label: part.text for part in page.view.parts}["Steps, with the smallest proof"] == (
        "1. Make a link.\n2. Open it twice."
    )
    await desk.ask("answer", {"message": " And a third time. "}, key=link)
    assert [(one.kind, one.text) for one in (await desk.ask("follow", key=link)).view.messages] == [
        ("reporter", "And a third time.")
    ]
    assert [act for act, _, _ in desk.recorded] == ["disclosure.received", "disclosure.answered"]


async def test_nothing_that_was_written_lies_open_in_the_file_or_in_records(desk, tmp_path) -> None:
    link = await desk.link(title="SECRET-TITLE", steps="SECRET-STEPS and more")
    await desk.ask("answer", {"message": "SECRET-MESSAGE"}, key=link)
    [path] = tmp_path.glob("plugins/disclosure/desk.sqlite")
    octets = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"SECRET" not in octets
    assert link.encode() not in octets
    assert b"finder@" not in octets
    assert "SECRET" not in str(desk.recorded)
    assert sqlite3.connect(path).execute("SELECT COUNT(*) FROM report").fetchone() == (1,)


@pytest.mark.parametrize("field", [field for field in FIELDS if field.is_needed], ids=lambda field: field.name)
async def test_what_is_needed_is_asked_for_and_nothing_written_is_lost(desk, field) -> None:
    page = await desk.send(**{field.name: " \r\n "})
    assert (type(page), page.status) == (Shown, 422)
    lines = {line.field.name: line for line in page.view.lines}
    assert lines[field.name].fault is not None
    assert lines["contact"].value == GOOD["contact"]
    assert desk.recorded == []


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
async def test_each_field_is_bounded(desk, field) -> None:
    assert (await desk.send(**{field.name: "ä" * (field.most + 1)})).status == 422
    assert isinstance(await desk.send(**{field.name: "ä" * field.most}), SentOn)


def test_a_form_with_every_field_full_still_arrives() -> None:
    assert sum(field.most for field in FIELDS) * 9 < LARGEST_FORM_BYTES


@pytest.mark.parametrize(
    ("after", "says"),
    [(0, "That was fast"), (2, "That was fast"), (86_401, "open for too long"), (-60, "open for too")],
)
async def test_a_form_in_haste_or_from_another_day_is_shown_again_with_what_was_written(desk, after, says) -> None:
    stamp = await desk.stamp(0)
    desk.clock.step_wall(after)
    page = await desk.ask("send", {"stamp": stamp, **GOOD})
    assert (page.status, says in page.view.problem) == (422, True)
    assert [line.value for line in page.view.lines if line.field.name == "title"] == [GOOD["title"]]
    desk.clock.advance(10)
    assert isinstance(await desk.ask("send", {"stamp": page.view.stamp, **GOOD}), SentOn)


@pytest.mark.parametrize("stamp", ["", "x", "A" * 60, "é", "A" * 100_000, "AAAA\n"])
async def test_a_stamp_that_is_not_ours_is_worth_nothing(desk, stamp) -> None:
    assert (await desk.ask("send", {"stamp": stamp, **GOOD})).status == 422


async def test_a_form_is_good_once(desk) -> None:
    form = {"stamp": await desk.stamp(), **GOOD}
    assert isinstance(await desk.ask("send", form), SentOn)
    with pytest.raises(Conflict, match="sent already"):
        await desk.ask("send", form)


async def test_an_address_sends_so_many_in_an_hour_and_others_go_on(desk) -> None:
    for _ in range(5):
        assert isinstance(await desk.send(), SentOn)
    page = await desk.send()
    assert (page.status, "security@acme.example" in page.view.problem) == (429, True)
    assert isinstance(await desk.send(ip="192.0.2.2"), SentOn)
    desk.clock.advance(3600)
    assert isinstance(await desk.send(), SentOn)


def test_neighbours_of_one_network_of_ipv6_are_one_and_all_together_have_an_end() -> None:
    pace = Pace(FrozenClock(), 1, 3)
    assert pace.admits("2001:db8::1")
    assert not pace.admits("2001:db8::2")
    assert pace.admits("2001:db8:0:1::1")
    assert pace.admits("::ffff:192.0.2.1")
    assert not pace.admits("198.51.100.1")


@pytest.mark.parametrize("key", ["x", "A" * 43, "A" * 44, "' OR 1=1 --", "é" * 43, "A" * 42 + "\n"])
async def test_a_link_that_is_guessed_opens_nothing(desk, key) -> None:
    await desk.link()
    for name in ("follow", "answer"):
        with pytest.raises(NotFound):
            await desk.ask(name, {"message": "x"}, key=key)


@pytest.mark.parametrize("message", ["", " \n ", "x" * (LONGEST_MESSAGE + 1)])
async def test_a_message_is_bounded(desk, message) -> None:
    link = await desk.link()
    with pytest.raises(Unprocessable):
        await desk.ask("answer", {"message": message}, key=link)


async def test_what_hides_or_turns_text_is_shown_by_its_name(desk) -> None:
    link = await desk.link(title="safe\u202eexe.txt \x1b[2J \u200b")
    [title] = [part.text for part in (await desk.ask("follow", key=link)).view.parts if part.label == "In one line"]
    assert title == "safe[U+202E]exe.txt [U+001B][2J [U+200B]"
    assert visible("a\n\tb <script>") == "a\n\tb <script>"


async def test_what_cannot_be_recorded_is_not_done(tmp_path) -> None:
    async def refuse(*_args, **_more):
        raise StorageUnavailable("The log takes nothing.", hint="Wait.")

    host = host_at(tmp_path, "disclosure", clock := FrozenClock())
    object.__setattr__(host, "record", refuse)
    async with opened(plugin, settings_from(plugin, SETTINGS), host) as provides:
        desk = Desk(provides.pages.doors, clock, [])
        with pytest.raises(FailgateError):
            await desk.send()
    [path] = tmp_path.glob("plugins/disclosure/desk.sqlite")
    assert sqlite3.connect(path).execute("SELECT COUNT(*) FROM report").fetchone() == (0,)


async def test_without_the_form_there_is_no_door_for_it(tmp_path) -> None:
    settings = settings_from(plugin, SETTINGS + "form = false\n")
    async with opened(plugin, settings, host_at(tmp_path, "disclosure")) as provides:
        assert not any("report" in door.path or "follow" in door.path for door in provides.pages.doors)
