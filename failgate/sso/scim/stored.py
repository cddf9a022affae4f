"""A resource as its row holds it, how it is shown, and the statements that read and write it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from failgate.base.clock import to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.ids import new_id

Kind = Literal["User", "Group"]
TOGETHER: Final = 200  # ids or rows in one statement
_VALUE_COLUMNS: Final = 9

INSERT: Final = (
    "INSERT INTO scim_resource (id, connection_id, kind, name, label, body, version, is_active, account_id, gap,"
    " created_us, changed_us) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, NULL, NULL, $8, $8)"
    " ON CONFLICT (connection_id, kind, name) DO NOTHING"
)
UPDATE: Final = (
    "UPDATE scim_resource SET name = $1, label = $2, body = $3, version = version + 1, is_active = $4, changed_us = $5"
    " WHERE id = $6 AND version = $7 AND NOT EXISTS (SELECT 1 FROM scim_resource other WHERE"
    " other.connection_id = $8 AND other.kind = $9 AND other.name = $1 AND other.id <> $6)"
)
_SELECT: Final = "SELECT * FROM scim_resource WHERE connection_id = $1 AND kind = $2 AND id = $3"


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource. Times are microseconds since 1970; `body` has what was sent and nothing that is derived."""

    id: str
    connection_id: str
    kind: Kind
    name: str
    label: str
    body: Mapping[str, Any]
    version: int
    is_active: bool
    account_id: str | None
    gap: str | None
    created_us: int
    changed_us: int

    @property
    def etag(self) -> str:
        """Return the entity tag of this version."""
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource that is to be kept: what was read, and the rows of `scim_value` it comes to."""

    name: str
    label: str
    body: Mapping[str, Any]
    is_active: bool
    values: Sequence[tuple[str, str, int, bool, str]]
    email: str | None = None


def kept_of(row: Row) -> Kept:
    """Return the resource that `row` holds."""
    members: dict[str, Any] = {**row, "body": json.loads(row["body"]), "is_active": bool(row["is_active"])}
    return Kept(**members)


async def load(source: Database | Transaction, connection_id: str, kind: Kind, resource_id: str) -> Kept | None:
    """Return a resource of the connection, or None: absent and foreign are the same."""
    row = await source.fetch_one(_SELECT, connection_id, kind, resource_id)
    return kept_of(row) if row is not None else None


async def write_values(tx: Transaction, connection_id: str, resource_id: str, draft: Draft) -> None:
    """Make the rows of `scim_value` those of `draft`."""
    await tx.execute("DELETE FROM scim_value WHERE resource_id = $1", resource_id)
    rows = [
        (new_id(), connection_id, resource_id, head, path, entry, int(is_primary), value[:64], value)
        for head, path, entry, is_primary, value in draft.values
    ]
    for start in range(0, len(rows), TOGETHER):
        some = rows[start : start + TOGETHER]
        places = ", ".join(
            "(" + ", ".join(f"${row * _VALUE_COLUMNS + column + 1}" for column in range(_VALUE_COLUMNS)) + ")"
            for row in range(len(some))
        )
        await tx.execute(
            "INSERT INTO scim_value (id, connection_id, resource_id, head, path, entry, is_primary, brief, value)"
            f" VALUES {places}",
            *(cell for row in some for cell in row),
        )


def chunks(ids: Iterable[str]) -> list[list[str]]:
    """Return `ids` in lists that fit one statement."""
    every = list(ids)
    return [every[start : start + TOGETHER] for start in range(0, len(every), TOGETHER)]


def places(first: int, count: int) -> str:
    """Return `count` placeholders from `$first` on."""
    return ", ".join(f"${number}" for number in range(first, first + count))


def document_of(kept: Kept, base_url: str, links: Sequence[Row] | None) -> dict[str, Any]:
    """Return the resource as it is shown; `links` are its members or groups (rows of id and label), None: left out."""
    document: dict[str, Any] = {"schemas": kept.body.get("schemas", []), "id": kept.id, **kept.body}
    if links:
        if kept.kind == "Group":
            document["members"] = [
                {"value": row["id"], "$ref": f"{base_url}/Users/{row['id']}", "type": "User"} for row in links
            ]
        else:
            document["groups"] = [
                {
                    "value": row["id"],
                    "$ref": f"{base_url}/Groups/{row['id']}",
                    "display": row["label"],
                    "type": "direct",
                }
                for row in links
            ]
    document["meta"] = {
        "resourceType": kept.kind,
        "created": to_rfc3339(kept.created_us),
        "lastModified": to_rfc3339(kept.changed_us),
        "location": f"{base_url}/{kept.kind}s/{kept.id}",
        "version": kept.etag,
    }
    return document
