"""A directory of a large company: found by index, paged by the database. # B1"""

import json
import time
from typing import Any

from failgate.base.ids import new_id
from tests.sso.scim.conftest import BASE, USER, Room

MANY = 10_000


async def fill(room: Room) -> list[str]:
    """Keep 10,000 people at once, as their creation one by one would have."""
    ids = [new_id() for _ in range(MANY)]

    async def verb(tx: Any) -> None:
        for start in range(0, MANY, 500):
            some = list(enumerate(ids[start : start + 500], start))
            people, values = [], []
            for number, one in some:
                name = f"user{number:05}@else.example"
                body = {"schemas": [USER], "userName": name, "active": True, "externalId": f"e{number}"}
                people.append((one, room.connection.id, "User", name, name, json.dumps(body), 1, 1, 1, 1))
                for path, value in (("userName", name), ("externalId", f"e{number}"), ("active", "true")):
                    values.append((new_id(), room.connection.id, one, path, path, 0, 0, value[:64], value))
            await _insert(
                tx, "scim_resource (id, connection_id, kind, name, label, body, version, is_active, created_us, changed_us)",
                people,
            )  # fmt: skip
            await _insert(
                tx, "scim_value (id, connection_id, resource_id, head, path, entry, is_primary, brief, value)", values
            )

    await room.database.write(verb)
    return ids


async def _insert(tx: Any, into: str, rows: list[tuple[Any, ...]]) -> None:
    width = len(rows[0])
    places = ", ".join(
        "(" + ", ".join(f"${row * width + column + 1}" for column in range(width)) + ")" for row in range(len(rows))
    )
    await tx.execute(f"INSERT INTO {into} VALUES {places}", *(cell for row in rows for cell in row))


async def test_ten_thousand_people_are_searched_by_the_database(room: Room):
    ids = await fill(room)
    await room.search(count="1")  # loads the models
    asked = {
        'userName eq "USER07777@else.example"': 1,
        'externalId eq "e4242"': 1,
        f'id eq "{ids[5]}"': 1,
        'userName co "777"': 19,
        'active eq true and not (externalId sw "e1")': 8889,
    }
    times: dict[str, float] = {}
    for text, total in asked.items():
        began = time.perf_counter()
        found = await room.search(filter=text, count="100")
        times[text] = time.perf_counter() - began
        assert found["totalResults"] == total, text
    began = time.perf_counter()
    last = await room.search(startIndex="9901", count="100", sortBy="userName")
    times["the last page"] = time.perf_counter() - began
    assert [each["userName"] for each in last["Resources"]][-1] == "user09999@else.example"
    assert max(times.values()) < 2.0, times  # and on an idle machine a twentieth of that


async def test_a_group_of_ten_thousand_changes_by_its_changes(room: Room):
    """One member more is one row more: nobody reads the others."""
    ids = await fill(room)
    group = await room.group("Everybody", *ids[:-1])
    body = {"op": "add", "path": "members", "value": [{"value": ids[-1]}]}
    await room.directory.patch(
        room.connection, "Group", group["id"],
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [body]}, BASE, None,
    )  # fmt: skip
    row = await room.database.fetch_one("SELECT COUNT(*) AS many FROM scim_member WHERE group_id = $1", group["id"])
    assert row is not None
    assert row["many"] == MANY


async def test_eq_is_found_by_the_index(room: Room):
    if room.database.dialect != "sqlite":
        return  # PostgreSQL plans by what it has counted; the statement is the same
    plan = await room.database.fetch(
        "EXPLAIN QUERY PLAN SELECT r.* FROM scim_resource r WHERE r.connection_id = $1 AND r.kind = 'User' AND r.id IN"
        " (SELECT v.resource_id FROM scim_value v WHERE v.connection_id = $1 AND v.path = $2 AND v.brief = $3)",
        room.connection.id, "userName", "x",
    )  # fmt: skip
    text = str(plan)
    assert "scim_value_brief" in text
    assert "SCAN r" not in text
