"""Who a client certificate says that is speaking, at one door.

A certificate counts where a bearer token does, and never beside another credential of somebody else. A name may stand
for agents of several workspaces; the request says which is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from failgate.access.principal import ANONYMOUS, Principal
from failgate.base.errors import NotFound, NotSignedIn
from failgate.web.asgi import Scope
from failgate.web.context import Visit
from failgate.web.door import Door
from failgate.web.strict_query import single_values
from failgate.workspaces.names import is_slug

if TYPE_CHECKING:
    from failgate.roster import Services
    from failgate.workspaces.certificates import AgentCertificate

_NAME_IT = "Name the workspace: ?workspace=SLUG."


async def certified(visit: Visit, door: Door, services: Services) -> Sequence[AgentCertificate]:
    """Return whom the certificate of this connection may stand for at `door`, in any workspace."""
    if visit.peer is None or "bearer" not in door.accepted:
        return ()
    return await services.certificates.resolve(visit.peer.names)


def check_one_speaker(found: Sequence[AgentCertificate], principal: Principal) -> None:
    """Check that the certificate and another credential of this request are of the same agent.

    Raises: NotSignedIn.
    """
    if found and principal.agent_id not in {each.agent_id for each in found}:
        raise NotSignedIn(
            "The client certificate and the other credential belong to different principals.",
            hint="Send one of them, or both of the same agent.",
        )


async def identify(
    scope: Scope, visit: Visit, door: Door, services: Services, found: Sequence[AgentCertificate]
) -> None:
    """Fill in the agent that the certificate stands for in the workspace that the request names.

    Where it stands for one elsewhere only, that one speaks, and finds nothing.

    Raises: NotSignedIn (it stands for several, or a socket names no workspace); NotFound (the socket names another).
    """
    here = list(found)
    if door.workspace == "path":
        workspace = await services.workspaces.by_slug(cast("str", scope["path_params"]["workspace"]))
        here = [each for each in found if workspace is not None and each.workspace_id == workspace.id] or here[:1]
    elif door.workspace is not None:
        here = await _in_query(scope, services, found)
    agents = {each.agent_id for each in here}
    if len(agents) != 1:
        raise NotSignedIn("The client certificate stands for more than one agent.", hint=_NAME_IT)
    visit.certificate_id, visit.principal = here[0].id, here[0].principal


async def still(visit: Visit, services: Services) -> Principal:
    """Return the agent that the certificate of an open socket still stands for; anonymous when it does not."""
    assert visit.peer is not None
    found = await services.certificates.resolve(visit.peer.names)
    return next((each.principal for each in found if each.id == visit.certificate_id), ANONYMOUS)


async def _in_query(scope: Scope, services: Services, found: Sequence[AgentCertificate]) -> list[AgentCertificate]:
    slug = single_values(scope["query_string"]).get("workspace", "")
    if not is_slug(slug):
        raise NotSignedIn("A socket that is opened by a client certificate names its workspace.", hint=_NAME_IT)
    workspace = await services.workspaces.by_slug(slug)
    here = [each for each in found if workspace is not None and each.workspace_id == workspace.id]
    if not here:
        raise NotFound("No such workspace.")
    return here
