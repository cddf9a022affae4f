"""The auditor's page: it verifies a bundle in the browser. The server gives the page and never sees the bundle."""

from failgate.web.context import visit_of
from failgate.web.pages.frame import Frame
from failgate.web.pages.showing import Asking, Page
from failgate.web.render import page, static_version


async def verifier(request: Asking) -> Page:
    """Show the page, to anybody: an auditor need not have an account here."""
    frame = Frame(
        title="Verify an audit bundle", nonce=visit_of(request).nonce, csrf_token="", version=static_version()
    )
    return page("verifier.html", frame=frame)
