"""Logout both ways: our sign-out ends the provider's session where it can, the provider's ends ours at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from failgate.accounts.sessions import Sessions
from failgate.audit.record import SERVER, Act
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import FailgateError, NotFound
from failgate.base.log import get_logger
from failgate.base.secretbox import SecretBox
from failgate.sso.connection import Connection
from failgate.sso.connections import Connections
from failgate.sso.linking import actor_of
from failgate.sso.protocol import Departure, Expected, ProviderLogout, Refusal
from failgate.sso.requests import Errand, Requests
from failgate.sso.speaking import Speakers
from failgate.sso.sso import HINT_PURPOSE, SingleSignOn

_OF_SUBJECT: Final = (
    "SELECT id, provider_session FROM sso_session WHERE connection_id = $1 AND issuer = $2 AND subject = $3"
)
_OF_PROVIDER_SESSION: Final = (
    "SELECT id, provider_session FROM sso_session WHERE connection_id = $1 AND issuer = $2 AND provider_session = $3"
)
log = get_logger("failgate.sso")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a logout message led to: how the browser goes on (None: to our sign-in page), how many sessions ended."""

    departure: Departure | None
    ended: int


class Logouts:
    """Ends sessions with the provider's, and the provider's with ours."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        box: SecretBox,
        *,
        connections: Connections,
        sessions: Sessions,
        speakers: Speakers,
        sso: SingleSignOn,
    ) -> None:
        self._database = database
        self._clock = clock
        self._box = box
        self._connections = connections
        self._sessions = sessions
        self._speakers = speakers
        self._sso = sso
        self._requests = Requests(database, clock, box)

    async def begin(self, session_id: str, browser_key: str) -> Departure | None:
        """Return how the browser ends the provider's session behind the session `session_id`, which is about to close.

        None: there is none, or the provider cannot be asked; our own session ends all the same.
        """
        row = await self._database.fetch_one("SELECT * FROM sso_session WHERE id = $1", session_id)
        connection = await self._connections.by_id(row["connection_id"]) if row is not None else None
        if row is None or connection is None or not connection.is_enabled:
            return None
        try:
            departure = await self._speakers.begin_logout(connection, self._hint(row), row["provider_session"])
            if departure is not None and departure.request_id:
                await self._requests.keep(connection, departure, Errand("sign_out"), browser_key)
        except FailgateError as error:
            log.warning("sso.logout_failed", connection=connection.slug, error=error.slug)
            return None
        return departure

    async def read_saml(
        self,
        slug: str,
        *,
        query: str | None,
        form: Mapping[str, str] | None,
        browser_key: str | None,
        address: str = "",
    ) -> Answered:
        """Read a logout message of a SAML provider: its demand ends sessions, its answer ends the way out.

        Raises: NotFound; TooManyRequests (not looked at); Refusal, recorded with its reason.
        """
        connection = await self._enabled(slug, "saml")
        counted = await self._sso.count_answer(connection, address)
        try:
            expected = await self._expected(connection, form, query, browser_key)
            read = await self._speakers.read_saml_logout(connection, query=query, form=form, expected=expected)
            from failgate.sso.saml.logout import LogoutAnswer  # loaded by now

            if isinstance(read, LogoutAnswer):
                self._sso.take_back(counted)
                return Answered(None, 0)
            ended = await self._end(connection, read.logout)
            self._sso.take_back(counted)
            return Answered(await self._speakers.answer_saml_logout(connection, read), ended)
        except Refusal as refusal:
            await self._sso.refuse(connection, refusal)
            raise

    async def read_token(self, slug: str, token: str, address: str = "") -> int:
        """End the sessions that an OpenID provider's logout token names; return how many.

        Raises: NotFound; TooManyRequests (not looked at); Refusal, recorded with its reason.
        Source: OpenID Connect Back-Channel Logout 1.0 section 2.6.
        """
        connection = await self._enabled(slug, "oidc")
        counted = await self._sso.count_answer(connection, address)
        try:
            ended = await self._end(connection, await self._speakers.read_logout_token(connection, token))
        except Refusal as refusal:
            await self._sso.refuse(connection, refusal)
            raise
        self._sso.take_back(counted)
        return ended

    async def sweep(self) -> None:
        """End sessions whose provider's session has run out, forget those that ended. To be called once a minute."""
        now_us = self._clock.now_us()

        async def verb(tx: Transaction) -> None:
            over = await tx.fetch("SELECT id FROM sso_session WHERE ends_us <= $1", now_us)
            await self._sessions.end_these(tx, [row["id"] for row in over], SERVER, "expired")
            await tx.execute(
                "DELETE FROM sso_session WHERE NOT EXISTS (SELECT 1 FROM session WHERE session.id = sso_session.id)"
            )

        await self._database.write(verb)

    async def _end(self, connection: Connection, logout: ProviderLogout) -> int:
        """End the sessions that `logout` names, using its message up in the same transaction."""

        async def verb(tx: Transaction) -> int:
            await self._sso.use(tx, connection, logout.message_ids, logout.valid_until_us)
            ids = await _named(tx, connection, logout)
            ended = await self._sessions.end_these(tx, ids, actor_of(connection), "provider_signed_out")
            facts: dict[str, JSON] = {"sessions": ended, "by": "provider"}
            await self._connections.record(tx, Act.SSO_LOGGED_OUT, connection, actor_of(connection), facts)
            return ended

        return await self._database.write(verb)

    async def _enabled(self, slug: str, kind: str) -> Connection:
        connection = await self._connections.by_slug(slug)
        if connection is None or connection.kind != kind:
            raise NotFound("There is no such connection.")
        return connection

    async def _expected(
        self, connection: Connection, form: Mapping[str, str] | None, query: str | None, browser_key: str | None
    ) -> Expected | None:
        """Return our own demand that this answer is to; None for a demand of the provider."""
        try:
            fields = form if form is not None else dict(parse_qsl(query or "", max_num_fields=16))
        except ValueError:
            raise Refusal("malformed", "The query holds too many fields.") from None
        if "SAMLResponse" not in fields:
            return None
        begun = await self._requests.take(connection, fields.get("RelayState", ""), browser_key)
        return begun.expected

    def _hint(self, row: Row) -> str | None:
        sealed = row["hint_sealed"]
        if sealed is None:
            return None
        return self._box.unseal(sealed, purpose=HINT_PURPOSE, owner=row["id"]).decode()


async def _named(tx: Transaction, connection: Connection, logout: ProviderLogout) -> list[str]:
    """Return our sessions that a provider's logout names."""
    wanted = set(logout.provider_sessions)
    if logout.subject is not None:
        rows = await tx.fetch(_OF_SUBJECT, connection.id, logout.issuer, logout.subject)
        # A session whose provider gave it no name of its own ends with its subject.
        return [row["id"] for row in rows if not wanted or row["provider_session"] in {None, *wanted}]
    rows = []
    for provider_session in sorted(wanted):
        rows += await tx.fetch(_OF_PROVIDER_SESSION, connection.id, logout.issuer, provider_session)
    return [row["id"] for row in rows]
