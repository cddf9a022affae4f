"""Away, and who stands in: in a whole gate over both engines. B8 E5, SECURITY section 4."""

from zoneinfo import ZoneInfo

import pytest

from failgate.audit.record import SERVER, Actor
from failgate.base.errors import BadInput, Forbidden, NotFound, Unprocessable
from failgate.base.ids import new_id
from failgate.gate.absences import Absence, Absences, check_zone, moment_in, seats_of
from failgate.gate.electorate import Members
from failgate.gate.terms import Group, Terms
from failgate.gate.verification import verify_gate
from tests.gate.conftest import agent
from tests.gate.test_deciding import demanding

HOUR_US = 3600 * 1_000_000
LEAD = Group("lead", 1, ("admin",))


def absences_of(house) -> Absences:
    return Absences(house.db, house.audit, house.clock, Members())


async def away(house, person, stand_in=None, *, begin=0, hours=8):
    now_us = house.clock.now_us()
    absence = Absence(
        house.workspace, person.account_id, now_us + begin, now_us + begin + hours * HOUR_US, "Europe/Berlin",
        None if stand_in is None else stand_in.account_id,
    )  # fmt: skip
    await absences_of(house).declare(Actor.of(person), absence)


async def records(house, account_id):
    found = await house.audit.newest(house.workspace, limit=100, obj_id=account_id)
    return [(one.record["act"], one.record["data"]) for one in reversed(found)]


async def asked(house, **terms):
    await demanding(house, groups=(LEAD,), **terms)
    return await house.submit(agent(), ttl_seconds=80_000)


async def test_who_stands_in_takes_the_place_in_the_group_and_the_record_says_so(house):
    view, lead, peer = await asked(house), await house.person("admin"), await house.person()
    assert (await house.vote(peer, view)).state == "pending", "a reviewer is no lead"
    await away(house, lead, peer)
    approved = await house.vote(peer, view)
    assert approved.state == "approved"
    (record,) = [
        one.record
        for one in await house.audit.newest(house.workspace, limit=100, obj_id=view.id)
        if one.record["act"] == "command.approved"
    ]
    assert record["data"]["stand_ins"] == [f"{peer.account_id}/{lead.account_id}"]
    assert await verify_gate(house.db, house.audit, house.allowlist) == []
    act, facts = (await records(house, lead.account_id))[-1]
    assert (act, facts["stand_in"]) == ("absence.declared", peer.account_id)


async def test_it_counts_in_its_time_alone(house):
    view, lead, peer = await asked(house), await house.person("admin"), await house.person()
    await away(house, lead, peer, begin=HOUR_US)
    assert (await house.vote(peer, view)).state == "pending"
    house.clock.advance(3600 + 8 * 3600)
    assert (await house.vote(peer, view)).state == "pending", "it is over"
    other = await house.submit(agent(), ttl_seconds=80_000)
    await away(house, lead, peer)
    assert (await house.vote(peer, other)).state == "approved"


async def test_a_person_takes_one_seat_and_somebody_who_decides_themselves_gives_none_away(house):
    both = Group("lead", 2, ("admin",))
    await demanding(house, groups=(both,))
    ann, ben, peer = await house.person("admin"), await house.person("admin"), await house.person()
    await away(house, ann, peer)
    await away(house, ben, peer)
    view = await house.submit(agent())
    assert (await house.vote(peer, view)).state == "pending", "for two people, and one all the same"
    assert (await house.vote(ann, view)).state == "approved", "ann for herself, peer for ben"
    other = await house.submit(agent())
    await house.vote(peer, other)
    await absences_of(house).end(Actor.of(ben), house.workspace, ben.account_id)
    assert (await house.vote(ann, other)).state == "pending", "ann came back: nobody stands in for her, nor for ben"
    assert (await house.vote(ben, other)).state == "approved"


async def test_nobody_stands_in_for_whom_this_request_excludes(house):
    await demanding(house, groups=(LEAD,))
    owner, peer = await house.person("admin"), await house.person()
    await away(house, owner, peer)
    own = await house.submit(agent(owner.account_id))
    assert (await house.vote(peer, own)).state == "pending", "nobody chooses who approves their own agent's request"
    assert (await house.vote(await house.person("admin"), own)).state == "approved"
    await demanding(house, groups=(LEAD,), excluded=(owner.label,))
    view = await house.submit(agent())
    assert (await house.vote(peer, view)).state == "pending"
    twin = await house.person("admin")
    await house.sql("UPDATE account SET email = $1 WHERE id = $2", "x+two@example.org", twin.account_id)
    await house.sql("UPDATE account SET email = 'x@example.org' WHERE id = $1", owner.account_id)
    await demanding(house, groups=(LEAD,))
    await away(house, twin, peer)
    mailbox = await house.submit(agent(owner.account_id))
    assert (await house.vote(peer, mailbox)).state == "pending", "another account of the owner's mailbox"


async def test_the_requester_stands_in_for_nobody_on_their_own_request(house):
    await demanding(house, groups=(LEAD,))
    lead, owner = await house.person("admin"), await house.person()
    await away(house, lead, owner)
    view = await house.submit(agent(owner.account_id))
    with pytest.raises(Forbidden):
        await house.vote(owner, view)


async def test_chains_are_not_followed_and_cycles_give_nothing(house):
    view, lead = await asked(house), await house.person("admin")
    ann, ben = await house.person(), await house.person()
    await away(house, lead, ann)
    await away(house, ann, ben)
    await away(house, ben, ann)
    assert (await house.vote(ben, view)).state == "pending", "ben stands in for ann, not for the lead"
    assert (await house.vote(ann, view)).state == "approved"


@pytest.mark.parametrize("whose", ["absent", "stand-in"])
@pytest.mark.parametrize("loss", ["role", "factor", "account", "membership"])
async def test_what_either_loses_while_the_request_waits_ends_it(house, whose, loss):
    both = Group("peer", 1, ("reviewer",))
    await demanding(house, groups=(LEAD, both))
    lead, peer, other = await house.person("admin"), await house.person("owner"), await house.person()
    await away(house, lead, peer)
    view = await house.submit(agent())
    assert (await house.vote(peer, view)).state == "pending", "for the lead; a peer is missing"
    lost = lead if whose == "absent" else peer
    statement = {
        "role": "UPDATE membership SET role = 'developer' WHERE account_id = $1",
        "factor": "DELETE FROM totp_secret WHERE account_id = $1",
        "account": "UPDATE account SET disabled_us = 1 WHERE id = $1",
        "membership": "DELETE FROM membership WHERE account_id = $1",
    }[loss]
    await house.sql(statement, lost.account_id)
    assert (await house.vote(other, view)).state == "pending", "the stand-in's seat is open again"
    assert (await house.vote(await house.person("admin"), view)).state == "approved"


async def test_what_is_no_absence_is_refused(house):
    lead, peer, now_us = await house.person("admin"), await house.person(), house.clock.now_us()
    kept, actor = absences_of(house), Actor.of(lead)

    def absence(account=lead, begin=0, end=HOUR_US, zone="UTC", stand_in=None):
        return Absence(house.workspace, account.account_id, now_us + begin, now_us + end, zone, stand_in)

    for bad in (absence(end=0), absence(begin=HOUR_US), absence(begin=-2 * HOUR_US, end=-HOUR_US),
                absence(end=400 * 24 * HOUR_US), absence(zone="Mars/Olympus"), absence(zone="../../etc/passwd"),
                absence(zone=""), absence(zone="/etc/localtime")):  # fmt: skip
        with pytest.raises(BadInput):
            await kept.declare(actor, bad)
    twin = await house.person("reviewer")
    await house.sql("UPDATE account SET email = $1 WHERE id = $2", "l+x@example.org", twin.account_id)
    await house.sql("UPDATE account SET email = 'L@example.org' WHERE id = $1", lead.account_id)
    refused = [lead.account_id, twin.account_id, new_id(), (await house.person("developer")).account_id,
               (await house.person(factor=False)).account_id, (await house.person(disabled=True)).account_id,
               (await house.person("")).account_id, agent().agent_id, ""]  # fmt: skip
    for stand_in in refused:
        with pytest.raises(Unprocessable):
            await kept.declare(actor, absence(stand_in=stand_in))
    for who in (await house.person("developer"), await house.person(factor=False), await house.person("")):
        with pytest.raises(Forbidden):
            await kept.declare(Actor.of(who), absence(who))
    with pytest.raises(NotFound):
        await kept.end(actor, house.workspace, lead.account_id)
    assert await records(house, lead.account_id) == []
    await kept.declare(actor, absence(stand_in=peer.account_id))
    await kept.declare(actor, absence(end=2 * HOUR_US))
    (only,) = await kept.now(house.workspace)
    assert (only.absence.until_us, only.stand_in) == (now_us + 2 * HOUR_US, None)


async def test_it_ends_for_good_when_either_goes(house):
    kept = absences_of(house)
    lead, peer = await house.person("admin"), await house.person()
    await away(house, lead, peer)
    await house.sql("UPDATE membership SET role = 'developer' WHERE account_id = $1", peer.account_id)
    await house.db.write(lambda tx: kept.follow_role(tx, house.workspace, peer.account_id, SERVER))
    await house.sql("UPDATE membership SET role = 'reviewer' WHERE account_id = $1", peer.account_id)
    (one,) = await kept.now(house.workspace)
    assert one.stand_in is None, "who comes back later stands in for nobody"
    assert (await records(house, lead.account_id))[-1] == (
        "stand_in.ended", {"stand_in": peer.account_id, "reason": "role_lost"},
    )  # fmt: skip
    await away(house, lead, peer)
    await house.db.write(lambda tx: kept.end_of_account(tx, peer.account_id, SERVER))
    assert (await records(house, lead.account_id))[-1][1]["reason"] == "account_disabled"
    await house.db.write(lambda tx: kept.end_in_workspace(tx, house.workspace, lead.account_id, SERVER))
    assert (await records(house, lead.account_id))[-1] == ("absence.ended", {"reason": "member_removed"})
    assert await kept.now(house.workspace) == []
    before = await records(house, lead.account_id)
    await house.db.write(lambda tx: kept.follow_role(tx, house.workspace, lead.account_id, SERVER))
    assert await records(house, lead.account_id) == before, "nothing ends twice"


async def test_who_is_away_is_told_with_who_stands_in_for_which_group(house):
    kept = absences_of(house)
    lead, peer, other = await house.person("admin"), await house.person(), await house.person()
    await away(house, lead, peer)
    await away(house, other)
    await away(house, await house.person(), peer, begin=HOUR_US)
    found = await kept.now(house.workspace)
    assert {(one.person.account_id, one.stand_in and one.stand_in.account_id) for one in found} == {
        (lead.account_id, peer.account_id), (other.account_id, None),
    }  # fmt: skip
    terms = Terms(groups=(LEAD,))
    assert [one.person.account_id for one in seats_of(terms, (), found)] == [lead.account_id]
    assert seats_of(Terms(), (), found) == []
    assert seats_of(terms, (lead.account_id,), found) == seats_of(terms, (peer.account_id,), found) == []
    assert seats_of(Terms(groups=(LEAD,), excluded=(lead.label.upper(),)), (), found) == []
    assert await kept.stand_ins(house.workspace) == {lead.account_id: peer.account_id}
    assert await kept.now(new_id()) == []


def test_local_times_are_read_in_their_zone():
    berlin = check_zone("Europe/Berlin")
    assert isinstance(berlin, ZoneInfo)
    assert moment_in("2026-07-01T09:00", berlin) == moment_in("2026-07-01T07:00", check_zone("UTC"))
    assert moment_in("2026-12-01T09:00", berlin) == moment_in("2026-12-01T08:00", check_zone("UTC"))
    for text in ("", "tomorrow", "2026-13-01T00:00", "2026-07-01T09:00+02:00", "0001-01-01T00:00", "9999-12-31T23:59"):
        with pytest.raises(BadInput):
            moment_in(text, berlin)
