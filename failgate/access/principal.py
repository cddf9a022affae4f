"""The principal: who speaks, proven by which credential."""

from dataclasses import dataclass, field
from typing import Final, Literal

PrincipalKind = Literal["anonymous", "user", "api_key", "agent", "scim", "system", "share", "ingest_key"]

_FACTORS: Final = frozenset({"otp", "passkey", "provider"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who speaks.

    `share` is whoever came by the share link `share_id`, for one report; no door lets it in, its own page asks for it.
    `ingest_key` is an SDK that sends failures of a project, and `agent_id` then the key.
    `scim` is the identity provider of `connection_id`, which provisions people and groups.
    `account_id` is set for `user` and `api_key` (the key's owner); `agent_id` for `agent`, and then
    `owner_account_id` is the account that answers for the agent. `workspace_id` binds an API key or an agent to one
    workspace, and a user whom that workspace's own identity provider signed in; other users are bound to none.
    `connection_id` is the connection through which a session was opened; `may_change_account` is False in a session
    that vouches for a visit and not for the account as a whole. `second_factor_us` is when the session last proved a
    second factor, microseconds since 1970, or None. `auth` lists the credential's methods: `pwd`, `otp`, `recovery`,
    `passkey`, `trusted_device`, `link`, `key`, `token`, `cert`, `saml`, `oidc`;
    `device` is a command line that its person signed in, and `session_id` then its login. The factor that was proven
    last stands last. `first_factor_us` is when the password, or the sign-in at the provider, was last shown.
    `carries_proof`: the request brought the cookie that went out with what the session showed last; without it nothing
    that was shown is fresh.
    `maker_account_id` is who made the credential, where that is known.
    """

    kind: PrincipalKind
    account_id: str | None = None
    agent_id: str | None = None
    owner_account_id: str | None = None
    workspace_id: str | None = None
    session_id: str | None = None
    second_factor_us: int | None = None
    auth: tuple[str, ...] = ()
    label: str = ""
    scopes: frozenset[str] | None = field(default=None)
    connection_id: str | None = None
    may_change_account: bool = True
    share_id: str | None = None
    maker_account_id: str | None = None
    first_factor_us: int | None = None
    carries_proof: bool = False

    @property
    def id(self) -> str:
        """Return the identifier under which this principal stands in the audit log."""
        if self.kind == "scim":
            return self.connection_id or self.kind
        return self.share_id or self.agent_id or self.account_id or self.kind

    def proved_within(self, now_us: int, seconds: int) -> bool:
        """Tell whether a second factor that is no backup code was proven in the last `seconds`."""
        is_backup_code = "recovery" in self.auth and _FACTORS.isdisjoint(self.auth)
        return not is_backup_code and self._is_fresh(self.second_factor_us, now_us, seconds)

    def showed_first_within(self, now_us: int, seconds: int) -> bool:
        """Tell whether the password, or the sign-in at the provider, was shown in the last `seconds`."""
        return self._is_fresh(self.first_factor_us, now_us, seconds)

    def _is_fresh(self, shown_us: int | None, now_us: int, seconds: int) -> bool:
        """Tell whether what was shown at `shown_us` is fresh: by the time, and by the cookie that went out with it."""
        return self.carries_proof and shown_us is not None and 0 <= now_us - shown_us <= seconds * 1_000_000

    @property
    def last_factor(self) -> str | None:
        """Return by which method the second factor was proven last, or None."""
        return next((method for method in reversed(self.auth) if method in _FACTORS or method == "recovery"), None)


ANONYMOUS = Principal(kind="anonymous")
SYSTEM = Principal(kind="system", label="failgate")
