"""What plugins tell the people with the platform role: kept, sent by mail, once for each key, over restarts. B6 F25"""

import asyncio

import pytest

from failgate.audit.record import SERVER, SYSTEM
from failgate.loader.host import HostMaker
from failgate.notify.platform import PlatformNotice, tell_nobody
from tests.notify.conftest import House

NOTICE = PlatformNotice(
    key="report 7 late", event="disclosure.overdue", title="A report waits", lines=(("Report", "7"),),
    path="/platform/x/disclosure",
)  # fmt: skip
ADDRESS = "ann@acme.example"


def told(house: House, name: str = "disclosure"):
    hosts = HostMaker(house.services.data_dir, house.clock, house.services.outbound)
    host = hosts(name)
    hosts.tell_by(house.room.notices)
    return host.tell


async def platform_person(house: House, name: str) -> str:
    person = await house.person(name, None)
    await house.services.accounts.grant_platform_role(person.account_id or "", SERVER)
    return person.account_id or ""


async def test_who_has_the_platform_role_gets_a_letter_once_and_nobody_else_does(house: House) -> None:
    ann = await platform_person(house, "ann")
    await house.person("bob")
    tell = told(house)
    assert [await tell(NOTICE), await tell(NOTICE)] == [1, 1]
    house.room.delivering.start()
    await house.until(lambda: bool(house.mailbox.letters))
    await house.restart()
    assert await told(house)(NOTICE) == 1
    house.room.delivering.start()
    assert await told(house, "another")(NOTICE) == 1  # a key is of its plugin alone
    await house.until(lambda: len(house.mailbox.letters) > 1)
    assert house.mailbox.subjects(ADDRESS) == ["[failgate] A report waits"] * 2
    assert {str(letter["to"]) for letter in house.mailbox.letters} == {ADDRESS}
    text = house.mailbox.letters[0].get_content()
    assert "Report: 7" in text
    assert "http://127.0.0.1:8440/platform/x/disclosure" in text
    assert "platform role" in text
    assert len(await house.room.outbox.page(SYSTEM, ann, 10)) == 2


async def test_what_waits_is_not_sent_to_who_has_the_role_no_longer(house: House) -> None:
    ann, eve = await platform_person(house, "ann"), await platform_person(house, "eve")
    assert await told(house)(NOTICE) == 2
    await house.services.accounts.revoke_platform_role(ann, SERVER)
    house.room.delivering.start()
    await house.until(lambda: bool(house.mailbox.letters))
    for who, state in ((ann, "dead"), (eve, "delivered")):
        async with asyncio.timeout(60):
            while [one.state for one in await house.room.outbox.page(SYSTEM, who, 10)] != [state]:
                await asyncio.sleep(0.01)
    assert house.mailbox.subjects(ADDRESS) == []
    assert len(house.mailbox.subjects("eve@acme.example")) == 1


async def test_where_nobody_can_be_told_the_plugin_hears_so(house: House) -> None:
    assert await told(house)(NOTICE) == 0
    assert await tell_nobody(NOTICE) == 0
    unbound = HostMaker(house.services.data_dir, house.clock, house.services.outbound)("disclosure")
    assert await unbound.tell(NOTICE) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "Overdue"}, {"event": "a.b\n"}, {"path": "//evil.example"}, {"path": "/a b"}, {"path": "x"},
        {"title": "a\r\nBcc: x"}, {"title": "a" * 201}, {"lines": (("a", "b\n"),)}, {"lines": (("a", "b"),) * 11},
        {"key": ""},
    ],
)  # fmt: skip
def test_what_no_notifier_could_say_is_refused(wrong: dict[str, object]) -> None:
    good = {"key": "k", "event": "report.arrived", "title": "t"}
    PlatformNotice(**good)
    with pytest.raises(ValueError, match="PlatformNotice"):
        PlatformNotice(**(good | wrong))
