"""What a sign-in protocol gives the rest of single sign-on and gets from it: values alone. Pure.

`failgate/sso/saml` and `failgate/sso/oidc` speak with providers; `failgate/sso/sso.py` keeps requests, single uses,
accounts and sessions. Neither knows how the other does its part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from failgate.base.errors import FailgateError
from failgate.sso.assertion import Assertion

REQUEST_SECONDS = 600  # how long a person may take at the provider
LEAST_RSA_BITS: Final = 2048
LEAST_SET: Final = f", or whoever runs this server sets rsa_bits = {LEAST_RSA_BITS} in [sso] of its config"
RSA_BITS: Final = 3072  # of providers' keys, for 128 bits of security: NIST SP 800-57 part 1 revision 5 table 2


class Refusal(FailgateError):
    """An answer of a provider that signs nobody in.

    `reason` is one word of `[a-z0-9_]`, for the audit record and for the owner's test page; `detail` is one sentence
    for that page alone (it may quote what the provider sent; never a secret). The stranger in front of the browser
    reads the constant sentence and a reference, whatever went wrong.
    """

    slug: ClassVar[str] = "sign-in-refused"
    status: ClassVar[int] = 403
    title: ClassVar[str] = "The sign-in did not work"

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the `reason`, which names a kind of fault, and the `detail` of this one."""
        super().__init__(
            "Your identity provider did not bring you in, or what it sent could not be used.",
            hint="Try again. If it fails once more, give your administrator the reference on this page.",
        )
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Departure:
    """How the browser leaves for the provider.

    Without `fields` by a redirect to `url`, else by a form that is posted there.
    `request_id` is the ID of the SAML request or the OIDC state: unguessable, and under it the request is kept. A SAML
    departure carries it as RelayState too, so that the answer is matched with its request before anything of it is
    believed. `kept` is what `finish` needs back (nonce, PKCE verifier); it is sealed until then.
    """

    url: str
    fields: tuple[tuple[str, str], ...] = ()
    request_id: str = ""
    kept: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Expected:
    """The request that an answer must be for: begun in this browser, unused until now, `begun_us` microseconds ago."""

    request_id: str
    begun_us: int
    kept: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class CheckedResponse:
    """A SAML response after every check that needs no memory.

    `assertion_ids` (of the response and of each assertion) may be used once; they are remembered until
    `valid_until_us` and the skew and a margin have passed.
    """

    assertion: Assertion
    assertion_ids: tuple[str, ...]
    valid_until_us: int


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """What a provider demands to end: the sessions of `subject`, of one of its own sessions, or of both.

    `provider_sessions` are SAML SessionIndexes or the OIDC `sid`; empty means all sessions of `subject`.
    `message_ids` (the ID of the LogoutRequest, the `jti`) may be used once, until `valid_until_us`.
    """

    issuer: str
    subject: str | None
    provider_sessions: tuple[str, ...]
    message_ids: tuple[str, ...]
    valid_until_us: int


def short_key(rsa_bits: int, bits: int | None = None) -> str:
    """Return the end of a sentence about an RSA key of fewer than `rsa_bits`: what is asked for, and where.

    With the key's own `bits` also the mend: the setting, where it could take the key, or another key.
    """
    asked = f"[sso] rsa_bits asks for {rsa_bits}."
    if bits is None:
        return asked
    longer = f"Have the provider sign with RSA of {rsa_bits} bits or an elliptic curve"
    return f"{asked} {longer}{LEAST_SET if bits >= LEAST_RSA_BITS else ''}."
