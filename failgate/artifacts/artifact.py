"""One artifact as a value, and as a row of its table."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from failgate.artifacts.sealing import Sealed
from failgate.base.db import Row

COLUMNS: Final = "id, workspace_id, sha256, size_bytes, findings, scanned_by, object_key, salt"
_decode_findings = msgspec.json.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Artifact:
    """One stored object; `findings` counts what a scan found, by rule. `salt` is None for one that is not sealed."""

    id: str
    workspace_id: str
    sha256: str
    size_bytes: int
    findings: Mapping[str, int] = field(default_factory=dict[str, int])
    scanned_by: str = ""
    object_key: str | None = None
    salt: bytes | None = None

    @property
    def key(self) -> str:
        """Return its name in the store: the id, unless it was put there anew."""
        return self.object_key or self.id

    @property
    def sealed(self) -> Sealed | None:
        """Return what the sealed object is; None for a plain one."""
        if self.salt is None:
            return None
        return Sealed(self.workspace_id, self.key, self.sha256, self.size_bytes, self.salt)

    @property
    def stored_bytes(self) -> int:
        """Return the size of the object in the store."""
        return self.size_bytes if self.sealed is None else self.sealed.stored_bytes


def artifact_of(row: Row) -> Artifact:
    """Return the artifact of a row with `COLUMNS`."""
    return Artifact(
        row["id"],
        row["workspace_id"],
        row["sha256"],
        row["size_bytes"],
        _decode_findings(row["findings"]),
        row["scanned_by"],
        row["object_key"],
        base64.b64decode(row["salt"]) if row["salt"] is not None else None,
    )


def salt_text(salt: bytes | None) -> str | None:
    """Return a salt as it stands in the row."""
    return base64.b64encode(salt).decode() if salt is not None else None


def made_us(key: str) -> int:
    """Return when a UUID of version 7 was made, microseconds since 1970."""
    return int(key[:8] + key[9:13], 16) * 1000
