"""Whether a request that changes something comes from a page of ours. Pure.

Two walls. Fetch Metadata, which a page of another site cannot forge, for every unsafe request that carries a cookie;
and a token in every HTML form, keyed by the visitor's own secret cookie, for browsers that send no such headers.
Sources: W3C Fetch Metadata section 2; OWASP CSRF cheat sheet, "Signed double-submit cookie".
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection

from failgate.base.errors import CrossSite

FIELD = "csrf_token"
_PURPOSE = b"failgate form v1"
_MEND = "Send it from a page of this server."


def check_origin(fetch_site: str | None, origin: str | None, own_origins: Collection[str]) -> None:
    """Check that a request comes from an origin of ours.

    `fetch_site` is `Sec-Fetch-Site`, `origin` is `Origin`; None when absent. `Origin: null` counts as foreign, except
    beside `Sec-Fetch-Site: same-origin`: a form of ours sends it so under `Referrer-Policy: no-referrer`.

    Raises: CrossSite.
    """
    if fetch_site is not None:
        if fetch_site != "same-origin":
            raise CrossSite("The request comes from another site.", hint=_MEND)
        if origin is not None and origin != "null" and origin not in own_origins:
            raise CrossSite("The request names another origin.", hint=_MEND)
        return
    if origin is None or origin not in own_origins:
        raise CrossSite("The request does not say that it comes from this site.", hint=_MEND)


def check_certified_origin(fetch_site: str | None, origin: str | None, own_origins: Collection[str]) -> None:
    """Check the origin of a request that a client certificate proves: browsers show one by themselves, as a cookie.

    A program says nothing of a site; a browser that sends something always does.

    Raises: CrossSite.
    """
    if fetch_site is not None or origin is not None:
        check_origin(fetch_site, origin, own_origins)


def check_socket_origin(origin: str | None, own_origins: Collection[str]) -> None:
    """Check the origin of a WebSocket handshake that is proven by a cookie: browsers always send it.

    Raises: CrossSite.
    Source: RFC 6455 section 10.2.
    """
    if origin is None or origin not in own_origins:
        raise CrossSite("The socket is opened from another site.", hint=_MEND)


def new_form_key() -> str:
    """Return a fresh key (128 bits) for the forms of a visitor who has no session yet."""
    return secrets.token_urlsafe(16)


def form_token(key: str) -> str:
    """Return the token that forms carry for the visitor whose secret cookie value is `key`."""
    mac = hmac.new(key.encode(), _PURPOSE, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def check_form_token(token: str | None, key: str | None) -> None:
    """Check the token of a form against the visitor's secret cookie value.

    Raises: CrossSite.
    """
    if not token or not key or not hmac.compare_digest(form_token(key).encode(), token.encode("utf-8", "replace")):
        raise CrossSite("The form is not one of this visit.", hint="Reload the page and send it again.")
