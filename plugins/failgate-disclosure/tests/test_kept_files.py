"""Attachments are bounded for a report, for all, and in how often they are looked into. F24"""

import pytest
from failgate_disclosure import kept_files, plugin

from failgate.base.clock import FrozenClock
from failgate.plugin import Actor, Asked, Conflict, SentFile, SentOn, TooManyRequests
from failgate.testing import host_at, opened, settings_from

SETTINGS = 'contacts = ["mailto:security@acme.example"]\nexpires = 2027-05-01\nchanged = 2026-11-20\n'
NOBODY = Actor("anonymous", "anonymous")
GOOD = {"title": "It opens twice", "affected": "/s/", "steps": "Open it, twice.", "actual": "It opens."}
TEXT = SentFile("files", "a.txt", b"x" * 400_000)


class Finder:
    """Who writes to an opened desk, each time from an address of their own."""

    def __init__(self, doors, clock):
        self.doors, self.clock, self.number = {door.name: door.handler for door in doors}, clock, 0

    async def ask(self, name, form=None, key=None, files=(), ip=None):
        self.number += 1
        address = ip or f"10.0.{self.number // 250}.{self.number % 250}"
        return await self.doors[name](
            Asked("/x", NOBODY, {"key": key} if key else {}, form or {}, address, files=files)
        )

    async def send(self, *files, ip=None):
        stamp = (await self.ask("form")).view.stamp
        self.clock.advance(10)
        return await self.ask("send", {"stamp": stamp, **GOOD}, files=files, ip=ip)


async def finder_at(settings, folder):
    clock = FrozenClock()
    async with opened(plugin, settings_from(plugin, SETTINGS + settings), host_at(folder, "disclosure", clock)) as one:
        yield Finder(one.pages.doors, clock)


@pytest.fixture
async def finder(tmp_path):
    async for one in finder_at('files_storage = "1MiB"\nper_address = 2\n', tmp_path):
        yield one


async def test_a_report_has_so_many_attachments(finder, monkeypatch) -> None:
    monkeypatch.setattr(kept_files, "MOST_OF_REPORT", 3)
    small = SentFile("files", "a.txt", b"x")
    link = (await finder.send(small, small)).path.rpartition("/")[2]
    with pytest.raises(Conflict, match="3 attachments at most"):
        await finder.ask("answer", {"message": "more"}, link, (small, small))
    page = (await finder.ask("follow", key=link)).view
    assert (len(page.attached), page.messages) == (2, ())
    await finder.ask("answer", {"message": "more"}, link, (small,))
    assert len((await finder.ask("follow", key=link)).view.attached) == 3
    assert isinstance(await finder.send(small), SentOn)  # another report has its own


async def test_where_there_is_no_room_nothing_is_kept_and_a_report_without_files_is_taken(finder) -> None:
    assert isinstance(await finder.send(TEXT, TEXT), SentOn)
    with pytest.raises(Conflict, match="no room for attachments"):
        await finder.send(TEXT)
    assert (await finder.ask("follow", key=(await finder.send()).path.rpartition("/")[2])).view.number == 2


async def test_attachments_are_looked_into_so_often_for_one_address(finder) -> None:
    bad = SentFile("files", "a.exe", b"MZ\x90\x00")
    for _ in range(8):  # four times as often as reports are taken
        assert (await finder.send(bad, ip="192.0.2.1")).status == 422
    page = await finder.send(bad, ip="192.0.2.1")
    assert page.status == 429
    assert 0 < page.retry_after_seconds <= 3600
    link = (await finder.send(ip="192.0.2.1")).path.rpartition("/")[2]  # without a file it is taken
    with pytest.raises(TooManyRequests):
        await finder.ask("answer", {"message": "more"}, link, (bad,), "192.0.2.1")
    assert (await finder.send(bad)).status == 422
    finder.clock.advance(3600)
    assert (await finder.send(bad, ip="192.0.2.1")).status == 422


async def test_without_files_the_form_takes_none(tmp_path) -> None:
    async with opened(plugin, settings_from(plugin, SETTINGS + "files = 0\n"), host_at(tmp_path, "disclosure")) as one:
        doors = {door.name: door for door in one.pages.doors}
        assert (doors["send"].files, doors["answer"].files) == (None, None)
        assert (await doors["form"].handler(Asked("/x", NOBODY))).view.files.most == 0
