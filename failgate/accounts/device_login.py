"""Signing a command line in: it asks for a pair of codes, a person approves in a browser, it fetches its tokens once.

Codes are kept as SHA-256. What a person decides is one conditional update, and so is the fetching: an approval opens
one login. How often a client asks is kept in memory alone. The rules are in `device_grant.py`.

Source: RFC 8628.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from failgate.access.principal import Principal
from failgate.accounts import device_grant
from failgate.accounts.access_tokens import AccessToken, AccessTokens
from failgate.accounts.code_guesses import MOST_WAITING, CodeGuesses
from failgate.accounts.device_grant import Decision, Grant, GrantRefused, Pace
from failgate.accounts.logins import Logins
from failgate.accounts.refresh_tokens import RefreshTokens
from failgate.accounts.refusals import Refusals
from failgate.accounts.throttle import network_of
from failgate.accounts.token_text import digest_of
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event, Outcome
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, NotFound, TooManyRequests
from failgate.base.ids import new_id

CLIENTS: Final = frozenset({"failgate-cli"})
WAITING_AT_ONE_PLACE: Final = 20
KEPT_SECONDS: Final = 600  # after its end, so that a late poll hears how it ended
_MOST_PACES: Final = 10_000

_INSERT: Final = """
INSERT INTO device_request (id, client_id, device_code_sha256, user_code_sha256, state, host, address, place,
                            user_agent, created_us, expires_us)
VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10) ON CONFLICT (user_code_sha256) DO NOTHING
"""
_COUNT: Final = """
SELECT COUNT(*) AS waiting, COALESCE(SUM(CASE WHEN place = $1 THEN 1 ELSE 0 END), 0) AS here
FROM device_request WHERE state = 'pending' AND expires_us > $2
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """The codes of a request that has begun: one for the machine, one for the person."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    expires_in_seconds: int
    interval_seconds: int


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """Who asks from where. `host` and `user_agent` are what the client says of itself; `address` is the network's word.

    `created_us` is microseconds since 1970.
    """

    id: str
    client_id: str
    host: str
    address: str
    user_agent: str
    created_us: int


@dataclass(frozen=True, slots=True)
class Collected:
    """The tokens of a fresh login."""

    access: AccessToken
    refresh_token: str = field(repr=False)


class DeviceLogin:
    """Begins, shows, decides and completes requests for a login."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        logins: Logins,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._logins = logins
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._guesses = CodeGuesses(clock)
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._refusals = Refusals(audit, clock, Act.LOGIN_REFUSED)

    async def begin(self, client_id: str, *, host: str, address: str, user_agent: str) -> Begun:
        """Return the codes of a new request of the client; nobody has approved anything yet.

        Raises: GrantRefused `invalid_client`; TooManyRequests (20 wait at this network address, or 1,000 in all).
        """
        check_client(client_id)
        device_code, now_us, place = device_grant.new_device_code(), self._clock.now_us(), network_of(address)
        grant = device_grant.begin(now_us)

        async def verb(tx: Transaction) -> str:
            counted = await tx.fetch_one(_COUNT, place, now_us)
            assert counted is not None
            if counted["waiting"] >= MOST_WAITING or counted["here"] >= WAITING_AT_ONE_PLACE:
                raise TooManyRequests(
                    "Too many command lines wait to be approved.",
                    hint="Approve or deny one of them, or wait ten minutes.",
                    retry_after_seconds=60,
                )
            while True:
                user_code = device_grant.new_user_code()
                inserted = await tx.execute(
                    _INSERT, new_id(), client_id, digest_of(device_code), digest_of(user_code), printable(host, 64),
                    address[:64], place, printable(user_agent, 256), now_us, grant.expires_us,
                )  # fmt: skip
                if inserted == 1:
                    return user_code

        user_code = await self._database.write(verb)
        return Begun(device_code, user_code, device_grant.LIFETIME_SECONDS, device_grant.INTERVAL_SECONDS)

    async def look_up(self, user_code: str, person: Principal) -> DeviceRequest:
        """Return who waits under the code that a person typed in a session.

        Raises: NotFound (nobody: never did, not any more, or not written like a code); TooManyRequests (not looked at).
        """
        return _request(await self._row_of(user_code, person))

    async def decide(self, user_code: str, decision: Decision, person: Principal) -> None:
        """Approve or deny the request under `user_code` in the name of `person`; the login reaches as far as they do.

        Raises: as `look_up`; Conflict (it was decided a moment ago).
        """
        row = await self._row_of(user_code, person)

        async def verb(tx: Transaction) -> None:
            now_us = self._clock.now_us()
            found = await tx.fetch_one("SELECT * FROM device_request WHERE id = $1", row["id"])
            if found is None:
                raise _nobody()
            after = device_grant.decide(_grant(found), decision, now_us)
            query = (
                "UPDATE device_request SET state = $1, account_id = $2, connection_id = $3, confined_to = $4"
                " WHERE id = $5 AND state = 'pending' AND expires_us > $6"
            )
            whose = (person.account_id, person.connection_id, person.workspace_id)
            if await tx.execute(query, after.state, *whose, row["id"], now_us) != 1:
                raise Conflict("This request was decided a moment ago.", hint="Start again: failgate login.")
            act = Act.LOGIN_APPROVED if decision == "approve" else Act.LOGIN_DENIED
            await self._record(tx, act, row["id"], Actor.of(person), row["client_id"])

        await self._database.write(verb)

    async def poll(self, device_code: str, client_id: str, address: str) -> Collected:
        """Return the tokens of the login that was approved for `device_code`; once.

        Raises: GrantRefused with the word of RFC 8628 section 3.5.
        """
        check_client(client_id)
        is_written = len(device_code) == device_grant.DEVICE_CODE_CHARACTERS and device_code.isascii()
        digest = digest_of(device_code) if is_written else ""
        row = await self._database.fetch_one("SELECT * FROM device_request WHERE device_code_sha256 = $1", digest)
        if row is None or row["client_id"] != client_id:
            raise _refused("invalid_grant")
        now_us = self._clock.now_us()
        pace = self._paces.get(digest, Pace())
        _, self._paces[digest], answer = device_grant.poll(_grant(row), pace, now_us)
        self._paces.move_to_end(digest)
        if len(self._paces) > _MOST_PACES:
            self._paces.popitem(last=False)
        if answer != "granted":
            raise _refused(answer)
        return await self._collect(row, address)

    async def sweep(self) -> None:
        """Forget requests that ended ten minutes ago, and record refusals that were only counted."""
        await self._refusals.flush()
        before_us = self._clock.now_us() - KEPT_SECONDS * MICROSECONDS
        if await self._database.fetch_one("SELECT id FROM device_request WHERE expires_us <= $1 LIMIT 1", before_us):
            await self._database.write(
                lambda tx: tx.execute("DELETE FROM device_request WHERE expires_us <= $1", before_us)
            )

    async def _collect(self, row: Row, address: str) -> Collected:
        """Open the login that was approved; the tokens are signed before, since a verb awaits nothing else."""
        login_id, account_id, client_id = new_id(), str(row["account_id"]), str(row["client_id"])
        access = await self._access_tokens.sign(login_id, account_id, client_id)

        async def verb(tx: Transaction) -> str:
            now_us = self._clock.now_us()
            query = "UPDATE device_request SET state = 'used' WHERE id = $1 AND state = 'approved' AND expires_us > $2"
            enabled = "SELECT id FROM account WHERE id = $1 AND disabled_us IS NULL"
            if await tx.execute(query, row["id"], now_us) != 1 or await tx.fetch_one(enabled, account_id) is None:
                raise _refused("invalid_grant")
            await self._logins.open_within(tx, login_id, row, address)
            _, text = await self._refresh_tokens.mint_within(tx, login_id)
            return text

        return Collected(access, await self._database.write(verb))

    async def _row_of(self, typed: str, person: Principal) -> Row:
        session_id, account_id = person.session_id or "", person.account_id or ""
        code = device_grant.read_user_code(typed)
        if code is None:
            raise NotFound(
                "A code has eight letters and no vowels.", hint="Type it as your terminal shows it, like BCDF-GHJK."
            )
        try:
            guess = self._guesses.reserve(session_id, account_id)
        except TooManyRequests:
            await self._refusals.record("throttled", account_id)
            raise
        row = await self._database.fetch_one(
            "SELECT * FROM device_request WHERE user_code_sha256 = $1", digest_of(code)
        )
        if row is None or not _grant(row).is_open(self._clock.now_us()):
            await self._refusals.record("wrong_code", account_id)
            raise _nobody()
        self._guesses.give_back(guess)
        return row

    async def _record(self, tx: Transaction, act: Act, request_id: str, actor: Actor, client_id: str) -> None:
        out: Outcome = "deny" if act is Act.LOGIN_DENIED else "ok"
        await self._audit.append(
            tx,
            Event(
                act=act, ws=SYSTEM, obj_t="device_request", obj_id=request_id, actor=actor,
                data={"client": client_id}, out=out,
            ),
        )  # fmt: skip


def check_client(client_id: str) -> None:
    """Check that `client_id` is a client of ours.

    Raises: GrantRefused `invalid_client`.
    """
    if client_id not in CLIENTS:
        raise GrantRefused("invalid_client", "There is no such client: say client_id=failgate-cli.")


def printable(text: str, most: int) -> str:
    """Return at most `most` characters of what a client says of itself; what is not plain ASCII becomes `?`."""
    return "".join(character if " " <= character <= "~" else "?" for character in text[:most])


_SENTENCES: Final = {
    "authorization_pending": "Nobody has decided yet.",
    "slow_down": "That was too fast: wait five seconds longer from now on.",
    "access_denied": "The person denied the request.",
    "expired_token": "The code has expired.",
    "invalid_grant": "The device code is not valid, or was used.",
}


def _refused(error: str) -> GrantRefused:
    return GrantRefused(error, _SENTENCES[error])


def _nobody() -> NotFound:
    return NotFound("No command line waits under this code.", hint="Codes live ten minutes: failgate login shows one.")


def _grant(row: Row) -> Grant:
    return Grant(row["state"], row["expires_us"])


def _request(row: Row) -> DeviceRequest:
    return DeviceRequest(row["id"], row["client_id"], row["host"], row["address"], row["user_agent"], row["created_us"])
