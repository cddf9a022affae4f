"""From the audit log into the outbox: who is told of what, once, whatever happens in between. B9 E18."""

import json

import pytest

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.audit.record import SERVER, Actor
from failgate.gate.absences import Absence
from failgate.notify import events
from failgate.notify.wording import Happening
from failgate.wire.edits import Edit, EditWish
from failgate.wire.notify import WebhookChange
from tests.notify.conftest import House, on_sqlite

TOKEN = "ghp_" + "x7Kq2mZ9" * 4 + "Wd4R"


async def told(house: House, target: str) -> list[str]:
    page = await house.room.outbox.page(house.workspace, target, 100)
    return [entry.event for entry in reversed(page)]


async def test_a_command_is_told_of_when_it_waits_and_when_it_is_decided(house: House) -> None:
    hook, ann = await house.hook(), await house.person("ann")
    view = await house.ask(house.agent(house.owner))
    await house.vote(ann, view)
    assert await house.route() == 2
    assert await told(house, hook) == ["command.pending", "command.decided"]
    pending = (await house.room.outbox.page(house.workspace, hook, 9))[1].notification
    assert pending.title == "A command waits: rm on build-1"
    assert pending.url == f"http://127.0.0.1:8440/w/acme/queue?c={view.id}"
    decided = (await house.room.outbox.page(house.workspace, hook, 9))[0].notification
    assert decided.title == "Approved: rm on build-1"
    assert decided.facts["command"]["decision"] == "approved"


async def test_what_was_read_is_not_read_again_and_a_crash_before_the_cursor_moved_doubles_nothing(
    house: House,
) -> None:
    hook = await house.hook()
    await house.ask(house.agent(house.owner))
    assert await house.route() == 1
    assert await house.route() == 0
    await house.services.db.write(lambda tx: tx.execute("UPDATE notify_cursor SET seq = 0"))
    await house.route()
    assert await told(house, hook) == ["command.pending"]


@on_sqlite
async def test_nothing_older_than_the_destination_is_told(house: House) -> None:
    first = await house.hook()
    await house.ask(house.agent(house.owner))
    second = await house.hook()
    await house.ask(house.agent(house.owner))
    await house.route()
    assert len(await told(house, first)) == 2
    assert len(await told(house, second)) == 1


@on_sqlite
async def test_a_workspace_without_listeners_is_not_read(house: House) -> None:
    await house.ask(house.agent(house.owner))
    assert await house.services.db.fetch("SELECT * FROM notify_cursor") == []
    assert await house.route() == 0


@on_sqlite
async def test_a_destination_is_told_of_its_events_alone(house: House) -> None:
    hook, ann = await house.hook("command.decided"), await house.person("ann")
    await house.vote(ann, await house.ask(house.agent(house.owner)), "deny")
    await house.route()
    assert await told(house, hook) == ["command.decided"]


@on_sqlite
async def test_a_switched_off_destination_is_told_nothing_not_even_afterwards(house: House) -> None:
    hook = await house.hook()
    await house.room.destinations.change(SERVER, house.workspace, hook, WebhookChange(enabled=False))
    await house.ask(house.agent(house.owner))
    await house.room.destinations.change(SERVER, house.workspace, hook, WebhookChange(enabled=True))
    await house.ask(house.agent(house.owner))
    await house.route()
    assert await told(house, hook) == ["command.pending"]


@on_sqlite
@pytest.mark.parametrize("details", [False, True])
async def test_arguments_are_told_only_where_the_workspace_lets_them_out_and_never_a_secret(
    house: House, details: bool
) -> None:
    hook = await house.hook(details=details)
    await house.ask(
        house.agent(house.owner, f"agent {TOKEN}"), "/usr/bin/deploy", "--password", "hunter2-and-more",
        f"--header=Authorization: Bearer {TOKEN}", "plain-argument", host=f"h-{TOKEN}",
    )  # fmt: skip
    await house.route()
    (entry,) = await house.room.outbox.page(house.workspace, hook, 9)
    sent = json.dumps([entry.notification.title, entry.notification.lines, entry.notification.facts])
    assert TOKEN not in sent
    assert "hunter2" not in sent
    assert ("plain-argument" in sent) is details
    assert "deploy" in sent


@on_sqlite
async def test_the_program_may_not_hide_a_secret_either(house: House) -> None:
    hook = await house.hook()
    await house.ask(house.agent(house.owner), f"/usr/bin/{TOKEN}")
    await house.route()
    (entry,) = await house.room.outbox.page(house.workspace, hook, 9)
    assert TOKEN not in repr(entry)


@on_sqlite
async def test_texts_of_agents_are_inert(house: House) -> None:
    hook = await house.hook(details=True)
    await house.ask(house.agent(house.owner, "ci\u202egnp.exe\r\nBcc: x"), "/bin/r\u200bm", "a\x1b[2Jb", "")
    await house.route()
    (entry,) = await house.room.outbox.page(house.workspace, hook, 9)
    said = "".join([entry.notification.title, *(text for _, text in entry.notification.lines)])
    assert said.isprintable()
    assert "⟨U+202E RLO⟩" in said
    assert "⟨U+200B ZWSP⟩" in said
    assert "⟨U+001B ESC⟩" in said
    assert "⟨empty⟩" in said


async def test_members_hear_what_they_chose_and_nobody_is_asked_about_their_own(house: House) -> None:
    ann, dev, auditor = (
        await house.person("ann"),
        await house.person("dev", Role.DEVELOPER),
        await house.person("aud", Role.AUDITOR),
    )
    for who in (ann, dev, auditor, house.owner):
        await house.room.preferences.choose(Actor.of(who), house.workspace, who.account_id or "", events.NAMES)
    view = await house.ask(house.agent(dev))
    await house.vote(ann, view)
    await house.route()
    # A developer may not vote, so nothing waits for one; the decision is the asker's own alone.
    assert await told(house, ann.account_id or "") == ["command.pending"]
    assert await told(house, house.owner.account_id or "") == ["command.pending"]
    assert await told(house, dev.account_id or "") == ["command.decided"]
    assert await told(house, auditor.account_id or "") == []
    await house.ask(house.agent(ann))
    await house.route()
    assert await told(house, ann.account_id or "") == ["command.pending"], "not of their own agent's"


async def test_an_escalation_reaches_the_group_that_it_names_and_no_stranger(house: House) -> None:
    ann, bob, stranger = await house.person("ann"), await house.person("bob"), await house.person("eve", None)
    hook = await house.hook("command.escalated")
    view = await house.ask(house.agent(house.owner))
    named = [bob.account_id or "", stranger.account_id or "", house.owner.account_id or ""]

    async def silence(tx):
        await house.room.escalating.escalate(
            tx, house.workspace, view.id, group="seniors", step=1, accounts=named, waited_us=30_000_000
        )

    await house.services.db.write(silence)
    await house.route()
    assert await told(house, hook) == ["command.escalated"]
    assert await told(house, bob.account_id or "") == ["command.escalated"], "without a word of theirs"
    for other in (ann, stranger, house.owner):
        assert await told(house, other.account_id or "") == []
    (entry,) = await house.room.outbox.page(house.workspace, hook, 9)
    assert entry.notification.facts["group"] == "seniors"


async def test_an_escalation_is_the_first_thing_that_a_workspace_tells(house: House) -> None:
    """Nothing followed its log before: the hook begins that in the same transaction."""
    bob = await house.person("bob")
    view = await house.ask(house.agent(house.owner))

    async def silence(tx):
        await house.room.escalating.escalate(
            tx, house.workspace, view.id, group="seniors", step=1, accounts=[bob.account_id or ""], waited_us=1
        )

    await house.services.db.write(silence)
    await house.route()
    assert await told(house, bob.account_id or "") == ["command.escalated"]
    # The journal of the command stays provable with it.
    await house.vote(bob, view)


@on_sqlite
async def test_who_leaves_hears_nothing_more(house: House) -> None:
    ann = await house.person("ann")
    await house.room.preferences.choose(Actor.of(ann), house.workspace, ann.account_id or "", events.NAMES)
    await house.ask(house.agent(house.owner))
    await house.route()
    await house.services.workspaces.remove_member(house.workspace, ann.account_id or "", SERVER)
    assert await told(house, ann.account_id or "") == []
    await house.ask(house.agent(house.owner))
    await house.route()
    assert await told(house, ann.account_id or "") == []


@on_sqlite
async def test_expiry_is_told_to_who_asked_and_lapse_to_nobody(house: House) -> None:
    hook, ann = await house.hook("command.decided"), await house.person("ann")
    await house.ask(house.agent(house.owner))
    used_late = await house.ask(house.agent(house.owner))
    await house.vote(ann, used_late)
    house.clock.advance(61)
    await house.services.gate.expire_due()
    await house.route()
    said = [entry.notification.title for entry in await house.room.outbox.page(house.workspace, hook, 9)]
    assert sorted(said) == ["Approved: rm on build-1", "Expired: rm on build-1"]


def test_every_act_that_is_told_has_its_kind_and_words() -> None:
    assert set(events.OF_ACT.values()) == set(events.NAMES)
    assert Happening("command.decided", 1, 1, "command.denied", "x", {}).decision == "denied"


async def away(house: House, who: Principal, stand_in: Principal | None) -> None:
    now_us = house.clock.now_us()
    named = None if stand_in is None else stand_in.account_id
    absence = Absence(house.workspace, who.account_id or "", now_us, now_us + 3_600_000_000, "UTC", named)
    await house.services.absences.declare(Actor.of(who), absence)


async def test_who_stands_in_is_told_in_the_place_of_who_is_away(house: House) -> None:
    ann, ben, eve = await house.person("ann"), await house.person("ben"), await house.person("eve")
    for one in (ann, eve):
        await house.room.preferences.choose(Actor.of(one), house.workspace, one.account_id or "", ["command.pending"])
    await away(house, ann, ben)
    await away(house, eve, None)
    view = await house.ask(house.agent(house.owner))
    await house.route()
    assert await told(house, ann.account_id or "") == []
    assert await told(house, ben.account_id or "") == ["command.pending"]
    assert await told(house, eve.account_id or "") == ["command.pending"], "nobody stands in: they are told as ever"
    await house.ask(house.agent(ben))
    await house.route()
    assert await told(house, ben.account_id or "") == ["command.pending"], "not of their own agent's"
    await house.services.workspaces.change_role(house.workspace, ben.account_id or "", Role.DEVELOPER, SERVER)
    await house.ask(house.agent(house.owner))
    await house.route()
    assert await told(house, ann.account_id or "") == ["command.pending"], "nobody stands in for her any more"
    assert (await house.services.absences.now(house.workspace))[0].stand_in is None
    await house.vote(eve, view)
    await house.route()
    assert len(await told(house, ben.account_id or "")) == 1


async def test_who_leaves_is_away_no_more_and_who_is_disabled_stands_in_for_nobody(house: House) -> None:
    ann, ben, eve = await house.person("ann"), await house.person("ben"), await house.person("eve")
    await away(house, ann, eve)
    await away(house, ben, eve)
    await house.services.workspaces.remove_member(house.workspace, ann.account_id or "", SERVER)
    (one,) = await house.services.absences.now(house.workspace)
    assert (one.person.account_id, one.stand_in and one.stand_in.account_id) == (ben.account_id, eve.account_id)
    await house.services.accounts.disable(eve.account_id or "", SERVER)
    await house.services.accounts.enable(eve.account_id or "", SERVER)
    (one,) = await house.services.absences.now(house.workspace)
    assert one.stand_in is None


async def test_an_edit_that_needs_nobody_else_is_not_told_to_wait(house: House) -> None:
    hook, ann = await house.hook("command.pending", "command.decided"), await house.person("ann")
    view = await house.ask(house.agent(house.owner))
    gate, argv = house.services.gate, ["/usr/bin/rm", "build"]
    trial = await gate.try_edit(ann, house.workspace, view.id, EditWish(view.digest, argv))
    await gate.edit(ann, house.workspace, view.id, Edit(view.digest, argv, trial.digest))
    await house.route()
    assert await told(house, hook) == ["command.pending", "command.decided", "command.decided"]
