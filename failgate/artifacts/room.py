"""The room of artifacts, opened: the store's verbs, and the keys that seal what it keeps."""

from failgate.artifacts.artifacts import ArtifactLimits, Artifacts
from failgate.artifacts.keys import ArtifactKeys, WrappingKeys
from failgate.artifacts.store import ArtifactStore
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.config.model import Config


async def open_artifacts(
    config: Config, db: Database, audit: AuditLog, clock: Clock, store: ArtifactStore
) -> tuple[Artifacts, ArtifactKeys]:
    """Return the artifacts in `store` and their keys.

    Raises: StartRefused when a key that sealed something is not in `[artifacts.encryption]`.
    """
    section = config.artifacts.encryption
    wrapping = WrappingKeys() if section is None else WrappingKeys(section.key, section.previous)
    keys = ArtifactKeys(db, audit, clock, wrapping)
    await keys.check()
    return Artifacts(db, store, clock, ArtifactLimits(artifact_bytes=config.limits.artifact.bytes), keys), keys
