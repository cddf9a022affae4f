"""Two owners delete a workspace: every refusal, every race, and what is closed in the moment of the second word. F14"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from failgate.access.role import Role
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import FrozenClock
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound
from failgate.sso.draft import Draft
from failgate.wire.shares import NewShare
from tests.sso.conftest import OIDC
from tests.workspaces.closing import OPERATOR, RULE, House, furnished, opened, submission

HOUR = 3600


@pytest.fixture
async def house(database_url: str, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[House]:
    async with opened(tmp_path, database_url, clock) as services:
        yield await furnished(services, clock)


async def refused(kind: type[Exception], match: str, awaitable) -> None:
    with pytest.raises(kind, match=match):
        await awaitable


async def test_whose_word_does_not_count(house: House) -> None:
    deletion, services = house.deletion, house.services
    await refused(Forbidden, "Only an owner", deletion.ask(house.dev, house.acme, "acme"))
    key = replace(house.ann, kind="api_key", workspace_id=house.acme)
    await refused(Forbidden, "Only an owner", deletion.ask(key, house.acme, "acme"))
    await refused(Forbidden, "Only an owner", deletion.ask(house.ann, house.other, "other"))
    await refused(BadInput, "not this workspace's", deletion.ask(house.ann, house.acme, "Acme"))
    await refused(NotFound, "no such workspace", deletion.ask(house.ann, "nowhere", "acme"))
    asked = await deletion.ask(house.ann, house.acme, " acme ")
    await refused(Conflict, "asked for it already", deletion.ask(house.bob, house.acme, "acme"))
    await refused(Forbidden, "Another owner", deletion.confirm(house.ann, house.acme, asked.id, "acme"))
    await refused(BadInput, "not this workspace's", deletion.confirm(house.bob, house.acme, asked.id, "other"))
    await refused(NotFound, "No deletion waits", deletion.confirm(house.bob, house.acme, house.acme, "acme"))
    await refused(NotFound, "No deletion waits", deletion.confirm(house.bob, house.other, asked.id, "acme"))
    await refused(Forbidden, "Only an owner", deletion.confirm(house.dev, house.acme, asked.id, "acme"))
    await refused(Forbidden, "Only an owner", deletion.withdraw(house.dev, house.acme, asked.id))
    assert await services.workspaces.by_slug("acme") is not None
    await services.workspaces.change_role(house.acme, house.bob.id, Role.ADMIN, OPERATOR)
    await refused(Forbidden, "Only an owner", deletion.confirm(house.bob, house.acme, asked.id, "acme"))
    assert (await deletion.waiting(house.acme)) == asked
    await deletion.withdraw(house.ann, house.acme, asked.id)
    await refused(Conflict, "has one owner", deletion.ask(house.ann, house.acme, "acme"))
    acts = await house.acts(house.acme)
    assert acts[-3:] == ["workspace_deletion.asked", "member.changed", "workspace_deletion.withdrawn"]


@pytest.mark.parametrize("how", ["demoted", "removed", "barred"])
async def test_who_asked_counts_no_more_once_they_owned_it_no_more_even_when_they_came_back(
    house: House, how: str
) -> None:
    services, ann = house.services, house.ann.id
    await services.workspaces.add_member(house.acme, (await new_owner(house)).id, Role.OWNER, OPERATOR)
    asked = await house.deletion.ask(house.ann, house.acme, "acme")
    if how == "demoted":
        await services.workspaces.change_role(house.acme, ann, Role.ADMIN, OPERATOR)
        await services.workspaces.change_role(house.acme, ann, Role.OWNER, OPERATOR)
    elif how == "removed":
        await services.workspaces.remove_member(house.acme, ann, OPERATOR)
        await services.workspaces.add_member(house.acme, ann, Role.OWNER, OPERATOR)
    else:
        await services.accounts.disable(ann, OPERATOR)
        await services.accounts.enable(ann, OPERATOR)
    await refused(NotFound, "No deletion waits", house.deletion.confirm(house.bob, house.acme, asked.id, "acme"))
    assert await house.deletion.waiting(house.acme) is None
    ended = [one.record for one in await services.audit.records(house.acme, None, 1000)]
    [record] = [one for one in ended if one["act"] == "workspace_deletion.withdrawn"]
    reason = "account_disabled" if how == "barred" else "owner_changed"
    assert record["data"] == {"asked_by": ann, "reason": reason}


async def new_owner(house: House):
    services = house.services
    return await services.db.write(
        lambda tx: services.accounts.create_within(tx, "cid@acme.example", "no hash", OPERATOR)
    )


async def test_a_barred_owner_neither_confirms_nor_makes_a_second_one(house: House) -> None:
    asked = await house.deletion.ask(house.ann, house.acme, "acme")
    await house.services.accounts.disable(house.bob.id, OPERATOR)
    await refused(Forbidden, "Only an owner", house.deletion.confirm(house.bob, house.acme, asked.id, "acme"))
    await house.deletion.withdraw(house.ann, house.acme, asked.id)
    await refused(Conflict, "has one owner", house.deletion.ask(house.ann, house.acme, "acme"))


async def test_a_word_waits_for_72_hours(house: House, clock: FrozenClock) -> None:
    asked = await house.deletion.ask(house.ann, house.acme, "acme")
    clock.advance(72 * HOUR)
    assert await house.deletion.waiting(house.acme) is None
    await refused(Conflict, "went by", house.deletion.confirm(house.bob, house.acme, asked.id, "acme"))
    again = await house.deletion.ask(house.bob, house.acme, "acme")
    clock.advance(72 * HOUR - 1)
    await house.deletion.sweep()
    assert await house.deletion.waiting(house.acme) == again
    clock.advance(1)
    await house.deletion.sweep()
    assert (await house.acts(house.acme))[-4:] == [
        "workspace_deletion.asked", "workspace_deletion.withdrawn", "workspace_deletion.asked",
        "workspace_deletion.withdrawn",
    ]  # fmt: skip
    assert (await house.last(house.acme))["data"]["reason"] == "expired"


async def test_a_legal_hold_refuses_with_its_reason_at_both_words(house: House) -> None:
    report = await house.report(house.acme, house.ann, b"evidence\n")
    retention = house.services.report_room.retention
    await retention.hold(house.ann, house.acme, report, "case 12")
    await refused(Conflict, f"{report} is under legal hold: case 12", house.deletion.ask(house.ann, house.acme, "acme"))
    await retention.release(house.ann, house.acme, report)
    asked = await house.deletion.ask(house.ann, house.acme, "acme")
    await retention.hold(house.ann, house.acme, report, "case 13")
    confirming = house.deletion.confirm(house.bob, house.acme, asked.id, "acme")
    await refused(Conflict, "legal hold: case 13", confirming)
    await retention.release(house.ann, house.acme, report)
    await house.deletion.confirm(house.bob, house.acme, asked.id, "acme")
    assert await house.services.workspaces.by_slug("acme") is None


async def test_of_two_words_at_once_one_counts(house: House) -> None:
    services, deletion = house.services, house.deletion
    cid = await new_owner(house)
    await services.workspaces.add_member(house.acme, cid.id, Role.OWNER, OPERATOR)
    third = replace(house.bob, account_id=cid.id)
    for other in (deletion.withdraw, None):
        asked = await deletion.ask(house.ann, house.acme, "acme")
        rivals = [deletion.confirm(house.bob, house.acme, asked.id, "acme")]
        if other is not None:
            rivals.insert(0, other(third, house.acme, asked.id))
        else:
            rivals.append(deletion.confirm(third, house.acme, asked.id, "acme"))
        answers = await asyncio.gather(*rivals, return_exceptions=True)
        assert [type(one) for one in answers].count(NotFound) == 1, answers
    assert (await house.acts("system")).count("workspace.closed") == 1


async def test_a_withdrawal_after_the_confirmation_takes_nothing_back(house: House) -> None:
    asked = await house.deletion.ask(house.ann, house.acme, "acme")
    confirming = house.deletion.confirm(house.bob, house.acme, asked.id, "acme")
    withdrawing = house.deletion.withdraw(house.ann, house.acme, asked.id)
    answers = await asyncio.gather(confirming, withdrawing, return_exceptions=True)
    assert (answers[0], type(answers[1])) == (house.acme, NotFound)
    assert await house.services.workspaces.by_id(house.acme) is None


async def test_what_could_be_done_in_it_has_ended_when_the_second_word_is_said(house: House) -> None:
    services, ann = house.services, house.ann.id
    agent = await services.agents.create(house.acme, "builder", house.dev.id, OPERATOR)
    agent_token = await services.tokens.mint("agt", agent.id, house.acme, "x", actor=OPERATOR)
    own_key = await services.tokens.mint("usr", ann, house.acme, "x", actor=OPERATOR)
    await services.certificates.register(house.acme, agent.id, "dns:bot.example", OPERATOR)
    keys = services.report_room.ingestion.keys
    _, ingest_key = await keys.create(house.acme, "till", ann, OPERATOR)
    report = await house.report(house.acme, house.ann, b"output\n")
    shared = await services.sharing.create(house.ann, house.acme, report, NewShare())
    connection = await services.sso.connections.create(house.acme, "idp", Draft(title="T", settings=OIDC), OPERATOR)
    provisioning = await services.scim.tokens.mint(connection, OPERATOR)
    rule = await services.rules.create(Actor.of(house.ann), house.acme, RULE)
    _, invitation = await services.invitations.create(house.acme, Role.REVIEWER, Actor.of(house.ann))
    assert await services.sso.connections.by_slug("idp") is not None
    asking = await services.tokens.resolve(agent_token)
    assert asking is not None
    command = await services.gate.submit(asking, house.acme, submission())
    waiting = asyncio.ensure_future(services.gate.wait(house.acme, command.id, asking, None))
    ended: list[str] = []
    services.tokens.on_revoked(ended.append)
    roles: list[tuple[str, object]] = []
    services.workspaces.on_role_changed(lambda _, account, role: roles.append((account, role)))
    await house.confirmed()

    assert await services.workspaces.by_slug("acme") is None
    assert await services.workspaces.role_of(house.acme, ann) is None
    assert await services.workspaces.memberships(ann) == []
    assert [await services.tokens.resolve(one) for one in (agent_token, own_key)] == [None, None]
    assert (len(ended), sorted(roles)) == (2, sorted((one.id, None) for one in (house.ann, house.bob, house.dev)))
    assert await services.certificates.resolve(["dns:bot.example"]) == []
    assert await keys.resolve(ingest_key) is None
    assert await services.scim.tokens.resolve(provisioning) is None
    assert await services.sso.connections.by_slug("idp") is None
    assert (services.gate.pending(house.acme), (await waiting).state) == ([], "cancelled")
    await refused(NotFound, ".", services.share_visits.open(shared.url.rpartition("#")[2], "192.0.2.1"))
    await refused(NotFound, ".", services.invitations.accept(invitation, house.dev.id, OPERATOR))
    await refused(NotFound, "destroyed", services.artifact_keys.opening_key(house.acme))
    records = [one.record for one in await services.audit.records(house.acme, None, 1000)]
    assert (records[-1]["act"], records[-1]["actor"]["id"]) == ("workspace.closed", house.bob.id)
    acts = {one["act"] for one in records}
    assert acts >= {"command.cancelled", "rule.revoked", "share.revoked", "ingest_key.revoked", "token.revoked",
                    "certificate.revoked", "sso_connection.removed", "invitation.revoked", "artifact_key.destroyed",
                    "member.removed"}  # fmt: skip
    assert {"act": "rule.revoked", "id": rule.id} in [{"act": one["act"], "id": one["obj"]["id"]} for one in records]
    assert (await house.last("system"))["data"] == {"asked_by": ann, "owners": 2}


async def test_nothing_changes_in_it_any_more_whoever_was_under_way(house: House) -> None:
    services = house.services
    agent = await services.agents.create(house.acme, "builder", house.dev.id, OPERATOR)
    token = await services.tokens.mint("agt", agent.id, house.acme, "x", actor=OPERATOR)
    asking = await services.tokens.resolve(token)
    assert asking is not None
    asked = await house.deletion.ask(house.ann, house.acme, "acme")
    event = Event(Act.SHARING_STOPPED, house.acme, "workspace", house.acme, OPERATOR)
    answers = await asyncio.gather(
        house.deletion.confirm(house.bob, house.acme, asked.id, "acme"),
        services.audit.record(event),  # in the same group commit
        return_exceptions=True,
    )
    assert [type(one) for one in answers] == [str, NotFound]
    await refused(NotFound, "no such workspace", services.gate.submit(asking, house.acme, submission()))
    await refused(NotFound, ".", house.report(house.acme, house.ann, b"late\n"))
    await refused(NotFound, ".", services.workspaces.add_member(house.acme, house.dev.id, Role.OWNER, OPERATOR))
    await refused(NotFound, ".", services.workspaces.rename(house.acme, "x", OPERATOR))
    await refused(NotFound, ".", services.agents.create(house.acme, "late", house.dev.id, OPERATOR))
    assert (await house.last(house.acme))["act"] == "workspace.closed"


async def test_its_name_is_not_given_again(house: House) -> None:
    await house.confirmed()
    await refused(Conflict, ".", house.services.workspaces.create("acme", "Acme", house.dev.id, OPERATOR))
    await house.services.emptying.run_once()
    await refused(Conflict, "was deleted", house.services.workspaces.create("acme", "Acme", house.dev.id, OPERATOR))


async def test_what_is_left_is_read_by_those_who_owned_it(house: House) -> None:
    await house.confirmed()
    [left] = await house.deletion.deleted_of(house.bob.id)
    assert (left.name, left.state, left.receipt) == ("acme", "emptying", None)
    assert await house.deletion.one_deleted_of(house.ann.id, house.acme) == left
    assert (await house.deletion.deleted_of(house.dev.id), await house.deletion.deleted()) == ([], [left])
    await refused(NotFound, "no such deleted", house.deletion.one_deleted_of(house.dev.id, house.acme))
    await refused(NotFound, "no such deleted", house.deletion.one_deleted_of(house.ann.id, house.other))
