"""What a backup says of itself: the manifest is its last member, and names every other one by its digest."""

from typing import Final, Literal

import msgspec

from failgate.base.canonical import canonical
from failgate.base.secretbox import mark_of

FORMAT: Final = 1
HEADER: Final = "failgate-backup.json"  # the first member: what is this, and may this version read it?
MANIFEST: Final = "manifest.json"
SIDECAR: Final = "audit.heads.json"
HANDOVERS: Final = "audit.keys.json"  # where the key of the log was changed
SEALED_KEYS: Final = "keys.sealed"
CORE: Final = "database/failgate.sqlite"
TABLE_FOLDER: Final = "database/"  # of PostgreSQL: one member for each table
PLUGIN_FOLDER: Final = "plugins/"
OBJECT_FOLDER: Final = "objects/"


class Header(msgspec.Struct, frozen=True):
    """The first member. Later versions may say more in it; `format` tells whether this one understands the rest."""

    failgate_backup: int
    id: str
    version: str


class Member(msgspec.Struct, frozen=True):
    """One member: its size and the SHA-256 of its bytes, in hex."""

    name: str
    size_bytes: int
    sha256: str


class Head(msgspec.Struct, frozen=True):
    """The committed head of one audit log at that moment; `root` in hex."""

    log: str
    size: int
    root: str


class Table(msgspec.Struct, frozen=True):
    """A table of PostgreSQL and the columns of its copy, in the order in which tables are filled."""

    name: str
    columns: list[str]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a backup.

    `public_key` is the Ed25519 key that signed the heads, in hex, `secrets_key` a digest that recognises `secrets.key`.
    `schema` are the migrations that the database has, with the digests of their files. `lost` names the objects of rows
    whose object was gone already; `artifacts` says whether objects are members at all.
    """

    format: int
    id: str
    made_us: int
    version: str
    database: Literal["sqlite", "postgres"]
    schema: dict[str, str]
    heads: list[Head]
    public_key: str | None
    secrets_key: str | None
    keys: Literal["left out", "sealed"]
    artifacts: Literal["copied", "left out"]
    store: str
    members: list[Member]
    tables: list[Table] = []
    lost: list[str] = []

    @property
    def octets(self) -> bytes:
        """Return its canonical bytes."""
        return canonical(msgspec.to_builtins(self))

    @property
    def objects(self) -> list[Member]:
        """Return the members that are artifacts."""
        return [member for member in self.members if member.name.startswith(OBJECT_FOLDER)]


def digest_of_secrets_key(key: bytes) -> str:
    """Return what recognises the key: 16 hex digits of a SHA-256 over its 256 random bits."""
    return mark_of(key)
