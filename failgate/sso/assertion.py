"""What an identity provider asserted of a person, checked: one value for SAML, OpenID Connect and GitHub. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Assertion:
    """What `issuer` asserted, after every check of its protocol.

    `issuer` is the SAML entity id, the OIDC issuer, or `https://github.com`; `subject` is its stable name for the
    person (of a SAML NameID: format, qualifiers and value in one canonical text). An account is found by these two and
    by nothing else. `email` is lower-case; `is_email_verified` tells whether the provider vouches for it.
    `attributes` is everything that was asserted, for the page that tests a connection.
    `methods` is `amr`, `context` is `acr` or the AuthnContextClassRef: what the person proved to the provider.
    `provider_session` is the SAML SessionIndex or the OIDC `sid`, by which the provider may end the session;
    `logout_hint` is what the provider wants back at our own logout (serialised NameID, or the id token).
    Times are microseconds since 1970.
    """

    issuer: str
    subject: str
    email: str | None = None
    is_email_verified: bool = False
    name: str | None = None
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    methods: tuple[str, ...] = ()
    context: str | None = None
    provider_session: str | None = None
    logout_hint: str | None = field(default=None, repr=False)
    authenticated_us: int | None = None
    session_ends_us: int | None = None
