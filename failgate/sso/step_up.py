"""Stepping up at the provider: who signed in through one that is trusted with the second factor shows it there again.

The provider is asked to sign the person in anew. What comes back counts for the session that asked, and for no other:
the same person at the provider, a trusted method, an authentication that is younger than the request.
Source: OpenID Connect Core 1.0 sections 3.1.2.1 (`prompt`, `max_age`) and 3.1.3.7 (`auth_time`); saml-core-2.0-os
sections 2.7.2 (`AuthnInstant`) and 3.4.1 (`ForceAuthn`).
"""

from dataclasses import dataclass
from typing import Final

from failgate.accounts.session import Session, SessionToken
from failgate.accounts.sessions import Sessions
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import FailgateError, NotSignedIn
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.connections import Connections
from failgate.sso.linking import Linking
from failgate.sso.oidc.id_token import LEEWAY_SECONDS
from failgate.sso.protocol import Refusal
from failgate.sso.requests import Begun
from failgate.sso.saml.instants import SKEW_SECONDS

FRESH_SECONDS: Final = 300  # what an authentication that steps up is younger than
_OF_SESSION: Final = (
    "SELECT sso_session.connection_id, sso_session.issuer, sso_session.subject, sso_identity.factor_us FROM sso_session"
    " JOIN sso_identity ON sso_identity.connection_id = sso_session.connection_id"
    " AND sso_identity.issuer = sso_session.issuer AND sso_identity.subject = sso_session.subject"
    " AND sso_identity.account_id = sso_session.account_id WHERE sso_session.id = $1"
)

_SHOWN: Final = (
    "SELECT DISTINCT sso_identity.account_id FROM sso_identity JOIN sso_connection"
    " ON sso_connection.id = sso_identity.connection_id WHERE sso_identity.factor_us IS NOT NULL"
    " AND sso_connection.is_enabled = 1 AND (sso_connection.workspace_id IS NULL OR sso_connection.workspace_id = $1)"
)


@dataclass(frozen=True, slots=True)
class Way:
    """How a session steps up at its provider. `has_shown`: the provider saw a factor at the last sign-in."""

    connection: Connection
    has_shown: bool


class NotConfirmed(FailgateError):
    """An answer of the provider that steps nothing up. `reason` is for the record, `return_to` a path of our own.

    Who reads the sentence began the request in this browser, signed in.
    """

    slug = "not-confirmed"
    status = 403
    title = "You are still to confirm that it is you"

    def __init__(self, reason: str, return_to: str) -> None:
        """Keep the `reason`; the sentence says what the person can do."""
        sentence, hint = _SAID.get(reason, _SAID["other"])
        super().__init__(sentence, hint=hint)
        self.reason = reason
        self.return_to = return_to


_SAID: Final = {
    "step_up_other_person": (
        "Your identity provider signed somebody else in than you.",
        "Sign out there, then confirm again and sign in there as yourself.",
    ),
    "step_up_old": (
        "Your identity provider did not ask you anew: it remembered an earlier sign-in.",
        "Try again, and sign in there when it asks. If it never asks, its administrator has to let it.",
    ),
    "step_up_undated": (
        "Your identity provider did not say when you signed in there.",
        "Its administrator has to let it send that time. Until then, use a second factor of your own here.",
    ),
    "step_up_no_factor": (
        "Your identity provider did not say that you showed a second factor.",
        "Try again and use it there. If you are asked for none there any more, sign out and in again, then set one up.",
    ),
    "step_up_session": (
        "The session that asked has ended, or this browser is in another one now.",
        "Go back and confirm again.",
    ),
    "request_used": (
        "This answer was used before: a reload, the back button, or a second click.",
        "Go back to where you were. If it still asks, confirm again.",
    ),
    "request_expired": ("You were at your identity provider for more than ten minutes.", "Confirm again."),
    "other": (
        "Your identity provider did not confirm that it is you.",
        "Try again. If it fails once more, give your administrator the reference on this page.",
    ),
}


class StepUps:
    """Says which session may step up at its provider, and does it when the provider has answered."""

    def __init__(
        self, database: Database, clock: Clock, *, connections: Connections, linking: Linking, sessions: Sessions
    ) -> None:
        self._database = database
        self._clock = clock
        self._connections = connections
        self._linking = linking
        self._sessions = sessions

    async def way(self, session: Session | None) -> Way | None:
        """Return how `session` steps up at the provider that opened it; None where that cannot be."""
        if session is None or session.awaits_second_factor or session.origin is None:
            return None
        connection = await self._connections.by_id(session.origin.connection_id)
        if connection is None or not connection.is_enabled or not is_possible(connection):
            return None
        row = await self._database.fetch_one(_OF_SESSION, session.id)
        return Way(connection, row["factor_us"] is not None) if row is not None else None

    async def shown_in(self, workspace_id: str) -> frozenset[str]:
        """Return the accounts for whose votes there a provider's factor counts, as `gate/electorate.py` asks."""
        rows = await self._database.fetch(_SHOWN, workspace_id)
        return frozenset(row["account_id"] for row in rows)

    async def confirm(
        self, tx: Transaction, connection: Connection, assertion: Assertion, begun: Begun, session_id: str | None
    ) -> tuple[SessionToken, Session]:
        """Step the session of `begun` up; return its new token and itself, as it was before.

        `session_id` is of the session that the browser holds (empty: of none); None where the door sees no cookie of
        it, because the answer comes as a form of another site.

        Raises: Refusal (`step_up_session`, `step_up_other_person`, `step_up_no_factor`, `step_up_undated`,
        `step_up_old`).
        """
        session = await self._sessions.alive_within(tx, begun.session_id or "")
        if (
            session is None
            or session.awaits_second_factor
            or session.account_id != begun.account_id
            or session_id not in {None, session.id}
        ):
            raise Refusal("step_up_session", "The session that asked has ended, or is not this browser's.")
        await self._check_person(tx, connection, assertion, session)
        if not is_factor_trusted(connection, assertion):
            raise Refusal("step_up_no_factor", "The answer names no method that this connection trusts.")
        proven_us = self._check_time(connection, assertion, begun)
        try:
            token = await self._sessions.rotate(tx, session, "provider", proven_us=proven_us)
        except NotSignedIn:
            raise Refusal("step_up_session", "The session was changed in this very moment.") from None
        await self._linking.note_factor(tx, connection, assertion, proven_us)
        return token, session

    async def _check_person(
        self, tx: Transaction, connection: Connection, assertion: Assertion, session: Session
    ) -> None:
        """Check that the answer is of the person who signed in to `session`, at the same provider. Raises: Refusal."""
        row = await tx.fetch_one(_OF_SESSION, session.id)
        person = (connection.id, assertion.issuer, assertion.subject)
        if row is None or (row["connection_id"], row["issuer"], row["subject"]) != person:
            raise Refusal("step_up_other_person", "The provider signed in another person than the session is of.")
        verdict = await self._linking.judge(tx, connection, assertion)
        if verdict.kind != "known" or verdict.account_id != session.account_id:
            raise Refusal("step_up_other_person", "The person is not let in any more.")

    def _check_time(self, connection: Connection, assertion: Assertion, begun: Begun) -> int:
        """Return when the provider asked the person, which is after the request and not long ago. Raises: Refusal."""
        now_us, at_us = self._clock.now_us(), assertion.authenticated_us
        if at_us is None:
            raise Refusal("step_up_undated", "The answer does not say when the person signed in to the provider.")
        skew_us = (LEEWAY_SECONDS if connection.kind == "oidc" else SKEW_SECONDS) * MICROSECONDS
        if at_us > now_us + skew_us:
            raise Refusal("step_up_old", "The provider's clock is ahead; compare the clocks.")
        if at_us < begun.expected.begun_us - skew_us or at_us < now_us - FRESH_SECONDS * MICROSECONDS:
            age = (now_us - at_us) // MICROSECONDS
            raise Refusal("step_up_old", f"The person signed in to the provider {age} s ago, not for this request.")
        return min(now_us, at_us)


def is_possible(connection: Connection) -> bool:
    """Tell whether a provider can be asked for a second factor anew: GitHub's OAuth says nothing about factors."""
    settings = connection.settings
    is_github = isinstance(settings, OidcSettings) and settings.preset == "github"
    return bool(connection.trusted_methods) and not is_github


def is_factor_trusted(connection: Connection, assertion: Assertion) -> bool:
    """Tell whether the provider says that the person showed what this connection trusts as a second factor."""
    shown = {*assertion.methods, *([assertion.context] if assertion.context else [])}
    return not shown.isdisjoint(connection.trusted_methods)
