"""The public plugin API: everything that a plugin imports from Failgate stands here, and nothing else does.

A plugin is a value, not a registration:

```python
@asynccontextmanager
async def open_quiet_hours(config: QuietHours, host: Host) -> AsyncIterator[Provides]:
    yield Provides(approval_policy=QuietHoursPolicy(config, host.clock))

plugin = Plugin(name="quiet-hours", config=QuietHours, open=open_quiet_hours)
```

Its distribution names it in the entry-point group `failgate.plugins.v1`; the operator names it in the config file.
Until both are true it is not even imported. The contracts of the slots live with the rooms that need them; here they
are gathered.
"""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

import msgspec
from structlog.typing import FilteringBoundLogger

from failgate.accounts.directory import PlatformPerson
from failgate.accounts.mail import Letter, Letterbox, LetterRefused
from failgate.artifacts.store import ArtifactStore, Incoming
from failgate.audit.exporter import AuditExporter, ExportedRecord, ExportFailed, RecordsRefused
from failgate.audit.formats import RecordFormat, formatted
from failgate.audit.posting import post_records
from failgate.audit.record import Actor
from failgate.base.client_tls import client_tls
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.destination import OutboundRefused
from failgate.base.errors import (
    BadInput,
    Conflict,
    FailgateError,
    NotFound,
    StartRefused,
    StorageUnavailable,
    TooLarge,
    TooManyRequests,
    Unprocessable,
)
from failgate.base.file_kinds import kinds_of_file, truthful
from failgate.base.migrate import migrate
from failgate.base.open_database import open_database
from failgate.base.outbound import Answer, Outbound
from failgate.base.secret import Secret
from failgate.base.secretbox import KEY_BYTES, SecretBox
from failgate.config.bounds import Between, Fits
from failgate.config.errors import SettingRefused, check_together
from failgate.config.units import Duration, Size
from failgate.drafts import DocumentFormat, Draft, DraftArtifact, Reading
from failgate.gate.policy import ApprovalPolicy, CommandContext, Finding, Rulebook, rule_digest
from failgate.gate.terms import Escalation, Group, Terms
from failgate.matching.calls import Call, call_of, calls_in_line
from failgate.matching.matcher import Matcher, matcher_of
from failgate.matching.programs import is_capable, is_injecting
from failgate.matching.shell import Uninspectable
from failgate.notify.notifier import DeliveryFailed, Destination, Notification, Notifier
from failgate.notify.platform import PlatformNotice, Tell, tell_nobody
from failgate.notify.posting import post_to
from failgate.pages import Answered, Asked, Download, FilesTaken, PageDoor, Pages, PlainText, SentFile, SentOn, Shown
from failgate.redaction import arguments_without_secrets, without_secrets
from failgate.relay.relay import Admitted, Relay
from failgate.relay.relay import Purpose as RelayPurpose
from failgate.reports.format import ReportFormat
from failgate.sealed import format as sealed
from failgate.wire.gate import Argument, Challenge, Command, Rule, RuleScope, RuleView
from failgate.wire.reports import Manifest, Tool

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "Actor",
    "Admitted",
    "Advice",
    "Answer",
    "Answered",
    "ApprovalPolicy",
    "Argument",
    "ArtifactStore",
    "Asked",
    "AuditExporter",
    "BadInput",
    "Between",
    "Call",
    "Challenge",
    "Clock",
    "Command",
    "CommandContext",
    "Conflict",
    "Database",
    "DatabaseOpener",
    "DeliveryFailed",
    "Destination",
    "DocumentFormat",
    "Download",
    "Draft",
    "DraftArtifact",
    "Duration",
    "Escalation",
    "ExportFailed",
    "ExportedRecord",
    "FailgateError",
    "FilesTaken",
    "Finding",
    "Fits",
    "Group",
    "Health",
    "Host",
    "Incoming",
    "Letter",
    "LetterRefused",
    "Letterbox",
    "Manifest",
    "Matcher",
    "NoSettings",
    "NotFound",
    "Notification",
    "Notifier",
    "Outbound",
    "OutboundRefused",
    "PageDoor",
    "Pages",
    "PlainText",
    "PlatformNotice",
    "PlatformPeople",
    "PlatformPerson",
    "Plugin",
    "Provides",
    "Reading",
    "RecordFormat",
    "RecordsRefused",
    "Relay",
    "RelayPurpose",
    "ReportFormat",
    "Row",
    "Rule",
    "RuleScope",
    "RuleView",
    "Rulebook",
    "Secret",
    "SecretBox",
    "SentFile",
    "SentOn",
    "SettingRefused",
    "Shown",
    "Size",
    "StartRefused",
    "StorageUnavailable",
    "Terms",
    "TooLarge",
    "TooManyRequests",
    "Tool",
    "Transaction",
    "Uninspectable",
    "Unprocessable",
    "arguments_without_secrets",
    "call_of",
    "calls_in_line",
    "check_together",
    "client_tls",
    "formatted",
    "is_capable",
    "is_injecting",
    "kinds_of_file",
    "matcher_of",
    "post_records",
    "post_to",
    "rule_digest",
    "sealed",
    "to_rfc3339",
    "truthful",
    "without_secrets",
]

API_VERSION = 1
ENTRY_POINT_GROUP = f"failgate.plugins.v{API_VERSION}"

NAME_PATTERN = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_NAME = re.compile(NAME_PATTERN + r"\Z", re.ASCII)

Health = Callable[[], Awaitable[str | None]]
"""Answers None while everything works, else one sentence for the operator. It answers within 2 seconds."""

Advice = Callable[[], Sequence[str]]
"""Answers at once with sentences on what the operator should see to soon, while everything still works."""

SettingsT_contra = TypeVar("SettingsT_contra", bound=msgspec.Struct, contravariant=True)
ConfigT = TypeVar("ConfigT", bound=msgspec.Struct)


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The config of a plugin that has no settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provides:
    """What an opened plugin gives; every slot is typed and a name that is not a slot is an error.

    An `approval_policy`, `artifact_store`, `audit_exporter`, `notifier` or `report_formats` works only for an instance
    that the config names in `[gate] policies`, `[gate] relay`, `[artifacts] store`, `[audit] exporters`,
    `[notify] notifiers` or `[reports] formats`.
    """

    report_formats: Sequence[ReportFormat | DocumentFormat] = ()
    artifact_store: ArtifactStore | None = None
    approval_policy: ApprovalPolicy | None = None
    rulebook: Rulebook | None = None
    relay: Relay | None = None
    audit_exporter: AuditExporter | None = None
    notifier: Notifier | None = None
    health: Health | None = None
    pages: Pages | None = None
    advice: Advice | None = None


BoxOpener = Callable[[str], Awaitable[SecretBox]]
"""How the host opens a plugin's box of that name."""


async def open_passing_box(_name: str) -> SecretBox:
    """Return a box under a key that nobody keeps."""
    return SecretBox(secrets.token_bytes(KEY_BYTES))


class Record(Protocol):
    """How a plugin puts on record what was done in it."""

    async def __call__(self, act: str, subject: str, *, actor: Actor, state: str | None = None) -> None:
        """Record in the system log that `actor` did `act` to `subject`; return once that is kept.

        `act` is `<noun>.<past participle>` of the plugin's own; `subject` an identifier, `state` a word: up to 128 and
        200 characters, never what somebody wrote.

        Raises: FailgateError (the log takes nothing now: then nothing may be done either).
        """
        ...


async def record_nowhere(*_: object, **__: object) -> None:
    """Refuse. Raises: StorageUnavailable."""
    raise StorageUnavailable("There is no audit log here.", hint="A plugin records while the server runs.")


PlatformPeople = Callable[[], Awaitable[Sequence[PlatformPerson]]]
"""Answers who has the platform role now: the people who pass a door of the audience `platform`."""


async def nobody() -> Sequence[PlatformPerson]:
    """Return nobody."""
    return ()


class DatabaseOpener(Protocol):
    """How the host opens a plugin's own database."""

    async def __call__(self, path: Path, migrations: Traversable | Path) -> Database:
        """Open the database at `path`, bring it to the newest of `migrations`, return it."""
        ...


async def open_own_database(path: Path, migrations: Traversable | Path) -> Database:
    """Open the SQLite file at the absolute `path`, made when absent, and bring it to the newest of `migrations`.

    Raises: StartRefused (not writable, or written by a newer version).
    """
    database = await open_database(f"sqlite://{quote(str(path))}")
    try:
        await migrate(database, migrations)
    except BaseException:
        await database.close()
        raise
    return database


@dataclass(frozen=True, slots=True)
class Host:
    """What Failgate gives to one opened plugin: nothing of another plugin, nothing of the core's database.

    `name` is the instance's name in the config; `clock` the only source of time; `log` is bound to the instance;
    `outbound` the way to addresses that the config names, by the rules of `[server]`; `letterbox` the way to people's
    mailboxes by `[notify.smtp]`, None without that section. `record` puts what is done in the plugin on record: first
    the record, then the change. `platform_people` answers who has the platform role now, `tell` lets them know.
    """

    name: str
    data_root: Path
    clock: Clock
    log: FilteringBoundLogger
    database_opener: DatabaseOpener = open_own_database
    outbound: Outbound = field(default_factory=Outbound)
    letterbox: Letterbox | None = None
    record: Record = record_nowhere
    box_opener: BoxOpener = open_passing_box
    tell: Tell = tell_nobody
    platform_people: PlatformPeople = nobody

    @property
    def data_dir(self) -> Path:
        """Return this instance's own folder; it exists afterwards and survives restarts. It and its parent are 0700.

        Raises: StartRefused when it cannot be made.
        """
        folder = self.data_root.absolute() / "plugins" / self.name
        try:
            self.data_root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for place in (folder.parent, folder):
                place.mkdir(mode=0o700, exist_ok=True)
                if place.stat().st_mode & 0o077:
                    place.chmod(0o700)
        except OSError as error:
            raise StartRefused(
                f"The folder {folder} of plugin {self.name} cannot be made: {error.strerror}.",
                hint="Make its parent writable for the account that runs Failgate, or choose another --data folder.",
            ) from error
        return folder

    async def box(self, name: str) -> SecretBox:
        """Return what seals and opens under the key `name` of this instance alone, which is made when there is none.

        The key is kept sealed in the core's database, never beside what it seals: backups have it, and it stays when
        the sealing key is changed. Seal with a `purpose`, and the row's id as `owner`.

        Raises: FailgateError (the key does not open), ValueError for a name that no database could have.
        """
        if not _NAME.match(name):
            raise ValueError(f"{name!r} does not name a key: use lower-case letters, digits and hyphens")
        return await self.box_opener(name)

    @asynccontextmanager
    async def open_database(self, name: str, migrations: Traversable | Path) -> AsyncIterator[Database]:
        """Open this instance's own SQLite database `name`, migrated to the newest of `migrations`; closed on leaving.

        `name` is letters, digits and hyphens; the file is `<data_dir>/<name>.sqlite`. `migrations` is a folder of
        `NNNN_word.sql` files, read as the core's own: `importlib.resources.files(__package__) / "migrations"`.

        Raises: StartRefused (not writable, or written by a newer version), ValueError for another kind of name.
        """
        if not _NAME.match(name):
            raise ValueError(f"{name!r} does not name a database: use lower-case letters, digits and hyphens")
        database = await self.database_opener(self.data_dir / f"{name}.sqlite", migrations)
        try:
            yield database
        finally:
            await database.close()


class Open(Protocol[SettingsT_contra]):
    """A plugin's one verb: open with these settings, yield what it provides, close when left."""

    def __call__(self, config: SettingsT_contra, host: Host, /) -> AbstractAsyncContextManager[Provides]:
        """Return the context in which the plugin is open."""
        ...


@dataclass(frozen=True, slots=True)
class Plugin(Generic[ConfigT]):
    """A plugin: its name, the struct of its settings, how it opens. Making one does nothing.

    `config` is a frozen msgspec struct that forbids unknown fields; it has no field `use`, which chooses the plugin.
    `open` is an asynchronous context manager: what it yields works until it is left.
    """

    name: str
    config: type[ConfigT]
    open: Open[ConfigT]

    def __post_init__(self) -> None:
        """Refuse a value that could not be opened.

        Raises: TypeError naming the part.
        """
        name: Any = self.name
        if not (isinstance(name, str) and _NAME.match(name)):
            raise TypeError(f"Plugin(name={name!r}): use lower-case letters, digits and hyphens")
        struct: Any = self.config
        if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
            raise TypeError(f"Plugin({self.name!r}): config must be a msgspec.Struct class, not {struct!r}")
        rules = struct.__struct_config__
        if not (rules.forbid_unknown_fields and rules.frozen):
            raise TypeError(
                f"Plugin({self.name!r}): declare {struct.__name__} with frozen=True and forbid_unknown_fields=True"
            )
        if "use" in struct.__struct_fields__ or "use" in struct.__struct_encode_fields__:
            raise TypeError(f"Plugin({self.name!r}): the setting name `use` belongs to Failgate; choose another")
        if not callable(self.open):
            raise TypeError(f"Plugin({self.name!r}): open must be an asynchronous context manager function")
