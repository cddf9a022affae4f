"""The exporters' page: an operator sees lag and failures, tests one, sends what was refused once more. B11"""

import asyncio
import logging
import re

import pytest

from failgate.audit.exporter import RecordsRefused
from failgate.audit.follower import Follower
from failgate.audit.record import SERVER, Act, Event
from failgate.audit.witnessing import Witnessing, witness_of
from failgate.base.outbound import Outbound
from tests.web.api.test_agents import person
from tests.web.conftest import OPERATOR
from tests.web.pages.test_platform import platform, post
from tests.witnesses import Program, liar

__all__ = ["platform"]
HERE = "/platform/exporters"


class Picky:
    refuses = ("server.started",)
    is_away = False

    async def deliver(self, batch):
        if self.is_away:
            raise ConnectionError("nobody answers")
        if any(f'"act":"{act}"'.encode() in one.leaf for act in self.refuses for one in batch):
            raise RecordsRefused("The other side answers 400.")


@pytest.fixture
async def picky(server, caplog):
    caplog.set_level(logging.CRITICAL)
    services, one = server.services, Picky()
    pauses = {"first_pause_seconds": 0.002, "longest_pause_seconds": 0.01}
    follower = Follower(services.db, services.audit, "siem", one, services.clock, **pauses)
    services.exporting.followers = (follower,)
    follower.start()
    yield one
    await follower.close()


async def read_until(client, *texts):
    async with asyncio.timeout(20):
        while True:
            page = (await client.get(HERE)).text
            if all(text in page for text in texts):
                return page
            await asyncio.sleep(0.02)


async def test_without_an_exporter_the_page_says_what_one_is_for(server, platform):
    assert "None yet" in (await platform.get(HERE)).text


async def test_an_operator_sees_what_was_refused_and_sends_it_again(server, platform, picky):
    await server.services.audit.record(Event(Act.SERVER_STARTED, "system", "server", "s", SERVER, {"version": "1"}))
    page = await read_until(platform, "The other side answers 400.", "nothing waits")
    assert "Refused: " in page
    assert "/platform/exporters shows them" in (await platform.get("/platform")).text
    picky.refuses = ()
    answer = await post(platform, server, f"{HERE}/siem/resend")
    assert answer.status_code == 200
    assert "are sent once more" in answer.text
    page = await read_until(platform, "nothing waits", "up to date")
    assert "Refused: " not in page


async def test_an_exporter_that_fails_is_seen_and_tried_at_once(server, platform, picky):
    await read_until(platform, "nothing waits")
    picky.is_away = True
    assert (await post(platform, server, f"{HERE}/siem/test")).status_code == 200
    page = await read_until(platform, "ConnectionError: nobody answers")
    assert "fails" in page
    picky.is_away = False
    await read_until(platform, "and delivers again", "up to date")
    async with server.client() as client:
        text = (await client.get("/metrics")).text
    assert 'failgate_audit_put_aside{exporter="siem"}' in text


async def test_witnesses_are_asked_at_a_click_and_each_answer_is_shown(server, platform, tmp_path):
    services, name = server.services, "w1.example/w"
    with liar(lambda _: (500, "full")) as full:
        one = Program(tmp_path / "witness", name).start()
        try:
            one.trust(await services.audit.vkey("system"))
            out = Outbound(allow_loopback=True, hosts=())
            asked = [witness_of("near", one.vkey, one.url, out), witness_of("far", one.vkey, full, out)]
            room = Witnessing(services.db, services.audit, services.clock, asked)
            await room.open()
            services.exporting.witnessing = room
            object.__setattr__(services, "witnessing", room)  # as if the config had named them
            assert "Ask them now" in (await platform.get(HERE)).text
            answer = await post(platform, server, "/platform/witnesses/try")
            assert answer.status_code == 200
            assert re.search("<b>near</b>: It cosigned the newest checkpoint of [0-9]+ logs", answer.text)
            assert "<b>far</b>: The witness did not cosign: 500" in answer.text
        finally:
            one.kill()
    [said] = [one.record for one in await services.audit.records("system") if one.record["act"] == "witness.asked"]
    assert said["actor"]["t"] == "user"


async def test_only_the_platform_role_comes_in_and_only_to_what_there_is(server, people, platform, picky):
    assert (await post(platform, server, "/platform/witnesses/try")).status_code == 404
    assert "Ask them now" not in (await platform.get(HERE)).text
    for verb in ("test", "resend"):
        assert (await post(platform, server, f"{HERE}/absent/{verb}")).status_code == 404
        async with person(server, people, "owner") as owner:
            assert (await post(owner, server, f"{HERE}/siem/{verb}")).status_code == 404
    await server.services.accounts.revoke_platform_role(people.accounts["nobody"], OPERATOR)
    assert (await platform.get(HERE)).status_code == 404
