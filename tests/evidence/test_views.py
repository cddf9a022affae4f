"""Saved views: whose they are, who sees and changes them, and what of that is on record. E7"""

import pytest

from failgate.access.role import Role
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound
from failgate.base.ids import new_id
from failgate.evidence.views import MOST_OF_PERSON, SavedViews, Visitor

WS, OTHER = "0197f0c2-0000-7000-8000-000000000001", "0197f0c2-0000-7000-8000-000000000002"


def visitor(role: Role = Role.AUDITOR) -> Visitor:
    account = new_id()
    return Visitor(Actor("user", account, ("pwd", "otp")), account, role)


@pytest.fixture
def views(database, audit, clock) -> SavedViews:
    return SavedViews(database, audit, clock)


async def acts(audit, log: str = WS) -> list[str]:
    return [one.record["act"] for one in await audit.records(log)]


async def names(views: SavedViews, who: Visitor, workspace: str = WS) -> list[str]:
    return [one.name for one in await views.list(workspace, who.account_id)]


async def test_a_private_view_is_nobody_elses_and_not_on_record(audit, views):
    ann, bob, olga = visitor(), visitor(), visitor(Role.OWNER)
    mine = await views.save(ann, WS, " Votes ", "type=vote.cast", is_shared=False)
    assert await names(views, ann) == ["Votes"]
    assert [await names(views, bob), await names(views, olga), await names(views, ann, OTHER)] == [[], [], []]
    for other, where in ((bob, WS), (olga, WS), (ann, OTHER)):
        with pytest.raises(NotFound):
            await views.remove(other, where, mine.id)
        with pytest.raises(NotFound):
            await views.change(other, where, mine.id, "x", is_shared=True)
    await views.change(ann, WS, mine.id, "My votes", is_shared=False)
    assert await names(views, ann) == ["My votes"]
    await views.remove(ann, WS, mine.id)
    assert await names(views, ann) == []
    assert await acts(audit) == []


async def test_what_others_see_is_on_record_and_changed_by_its_maker_and_owners_alone(audit, views):
    ann, bob, olga = visitor(), visitor(), visitor(Role.OWNER)
    shared = await views.save(ann, WS, "Glass", "type=emergency", is_shared=True)
    assert [await names(views, bob), await names(views, olga)] == [["Glass"], ["Glass"]]
    assert await names(views, bob, OTHER) == []
    with pytest.raises(Forbidden):
        await views.change(bob, WS, shared.id, "Mine now", is_shared=True)
    with pytest.raises(Forbidden):
        await views.remove(bob, WS, shared.id)
    await views.change(olga, WS, shared.id, "Emergencies", is_shared=True)
    await views.change(ann, WS, shared.id, "Emergencies", is_shared=True)  # as it was: nothing to record
    assert await names(views, bob) == ["Emergencies"]
    await views.change(ann, WS, shared.id, "Emergencies", is_shared=False)
    assert await names(views, bob) == []
    await views.change(ann, WS, shared.id, "Emergencies", is_shared=True)
    await views.remove(olga, WS, shared.id)
    assert await acts(audit) == [
        "audit_view.shared", "audit_view.renamed", "audit_view.withdrawn", "audit_view.shared", "audit_view.withdrawn",
    ]  # fmt: skip
    said = (await audit.records(WS))[1].record
    assert (said["actor"]["id"], said["obj"]["id"], said["data"]["account"]) == (
        olga.account_id,
        shared.id,
        ann.account_id,
    )


async def test_names_and_filters_that_cannot_be_kept_are_refused(views):
    ann = visitor()
    await views.save(ann, WS, "Votes", "type=vote.cast", is_shared=False)
    second = await views.save(ann, WS, "Others", "type=rules", is_shared=False)
    for name, query in (
        (" ", "type=rules"),
        ("x" * 81, "type=rules"),
        ("a\u202eb", "type=rules"),
        ("x", ""),
        ("x", "q" * 4001),
    ):
        with pytest.raises(BadInput):
            await views.save(ann, WS, name, query, is_shared=False)
    with pytest.raises(Conflict):
        await views.save(ann, WS, "VOTES", "type=rules", is_shared=False)
    with pytest.raises(Conflict):
        await views.change(ann, WS, second.id, "votes", is_shared=False)
    await views.save(visitor(), WS, "Votes", "type=vote.cast", is_shared=True)  # of somebody else
    for number in range(MOST_OF_PERSON - 2):
        await views.save(ann, WS, f"v{number}", "type=rules", is_shared=False)
    with pytest.raises(Conflict, match="at most"):
        await views.save(ann, WS, "one more", "type=rules", is_shared=False)


async def test_who_leaves_takes_the_private_views_along(database, views):
    ann, bob = visitor(), visitor()
    await views.save(ann, WS, "Mine", "type=rules", is_shared=False)
    await views.save(ann, WS, "Of all", "type=rules", is_shared=True)
    await views.save(ann, OTHER, "Elsewhere", "type=rules", is_shared=False)
    await views.save(bob, WS, "His", "type=rules", is_shared=False)
    await database.write(lambda tx: views.end_in_workspace(tx, WS, ann.account_id, ann.actor))
    assert await names(views, ann) == ["Of all"]
    assert await names(views, ann, OTHER) == ["Elsewhere"]
    assert await names(views, bob) == ["Of all", "His"]
