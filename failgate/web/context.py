"""What is known of one visit while it lasts, and the typed way to it and to the services.

Handlers ask `visit_of(request)` who is there and `services_of(request)` for the domain; neither is ever passed on below
the web floor: services receive principals and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from litestar.connection import ASGIConnection

from failgate.access.principal import ANONYMOUS, Principal

if TYPE_CHECKING:
    from failgate.access.role import Role
    from failgate.accounts.session import Session
    from failgate.pages import SentFile
    from failgate.roster import Services
    from failgate.web.door import Door
    from failgate.web.peer import PeerCertificate
    from failgate.web.socket_protocol import SocketProtocol
    from failgate.web.stop import Stop
    from failgate.workspaces.workspaces import Workspace

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]

SCOPE_KEY = "failgate"


@dataclass(slots=True)
class Visit:
    """One request or one socket: filled by the middlewares and the guard, read by handlers and templates.

    `wire` is the socket itself, to be read and written without the layers in between. `peer` is the
    client certificate of the connection, `certificate_id` which registered name of it says who speaks.
    `files` are what a form carried; `held` ends with the visit, and with it what they count for in memory.
    """

    request_id: str
    ip: str | None
    nonce: str
    is_https: bool
    principal: Principal = ANONYMOUS
    door: Door | None = None
    session: Session | None = None
    credential: str | None = None
    workspace: Workspace | None = None
    role: Role | None = None
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Sequence[SentFile] = ()
    held: ExitStack | None = None
    form_key: str | None = None
    set_cookies: list[str] = field(default_factory=list[str])
    refusal: Exception | None = None
    wire: SocketProtocol | None = None
    peer: PeerCertificate | None = None
    certificate_id: str | None = None

    def here(self) -> Workspace:
        """Return the workspace of this visit; a door without one is a mistake of ours."""
        if self.workspace is None:
            raise LookupError("this door has no workspace")
        return self.workspace


def visit_of(connection: Connection) -> Visit:
    """Return the visit that `connection` belongs to."""
    return visit_in(cast("Mapping[str, Any]", connection.scope))


def visit_in(scope: Mapping[str, Any]) -> Visit:
    """Return the visit that the ASGI `scope` belongs to."""
    visit = scope[SCOPE_KEY]
    assert isinstance(visit, Visit)
    return visit


def services_of(connection: Connection) -> Services:
    """Return the services that assembly built."""
    return cast("Services", connection.app.state.services)


def stop_of(connection: Connection) -> Stop:
    """Return the signal by which the server asks long waits to end."""
    return cast("Stop", connection.app.state.stop)
