"""A token as a value: what is known of it without its secret, what a new one shall be, what speaks by it. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from failgate.access.principal import Principal
from failgate.base.db import Row

Kind = Literal["usr", "agt"]
"""Of whom it is: `usr` an API key of a person, `agt` a token of an agent."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. Times are microseconds since 1970.

    `owner_id` is the account of an API key or the agent of an agent token; `account_id` is who answers for it;
    `minted_by` the account that made it, None where that is not known.
    """

    id: str
    kind: Kind
    owner_id: str
    account_id: str
    workspace_id: str
    label: str
    scopes: frozenset[str] | None
    created_us: int
    expires_us: int | None
    last_used_us: int | None
    revoked_us: int | None
    networks: tuple[str, ...] = ()
    last_used_address: str | None = None
    minted_by: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new token shall be.

    `scopes` limits it to those permissions, None leaves what the role gives; `networks` (addresses or networks) to
    where it is used from, none: anywhere; `expires_us` to a time.
    """

    label: str
    expires_us: int | None = None
    scopes: Iterable[str] | None = None
    networks: Iterable[str] = ()


def principal_of(token: Token) -> Principal:
    """Return who speaks by `token`."""
    if token.kind == "usr":
        return Principal(
            kind="api_key", account_id=token.account_id, workspace_id=token.workspace_id, auth=("key",),
            label=token.label, scopes=token.scopes, maker_account_id=token.minted_by,
        )  # fmt: skip
    return Principal(
        kind="agent", agent_id=token.owner_id, owner_account_id=token.account_id, workspace_id=token.workspace_id,
        auth=("token",), label=token.label, scopes=token.scopes, maker_account_id=token.minted_by,
    )  # fmt: skip


def token_of(row: Row) -> Token:
    """Return the token of a row."""
    scopes = row["scopes"]
    return Token(
        id=row["id"],
        kind=row["kind"],
        owner_id=row["owner_id"],
        account_id=row["account_id"],
        workspace_id=row["workspace_id"],
        label=row["label"],
        scopes=None if scopes is None else frozenset(str(scope) for scope in json.loads(scopes)),
        created_us=row["created_us"],
        expires_us=row["expires_us"],
        last_used_us=row["last_used_us"],
        revoked_us=row["revoked_us"],
        networks=tuple(json.loads(row["networks"])) if row["networks"] else (),
        last_used_address=row["last_used_address"],
        minted_by=row["minted_by"],
    )
