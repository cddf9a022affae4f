"""Mail domains of a connection: who may say that a domain is theirs, and how that is shown by DNS.

A domain counts once a TXT record at `_failgate.<domain>` shows `failgate-domain=<token>`; domains of the config file
count on the operator's word. Exact names alone: a domain says nothing of its subdomains.
"""

import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.ids import new_id

LABEL: Final = "_failgate"
MARK: Final = "failgate-domain="
MOST_DOMAINS: Final = 50
SECONDS: Final = 5.0
_DOMAIN: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII
)

ReadTexts = Callable[[str], Awaitable[Sequence[str]]]
"""Return the TXT records at a DNS name; none when there is none. Raises: Conflict (no name server answers)."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of a connection. `token` is what its DNS record shows; times are microseconds since 1970."""

    id: str
    domain: str
    token: str
    verified_us: int | None

    @property
    def record_name(self) -> str:
        """Return the DNS name of the record that proves it."""
        return f"{LABEL}.{self.domain}"

    @property
    def record_text(self) -> str:
        """Return the text of that record."""
        return MARK + self.token


class Domains:
    """Claims, verifies and gives up the domains of a workspace's connections."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, read_texts: ReadTexts) -> None:
        """Ask DNS by `read_texts`."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._read_texts = read_texts

    async def of(self, connection_id: str) -> list[Domain]:
        """Return the domains of a connection, verified or not, by name."""
        query = "SELECT * FROM sso_domain WHERE connection_id = $1 ORDER BY domain"
        return [_domain(row) for row in await self._database.fetch(query, connection_id)]

    async def claim(self, workspace_id: str, connection_id: str, text: str, actor: Actor) -> Domain:
        """Say that a domain belongs to a connection of the workspace; it does not count before it is verified.

        Raises: BadInput (not a domain); Conflict (claimed already, 50 are claimed).
        """
        domain = Domain(new_id(), check_domain(text), secrets.token_urlsafe(24), None)

        async def verb(tx: Transaction) -> None:
            rows = await tx.fetch("SELECT domain FROM sso_domain WHERE connection_id = $1", connection_id)
            if len(rows) >= MOST_DOMAINS:
                raise Conflict(f"The connection has {MOST_DOMAINS} domains.", hint="Remove one first.")
            inserted = await tx.execute(
                "INSERT INTO sso_domain (id, connection_id, domain, token, created_us) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (connection_id, domain) DO NOTHING",
                domain.id, connection_id, domain.domain, domain.token, self._clock.now_us(),
            )  # fmt: skip
            if inserted != 1:
                raise Conflict(f"The connection has the domain {domain.domain}.", hint="Verify it.")
            await self._record(tx, Act.DOMAIN_CLAIMED, workspace_id, connection_id, domain.id, actor)

        await self._database.write(verb)
        return domain

    async def verify(
        self, workspace_id: str, connection_id: str, domain_id: str, actor: Actor, forget: Callable[[Transaction], None]
    ) -> Domain:
        """Look the domain's record up; the domain counts from now on. `forget` has the connection read anew.

        Raises: NotFound; Conflict (the record is not there, or no name server answers).
        """
        domain = await self._one(connection_id, domain_id)
        found = await self._read_texts(domain.record_name)
        if not any(secrets.compare_digest(text.strip().encode(), domain.record_text.encode()) for text in found):
            raise Conflict(
                f"{domain.record_name} has no TXT record with the text shown here.",
                hint="Add it at your DNS provider, wait until it is published, then verify again.",
            )

        async def verb(tx: Transaction) -> None:
            query = "UPDATE sso_domain SET verified_us = $1, verified_by = 'dns' WHERE id = $2 AND verified_us IS NULL"
            if await tx.execute(query, self._clock.now_us(), domain.id) == 1:
                await self._record(tx, Act.DOMAIN_VERIFIED, workspace_id, connection_id, domain.id, actor, method="dns")
            forget(tx)

        await self._database.write(verb)
        return domain

    async def vouch(
        self, workspace_id: str, connection_id: str, text: str, actor: Actor, forget: Callable[[Transaction], None]
    ) -> str:
        """Let a domain count on the operator's word, claimed or not; return it as it is written. Twice is as once.

        Raises: BadInput (not a domain).
        """
        domain, now_us = check_domain(text), self._clock.now_us()

        async def verb(tx: Transaction) -> None:
            await tx.execute(
                "INSERT INTO sso_domain (id, connection_id, domain, token, created_us) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (connection_id, domain) DO NOTHING",
                new_id(), connection_id, domain, secrets.token_urlsafe(24), now_us,
            )  # fmt: skip
            rows = await tx.fetch(
                "UPDATE sso_domain SET verified_us = $1, verified_by = 'operator'"
                " WHERE connection_id = $2 AND domain = $3 AND verified_us IS NULL RETURNING id",
                now_us, connection_id, domain,
            )  # fmt: skip
            for row in rows:
                act = Act.DOMAIN_VERIFIED
                await self._record(tx, act, workspace_id, connection_id, row["id"], actor, method="operator")
            forget(tx)

        await self._database.write(verb)
        return domain

    async def remove(
        self, workspace_id: str, connection_id: str, domain_id: str, actor: Actor, forget: Callable[[Transaction], None]
    ) -> None:
        """Give a domain up; accounts that it brought in stay.

        Raises: NotFound.
        """

        async def verb(tx: Transaction) -> None:
            query = "DELETE FROM sso_domain WHERE id = $1 AND connection_id = $2"
            if await tx.execute(query, domain_id, connection_id) != 1:
                raise NotFound("There is no such domain.")
            await self._record(tx, Act.DOMAIN_REMOVED, workspace_id, connection_id, domain_id, actor)
            forget(tx)

        await self._database.write(verb)

    async def _one(self, connection_id: str, domain_id: str) -> Domain:
        query = "SELECT * FROM sso_domain WHERE id = $1 AND connection_id = $2"
        row = await self._database.fetch_one(query, domain_id, connection_id)
        if row is None:
            raise NotFound("There is no such domain.")
        return _domain(row)

    async def _record(
        self,
        tx: Transaction,
        act: Act,
        workspace_id: str,
        connection_id: str,
        domain_id: str,
        actor: Actor,
        **more: str,
    ) -> None:
        event = Event(
            act=act, ws=workspace_id, obj_t="sso_domain", obj_id=domain_id, actor=actor,
            data={"connection": connection_id, **more},
        )  # fmt: skip
        await self._audit.append(tx, event)


def check_domain(text: str) -> str:
    """Return `text` as a mail domain is written: lower-case ASCII (an international name as `xn--…`).

    A name that looks like another one and is turned into it by IDNA (full-width letters, `ß`) is refused.

    Raises: BadInput.
    """
    domain = text.strip().lower().removeprefix("@").removesuffix(".")
    try:
        domain = _as_ascii(domain) if not domain.isascii() else domain
    except UnicodeError:
        domain = ""
    if _DOMAIN.fullmatch(domain) is None:
        raise BadInput(f"{text[:80]!r} is no mail domain.", hint="Write it like corp.example.")
    return domain


def _as_ascii(domain: str) -> str:
    """Return an international name as `xn--…`. Raises: UnicodeError (none, or another spelling of some name)."""
    encoded = domain.encode("idna")
    if encoded.decode("idna") != unicodedata.normalize("NFC", domain):
        raise UnicodeError("IDNA would make another name of it")
    return encoded.decode()


def domain_of(email: str) -> str | None:
    """Return the mail domain of `email` as `check_domain` writes it, or None."""
    try:
        return check_domain(email.rpartition("@")[2]) if "@" in email else None
    except BadInput:
        return None


def dns_reader(servers: Sequence[tuple[str, int]] = ()) -> ReadTexts:
    """Return what asks `servers` (address and port), or the name servers of this machine, for TXT records."""

    async def read(name: str) -> list[str]:
        import dns.asyncresolver  # heavy; needed when an owner verifies a domain
        import dns.exception
        import dns.nameserver
        import dns.resolver

        try:
            resolver = dns.asyncresolver.Resolver(configure=not servers)
            if servers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
            answer = await resolver.resolve(f"{name}.", "TXT", search=False, lifetime=SECONDS)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError):
            raise Conflict(
                "No name server answered.", hint="Try again; if it stays so, ask whoever runs this server."
            ) from None
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]

    return read


def _domain(row: Row) -> Domain:
    return Domain(row["id"], row["domain"], row["token"], row["verified_us"])
