"""The host that downloads come from, `[server] artifact_url`: what it serves, and the addresses that lead there.

```text
app host       GET …/artifacts/{sha256}  (cookie) ──► 307 https://files.example/a/{ticket}
artifact host  GET /a/{ticket}           (no cookie) ──► the bytes, on record
```

A ticket is sealed text: what it is for, who asked, and until when, a minute later. Nobody else can read it or make one;
its key is made at each start and is in memory alone. It opens one file, and only as long as who asked may read it.
"""

import base64
import re
import secrets
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import Response

from failgate.base.canonical import base64url
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.errors import FailgateError, NotFound
from failgate.base.secretbox import KEY_BYTES, SecretBox
from failgate.web.asgi import Scope
from failgate.web.context import Connection, Visit
from failgate.web.headers import header, host_name

TICKET_SECONDS: Final = 60
PREFIX: Final = "/a/"
_SLASHES: Final = re.compile("/+")
_LONGEST: Final = 1024  # characters
_PURPOSE: Final = "download"
_encode = msgspec.json.Encoder().encode

Kind = Literal["report", "recording", "share"]


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """One download. `holder` is the id of a session or of a share link, `proof` the sealed visit by that link.

    `object_id` is the report or the recording, `detail` the digest of the artifact or the version of asciicast;
    `until_us` microseconds since 1970.
    """

    kind: Kind
    until_us: int
    holder: str
    proof: str
    workspace_id: str
    object_id: str
    detail: str


class ArtifactHost:
    """The other host of one server, or none: then downloads come from the app's own."""

    def __init__(self, url: str | None, clock: Clock) -> None:
        """Lead to `url`, an origin; None: nowhere."""
        self._url = url
        self._clock = clock
        name = urlsplit(url or "").hostname or ""
        self.names = frozenset({f"[{name}]" if ":" in name else name} if name else ())
        self._box = SecretBox(secrets.token_bytes(KEY_BYTES))

    def check(self, scope: Scope) -> None:
        """Check that what is asked for is of the host it is asked at: downloads of this one, all else of the app's.

        The `Host` header has been checked.

        Raises: NotFound.
        """
        path = _SLASHES.sub("/", str(scope["path"]))  # as the router reads it
        if self.is_here(scope) != (scope["type"] == "http" and path.startswith(PREFIX)):
            raise NotFound("There is nothing at this address.")

    def is_here(self, scope: Scope) -> bool:
        """Tell whether the request names this host."""
        return bool(self.names) and host_name(header(scope, b"host") or "") in self.names

    def lead(self, visit: Visit, kind: Kind, object_id: str, detail: str) -> Response[Any] | None:
        """Return what sends the page of this session to the download; None where it is answered here.

        Programs are: who sends a token in a header, or shows a certificate, is no page that could be led astray.
        """
        if self._url is None or visit.session is None:
            return None
        return self._to(kind, visit.session.id, "", visit.here().id, object_id, detail)

    def lead_visitor(self, share_id: str, proof: str, detail: str) -> Response[Any] | None:
        """Return what sends the holder of a share link to the artifact with the digest `detail`; None as for `lead`."""
        return None if self._url is None else self._to("share", share_id, proof, "", "", detail)

    def open(self, text: str) -> Ticket:
        """Return what the ticket `text` is for.

        Raises: NotFound (changed, of another start or purpose, over).
        """
        if len(text) > _LONGEST:
            raise over()
        try:
            sealed = base64.b64decode(text.encode("ascii") + b"===", b"-_")
            plain = self._box.unseal(sealed, purpose=_PURPOSE, owner="")
        except (FailgateError, ValueError):
            raise over() from None
        ticket = msgspec.json.decode(plain, type=Ticket)
        if not 0 < ticket.until_us - self._clock.now_us() <= TICKET_SECONDS * MICROSECONDS:
            raise over()
        return ticket

    def _to(self, kind: Kind, holder: str, proof: str, workspace_id: str, object_id: str, detail: str) -> Response[Any]:
        until_us = self._clock.now_us() + TICKET_SECONDS * MICROSECONDS
        plain = _encode(Ticket(kind, until_us, holder, proof, workspace_id, object_id, detail))
        ticket = base64url(self._box.seal(plain, purpose=_PURPOSE, owner=""))
        where = {"location": f"{self._url}{PREFIX}{ticket}"}
        return Response(b"", status_code=307, headers=where, media_type="text/plain")


def over() -> NotFound:
    """Return the refusal of a ticket: one sentence, whatever is wrong with it."""
    return NotFound(
        "This address of a file is over: it works for a minute.", hint="Download it again from where it is linked."
    )


def artifact_host_of(connection: Connection) -> ArtifactHost:
    """Return the artifact host of the server that `connection` is at."""
    host: ArtifactHost = connection.app.state.artifact_host
    return host
