"""The room of accounts, built once: people, what they prove themselves by, what they opened."""

from dataclasses import dataclass

from failgate.accounts.access_tokens import AccessTokens
from failgate.accounts.accounts import Accounts
from failgate.accounts.breached_passwords import BreachedPasswords
from failgate.accounts.challenges import Challenges
from failgate.accounts.context_words import ContextWords
from failgate.accounts.device_login import DeviceLogin
from failgate.accounts.devices import Devices
from failgate.accounts.logins import Logins
from failgate.accounts.mail import Mail
from failgate.accounts.passkeys import Passkeys
from failgate.accounts.password import Passwords
from failgate.accounts.password_reset import PasswordReset
from failgate.accounts.refresh_tokens import RefreshTokens
from failgate.accounts.relying_party import RelyingParty
from failgate.accounts.second_factors import SecondFactors
from failgate.accounts.sessions import Sessions
from failgate.accounts.signing_keys import SigningKeys
from failgate.accounts.throttle import Throttle
from failgate.accounts.tokens import Tokens
from failgate.audit.log import AuditLog
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.secretbox import SecretBox
from failgate.config.model import AccountsSection


@dataclass(frozen=True, slots=True)
class AccountsRoom:
    """Accounts as the doors and the rooms above meet them."""

    accounts: Accounts
    passwords: Passwords
    throttle: Throttle
    sessions: Sessions
    tokens: Tokens
    devices: Devices
    second_factors: SecondFactors
    passkeys: Passkeys
    logins: Logins
    signing_keys: SigningKeys
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    device_login: DeviceLogin
    mail: Mail
    password_reset: PasswordReset

    async def close(self) -> None:
        """Let what is under way end: a letter is sent or given up, a hash is computed."""
        await self.password_reset.settle()
        await self.mail.close()
        self.passwords.close()


def build_accounts(
    database: Database,
    audit: AuditLog,
    clock: Clock,
    box: SecretBox,
    *,
    section: AccountsSection,
    mail: Mail,
    base_url: str,
    passwords: Passwords | None = None,
) -> AccountsRoom:
    """Build the room over what stands below it; to be closed. `passwords` hashes (default: at its full cost)."""
    passwords, throttle = passwords or Passwords(), Throttle(clock)
    logins = Logins(database, audit, clock)
    sessions = Sessions(
        database,
        audit,
        clock,
        also_ends=[logins.end_all],
        lifetime_seconds=section.session_lifetime.seconds,
        idle_seconds=section.session_idle.seconds,
        most=section.sessions_at_once,
    )
    tokens = Tokens(database, audit, clock)
    devices = Devices(database, audit, clock, sessions=sessions, lifetime_days=section.trusted_device_days)
    accounts = Accounts(
        database,
        audit,
        clock,
        passwords,
        throttle=throttle,
        sessions=sessions,
        tokens=tokens,
        devices=devices,
        context=ContextWords(database, base_url, section.refused_words),
        breached=_breached(section),
        is_password_enabled=section.password,
    )
    password_reset = PasswordReset(
        database,
        audit,
        clock,
        accounts=accounts,
        passwords=passwords,
        throttle=throttle,
        mail=mail,
        base_url=lambda: base_url,
    )
    second_factors = SecondFactors(
        database, audit, clock, box, throttle=throttle, sessions=sessions, devices=devices,
        late_steps=int(section.late_codes),
    )  # fmt: skip
    passkeys = Passkeys(
        database,
        audit,
        clock,
        challenges=Challenges(box, clock),
        relying_party=RelyingParty.at(base_url),
        sessions=sessions,
        second_factors=second_factors,
    )
    signing_keys = SigningKeys(database, audit, clock, box)
    access_tokens = AccessTokens(signing_keys, logins, clock, base_url)
    refresh_tokens = RefreshTokens(database, clock, logins)
    device_login = DeviceLogin(
        database, audit, clock, logins=logins, access_tokens=access_tokens, refresh_tokens=refresh_tokens
    )
    return AccountsRoom(
        accounts, passwords, throttle, sessions, tokens, devices, second_factors, passkeys, logins, signing_keys,
        access_tokens, refresh_tokens, device_login, mail, password_reset,
    )  # fmt: skip


def _breached(section: AccountsSection) -> BreachedPasswords | None:
    """Return the operator's list of breached passwords, looked at. Raises: StartRefused."""
    if section.breached_passwords is None:
        return None
    found = BreachedPasswords(section.breached_passwords)
    found.check()
    return found
