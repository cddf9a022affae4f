"""The cookies: their names, their attributes, and nothing else about sessions.

Under https each name carries the prefix `__Host-`, which a sibling domain cannot set.
Source: RFC 6265bis section 4.1.3.
"""

from http.cookies import CookieError, SimpleCookie
from typing import Literal

from failgate.accounts.session import SessionToken

SESSION = "fg_session"
FORM = "fg_form"
FRESH = "fg_fresh"
FRESH_SECONDS = 300
DEVICE = "fg_device"
BROWSER = "fg_sso"
BROWSER_SECONDS = 3600
SHARE = "fg_share"
LINK = "fg_link"
LINK_SECONDS = 1800
_MAX_COOKIE_BYTES = 4096


def cookie_name(base: str, *, is_https: bool) -> str:
    """Return the name under which the cookie `base` travels.

    `__Host-` asks for the path `/`: the cookie of a share link, which stays below its link, is `__Secure-`.
    """
    prefix = "__Secure-" if base == SHARE else "__Host-"
    return f"{prefix}{base}" if is_https else base


def session_cookies(token: SessionToken, *, is_https: bool) -> tuple[str, str]:
    """Return the `Set-Cookie` values that keep the session `token` until the browser ends, and its proof while fresh.

    The second goes with no request that another site began, not even with the click on a link there.
    """
    fresh = f"{_set(FRESH, token.fresh, is_https=is_https, site='Strict')}; Max-Age={FRESH_SECONDS}"
    return _set(SESSION, token, is_https=is_https), fresh


def ended_session_cookies(*, is_https: bool) -> tuple[str, str]:
    """Return the `Set-Cookie` values that remove the cookies of a session."""
    fresh = _set(FRESH, "", is_https=is_https, site="Strict") + "; Max-Age=0"
    return _set(SESSION, "", is_https=is_https) + "; Max-Age=0", fresh


def device_cookie(token: str, max_age_seconds: int, *, is_https: bool) -> str:
    """Return the `Set-Cookie` value that keeps the token of a trusted device for `max_age_seconds`."""
    return f"{_set(DEVICE, token, is_https=is_https)}; Max-Age={max_age_seconds}"


def ended_device_cookie(*, is_https: bool) -> str:
    """Return the `Set-Cookie` value that removes the cookie of a trusted device."""
    return _set(DEVICE, "", is_https=is_https) + "; Max-Age=0"


def link_cookie(token: str, *, is_https: bool) -> str:
    """Return the `Set-Cookie` value that keeps the token of a link that was opened, for half an hour."""
    return f"{_set(LINK, token, is_https=is_https)}; Max-Age={LINK_SECONDS}"


def ended_link_cookie(*, is_https: bool) -> str:
    """Return the `Set-Cookie` value that removes the token of a link."""
    return _set(LINK, "", is_https=is_https) + "; Max-Age=0"


def form_cookie(key: str, *, is_https: bool) -> str:
    """Return the `Set-Cookie` value that binds the forms of a visitor without a session to `key`."""
    return _set(FORM, key, is_https=is_https)


def browser_cookie(key: str, *, is_https: bool) -> str:
    """Return the `Set-Cookie` value that binds a sign-in at an identity provider to this browser by `key`.

    A SAML answer comes as a POST from another site, with which no Lax cookie travels: under https this one does. It
    says which requests this browser began and nothing else.
    """
    cookie = _set(BROWSER, key, is_https=is_https) + f"; Max-Age={BROWSER_SECONDS}"
    return cookie.replace("SameSite=Lax", "SameSite=None") if is_https else cookie


def share_cookie(visit: str, share_id: str, max_age_seconds: int, *, is_https: bool) -> str:
    """Return the `Set-Cookie` value that keeps a visit by the share link `share_id`; it is sent to its pages alone."""
    cookie = _set(SHARE, visit, is_https=is_https, path=f"/s/{share_id}")
    return f"{cookie}; Max-Age={max_age_seconds}"


def read_cookie(header: str | None, base: str, *, is_https: bool) -> str | None:
    """Return the value of the cookie `base` in a `Cookie` header; None when absent, sent twice, or oversized."""
    if not header or len(header) > 4 * _MAX_COOKIE_BYTES:
        return None
    name = cookie_name(base, is_https=is_https)
    found = [value for key, _, value in (part.strip().partition("=") for part in header.split(";")) if key == name]
    if len(found) != 1 or not found[0] or len(found[0]) > _MAX_COOKIE_BYTES:
        return None
    return found[0]


def _set(base: str, value: str, *, is_https: bool, path: str = "/", site: Literal["Lax", "Strict"] = "Lax") -> str:
    cookie: SimpleCookie = SimpleCookie()
    name = cookie_name(base, is_https=is_https)
    try:
        cookie[name] = value
    except CookieError as error:  # pragma: no cover - our tokens are URL-safe
        raise ValueError(str(error)) from None
    morsel = cookie[name]
    morsel["path"], morsel["httponly"], morsel["samesite"] = path, True, site
    if is_https:
        morsel["secure"] = True
    return morsel.OutputString()
