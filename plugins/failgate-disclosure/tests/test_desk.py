"""What the desk does with a report: clock, states, people, notes, messages; all of it on record. F25 F26"""

from importlib.resources import files

import pytest
from failgate_disclosure.advisories import Advisories
from failgate_disclosure.desk import PAGE, Desk
from failgate_disclosure.fields import Contents
from failgate_disclosure.pages import DeskPages
from failgate_disclosure.states import MEANING, NEXT, REASONS, standing_of
from failgate_disclosure.triage_pages import TriagePages
from failgate_disclosure.triaging import Triaging
from failgate_disclosure.watch import Watch

from failgate.base.clock import FrozenClock
from failgate.plugin import Actor, Asked, Conflict, NotFound, PlatformPerson, Unprocessable
from failgate.testing import host_at

NOBODY, ANN = Actor("anonymous", "anonymous"), Actor("user", "ann", ("pwd", "otp"))
HOUR_US = 3_600_000_000


class Room:
    """A desk over a database of its own."""

    def __init__(self, host, database, box, recorded, people):
        desk = Desk(host, database, box)
        self.clock, self.host, self.desk, self.recorded, self.people = host.clock, host, desk, recorded, people
        triaging = Triaging(host, database, box)
        advisories = Advisories(host, database, box, triaging, None)
        self.pages = DeskPages(desk, TriagePages(desk, triaging, advisories), host.clock)
        self.doors = {door.name: door for door in self.pages.doors()}

    async def receive(self, stamp="one", title="A share link opens twice"):
        link = await self.desk.receive(Contents(title, "/s/", "steps", "it opens"), stamp, NOBODY)
        return link, (await self.desk.by_link(link)).id

    async def ask(self, name, identity="", email="ann@acme.example", **form):
        path = {"number": form.pop("number")} if "number" in form else {"id": identity}
        asked = Asked("/platform/x/disclosure", ANN, path, form, email=email)
        return await self.doors[name].handler(asked)

    async def said(self, identity, *kinds):
        report = await self.desk.by_id(identity)
        return [(one.kind, one.text) for one in await self.desk.messages(report, kinds)]


@pytest.fixture
async def room(tmp_path):
    recorded = []
    people = [PlatformPerson("ann", "ann@acme.example"), PlatformPerson("bob", "bob@acme.example")]
    host = host_at(tmp_path, "disclosure", FrozenClock(), recorded=recorded, people=people)
    async with host.open_database("desk", files("failgate_disclosure").joinpath("migrations")) as database:
        yield Room(host, database, await host.box("desk"), recorded, people)


@pytest.mark.parametrize(
    ("after_hours", "words", "is_late", "is_near"),
    [
        (0, "48 h left", False, False),
        (23.9, "24 h left", False, False),
        (24, "24 h left", False, True),
        (47.9, "1 h left", False, True),
        (48, "0 h late", True, False),
        (72, "24 h late", True, False),
        (-1000, "48 h left", False, False),
    ],
)
def test_the_clock_runs_for_48_hours_and_gives_no_more_when_it_goes_back(after_hours, words, is_late, is_near) -> None:
    standing = standing_of("new", 1000 * HOUR_US, None, round((1000 + after_hours) * HOUR_US))
    assert (standing.words, standing.is_late, standing.is_near) == (words, is_late, is_near)


def test_every_state_has_words_and_leads_somewhere() -> None:
    assert set(MEANING) == set(NEXT) == {"new", "acknowledged", "accepted", "fixed", "closed"}
    assert {state for after in NEXT.values() for state in after} == set(NEXT) - {"new"}


async def test_what_waits_for_its_acknowledgement_comes_first_and_late_ones_are_told_once(room) -> None:
    watch = Watch(room.desk, room.host)
    _, first = await room.receive("one", "First")
    room.clock.advance(3600)
    _, second = await room.receive("two", "Second")
    await room.ask("move", first, state="acknowledged")
    assert [line.title for line in (await room.ask("queue")).view.lines] == ["Second", "First"]
    room.clock.advance(47 * 3600)
    await watch.look()
    assert watch.advice() == []
    room.clock.advance(3600)
    for _ in range(3):
        await watch.look()
    assert watch.advice() == ["A report waits for more than 48 hours to be acknowledged, which the policy promises."]
    assert [subject for act, subject, _ in room.recorded if act == "disclosure.overdue"] == [second]
    [line, other] = (await room.ask("queue")).view.lines
    assert (line.standing.is_late, other.standing.words) == (True, "acknowledged after 1 h")
    await room.ask("tell", second, message="We are on it.")
    await watch.look()
    assert watch.advice() == []


async def test_a_first_message_acknowledges_and_the_reporter_reads_it_and_no_note(room) -> None:
    link, identity = await room.receive()
    await room.ask("note", identity, message="Looks like the old one.")
    assert (await room.desk.by_id(identity)).state == "new"
    await room.ask("tell", identity, message="Thank you. Which version?")
    report = await room.desk.by_link(link)
    assert (report.state, report.acknowledged_us) == ("acknowledged", room.clock.now_us())
    assert await room.said(identity, "reporter", "desk", "state") == [
        ("desk", "Thank you. Which version?"),
        ("state", MEANING["acknowledged"]),
    ]
    seen = (await room.ask("report", identity)).view
    assert [(one.kind, one.author) for one in seen.messages] == [
        ("note", "ann@acme.example"), ("desk", "ann@acme.example"), ("state", "ann@acme.example"),
    ]  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
async def test_a_report_is_closed_for_a_reason_that_the_reporter_reads(room, reason) -> None:
    link, identity = await room.receive()
    await room.ask("move", identity, state="closed", reason=reason)
    report = await room.desk.by_link(link)
    assert (report.state, report.reason) == ("closed", reason)
    assert (await room.said(identity, "state"))[-1][1].endswith(REASONS[reason])
    assert (await room.ask("queue")).view.lines == ()
    [line] = (await room.ask("closed")).view.lines
    assert line.id == identity
    await room.ask("move", identity, state="acknowledged")
    assert (await room.desk.by_id(identity)).reason is None


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"state": "closed"}, Unprocessable),
        ({"state": "closed", "reason": "because"}, Unprocessable),
        ({"state": "acknowledged", "reason": "duplicate"}, Unprocessable),
        ({"state": "fixed"}, Conflict),
        ({"state": "new"}, Conflict),
        ({"state": "<script>"}, Conflict),
        ({}, Conflict),
    ],
)
async def test_a_move_that_is_none_is_refused_and_changes_nothing(room, form, error) -> None:
    _, identity = await room.receive()
    with pytest.raises(error):
        await room.ask("move", identity, **form)
    assert (await room.desk.by_id(identity)).state == "new"
    assert [act for act, _, _ in room.recorded] == ["disclosure.received"]


async def test_of_two_who_move_a_report_at_once_one_does(room) -> None:
    _, identity = await room.receive()
    seen = await room.desk.by_id(identity)
    await room.desk.move(seen, "acknowledged", None, actor=ANN, author="ann")
    with pytest.raises(Conflict, match="meanwhile"):
        await room.desk.move(seen, "closed", "duplicate", actor=ANN, author="bob")
    assert (await room.desk.by_id(identity)).state == "acknowledged"


async def test_a_report_is_taken_and_given_back(room) -> None:
    _, identity = await room.receive()
    await room.ask("take", identity)
    assert (await room.ask("report", identity)).view.is_mine
    assert not (await room.ask("report", identity, email="bob@acme.example")).view.is_mine
    await room.ask("release", identity)
    assert (await room.desk.by_id(identity)).assignee is None


async def test_a_report_is_given_to_another_person_who_has_the_role_and_to_nobody_else(room) -> None:
    _, identity = await room.receive()
    assert (await room.ask("report", identity)).view.people == ("ann@acme.example", "bob@acme.example")
    await room.ask("assign", identity, assignee="bob@acme.example")
    assert (await room.desk.by_id(identity)).assignee == "bob@acme.example"
    assert room.recorded[-1] == ("disclosure.assigned", identity, "bob")
    recorded = len(room.recorded)
    for stranger in ("eve@acme.example", "BOB@acme.example", "<script>", "x" * 10_000):
        with pytest.raises(Unprocessable, match="does not have the platform role"):
            await room.ask("assign", identity, assignee=stranger)
    room.people.pop()  # the role is taken from bob: what he has he keeps, more he is not given
    with pytest.raises(Unprocessable):
        await room.ask("assign", identity, assignee="bob@acme.example")
    assert (len(room.recorded), (await room.desk.by_id(identity)).assignee) == (recorded, "bob@acme.example")
    await room.ask("assign", identity, assignee="")
    assert (await room.desk.by_id(identity)).assignee is None


async def test_the_queue_has_pages_and_each_report_stands_on_one(room) -> None:
    for number in range(PAGE + 3):
        await room.receive(f"stamp {number}")
        room.clock.advance(1)
    first = (await room.ask("queue")).view
    second = (await room.ask("queue_page", number="2")).view
    assert (first.newer, first.older) == ("", "/platform/x/disclosure/page/2")
    assert (second.newer, second.older) == ("/platform/x/disclosure", "")
    assert [line.number for line in (*first.lines, *second.lines)] == list(range(1, PAGE + 4))
    assert (await room.ask("queue_page", number="3")).view.lines == ()
    for none in ("0", "-1", "01", "x", "9" * 30, "1 OR 1=1", "\u0662"):
        with pytest.raises(NotFound):
            await room.ask("queue_page", number=none)
    for line in first.lines:
        await room.ask("move", line.id, state="closed", reason="empty")
    closed = (await room.ask("closed")).view
    assert [line.number for line in closed.lines] == list(range(PAGE, 0, -1))
    assert len((await room.ask("queue")).view.lines) == 3


async def test_everything_is_on_record_and_no_word_of_it(room) -> None:
    _, identity = await room.receive(title="SECRET")
    await room.ask("report", identity)
    await room.ask("take", identity)
    await room.ask("note", identity, message="SECRET")
    await room.ask("tell", identity, message="SECRET")
    await room.ask("move", identity, state="closed", reason="duplicate")
    await room.ask("release", identity)
    assert [(act.removeprefix("disclosure."), state) for act, _, state in room.recorded] == [
        ("received", "new"), ("read", None), ("assigned", "ann"), ("noted", None), ("told", None),
        ("moved", "acknowledged"), ("moved", "closed duplicate"), ("released", None),
    ]  # fmt: skip
    assert {subject for _, subject, _ in room.recorded} == {identity}
    assert "SECRET" not in str(room.recorded)


async def test_a_report_that_is_not_there_is_not_there(room) -> None:
    for name in ("report", "move", "take", "release", "assign", "note", "tell"):
        with pytest.raises(NotFound):
            await room.ask(name, "01890a5d-ac96-774b-bcce-b302099a8057", message="x", state="closed")
    assert room.recorded == []
