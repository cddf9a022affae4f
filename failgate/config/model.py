"""Every key of the config file, with its type, its default and its bounds; `config/failgate.toml` explains them.

What a key means together with others stands in the `__post_init__` of its section.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from failgate.base.destination import check_host_pattern
from failgate.base.errors import StartRefused
from failgate.base.secret import Secret, key_of
from failgate.config.addresses import (
    check_network,
    check_sender,
    check_web_origin,
    is_loopback_host,
    is_wildcard,
    machine_name,
    split_listen,
)
from failgate.config.audit import AuditTable, InstanceName
from failgate.config.bounds import Between, Fits
from failgate.config.database import DatabaseTable
from failgate.config.errors import SettingRefused
from failgate.config.keys import KeysTable
from failgate.config.limits import LimitsTable
from failgate.config.pins import PinsTable
from failgate.config.scan import ScanSection
from failgate.config.source import Source
from failgate.config.sso import SsoTable
from failgate.config.tls import TlsSection
from failgate.config.units import Duration

_DAY_US = 24 * 3600 * 1_000_000
Kept = Annotated[Duration, Between("1d", "3650d")] | None


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the file."""


class ServerSection(Section, frozen=True):
    """`[server]`: where it listens and what it believes of the network."""

    listen: Annotated[str, Fits(split_listen)] = "127.0.0.1:8440"
    public_url: Annotated[str, Fits(check_web_origin)] | None = None
    artifact_url: Annotated[str, Fits(check_web_origin)] | None = None
    trusted_proxies: tuple[Annotated[str, Fits(check_network)], ...] = ()
    allow_loopback: bool = False
    outbound_networks: tuple[Annotated[str, Fits(check_network)], ...] = ()
    outbound_hosts: tuple[Annotated[str, Fits(check_host_pattern)], ...] = ()
    allow_plain_http: bool = False
    tokens_in_addresses: bool = True
    header_timeout: Annotated[Duration, Between("1s", "5m")] = Duration("10s")
    log_format: Literal["json", "console"] = "json"
    tls: TlsSection | None = None

    def __post_init__(self) -> None:
        """Refuse plain HTTP where others could listen (MISSION E11), also from a proxy to here (ASVS 5.0 12.3.3).

        Raises: SettingRefused.
        """
        if not (self.is_loopback or self.allow_plain_http or self.tls is not None):
            raise SettingRefused(
                "listen",
                f"{self.listen} is reachable from other machines and would speak plain HTTP: listen on 127.0.0.1, also "
                "behind a proxy on this machine, or give a certificate in [server.tls], also for a proxy on another "
                "one, or set allow_plain_http = true where nobody else is on that network",
            )
        for key, shown in (("public_url", "sessions"), ("artifact_url", "what is downloaded")):
            url = urlsplit(getattr(self, key) or "")
            if url.scheme == "http" and self.tls is not None:
                raise SettingRefused(key, "the server speaks TLS by [server.tls]: say https")
            if url.scheme == "http" and not (is_loopback_host(url.hostname or "") or self.allow_plain_http):
                raise SettingRefused(
                    key, f"plain http would show {shown} to the network: say https, or set allow_plain_http = true"
                )
        own, other = urlsplit(self.base_url), urlsplit(self.artifact_url or "")
        if other.scheme and other.hostname == own.hostname:
            raise SettingRefused(
                "artifact_url",
                f"takes another host name than {own.hostname}, which is the app's: a port is no other one",
            )
        if other.scheme and other.scheme != own.scheme:
            raise SettingRefused("artifact_url", f"takes {own.scheme}, as the app's own address {self.base_url} has it")

    @property
    def host(self) -> str:
        """Return the address part of `listen`, without brackets."""
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """Return the port of `listen`; 0 lets the system choose one."""
        return split_listen(self.listen)[1]

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach `listen`."""
        return is_loopback_host(self.host)

    @property
    def base_url(self) -> str:
        """Return the URL that links are built from, without a slash at its end: `public_url`, else `listen` by itself.

        A wildcard is named by this machine's name.
        """
        if self.public_url is not None:
            return self.public_url
        return f"{self.scheme}://{f'{machine_name()}:{self.port}' if is_wildcard(self.host) else self.listen}"

    @property
    def scheme(self) -> str:
        """Return what the server itself speaks: `https` with `[server.tls]`, else `http`."""
        return "http" if self.tls is None else "https"

    @property
    def public_host(self) -> str | None:
        """Return the host in `public_url`, None without one."""
        return urlsplit(self.public_url or "").hostname

    @property
    def artifact_host(self) -> str | None:
        """Return the host in `artifact_url`, None without one."""
        return urlsplit(self.artifact_url or "").hostname


class DatabaseSection(DatabaseTable, Section, frozen=True):
    """`[database]`: where the core's tables are."""


class AuditSection(AuditTable, Section, frozen=True):
    """`[audit]`: how the log is named and which exporters follow it."""


class AccountsSection(Section, frozen=True):
    """`[accounts]`: how people sign in and for how long."""

    password: bool = True
    second_factor: Literal["required", "optional"] = "required"
    late_codes: bool = True
    session_lifetime: Annotated[Duration, Between("1m", "90d")] = Duration("12h")
    session_idle: Annotated[Duration, Between("1m", "90d")] = Duration("1h")
    sessions_at_once: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 25
    trusted_device_days: Annotated[int, msgspec.Meta(ge=0, le=30)] = 30
    refused_words: tuple[Annotated[str, msgspec.Meta(min_length=3, max_length=100)], ...] = ()
    breached_passwords: Path | None = None

    def __post_init__(self) -> None:
        """Refuse an idle time that could never end a session.

        Raises: SettingRefused.
        """
        if self.session_idle > self.session_lifetime:
            raise SettingRefused("session_idle", f"must not exceed session_lifetime, which is {self.session_lifetime}")


class KeysSection(KeysTable, Section, frozen=True):
    """`[keys]`: keys of the installation that a secrets manager keeps in place of files in the data folder."""


class SsoSection(SsoTable, Section, frozen=True):
    """`[sso]`: identity providers of the whole installation."""


class EncryptionSection(Section, frozen=True):
    """`[artifacts.encryption]`: the key that wraps each workspace's data key, and those that did before."""

    key: Annotated[Secret, Fits(key_of)] | None = None
    previous: tuple[Annotated[Secret, Fits(key_of)], ...] = ()


class ArtifactsSection(Section, frozen=True):
    """`[artifacts]`: which plugin instance keeps the bytes, whether they are sealed, and scanned for viruses."""

    store: InstanceName = "filesystem"
    encryption: EncryptionSection | None = None
    scan: ScanSection | None = None


class ArtifactDays(Section, frozen=True):
    """`[reports.keep_artifacts]`: how long each kind of artifact is kept, when that is shorter than its report."""

    output: Kept = None
    diff: Kept = None
    environment: Kept = None
    source: Kept = None
    recording: Kept = None
    file: Kept = None
    snapshot: Kept = None
    bundle: Kept = None
    junit: Kept = None
    sarif: Kept = None
    envelope: Kept = None


class ReportsSection(Section, frozen=True):
    """`[reports]`: which formats arrive, and how long things are kept."""

    formats: tuple[InstanceName, ...] = ("capture",)
    keep: Kept = None
    keep_leftovers: Kept = Duration("30d")
    keep_sessions: Kept = None
    keep_artifacts: ArtifactDays = ArtifactDays()

    @property
    def days(self) -> dict[str, int | None]:
        """Return for how many days reports, leftovers, sessions and each kind of artifact are kept; None: for good."""
        kinds = {kind: _days(getattr(self.keep_artifacts, kind)) for kind in self.keep_artifacts.__struct_fields__}
        own = {"report": self.keep, "leftover": self.keep_leftovers, "session": self.keep_sessions}
        return {**{subject: _days(length) for subject, length in own.items()}, **kinds}


def _days(length: Duration | None) -> int | None:
    return max(length.us // _DAY_US, 1) if length is not None else None


class GateSection(Section, frozen=True):
    """`[gate]`: which policies judge, how long and how many requests wait, how long an approval may be used.

    With `allow_observing` an owner may let commands run for a time that are only observed.
    """

    policies: tuple[InstanceName, ...] = ("allowlist", "quorum")
    relay: InstanceName | None = None
    default_ttl: Annotated[Duration, Between("1s", "24h")] = Duration("60s")
    max_ttl: Annotated[Duration, Between("1s", "24h")] = Duration("24h")
    use_within: Annotated[Duration, Between("1s", "24h")] = Duration("60s")
    read_for: Annotated[Duration, Between("0s", "10s")] = Duration("500ms")
    approve_at_once: Annotated[int, Between(0, 100)] = 10
    waiting_per_agent: Annotated[int, Between(1, 20_000)] = 1000
    asked_per_agent: Annotated[int, Between(0, 60_000)] = 600
    approved_per_reviewer: Annotated[int, Between(0, 60_000)] = 60
    allow_observing: bool = True

    def __post_init__(self) -> None:
        """Refuse a default that no request could be given.

        Raises: SettingRefused.
        """
        if self.default_ttl > self.max_ttl:
            raise SettingRefused("default_ttl", f"must not exceed max_ttl, which is {self.max_ttl}")


class SmtpSection(Section, frozen=True):
    """`[notify.smtp]`: the server that takes outgoing e-mail."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    sender: Annotated[str, Fits(check_sender)]
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    port: Annotated[int, Between(1, 65535)] | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    timeout: Annotated[Duration, Between("1s", "2m")] = Duration("20s")

    def __post_init__(self) -> None:
        """Refuse what would show letters or the password on the way.

        Raises: SettingRefused.
        """
        if (self.username is None) != (self.password is None):
            raise SettingRefused(
                "username" if self.password is None else "password", "username and password are set together or not"
            )
        if self.tls == "none" and not is_loopback_host(self.host):
            raise SettingRefused("tls", 'letters hold links that let people in: say "starttls" or "implicit"')

    @property
    def effective_port(self) -> int:
        """Return `port`; without one that of the kind of TLS: 587, 465 or 25 (RFC 8314 section 3)."""
        return self.port or {"starttls": 587, "implicit": 465, "none": 25}[self.tls]


class NotifySection(Section, frozen=True):
    """`[notify]`: how people are told."""

    notifiers: tuple[InstanceName, ...] = ("webhook",)
    smtp: SmtpSection | None = None


class LimitsSection(LimitsTable, Section, frozen=True):
    """`[limits]`: what is refused as too large or too many, and what a workspace may use."""


class PinsSection(PinsTable, Section, frozen=True):
    """`[pins]`: which distributions may be loaded as plugins, each by the digest over its files."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One plugin instance that the config names.

    `use` is the plugin, `settings` the instance's own table, `path` where the plugin is named. Without an
    `is_spare` one the server works too: only a default names it, and where it is not installed it is left out.
    """

    name: str
    use: str
    settings: Mapping[str, Any]
    path: tuple[str | int, ...]
    is_spare: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A place that names an instance: the slot it must provide, the setting, the path of the name."""

    instance: str
    slot: Literal["artifact_store", "approval_policy", "report_formats", "audit_exporter", "notifier", "relay"]
    setting: str
    path: tuple[str | int, ...]


def references_of(
    artifacts: ArtifactsSection, gate: GateSection, reports: ReportsSection, audit: AuditSection, notify: NotifySection
) -> list[Reference]:
    """Return the references of these sections, in the order in which their instances are opened."""
    lists: tuple[
        tuple[Literal["approval_policy", "report_formats", "audit_exporter", "notifier"], str, str, tuple[str, ...]],
        ...,
    ] = (
        ("approval_policy", "gate", "policies", gate.policies),
        ("report_formats", "reports", "formats", reports.formats),
        ("audit_exporter", "audit", "exporters", audit.exporters),
        ("notifier", "notify", "notifiers", notify.notifiers),
    )
    found = [Reference(artifacts.store, "artifact_store", "[artifacts] store", ("artifacts", "store"))]
    if gate.relay is not None:
        found.append(Reference(gate.relay, "relay", "[gate] relay", ("gate", "relay")))
    for slot, section, key, names in lists:
        found += [
            Reference(name, slot, f"[{section}] {key}", (section, key, place)) for place, name in enumerate(names)
        ]
    return found


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. Instances are opened in this order: sections of the file, then those that only a slot names."""

    source: Source
    server: ServerSection = field(default_factory=ServerSection)
    database: DatabaseSection = field(default_factory=DatabaseSection)
    audit: AuditSection = field(default_factory=AuditSection)
    keys: KeysSection = field(default_factory=KeysSection)
    accounts: AccountsSection = field(default_factory=AccountsSection)
    sso: SsoSection = field(default_factory=SsoSection)
    artifacts: ArtifactsSection = field(default_factory=ArtifactsSection)
    reports: ReportsSection = field(default_factory=ReportsSection)
    gate: GateSection = field(default_factory=GateSection)
    notify: NotifySection = field(default_factory=NotifySection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    pins: PinsSection = field(default_factory=PinsSection)
    instances: tuple[Instance, ...] = ()

    @property
    def references(self) -> tuple["Reference", ...]:
        """Return every place where the config names an instance for a slot."""
        return tuple(references_of(self.artifacts, self.gate, self.reports, self.audit, self.notify))

    def with_listen(self, listen: str) -> "Config":
        """Return this config listening at `listen` (HOST:PORT) instead.

        Raises: StartRefused for what `[server] listen` would not take.
        """
        try:
            split_listen(listen)
            return replace(self, server=msgspec.structs.replace(self.server, listen=listen))
        except SettingRefused as refusal:
            raise StartRefused(f"--listen {listen}: {refusal.sentence}") from None
        except ValueError as refusal:
            raise StartRefused(f"--listen {listen}: {refusal}") from None

    def with_port(self, port: int) -> "Config":
        """Return this config listening at `port`: the one that the system chose where `listen` says 0."""
        address = self.server.listen.rpartition(":")[0]
        return replace(self, server=msgspec.structs.replace(self.server, listen=f"{address}:{port}"))


SECTIONS: dict[str, type[Section]] = {
    "server": ServerSection,
    "database": DatabaseSection,
    "audit": AuditSection,
    "keys": KeysSection,
    "accounts": AccountsSection,
    "sso": SsoSection,
    "artifacts": ArtifactsSection,
    "reports": ReportsSection,
    "gate": GateSection,
    "notify": NotifySection,
    "limits": LimitsSection,
    "pins": PinsSection,
}
