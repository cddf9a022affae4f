"""From the outbox to real receivers: in order for each, at least once, later and later, and visible when it is dead. B9."""

import asyncio
import json

from standardwebhooks import Webhook as Verifier

from failgate.audit.record import SERVER, Actor
from failgate.base.errors import StorageUnavailable
from failgate.notify import delivering, events, outbox
from failgate.notify.delivering import PAUSES_SECONDS
from failgate.notify.wording import Setting
from failgate.testing import Reply
from tests.notify.conftest import House, on_sqlite

SETTING = Setting("acme", "http://127.0.0.1:8440")


def sent(house: House) -> list[tuple[str, str]]:
    """Return program and id of what came."""
    return [
        (json.loads(each.body)["data"].get("command", {}).get("program", "-"), each.headers["webhook-id"])
        for each in house.receiver.posted
    ]


async def waiting(house: House, *programs: str) -> str:
    """Return a destination for which these commands wait."""
    hook = await house.hook("command.pending")
    for program in programs:
        await house.ask(house.agent(house.owner), f"/bin/{program}")
    await house.route()
    return hook


async def test_what_waits_arrives_in_order(house: House) -> None:
    hook = await waiting(house, "one", "two", "three")
    house.room.delivering.start()
    await house.until_states(hook, "delivered", "delivered", "delivered")
    assert [program for program, _ in sent(house)] == ["one", "two", "three"]


async def test_what_fails_is_tried_again_later_and_later_under_its_id_and_holds_up_what_follows(house: House) -> None:
    hook = await waiting(house, "one", "two")
    house.receiver.replies += [Reply(500)] * 3
    house.room.delivering.start()
    for count, pause in enumerate(PAUSES_SECONDS[:3], 1):
        await house.until_tried(hook, count)
        page = await house.room.outbox.page(house.workspace, hook, 9)
        left = (page[1].next_us - house.clock.now_us()) / 1e6
        assert page[1].attempts == count
        assert pause / 2 <= left <= pause, "with a share of chance, so that nobody knocks in step"
        house.advance(pause)
    await house.until_states(hook, "delivered", "delivered")
    assert [program for program, _ in sent(house)] == ["one", "one", "one", "one", "two"]
    assert len({id_ for program, id_ in sent(house) if program == "one"}) == 1


@on_sqlite
async def test_one_that_is_away_holds_up_no_other(house: House) -> None:
    away = await house.hook("command.pending", url="http://127.0.0.1:9/closed")
    hook = await waiting(house, "one")
    house.room.delivering.start()
    await house.until_states(hook, "delivered")
    assert await house.states(away) == ["waiting"]


@on_sqlite
async def test_it_comes_back_when_the_other_side_says(house: House) -> None:
    hook = await waiting(house, "one")
    house.receiver.replies.append(Reply(429, {"retry-after": "600"}))
    house.room.delivering.start()
    await house.until_tried(hook, 1)
    (entry,) = await house.room.outbox.page(house.workspace, hook, 9)
    assert entry.next_us - house.clock.now_us() == 600_000_000


async def test_what_failed_for_good_is_dead_visible_recorded_and_can_be_sent_again(house: House) -> None:
    hook = await waiting(house, "one", "two")
    house.receiver.replies += [Reply(500, {}, b"words of theirs")] * (len(PAUSES_SECONDS) + 1)
    house.room.delivering.start()
    for count in range(1, len(PAUSES_SECONDS) + 1):
        await house.until_tried(hook, count)
        house.advance(4000)
    await house.until_states(hook, "delivered", "dead")
    dead = (await house.room.outbox.page(house.workspace, hook, 9))[1]
    assert dead.outcome == "The other side answers 500."
    assert dead.attempts == len(PAUSES_SECONDS) + 1
    (record,) = await house.services.audit.newest(house.workspace, obj_id=dead.id)
    assert record.record["act"] == "notification.failed"
    assert record.record["data"]["destination"] == hook
    before = len(house.receiver.posted)
    await house.room.destinations.resend(SERVER, house.workspace, hook, dead.id)
    await house.until_states(hook, "delivered", "delivered")
    assert sent(house)[before:] == [("one", f"msg_{dead.id}")]


@on_sqlite
async def test_gone_switches_the_destination_off_and_says_so(house: House) -> None:
    hook = await waiting(house, "one", "two")
    house.receiver.replies.append(Reply(410))
    house.room.delivering.start()
    await house.until_states(hook, "dead", "dead")
    assert len(house.receiver.posted) == 1
    assert not (await house.room.destinations.one(house.workspace, hook)).is_enabled
    acts = [record.record["act"] for record in await house.services.audit.newest(house.workspace, obj_id=hook)]
    assert acts[0] == "notification_destination.stopped"


@on_sqlite
async def test_a_test_goes_before_what_hangs(house: House) -> None:
    hook = await waiting(house, "one")
    house.receiver.replies.append(Reply(500))
    house.room.delivering.start()
    await house.until_tried(hook, 1)
    await house.room.destinations.test(SERVER, house.workspace, hook, SETTING)
    await house.until(lambda: len(house.receiver.posted) == 2)
    assert json.loads(house.receiver.posted[1].body)["type"] == events.TEST
    assert json.loads(house.receiver.posted[1].body)["data"]["url"].endswith("/w/acme/settings/notifications")


@on_sqlite
async def test_what_arrived_and_could_not_be_kept_is_sent_again_under_its_id(house: House, monkeypatch) -> None:
    """As after a kill between the answer of the other side and our own commit; see the journey for the kill itself."""
    hook, tries = await waiting(house, "one"), []
    monkeypatch.setattr(delivering, "PAUSE_SECONDS", 0.01)
    real = house.room.outbox.mark

    async def mark(*args, **more) -> bool:
        tries.append(args)
        if len(tries) == 1:
            raise StorageUnavailable("The disk is full.")
        return await real(*args, **more)

    monkeypatch.setattr(house.room.outbox, "mark", mark)
    house.room.delivering.start()
    await house.until_states(hook, "delivered")
    assert len(house.receiver.posted) == 2
    assert len({id_ for _, id_ in sent(house)}) == 1


@on_sqlite
async def test_both_secrets_sign_for_a_day_and_then_the_new_one_alone(house: House) -> None:
    hook = await house.hook("command.pending")
    first = await house.room.destinations.rotate(SERVER, house.workspace, hook)
    second = await house.room.destinations.rotate(SERVER, house.workspace, hook)
    found = await house.room.destinations.address(house.workspace, hook)
    assert found is not None
    assert [secret.reveal() for secret in found[1].secrets] == [second.secret, first.secret]
    Verifier(second.secret or "")
    house.clock.advance(86_401)
    later = await house.room.destinations.address(house.workspace, hook)
    assert later is not None
    assert [secret.reveal() for secret in later[1].secrets] == [second.secret]


@on_sqlite
async def test_neither_address_nor_secret_stands_in_the_database(house: House) -> None:
    made = await house.hook(url=f"{house.receiver.url}?key=hunter2")
    rotated = await house.room.destinations.rotate(SERVER, house.workspace, made)
    (row,) = await house.services.db.fetch("SELECT * FROM notify_destination")
    assert "hunter2" not in repr(row)
    assert (rotated.secret or "-") not in repr(row)


@on_sqlite
async def test_letters_go_to_members_at_their_own_address_while_they_are_members(house: House) -> None:
    ann, bob = await house.person("ann"), await house.person("bob")
    for who in (ann, bob):
        await house.room.preferences.choose(Actor.of(who), house.workspace, who.account_id or "", ["command.pending"])
    await house.ask(house.agent(house.owner))
    await house.route()
    await house.services.accounts.disable(bob.account_id or "", SERVER)
    house.room.delivering.start()
    await house.until(lambda: len(house.mailbox.letters) == 1)
    await house.until_states(ann.account_id or "", "delivered")
    await house.until_states(bob.account_id or "", "dead")
    assert house.mailbox.subjects("ann@acme.example") == ["[acme] A command waits: rm on build-1"]
    assert house.mailbox.subjects("bob@acme.example") == []


async def test_the_outbox_does_not_grow_without_end(house: House, monkeypatch) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING", 3)
    monkeypatch.setattr(outbox, "MOST_ENDED", 2)
    hook = await waiting(house, *"abcdef")
    assert sorted(await house.states(hook)) == ["dead"] * 3 + ["waiting"] * 3
    await house.room.outbox.sweep()
    assert sorted(await house.states(hook)) == ["dead"] * 2 + ["waiting"] * 3
    house.clock.advance(31 * 86_400)
    await house.room.outbox.sweep()
    assert await house.states(hook) == ["waiting"] * 3, "what waits is never swept"


@on_sqlite
async def test_a_notifier_that_is_no_longer_enabled_keeps_nothing_waiting(house: House) -> None:
    hook = await waiting(house, "one")
    await house.services.db.write(lambda tx: tx.execute("UPDATE notification SET notifier = 'pager'"))
    house.room.delivering.start()
    await house.until_states(hook, "dead")


@on_sqlite
async def test_a_silent_receiver_is_not_waited_for_without_end(house: House, monkeypatch) -> None:
    monkeypatch.setattr(house.room.delivering, "_longest_try_seconds", 0.05)
    held: list[asyncio.StreamWriter] = []

    async def keep_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    silent = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    quiet = await house.hook("command.pending", url=f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/")
    await house.ask(house.agent(house.owner))
    await house.route()
    house.room.delivering.start()
    await house.until_tried(quiet, 1)
    (entry,) = await house.room.outbox.page(house.workspace, quiet, 1)
    assert entry.outcome == "No answer within 0.05 seconds."
    silent.close()
    for writer in held:
        writer.close()
        await writer.wait_closed()


@on_sqlite
async def test_a_deleted_workspace_tells_nothing(house: House) -> None:
    hook = await waiting(house, "one")

    async def end(tx) -> None:
        await house.room.end_of_workspace(tx, house.workspace, SERVER)

    await house.services.db.write(end)
    house.room.delivering.start()
    await house.ask(house.agent(house.owner))
    assert await house.route() == 0
    assert await house.states(hook) == ["dead"]
    assert house.receiver.posted == []


def test_the_pauses_end_within_two_hours() -> None:
    assert sum(delivering.PAUSES_SECONDS) < 7200
