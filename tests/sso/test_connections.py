"""Connections are made, changed, switched and removed; what they opened ends with them."""

import json
from dataclasses import replace

import pytest

from failgate.accounts.session import Origin
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.sso.connection import SamlSettings
from failgate.sso.draft import Declared, Draft, draft_of
from tests.sso.conftest import OIDC, OPERATOR, Place, asserted


async def session_of(place: Place, connection_id: str, account_id: str):
    origin = Origin(connection_id, place.acme.id)
    return await place.database.write(
        lambda tx: place.sessions.open_within(tx, account_id, "127.0.0.1", "b", ("oidc",), origin=origin)
    )


async def test_slugs_are_unique_across_workspaces_and_config(place: Place) -> None:
    await place.connection("team")
    with pytest.raises(Conflict):
        await place.room.connections.create(place.acme.id, "team", Draft(title="T", settings=OIDC), OPERATOR)
    with pytest.raises(Conflict, match=r"sso\.connections\.team"):
        await place.room.connections.declare([Declared("team", (), Draft(title="T", settings=OIDC))])
    with pytest.raises(BadInput):
        await place.room.connections.create(place.acme.id, "../x", Draft(title="T", settings=OIDC), OPERATOR)


async def test_another_workspace_finds_nothing(place: Place) -> None:
    one = await place.connection()
    other = await place.workspaces.create("other", "Other", place.owner.id, OPERATOR)
    connections = place.room.connections
    for work in (
        connections.one_of(other.id, one.id),
        connections.disable(other.id, one.id, OPERATOR),
        connections.remove(other.id, one.id, OPERATOR),
        connections.change(other.id, one.id, draft_of, "x", OPERATOR),
    ):
        with pytest.raises(NotFound):
            await work
    assert (await connections.one_of(place.acme.id, one.id)).connection.is_enabled


async def test_the_secret_is_sealed_and_kept_when_none_is_typed(place: Place) -> None:
    one = await place.connection()
    changed = await place.room.connections.change(
        place.acme.id, one.id, lambda before: replace(draft_of(before), title="New"), "title", OPERATOR
    )
    assert (changed.title, changed.client_secret) == ("New", "s3cret")
    rows = await place.database.fetch("SELECT * FROM sso_connection")
    assert "s3cret" not in json.dumps(rows, default=lambda cell: bytes(cell).decode("latin-1"))
    assert "s3cret" not in json.dumps(await place.records(place.acme.id))
    assert "s3cret" not in repr(one)


async def test_switching_off_ends_sessions_and_requests(place: Place) -> None:
    one = await place.connection()
    token, _ = await session_of(place, one.id, place.owner.id)
    plain, _ = await place.sessions.open(place.owner.id, "127.0.0.1", "b", ("pwd",))
    await place.room.connections.disable(place.acme.id, one.id, OPERATOR)
    assert await place.sessions.resolve(token) is None
    assert await place.sessions.resolve(plain) is not None
    found = await place.room.connections.by_slug(one.slug)
    assert found is not None
    assert not found.is_enabled
    assert await place.room.connections.listed() == []


async def test_removing_frees_the_slug_and_forgets_people(place: Place) -> None:
    one = await place.connection()
    ended: list[str] = []

    async def ending(_tx, connection_id: str, _actor) -> None:
        ended.append(connection_id)

    place.room.connections.also_end(ending)
    await place.database.write(lambda tx: place.room.linking.link(tx, one, asserted("ann"), place.owner.id))
    await place.room.connections.remove(place.acme.id, one.id, OPERATOR)
    assert ended == [one.id]
    assert await place.room.connections.by_slug(one.slug) is None
    assert await place.room.connections.by_id(one.id) is None
    again = await place.connection()
    assert again.id != one.id
    assert await place.room.linking.count(again.id) == 0


async def test_the_config_is_taken_at_each_start(place: Place) -> None:
    one = await place.declared(roles=(("g", "acme:admin"),))
    token, _ = await session_of(place, one.id, place.owner.id)
    again = await place.declared(title="Other title")
    assert (again.id, again.title, again.roles, again.domains) == (one.id, "Other title", (), ("corp.example",))
    assert await place.sessions.resolve(token) is not None
    await place.room.connections.declare([])
    gone = await place.room.connections.by_slug("corp")
    assert gone is not None
    assert not gone.is_enabled
    assert await place.sessions.resolve(token) is None
    back = await place.declared()
    assert (back.id, back.is_enabled) == (one.id, True)


async def test_a_connection_keeps_its_protocol(place: Place) -> None:
    one = await place.connection()
    saml = Draft(title="T", settings=SamlSettings(entity_id="e", sso_url="https://e.example"))
    with pytest.raises(BadInput):
        await place.room.connections.change(place.acme.id, one.id, lambda _: saml, "x", OPERATOR)


async def test_trust_in_a_second_factor_ends_with_the_list_that_gave_it(place: Place) -> None:
    one = await place.connection(trusted_methods=("mfa",))
    await place.database.write(lambda tx: place.room.linking.link(tx, one, asserted("ann"), place.owner.id))
    await place.database.write(lambda tx: tx.execute("UPDATE sso_identity SET factor_us = 1"))
    await place.room.connections.change(
        place.acme.id, one.id, lambda before: replace(draft_of(before), trusted_methods=("hwk",)), "mapping", OPERATOR
    )
    (row,) = await place.database.fetch("SELECT factor_us FROM sso_identity")
    assert row["factor_us"] is None


async def test_a_workspaces_connection_is_shown_to_everybody_once_it_has_proven_a_domain(place: Place) -> None:
    draft = Draft(title="Google", settings=OIDC)
    lure = await place.room.connections.create(place.acme.id, "lure", draft, OPERATOR)
    assert await place.room.connections.listed() == []
    await place.verify(lure, "corp.example")
    assert [one.slug for one in await place.room.connections.listed()] == ["lure"]
