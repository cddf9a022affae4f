"""The keys of `[audit]`: how the log is named, which exporters follow it and what each of them gets."""

from typing import Annotated, Final

import msgspec

from failgate.config.addresses import check_exported_log, check_log_origin
from failgate.config.bounds import Between, Fits
from failgate.config.errors import SettingRefused
from failgate.config.units import Duration

INSTANCE_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
InstanceName = Annotated[str, msgspec.Meta(pattern=INSTANCE_PATTERN, max_length=64)]


class ExportFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit.filters.NAME]`: which records the exporter NAME gets; what is left out moves its cursor all the same."""

    acts: tuple[str, ...] = ("*",)
    without: tuple[str, ...] = ()
    logs: tuple[Annotated[str, Fits(check_exported_log)], ...] = ("*",)


class AuditTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every key of the section."""

    exporters: tuple[InstanceName, ...] = ()
    filters: dict[InstanceName, ExportFilter] = {}  # msgspec copies the empty default
    require: tuple[InstanceName, ...] = ()
    require_within: Annotated[Duration, Between("1s", "30d")] = Duration("15m")
    origin: Annotated[str, Fits(check_log_origin)] | None = None

    def __post_init__(self) -> None:
        """Refuse what is said of an exporter that does not follow the log.

        Raises: SettingRefused.
        """
        for name in self.filters:
            if name not in self.exporters:
                raise SettingRefused(f"filters.{name}", f'"{name}" is not among [audit] exporters')
        for name in self.require:
            if name not in self.exporters:
                raise SettingRefused("require", f'"{name}" is not among [audit] exporters')
