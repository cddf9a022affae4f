"""Single sign-on, in order: the browser leaves for its provider, comes back with an answer, and is somebody.

What the answer proves is checked by the protocol (`saml/`, `oidc/`, through `speaking.py`); whose account that is by
`linking.py`; here it is used once, and the session, the account, the memberships and their records are one transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from failgate.accounts.session import Origin, Session, SessionToken
from failgate.accounts.sessions import Sessions
from failgate.accounts.throttle import Reservation, Throttle
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict, FailgateError, NotFound, TooManyRequests
from failgate.base.secretbox import SecretBox
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, SamlSettings
from failgate.sso.connections import Connections
from failgate.sso.declared import Refreshing
from failgate.sso.linking import Linking, Step, Verdict
from failgate.sso.protocol import CheckedResponse, Departure, Refusal
from failgate.sso.refusals import Refusals
from failgate.sso.requests import Begun, Errand, Purpose, Requests, Spent
from failgate.sso.speaking import Speakers
from failgate.sso.step_up import FRESH_SECONDS, NotConfirmed, StepUps, is_factor_trusted
from failgate.sso.trial import Judged, Trial, Trials, trial_of

T = TypeVar("T")
HINT_PURPOSE: Final = "sso logout hint"
USED_MARGIN_SECONDS: Final = 600  # over every skew that a protocol allows


class NotLinked(FailgateError):
    """The provider named a person whom this server does not let in. `reason` is for the record."""

    slug = "not-linked"
    status = 403
    title = "You are not signed in"

    def __init__(self, reason: str, account_id: str | None = None) -> None:
        """Keep the `reason`; the sentence says what the person can do."""
        sentence, hint = _SAID[reason]
        super().__init__(sentence, hint=hint)
        self.reason = reason
        self.account_id = account_id


# What the person in front of the browser reads. An account is mentioned only where the provider has proven, in a
# domain that is verified for it, that the address is theirs.
_SAID: Final = {
    "deprovisioned": (
        "Your identity provider has ended your access to Failgate.",
        "If that is a mistake, ask the administrator of your company's directory to assign you again.",
    ),
    "no_email": (
        "Your identity provider did not say which e-mail address is yours.",
        "Ask its administrator to send the e-mail address to Failgate, then try again.",
    ),
    "email_not_verified": (
        "Your identity provider does not vouch for your e-mail address.",
        "Confirm the address there, then try again.",
    ),
    "domain_not_covered": (
        "Your identity provider knows you, but no account of this server belongs to you there.",
        "Ask an owner of your workspace to invite you, or to connect the domain of your address.",
    ),
    "account_exists": (
        "There is an account with your e-mail address, and it does not belong to this sign-in yet.",
        "Sign in as you did until now, then link this sign-in on your account page.",
    ),
    "account_disabled": ("Your account here is switched off.", "Ask whoever runs this server to switch it on again."),
}


@dataclass(frozen=True, slots=True)
class Client:
    """Where an answer comes from: the address and what the browser says of itself; the key that binds it.

    `session_id` is of the session that the browser holds (empty: none), None at a door that sees no such cookie.
    `has_asked`: the person asked for a sign-in that began at the provider, on a page of ours.
    """

    address: str
    user_agent: str
    browser_key: str | None
    session_id: str | None = None
    has_asked: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer led to.

    `token` is set when a session was opened or stepped up, `trial_id` when it was a test. `asks`: the answer is in
    order, nobody asked for it here, and nothing was done; it signs the person in when they say so.
    """

    purpose: Purpose
    return_to: str
    connection: Connection
    token: SessionToken | None = None
    session: Session | None = None
    trial_id: str | None = None
    steps: tuple[Step, ...] = ()
    has_workspace: bool = True
    asks: bool = False


class SingleSignOn:
    """Begins and finishes sign-ins, links, tests and step-ups."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        box: SecretBox,
        *,
        connections: Connections,
        linking: Linking,
        sessions: Sessions,
        speakers: Speakers,
        refreshing: Refreshing,
        step_ups: StepUps,
        throttle: Throttle,
    ) -> None:
        self._throttle = throttle
        self._refreshing = refreshing
        self._database = database
        self._clock = clock
        self._box = box
        self._connections = connections
        self._linking = linking
        self._sessions = sessions
        self._speakers = speakers
        self._step_ups = step_ups
        self._requests = Requests(database, clock, box)
        self._refusals = Refusals(audit, clock)
        self.trials = Trials(database, clock, box)

    async def begin(self, slug: str, errand: Errand, browser_key: str, address: str = "") -> Departure:
        """Return how the browser that holds `browser_key`, at `address`, leaves for the provider, on `errand`.

        Raises: TooManyRequests (this address began too often); NotFound (no such connection, or it is disabled; a test
        may begin all the same); Refusal (the provider's documents cannot be had).
        """
        connection = await self._connection(slug, is_test=errand.purpose == "test")
        await self._count(connection, self._throttle.reserve_departure_from, address)
        try:
            ready = await self._refreshing.ready(connection)
            departure = await self._speakers.begin(ready, is_forced=errand.is_forced)
        except Refusal as refusal:
            await self._refusals.record(connection, refusal)
            raise
        await self._requests.keep(connection, departure, errand, browser_key)
        return departure

    async def finish(self, slug: str, kind: str, fields: Mapping[str, str], client: Client) -> Outcome:
        """Check the answer of a provider and do what the browser went there for.

        Raises: NotFound; TooManyRequests (the answer was not looked at); Refusal, NotLinked, NotConfirmed (a step-up,
        whatever was refused), Conflict (a link that cannot be), each recorded with its reason.
        """
        connection = await self._connections.by_slug(slug)
        if connection is None or connection.kind != kind:
            raise NotFound("There is no such connection.")
        counted = await self.count_answer(connection, client.address)
        outcome = await self._finish(connection, fields, client)
        self.take_back(counted)
        return outcome

    async def count_answer(self, connection: Connection, address: str) -> Reservation:
        """Count an answer or a message that `address` brings, as wrong until `take_back`.

        Raises: TooManyRequests (this address brought too many wrong ones), recorded.
        """
        return await self._count(connection, self._throttle.reserve_answer_from, address)

    def take_back(self, counted: Reservation) -> None:
        """Count an answer no more: it was right."""
        self._throttle.give_back(counted)

    async def _count(self, connection: Connection, reserve: Callable[[str], T], address: str) -> T:
        try:
            return reserve(address)
        except TooManyRequests:
            await self._refusals.record(connection, Refusal("throttled", "Too many came from one address."))
            raise

    async def _finish(self, connection: Connection, fields: Mapping[str, str], client: Client) -> Outcome:
        try:
            begun = await self._take(connection, fields, client.browser_key)
            _check_enabled(connection, begun)
        except Refusal as refusal:
            await self._refusals.record(connection, refusal)
            if isinstance(refusal, Spent) and refusal.purpose == "step_up":
                raise NotConfirmed(refusal.reason, refusal.return_to) from None
            raise
        if begun is not None and begun.purpose == "test":
            return await self._finish_test(connection, fields, begun)
        if begun is not None and begun.purpose == "step_up":
            return await self._finish_step_up(connection, fields, begun, client)
        try:
            checked = await self._speakers.finish(connection, fields, begun.expected if begun else None)
            if begun is None and not client.has_asked:
                return Outcome("sign_in", "/", connection, asks=True)
            if begun is not None and begun.purpose == "link":
                return await self._finish_link(connection, checked, begun)
            return await self._finish_sign_in(connection, checked, begun, client)
        except Refusal as refusal:
            await self._refusals.record(connection, refusal)
            raise
        except NotLinked as error:
            await self._refusals.record(connection, Refusal(error.reason), error.account_id)
            raise
        except Conflict as error:
            await self._refusals.record(connection, Refusal("not_linkable", str(error)))
            raise

    async def sweep(self) -> None:
        """Forget what is past any use. To be called once a minute."""
        await self._requests.sweep()
        await self._refusals.sweep()

    async def use(self, tx: Transaction, connection: Connection, values: tuple[str, ...], until_us: int) -> None:
        """Use up ids of messages; see `Requests.use`. Raises: Refusal."""
        await self._requests.use(tx, connection, values, until_us + USED_MARGIN_SECONDS * MICROSECONDS)

    async def refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Record a refusal that another verb of this room came to."""
        await self._refusals.record(connection, refusal)

    async def _connection(self, slug: str, *, is_test: bool) -> Connection:
        connection = await self._connections.by_slug(slug)
        if connection is None or not (connection.is_enabled or is_test):
            raise NotFound("There is no such connection.")
        return connection

    async def _take(self, connection: Connection, fields: Mapping[str, str], browser_key: str | None) -> Begun | None:
        """Take out the request that the answer names; None for an answer that nobody asked for, where that may be."""
        name = "RelayState" if connection.kind == "saml" else "state"
        try:
            return await self._requests.take(connection, fields.get(name, ""), browser_key)
        except Refusal as refusal:
            settings = connection.settings
            may_be_unsolicited = isinstance(settings, SamlSettings) and settings.is_idp_initiated_allowed
            if refusal.reason == "request_unknown" and may_be_unsolicited:
                return None
            raise

    async def _finish_sign_in(
        self, asked: Connection, checked: CheckedResponse, begun: Begun | None, client: Client
    ) -> Outcome:
        assertion = checked.assertion

        async def verb(tx: Transaction) -> Outcome:
            connection = await self._connections.enabled_within(tx, asked)
            factor_us = self._factor_us(connection, assertion)
            await self._use_assertions(tx, connection, checked)
            verdict = await self._judge(tx, connection, assertion)
            _, steps = await self._linking.plan(tx, connection, assertion, verdict.account_id)
            account_id = await self._linking.admit(tx, connection, assertion, verdict, factor_us)
            await self._linking.carry_out(tx, connection, account_id, steps)
            if begun is not None and begun.session_id is not None:
                closer = Actor(t="user", id=account_id)
                await self._sessions.end_these(tx, [begun.session_id], closer, "signed_out")
            origin = Origin(
                connection_id=connection.id,
                confined_to=connection.workspace_id,
                may_change_account=connection.is_from_config or verdict.is_origin,
                second_factor_us=factor_us,
                authenticated_us=assertion.authenticated_us,
            )
            token, session = await self._sessions.open_within(
                tx, account_id, client.address, client.user_agent, (connection.kind,), origin=origin
            )
            await self._keep_provider_session(tx, connection, assertion, session)
            return Outcome(
                purpose="sign_in",
                return_to=begun.return_to if begun is not None else "/",
                connection=connection,
                token=token,
                session=session,
                steps=tuple(steps),
                has_workspace=await self._has_workspace(tx, connection, account_id),
            )

        return await self._database.write(verb)

    async def _finish_link(self, connection: Connection, checked: CheckedResponse, begun: Begun) -> Outcome:
        account_id, session_id = begun.account_id or "", begun.session_id or ""

        async def verb(tx: Transaction) -> Outcome:
            await self._connections.enabled_within(tx, connection)
            await self._use_assertions(tx, connection, checked)
            query = "SELECT id FROM session WHERE id = $1 AND account_id = $2 AND awaits_second_factor = 0"
            if await tx.fetch_one(query, session_id, account_id) is None:
                raise Refusal("session_ended", "The session that asked for the link has ended.")
            await self._linking.link(tx, connection, checked.assertion, account_id)
            return Outcome(purpose="link", return_to=begun.return_to, connection=connection)

        return await self._database.write(verb)

    async def _finish_step_up(
        self, connection: Connection, fields: Mapping[str, str], begun: Begun, client: Client
    ) -> Outcome:
        async def verb(tx: Transaction) -> Outcome:
            await self._connections.enabled_within(tx, connection)
            await self._use_assertions(tx, connection, checked)
            asserted = checked.assertion
            token, session = await self._step_ups.confirm(tx, connection, asserted, begun, client.session_id)
            await self._keep_provider_session(tx, connection, asserted, session)
            return Outcome("step_up", begun.return_to, connection, token, session)

        try:
            checked = await self._speakers.finish(connection, fields, begun.expected)
            return await self._database.write(verb)
        except Refusal as refusal:
            await self._refusals.record(connection, refusal, begun.account_id)
            raise NotConfirmed(refusal.reason, begun.return_to) from None

    async def _finish_test(self, connection: Connection, fields: Mapping[str, str], begun: Begun) -> Outcome:
        checked = failure = None
        try:
            checked = await self._speakers.finish(connection, fields, begun.expected)
        except Refusal as refusal:
            failure = refusal

        async def verb(tx: Transaction) -> Outcome:
            now_us, account_id = self._clock.now_us(), begun.account_id or ""
            trial = Trial(
                made_us=now_us, reason=failure.reason if failure else None, detail=failure.detail if failure else ""
            )
            if checked is not None:
                await self._use_assertions(tx, connection, checked)
                trial = trial_of(await self._judged(tx, connection, checked.assertion), now_us)
            trial_id = await self.trials.keep(tx, connection, account_id, trial)
            actor = Actor(t="user", id=account_id)
            await self._connections.note_test(tx, connection, trial.result, actor, has_passed=checked is not None)
            return Outcome(purpose="test", return_to=begun.return_to, connection=connection, trial_id=trial_id)

        return await self._database.write(verb)

    async def _judged(self, tx: Transaction, connection: Connection, assertion: Assertion) -> Judged:
        verdict = await self._linking.judge(tx, connection, assertion)
        mapping, steps = await self._linking.plan(tx, connection, assertion, verdict.account_id)
        is_trusted = is_factor_trusted(connection, assertion)
        return Judged(assertion, verdict, tuple(steps), mapping.unmapped, is_trusted)

    async def _judge(self, tx: Transaction, connection: Connection, assertion: Assertion) -> Verdict:
        verdict = await self._linking.judge(tx, connection, assertion)
        if verdict.kind == "refused":
            raise NotLinked(verdict.reason or "domain_not_covered", verdict.account_id)
        return verdict

    async def _use_assertions(self, tx: Transaction, connection: Connection, checked: CheckedResponse) -> None:
        until_us = max(checked.valid_until_us, self._clock.now_us())
        await self.use(tx, connection, checked.assertion_ids, until_us)

    def _factor_us(self, connection: Connection, assertion: Assertion) -> int | None:
        """Return when the provider saw a second factor, if it is trusted with it; of unknown age it is not fresh."""
        if not is_factor_trusted(connection, assertion):
            return None
        now_us = self._clock.now_us()
        if assertion.authenticated_us is None:
            return now_us - (FRESH_SECONDS + 1) * MICROSECONDS
        return min(now_us, assertion.authenticated_us)

    async def _keep_provider_session(
        self, tx: Transaction, connection: Connection, assertion: Assertion, session: Session
    ) -> None:
        hint = None
        if assertion.logout_hint is not None:
            hint = self._box.seal(assertion.logout_hint.encode(), purpose=HINT_PURPOSE, owner=session.id)
        await tx.execute(
            "INSERT INTO sso_session (id, connection_id, account_id, issuer, subject, provider_session, hint_sealed,"
            " opened_us, ends_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET"
            # Asked anew, a provider may name its session anew: by that name it will end it.
            " provider_session = excluded.provider_session, hint_sealed = excluded.hint_sealed,"
            " ends_us = excluded.ends_us",
            session.id, connection.id, session.account_id, assertion.issuer, assertion.subject,
            assertion.provider_session, hint, session.opened_us, assertion.session_ends_us,
        )  # fmt: skip

    @staticmethod
    async def _has_workspace(tx: Transaction, connection: Connection, account_id: str) -> bool:
        query = "SELECT id FROM membership WHERE account_id = $1 AND ($2 = '' OR workspace_id = $2) LIMIT 1"
        return await tx.fetch_one(query, account_id, connection.workspace_id or "") is not None


def _check_enabled(connection: Connection, begun: Begun | None) -> None:
    """Refuse an answer through a connection that is switched off, but for its test. Raises: Refusal."""
    if not connection.is_enabled and (begun is None or begun.purpose != "test"):
        raise Refusal("connection_disabled", "The connection is switched off.")
