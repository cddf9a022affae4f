"""Who may use the review in the browser: the holder of one link, in the browser that opened it first.

```text
GET /<token>  ──► once ──► a cookie for /<place>, and on to it
…   /<place>… ──► the cookie, our own host, asked for by our own page
```

Everybody who has an account on this machine reaches a loopback port, and so does every page in the person's browser.
So the link opens once, and a browser sends the cookie of 127.0.0.1 to each port there (cookies know no ports): it is
bound to a path that cannot be guessed either, which no other program is ever asked for. `Host` must be the address
itself, or a name that somebody points at it would do (DNS rebinding).
Sources: RFC 6265 section 8.5; W3C Fetch Metadata; RFC 9110 section 7.4.
"""

import hmac
import secrets
from typing import Final, Literal

from failgate.base.errors import BadInput
from failgate.web.asgi import Scope
from failgate.web.headers import header

ADDRESS: Final = "127.0.0.1"
COOKIE: Final = "failgate_review"
_BYTES: Final = 32
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})

Verdict = Literal["static", "enter", "spent", "inside", "nothing", "wrong host", "foreign", "wrong method"]


class Entry:
    """The one link and the one visit."""

    def __init__(self, port: int) -> None:
        """Make the secrets of this review at `port`."""
        self.host = f"{ADDRESS}:{port}"
        self.origin = f"http://{self.host}"
        self.place = f"/{secrets.token_urlsafe(_BYTES)}"
        self.form_token = secrets.token_urlsafe(_BYTES)
        self._door = f"/{secrets.token_urlsafe(_BYTES)}"
        self._proof = secrets.token_urlsafe(_BYTES)
        self.is_spent = False

    @property
    def link(self) -> str:
        """Return the address that opens the review, once."""
        return self.origin + self._door

    def spend(self) -> str:
        """Use the link up; return the `Set-Cookie` value of the visit."""
        self.is_spent = True
        return f"{COOKIE}={self._proof}; HttpOnly; SameSite=Strict; Path={self.place}"

    def judge(self, scope: Scope) -> Verdict:
        """Return what the request in `scope` may have."""
        try:
            host, site, origin, purpose, cookies = (
                header(scope, name) for name in (b"host", b"sec-fetch-site", b"origin", b"sec-purpose", b"cookie")
            )
        except BadInput:  # a header stands twice
            return "nothing"
        if host != self.host:
            return "wrong host"
        method, path = scope["method"], scope["path"]
        if method not in _METHODS:
            return "wrong method"
        if path.startswith("/static/"):
            return "static" if method != "POST" else "wrong method"
        if _same(path, self._door):
            if method != "GET" or purpose is not None:  # what fetches ahead, unasked, uses no link up
                return "nothing"
            return "spent" if self.is_spent else "enter"
        here, slash, _ = path[1:].partition("/")
        if not (_same(f"/{here}", self.place) and slash and self.is_spent and self._is_proven(cookies)):
            return "nothing"
        if method == "POST":
            return "inside" if origin == self.origin and site in {None, "same-origin"} else "foreign"
        return "inside" if site in {None, "none", "same-origin"} and origin in {None, self.origin} else "foreign"

    def _is_proven(self, cookies: str | None) -> bool:
        pairs = (part.strip().partition("=") for part in (cookies or "").split(";"))
        found = [value for name, _, value in pairs if name == COOKIE]
        return len(found) == 1 and _same(found[0], self._proof)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
