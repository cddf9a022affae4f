"""Passkeys: registered, named, removed; proven to sign in, as second factor and to step up.

A passkey is made discoverable and with user verification, so it stands for both factors by itself. A challenge is bound
to the session or the browser that it was made for and answered once, in the transaction of what it brings about.

Source: Web Authentication Level 3 sections 7.1 and 7.2; NIST SP 800-63B-4 section 3.2.5 (phishing resistance).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from failgate.access.principal import Principal
from failgate.accounts.challenges import ChallengeGone, Challenges, Purpose
from failgate.accounts.refusals import NOBODY, Refusals
from failgate.accounts.relying_party import (
    Answer,
    KnownCredential,
    PasskeyRefused,
    RelyingParty,
    read_answer,
)
from failgate.accounts.second_factors import SecondFactors
from failgate.accounts.session import Session, SessionToken
from failgate.accounts.sessions import Sessions
from failgate.accounts.tables import PasskeyRow
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound, NotSignedIn
from failgate.base.ids import new_id

T = TypeVar("T")

MOST_PASSKEYS: Final = 10  # of one account
LONGEST_NAME: Final = 64
METHOD: Final = "passkey"


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an account. Times are microseconds since 1970; `aaguid` names the model of the authenticator."""

    id: str
    name: str
    aaguid: str
    transports: tuple[str, ...]
    created_us: int
    last_used_us: int | None


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration brought: the session's new token, and backup codes when the account had none."""

    token: SessionToken = field(repr=False)
    backup_codes: tuple[str, ...] = field(repr=False)


class Passkeys:
    """Registers, proves and removes the passkeys of accounts."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        challenges: Challenges,
        relying_party: RelyingParty | None,
        sessions: Sessions,
        second_factors: SecondFactors,
    ) -> None:
        """Work for `relying_party`; None: browsers have no passkeys at this server's address."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._challenges = challenges
        self._relying_party = relying_party
        self._sessions = sessions
        self._second_factors = second_factors
        self._refusals = Refusals(audit, clock, Act.FACTOR_REFUSED)

    @property
    def are_possible(self) -> bool:
        """Tell whether browsers have passkeys at this server's address."""
        return self._relying_party is not None

    async def list(self, account_id: str) -> Sequence[Passkey]:
        """Return the passkeys of `account_id`, the oldest first."""
        return [_from_row(row) for row in await self._rows(account_id)]

    async def registration_options(self, session: Session) -> str:
        """Return the JSON for `navigator.credentials.create` in the browser of `session`.

        Raises: Conflict (ten passkeys are there already, or browsers have none at this address).
        """
        party, rows = self._party(), await self._rows(session.account_id)
        if len(rows) >= MOST_PASSKEYS:
            raise _too_many()
        challenge = self._challenges.mint("register", session.id)
        known = [_known(row) for row in rows]
        return await asyncio.to_thread(party.registration_options, challenge, session.account_id, session.email, known)

    async def register(self, session: Session, credential: str, name: str) -> Registered:
        """Keep the passkey that `credential` (JSON of the browser) describes; it proves this session's factor too.

        Raises: PasskeyRefused, ChallengeGone; BadInput (the name); Conflict (ten are there, or this one is).
        """
        party, label, actor = self._party(), check_name(name), Actor.of(session.principal)
        answer = await self._read(credential, "register", session.id, session.account_id, actor)
        try:
            made = await asyncio.to_thread(party.check_registration, answer)
        except PasskeyRefused as refusal:
            await self._refuse(refusal, session.account_id, actor)
            raise
        passkey_id = new_id()

        async def verb(tx: Transaction) -> Registered:
            await self._challenges.use_up(tx, answer.challenge)
            query = "SELECT id FROM passkey WHERE account_id = $1"
            if len(await tx.fetch(query, session.account_id)) >= MOST_PASSKEYS:
                raise _too_many()
            inserted = await tx.execute(
                "INSERT INTO passkey (id, account_id, credential_id, public_key, sign_count, transports, aaguid, name,"
                " created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
                passkey_id, session.account_id, made.credential_id, made.public_key, made.sign_count,
                " ".join(made.transports), made.aaguid, label, self._clock.now_us(),
            )  # fmt: skip
            if inserted != 1:
                raise Conflict("This passkey is registered already.", hint="Use another device or security key.")
            facts: dict[str, JSON] = {"method": METHOD, "passkey": passkey_id}
            await self._second_factors.enrolled_within(tx, session.account_id, actor, facts)
            codes = await self._second_factors.first_codes_within(tx, session.account_id)
            return Registered(await self._sessions.rotate(tx, session, METHOD), tuple(codes))

        return await self._write(verb, session.account_id, actor)

    async def rename(self, account_id: str, passkey_id: str, name: str, actor: Actor) -> None:
        """Give the passkey another name.

        Raises: NotFound (there is none, or it is somebody else's: the same answer); BadInput.
        """
        label = check_name(name)

        async def verb(tx: Transaction) -> None:
            query = "UPDATE passkey SET name = $1 WHERE id = $2 AND account_id = $3"
            if await tx.execute(query, label, passkey_id, account_id) != 1:
                raise NotFound("There is no such passkey.")
            facts: dict[str, JSON] = {"method": METHOD, "passkey": passkey_id}
            event = Event(
                act=Act.FACTOR_RENAMED, ws=SYSTEM, obj_t="account", obj_id=account_id, actor=actor, data=facts
            )
            await self._audit.append(tx, event)

        await self._database.write(verb)

    async def remove(self, account_id: str, passkey_id: str, actor: Actor) -> None:
        """Take the passkey away; when it was the last factor every session of `account_id` has ended.

        Raises: NotFound (there is none, or it is somebody else's: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            query = "DELETE FROM passkey WHERE id = $1 AND account_id = $2"
            if await tx.execute(query, passkey_id, account_id) != 1:
                raise NotFound("There is no such passkey.")
            facts: dict[str, JSON] = {"method": METHOD, "passkey": passkey_id}
            await self._second_factors.removed_within(tx, account_id, actor, facts)

        await self._database.write(verb)

    async def sign_in_options(self, browser: str) -> str:
        """Return the JSON for `navigator.credentials.get` in the browser whose secret cookie is `browser`."""
        challenge = self._challenges.mint("sign-in", browser)
        return await asyncio.to_thread(self._party().proof_options, challenge)

    async def sign_in(
        self, browser: str, credential: str, address: str, user_agent: str
    ) -> tuple[SessionToken, Session]:
        """Open a session for the account of the passkey: both factors are proven. Return its token and itself.

        Raises: PasskeyRefused, ChallengeGone, NotSignedIn (unknown, wrong, of a disabled account: nobody is told more).
        """
        self._party()
        answer = await self._read(credential, "sign-in", browser, None, NOBODY)
        row = await self._row_of(answer)
        account_id = str(row["account_id"]) if row is not None else None
        if row is None or answer.user_handle not in {None, account_id}:
            refusal = PasskeyRefused("unknown_credential" if row is None else "wrong_account")
            await self._refuse(refusal, account_id, NOBODY)
            raise refusal
        counter = await self._check(answer, row, NOBODY)

        async def verb(tx: Transaction) -> tuple[SessionToken, Session]:
            await self._use(tx, answer, row, counter)
            return await self._sessions.open_within(
                tx, row["account_id"], address, user_agent, (METHOD,), has_proven_factor=True
            )

        return await self._write(verb, account_id, NOBODY)

    async def proof_options(self, session: Session) -> str:
        """Return the JSON for `navigator.credentials.get`, for the passkeys of the person behind `session`.

        Raises: Conflict (there are none).
        """
        rows = await self._rows(session.account_id)
        if not rows:
            raise Conflict("This account has no passkey.", hint="Use the code of your authenticator app.")
        challenge = self._challenges.mint("prove", session.id)
        return await asyncio.to_thread(self._party().proof_options, challenge, [_known(row) for row in rows])

    async def prove_in_session(self, session: Session, credential: str) -> SessionToken:
        """Note the proof in `session`, as its second factor or to step up; return the session's new token.

        Raises: PasskeyRefused, ChallengeGone, NotSignedIn (the session has ended).
        """
        self._party()
        speaker = Principal(kind="user", account_id=session.account_id, session_id=session.id, auth=session.auth)
        actor = Actor.of(speaker)
        answer = await self._read(credential, "prove", session.id, session.account_id, actor)
        row = await self._row_of(answer)
        if row is None or row["account_id"] != session.account_id:
            refusal = PasskeyRefused("unknown_credential" if row is None else "wrong_account")
            await self._refuse(refusal, session.account_id, actor)
            raise refusal
        counter = await self._check(answer, row, actor)

        async def verb(tx: Transaction) -> SessionToken:
            await self._use(tx, answer, row, counter)
            return await self._sessions.rotate(tx, session, METHOD)

        return await self._write(verb, session.account_id, actor)

    async def sweep(self) -> None:
        """Forget old challenges and record refusals that were only counted. To be called once a minute."""
        await self._refusals.flush()
        await self._database.write(self._challenges.sweep)

    async def _read(
        self, credential: str, purpose: Purpose, binding: str, account_id: str | None, actor: Actor
    ) -> Answer:
        try:
            answer = read_answer(credential)
            self._challenges.check(answer.challenge, purpose, binding)
        except PasskeyRefused as refusal:
            await self._refuse(refusal, account_id, actor)
            raise
        except ChallengeGone:
            await self._refuse(PasskeyRefused("wrong_challenge"), account_id, actor)
            raise
        return answer

    async def _check(self, answer: Answer, row: Row, actor: Actor) -> int:
        try:
            return await asyncio.to_thread(self._party().check_proof, answer, _known(row))
        except PasskeyRefused as refusal:
            await self._refuse(refusal, row["account_id"], actor)
            raise

    async def _write(self, verb: Callable[[Transaction], Awaitable[T]], account_id: str | None, actor: Actor) -> T:
        """Do `verb`; record why it was refused. A disabled account is refused like a wrong passkey."""
        try:
            return await self._database.write(verb)
        except PasskeyRefused as refusal:
            await self._refuse(refusal, account_id, actor)
            raise
        except ChallengeGone:
            await self._refuse(PasskeyRefused("used_challenge"), account_id, actor)
            raise
        except NotSignedIn:
            ended = PasskeyRefused("session_or_account_ended")
            await self._refuse(ended, account_id, actor)
            raise ended from None

    async def _use(self, tx: Transaction, answer: Answer, row: Row, counter: int) -> None:
        """Use the challenge up and move the counter on: of two answers that show one counter, the second is refused."""
        await self._challenges.use_up(tx, answer.challenge)
        query = (
            "UPDATE passkey SET sign_count = $1, last_used_us = $2 WHERE id = $3 AND account_id = $4"
            " AND (sign_count < $1 OR (sign_count = 0 AND $1 = 0))"
        )
        if await tx.execute(query, counter, self._clock.now_us(), row["id"], row["account_id"]) != 1:
            raise PasskeyRefused("counter_regressed")

    async def _refuse(self, refusal: PasskeyRefused, account_id: str | None, actor: Actor) -> None:
        await self._refusals.record(f"passkey_{refusal.reason}", account_id, actor)

    def _party(self) -> RelyingParty:
        if self._relying_party is None:
            raise Conflict("Browsers have no passkeys at this server's address.", hint="Use an authenticator app.")
        return self._relying_party

    async def _rows(self, account_id: str) -> Sequence[Row]:
        query = PasskeyRow.select().where(PasskeyRow.account_id == account_id).order_by(PasskeyRow.id)
        return await self._database.fetch(query)

    async def _row_of(self, answer: Answer) -> Row | None:
        query = PasskeyRow.select().where(PasskeyRow.credential_id == answer.credential_id).limit(1)
        return await self._database.fetch_one(query)


def check_name(text: str) -> str:
    """Return `text` without outer spaces.

    Raises: BadInput (empty, over 64 characters, or with a character that does not print).
    """
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput(f"The name of a passkey has 1 to {LONGEST_NAME} printable characters.", hint="Shorten it.")
    return name


def _known(row: Row) -> KnownCredential:
    return KnownCredential(
        credential_id=row["credential_id"],
        public_key=bytes(row["public_key"]),
        sign_count=row["sign_count"],
        transports=tuple(row["transports"].split()),
    )


def _from_row(row: Row) -> Passkey:
    return Passkey(
        id=row["id"],
        name=row["name"],
        aaguid=row["aaguid"],
        transports=tuple(row["transports"].split()),
        created_us=row["created_us"],
        last_used_us=row["last_used_us"],
    )


def _too_many() -> Conflict:
    return Conflict(f"An account has {MOST_PASSKEYS} passkeys at most.", hint="Remove one that you do not use.")
