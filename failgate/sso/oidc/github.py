"""Sign-in with GitHub, which is no OpenID provider: OAuth 2 with state and PKCE, then two questions to its API.

The subject is the number of the account: names and addresses on GitHub change hands. Of its addresses only the primary
one counts, and only when GitHub verified it.
Source: docs.github.com, "Authorizing OAuth apps" and "REST API endpoints for users, for emails".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from failgate.accounts.email_address import normalised_or_none
from failgate.base.destination import OutboundRefused
from failgate.base.outbound import Outbound
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.oidc.authorization import depart, read_code
from failgate.sso.oidc.claims import MAX_TEXT_CHARACTERS, read_attributes
from failgate.sso.oidc.documents import provider_refused, read_json
from failgate.sso.oidc.exchange import Tokens, bearer, redeem_code
from failgate.sso.protocol import Departure, Refusal

PUBLIC_ISSUER: Final = "https://github.com"
SCOPES: Final = ("read:user", "user:email")
_MAX_BYTES: Final = 256 * 1024
_API_HEADERS: Final = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True)
class Places:
    """Where one GitHub is asked: the public one, or a company's own."""

    authorize_url: str
    token_url: str
    api_url: str


def places(settings: OidcSettings) -> Places:
    """Return where the GitHub at `settings.issuer` is asked; what the settings name goes first."""
    issuer = settings.issuer.rstrip("/")
    api = "https://api.github.com" if issuer == PUBLIC_ISSUER else f"{issuer}/api/v3"
    return Places(
        settings.authorize_url or f"{issuer}/login/oauth/authorize",
        settings.token_url or f"{issuer}/login/oauth/access_token",
        (settings.api_url or api).rstrip("/"),
    )


def begin(settings: OidcSettings, redirect_uri: str) -> Departure:
    """Return the departure to GitHub."""
    return depart(
        places(settings).authorize_url,
        issuer=settings.issuer,
        client_id=settings.client_id,
        redirect_uri=redirect_uri,
        scopes=SCOPES,
        extras={},
    )


async def finish(
    connection: Connection,
    settings: OidcSettings,
    redirect_uri: str,
    query: Mapping[str, str],
    kept: Mapping[str, str],
    outbound: Outbound,
) -> Assertion:
    """Return who signed in.

    Raises: Refusal.
    """
    where = places(settings)
    own = {settings.issuer, f"{settings.issuer.rstrip('/')}/login/oauth"}
    code = read_code(
        query,
        kept,
        issuer=settings.issuer,
        redirect_uri=redirect_uri,
        is_iss_expected=False,
        is_accepted=own.__contains__,
    )
    tokens = await redeem_code(
        outbound,
        where.token_url,
        code=code,
        verifier=kept["verifier"],
        redirect_uri=redirect_uri,
        client_id=settings.client_id,
        client_secret=connection.client_secret,
        authentications=("client_secret_post",),
    )
    user = await _ask(outbound, f"{where.api_url}/user", tokens)
    emails = await _ask(outbound, f"{where.api_url}/user/emails?per_page=100", tokens)
    return read_person(settings, user, emails)


def read_person(settings: OidcSettings, user: Any, emails: Any) -> Assertion:
    """Return the assertion that GitHub's two answers make. Pure.

    Raises: Refusal (`userinfo_malformed`).
    """
    number = user.get("id") if isinstance(user, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise Refusal("userinfo_malformed", "GitHub does not say which account this is.")
    email = _primary(emails)
    name = next((text for text in (user.get("name"), user.get("login")) if isinstance(text, str) and text.strip()), "")
    shown = " ".join(name.split())[:MAX_TEXT_CHARACTERS]
    attributes = {key: user[key] for key in ("id", "login", "name", "two_factor_authentication") if key in user}
    return Assertion(
        issuer=settings.issuer,
        subject=str(number),
        email=email,
        is_email_verified=email is not None,
        name=shown if shown and shown.isprintable() else None,
        attributes=read_attributes({**attributes, "email": email or ""}),
    )


def _primary(emails: Any) -> str | None:
    """Return the primary address when GitHub verified it; every other one is the person's word."""
    if not isinstance(emails, list):
        raise Refusal("userinfo_malformed", "GitHub does not answer with a list of addresses.")
    found = [
        entry.get("email")
        for entry in emails
        if isinstance(entry, dict) and entry.get("primary") is True and entry.get("verified") is True
    ]
    return normalised_or_none(found[0]) if len(found) == 1 and isinstance(found[0], str) else None


async def _ask(outbound: Outbound, url: str, tokens: Tokens) -> Any:
    try:
        answer = await outbound.get(url, headers={**_API_HEADERS, **bearer(tokens)}, max_bytes=_MAX_BYTES)
    except OutboundRefused as error:
        raise provider_refused(error) from None
    return read_json(answer, url)
