"""The keys of `[audit]`: how the log is named, who witnesses it, which exporters follow it, what each of them gets."""

from pathlib import Path
from typing import Annotated, Final

import msgspec

from failgate.config.addresses import check_exported_log, check_log_origin, check_witness_key, check_witness_url
from failgate.config.bounds import Between, Fits
from failgate.config.errors import SettingRefused
from failgate.config.units import Duration

INSTANCE_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
InstanceName = Annotated[str, msgspec.Meta(pattern=INSTANCE_PATTERN, max_length=64)]


class ExportFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit.filters.NAME]`: which records the exporter NAME gets, and whether with personal data (`bodies`).

    What is left out moves its cursor all the same.
    """

    acts: tuple[str, ...] = ("*",)
    without: tuple[str, ...] = ()
    logs: tuple[Annotated[str, Fits(check_exported_log)], ...] = ("*",)
    bodies: bool = False


class WitnessTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit.witnesses.NAME]`: where a witness takes heads, and the key with which it cosigns them."""

    url: Annotated[str, Fits(check_witness_url)]
    vkey: Annotated[str, Fits(check_witness_key)]


class SignerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit.signer]`: where the program listens that keeps the log's key and signs in place of the server."""

    socket: Path


class AuditTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every key of the section."""

    exporters: tuple[InstanceName, ...] = ()
    filters: dict[InstanceName, ExportFilter] = {}  # msgspec copies the empty default
    require: tuple[InstanceName, ...] = ()
    require_within: Annotated[Duration, Between("1s", "30d")] = Duration("15m")
    witnesses: dict[InstanceName, WitnessTable] = {}  # as above
    witness_quorum: Annotated[int, Between(1, 64)] | None = None
    require_witness_within: Annotated[Duration, Between("1s", "30d")] | None = None
    origin: Annotated[str, Fits(check_log_origin)] | None = None
    signer: SignerTable | None = None
    keep_addresses: Annotated[Duration, Between("1d", "3650d")] | None = None

    @property
    def effective_quorum(self) -> int:
        """Return how many witnesses are enough for a head: all of them, unless the file says another number."""
        return self.witness_quorum or max(1, len(self.witnesses))

    def __post_init__(self) -> None:
        """Refuse what is said of an exporter that does not follow the log, or of witnesses that are not there.

        Raises: SettingRefused.
        """
        for name in self.filters:
            if name not in self.exporters:
                raise SettingRefused(f"filters.{name}", f'"{name}" is not among [audit] exporters')
        for name in self.require:
            if name not in self.exporters:
                raise SettingRefused("require", f'"{name}" is not among [audit] exporters')
        if self.witness_quorum is not None and self.witness_quorum > len(self.witnesses):
            raise SettingRefused(
                "witness_quorum", f"there are {len(self.witnesses)} witnesses: say as many at most, or add more"
            )
        if self.require_witness_within is not None and not self.witnesses:
            raise SettingRefused("require_witness_within", "there are no witnesses: add [audit.witnesses.NAME]")
        vkeys = [one.vkey for one in self.witnesses.values()]
        for name, one in self.witnesses.items():
            if vkeys.count(one.vkey) > 1:
                raise SettingRefused(f"witnesses.{name}.vkey", "two witnesses have this key")
