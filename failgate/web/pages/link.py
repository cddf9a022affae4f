"""One page for every link that lets somebody in: `/link#<token>`.

What stands behind the `#` no browser sends. The page's script posts it and takes it out of the address; who has no
script, or a link from before, pastes it. The token is then a cookie of half an hour, which the pages that use it read,
so no address, log, history of a proxy or `Referer` ever holds it. Opening the page uses nothing up: previews of a link
see no token at all. A share link is exchanged for its visit at once (`shared.py`).

Source: ASVS 5.0 14.2.1.
"""

import re
from typing import Final

from failgate.base.errors import BadInput, FailgateError
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import LINK, ended_link_cookie, link_cookie, read_cookie
from failgate.web.pages import shared
from failgate.web.pages.account_view import LinkPageView
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.render import redirect

LONGEST: Final = 2000  # of what is pasted
# A token that says its kind, as it stands in an address of any form; behind it nothing of the token's alphabet.
_WRITTEN: Final = re.compile(r"(?:^|[#/=])(?:(?P<way>setup|signin)\.)?(?P<token>[A-Za-z0-9_-]{16,200})\s*$", re.ASCII)
_WAYS: Final = {"fg_inv_": "/invite", "fg_rst_": "/reset/new"}
_OLD: Final = {"/setup?": "setup", "/signin/link?": "signin"}
_PAGES: Final = {"setup": "/setup", "signin": "/signin/link"}


async def form(request: Asking) -> Page:
    """Take what the address carries behind its `#`, by script; or ask for it."""
    return await show(request, "link.html", LinkPageView(), title="Open a link")


async def open_link(request: Asking) -> Page:
    """Go on to the page that the token is for; a share link opens at once."""
    visit, given = visit_of(request), visit_of(request).form.get("token", "")[:LONGEST].strip()
    found = _WRITTEN.search(given)
    if found is None:
        return await _refuse(request, BadInput("That is no link of this server.", hint="Paste it whole."))
    token = found["token"]
    if token.startswith("fg_shr_"):
        return await shared.open_by(request, token)
    way = found["way"] or next((way for old, way in _OLD.items() if old in given), None)
    place = _PAGES[way] if way is not None else _WAYS.get(token[:7])
    if place is None:
        return await _refuse(request, BadInput("That link opens nothing here.", hint="Paste it whole, as it was sent."))
    visit.set_cookies.append(link_cookie(token, is_https=visit.is_https))
    return redirect(place)


def is_from_before(request: Asking) -> bool:
    """Tell whether the address carries a token in its query, as links did before and none may any more."""
    return "token" in request.query_params and not services_of(request).config.server.tokens_in_addresses


def token_of(request: Asking) -> str:
    """Return the token that this browser opened a link with; empty where there is none."""
    given = request.query_params.get("token", "")
    if given and services_of(request).config.server.tokens_in_addresses:
        return str(given)
    return read_cookie(request.headers.get("cookie"), LINK, is_https=visit_of(request).is_https) or ""


def forget(request: Asking) -> None:
    """Take the token from the browser: it is used."""
    visit = visit_of(request)
    if read_cookie(request.headers.get("cookie"), LINK, is_https=visit.is_https) is not None:
        visit.set_cookies.append(ended_link_cookie(is_https=visit.is_https))


def to_paste() -> Page:
    """Return the way to the page at which a link from before is pasted."""
    return redirect("/link")


async def _refuse(request: Asking, error: FailgateError) -> Page:
    return await show(request, "link.html", LinkPageView(str(error)), title="Open a link", status=error.status)
