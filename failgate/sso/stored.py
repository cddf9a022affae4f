"""How connections stand in their rows, read and written; secrets are sealed here and nowhere else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from failgate.base.canonical import digest_of
from failgate.base.db import Database, Row, Transaction
from failgate.base.secretbox import SecretBox
from failgate.sso.connection import Connection, OidcSettings, SamlSettings, Settings

SECRET_PURPOSE: Final = "sso client secret"  # noqa: S105  # what it is for, not a secret
SIGNING_PURPOSE: Final = "sso signing key"

_decode = msgspec.json.Decoder(SamlSettings | OidcSettings).decode
_DOMAINS: Final = "SELECT domain FROM sso_domain WHERE connection_id = $1 AND verified_us IS NOT NULL ORDER BY domain"
_UPDATE: Final = (
    "UPDATE sso_connection SET title = $1, settings = $2, roles = $3, default_role = $4, trusted_methods = $5,"
    " is_listed = $6, client_secret_sealed = $7, changed_us = $8 WHERE id = $9 AND removed_us IS NULL"
)
_INSERT: Final = (
    "INSERT INTO sso_connection (id, slug, title, workspace_id, settings, roles, default_role, trusted_methods,"
    " is_enabled, is_listed, client_secret_sealed, created_us, changed_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) ON CONFLICT (slug) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection and what only its own pages show. Times are microseconds since 1970."""

    connection: Connection
    created_us: int
    changed_us: int
    tested_us: int | None


async def insert(tx: Transaction, box: SecretBox, connection: Connection, now_us: int) -> bool:
    """Write a new connection down; return False when its slug is taken."""
    inserted = await tx.execute(
        _INSERT, connection.id, connection.slug, connection.title, connection.workspace_id,
        text_of(connection.settings), _rules_text(connection), connection.default_role,
        json.dumps(connection.trusted_methods), int(connection.is_enabled), int(connection.is_listed),
        _sealed(box, connection), now_us,
    )  # fmt: skip
    return inserted == 1


async def update(tx: Transaction, box: SecretBox, connection: Connection, now_us: int) -> bool:
    """Write a changed connection down; return False when it was removed."""
    changed = await tx.execute(
        _UPDATE, connection.title, text_of(connection.settings), _rules_text(connection), connection.default_role,
        json.dumps(connection.trusted_methods), int(connection.is_listed), _sealed(box, connection), now_us,
        connection.id,
    )  # fmt: skip
    return changed == 1


async def load(where: Database | Transaction, box: SecretBox, condition: str, *values: object) -> Sequence[Kept]:
    """Return the connections that are not removed and fit `condition`, by slug."""
    query = f"SELECT * FROM sso_connection WHERE removed_us IS NULL AND {condition} ORDER BY slug"
    return [await _kept(where, box, row) for row in await where.fetch(query, *values)]


def text_of(settings: Settings) -> str:
    """Return `settings` as they are stored: JSON, the same bytes for the same settings."""
    return msgspec.json.encode(settings, order="sorted").decode()


def digest_of_settings(connection: Connection) -> str:
    """Return what stands in the log for how a connection is set up: a digest that holds no secret."""
    shape = {
        "settings": text_of(connection.settings),
        "roles": [list(rule) for rule in connection.roles],
        "default_role": connection.default_role,
        "trusted_methods": list(connection.trusted_methods),
        "is_listed": connection.is_listed,
        "title": connection.title,
    }
    return digest_of(shape)


async def _kept(where: Database | Transaction, box: SecretBox, row: Row) -> Kept:
    domains = [found["domain"] for found in await where.fetch(_DOMAINS, row["id"])]
    secret = row["client_secret_sealed"]
    connection = Connection(
        id=row["id"],
        slug=row["slug"],
        title=row["title"],
        settings=_decode(row["settings"]),
        workspace_id=row["workspace_id"],
        domains=tuple(domains),
        roles=tuple((str(group), str(target)) for group, target in json.loads(row["roles"])),
        default_role=row["default_role"],
        trusted_methods=tuple(str(method) for method in json.loads(row["trusted_methods"])),
        is_enabled=bool(row["is_enabled"]),
        is_listed=bool(row["is_listed"]),
        client_secret=box.unseal(secret, purpose=SECRET_PURPOSE, owner=row["id"]).decode() if secret else None,
    )
    return Kept(connection, row["created_us"], row["changed_us"], row["tested_us"])


def _rules_text(connection: Connection) -> str:
    return json.dumps([list(rule) for rule in connection.roles])


def _sealed(box: SecretBox, connection: Connection) -> bytes | None:
    if connection.client_secret is None:
        return None
    return box.seal(connection.client_secret.encode(), purpose=SECRET_PURPOSE, owner=connection.id)
