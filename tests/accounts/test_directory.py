"""Who has the platform role, as a plugin may ask; on both databases."""

from failgate.accounts.directory import platform_people


async def test_who_has_the_platform_role_is_listed_while_their_account_is_open(room) -> None:
    # F25
    two, one = await room.account("two@example.com"), await room.account("one@example.com")
    await room.account("other@example.com")
    for each in (two, one):
        await room.accounts.grant_platform_role(each.id, room.operator)
    listed = [(person.id, person.email) for person in await platform_people(room.database)]
    assert listed == [(one.id, "one@example.com"), (two.id, "two@example.com")]
    await room.accounts.disable(two.id, room.operator)
    assert [person.id for person in await platform_people(room.database)] == [one.id]
