"""Resources as they are answered: one, or the page that a search asks for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from failgate.base.db import Database, Row, Transaction
from failgate.base.ids import is_id
from failgate.sso.connection import Connection
from failgate.sso.scim.errors import missing
from failgate.sso.scim.query import Query
from failgate.sso.scim.stored import Kept, Kind, chunks, document_of, kept_of, load, places

_MEMBERS: Final = (
    "SELECT m.group_id AS owner, r.id, r.label FROM scim_member m JOIN scim_resource r ON r.id = m.user_id"
    " WHERE m.group_id IN ({}) ORDER BY m.id"
)
_GROUPS: Final = (
    "SELECT m.user_id AS owner, r.id, r.label FROM scim_member m JOIN scim_resource r ON r.id = m.group_id"
    " WHERE m.user_id IN ({}) ORDER BY m.id"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A resource as it is answered, and its entity tag."""

    document: dict[str, Any]
    etag: str
    location: str


class Finding:
    """Reads the directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, connection: Connection, kind: Kind, resource_id: str, base_url: str, *, has_links: bool = True
    ) -> Shown:
        """Return one resource, with its members or groups unless told otherwise.

        Raises: ScimError 404 (absent, or another connection's).
        """
        return await self.show(
            await must_load(self._database, connection.id, kind, resource_id), base_url, has_links=has_links
        )

    async def search(
        self, connection: Connection, kinds: Sequence[Kind], query: Query, base_url: str
    ) -> dict[str, Any]:
        """Return the page of resources of `kinds` that `query` asks for, as a ListResponse.

        Raises: ScimError.
        """
        counting, paging = await asyncio.to_thread(_statements, connection.id, kinds, query)
        counted = await self._database.fetch_one(counting[0], *counting[1])
        total = int(counted["many"]) if counted is not None else 0
        rows: list[Row] = []
        if query.count and query.start_index <= total:
            rows = await self._database.fetch(paging[0], *paging[1])
        kept = [kept_of(row) for row in rows]
        documents = await self._documents(kept, query, base_url)
        return {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": query.start_index,
            "itemsPerPage": len(documents),
            "Resources": documents,
        }

    async def show(self, kept: Kept, base_url: str, *, has_links: bool = True) -> Shown:
        """Return a resource as it is answered."""
        links = (await self._links([kept])).get(kept.id, []) if has_links else None
        document = document_of(kept, base_url, links)
        return Shown(document, kept.etag, document["meta"]["location"])

    async def _links(self, kept: Sequence[Kept]) -> dict[str, list[Row]]:
        """Return members and groups by the resource that they belong to."""
        found: dict[str, list[Row]] = {}
        for kind, query in (("Group", _MEMBERS), ("User", _GROUPS)):
            for some in chunks(each.id for each in kept if each.kind == kind):
                for row in await self._database.fetch(query.format(places(1, len(some))), *some):
                    found.setdefault(row["owner"], []).append(row)
        return found

    async def _documents(self, kept: Sequence[Kept], query: Query, base_url: str) -> list[dict[str, Any]]:
        from failgate.sso.scim.projection import Projection

        def project(links: dict[str, list[Row]]) -> list[dict[str, Any]]:
            projection = Projection.of(query.attributes, query.excluded)
            return [projection.apply(each.kind, document_of(each, base_url, links.get(each.id))) for each in kept]

        projection = Projection.of(query.attributes, query.excluded)
        needing = [
            each for each in kept if projection.needs(each.kind, "members" if each.kind == "Group" else "groups")
        ]
        return await asyncio.to_thread(project, await self._links(needing))


async def must_load(source: Database | Transaction, connection_id: str, kind: Kind, resource_id: str) -> Kept:
    """Return a resource of the connection.

    Raises: NotFound (absent, foreign, or no identifier: the same answer).
    """
    kept = await load(source, connection_id, kind, resource_id) if is_id(resource_id) else None
    if kept is None:
        raise missing()
    return kept


Prepared = tuple[str, list[Any]]


def _statements(connection_id: str, kinds: Sequence[Kind], query: Query) -> tuple[Prepared, Prepared]:
    """Return the statement that counts and the one that reads the page, each with its values."""
    from failgate.sso.scim.filtering import order, where
    from failgate.sso.scim.translation import Parameters

    parameters = Parameters(connection_id)
    condition = "r.connection_id = $1"
    if len(kinds) == 1:
        condition += f" AND r.kind = '{kinds[0]}'"
    if query.filter is not None:
        condition += f" AND {where(kinds, query.filter, '$1', parameters)}"
    total = f"SELECT COUNT(*) AS many FROM scim_resource r WHERE {condition}", list(parameters.values)
    by = order(kinds, query.sort_by, parameters, is_descending=query.is_descending)
    limits = f"LIMIT {query.count} OFFSET {query.start_index - 1}"
    page = f"SELECT r.* FROM scim_resource r WHERE {condition} ORDER BY {by} {limits}"
    return total, (page, parameters.values)
