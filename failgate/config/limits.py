"""`[limits]`: what is refused as too large or too many, and what a workspace may use."""

from typing import Annotated

import msgspec

from failgate.config.bounds import Between
from failgate.config.units import Duration, Size


class LimitsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[limits]`: what is refused as too large or too many, and what a workspace may use."""

    json_body: Annotated[Size, Between("1KiB", "64MiB")] = Size("1MiB")
    artifact: Annotated[Size, Between("1KiB", "1TiB")] = Size("1GiB")
    argv: Annotated[Size, Between("1KiB", "2MiB")] = Size("64KiB")
    ingest_per_minute: Annotated[int, Between(1, 100_000)] = 600
    sockets_per_person: Annotated[int, Between(1, 100_000)] = 128
    sockets_per_agent: Annotated[int, Between(1, 100_000)] = 1000
    workspace_storage: Annotated[Size, Between("1MiB", "900000TiB")] | None = None
    workspace_reports_per_day: Annotated[int, msgspec.Meta(ge=0)] | None = None
    workspace_commands_per_day: Annotated[int, msgspec.Meta(ge=0)] | None = None
    workspace_recording_per_day: Annotated[Duration, Between("1m", "3650d")] | None = None
    workspace_seats: Annotated[int, msgspec.Meta(ge=1)] | None = None
    uploader_files: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    uploader_storage: Annotated[Size, Between("1MiB", "900000TiB")] = Size("1TiB")

    @property
    def quotas(self) -> dict[str, int | None]:
        """Return what a workspace may use when it has no quota of its own; None: no limit."""
        recording, storage = self.workspace_recording_per_day, self.workspace_storage
        return {
            "storage_bytes": storage.bytes if storage is not None else None,
            "reports_per_day": self.workspace_reports_per_day,
            "commands_per_day": self.workspace_commands_per_day,
            "recording_seconds_per_day": recording.us // 1_000_000 if recording is not None else None,
            "seats": self.workspace_seats,
        }
