"""What stays open while a required exporter is behind: reading, denying, going, signing in, and mending it.

Everything else that changes something waits: what nobody outside would see happen must not happen.
"""

from typing import Final

from failgate.access.permission import Permission as P  # noqa: N817  # as the table of doors has it
from failgate.roster import Services
from failgate.web.door import Door

# Who signs in may deny; who ends a session takes a right away; a search and a report of a browser change nothing.
_PERMISSIONS: Final = frozenset({
    P.PUBLIC_SESSION_OPEN, P.ACCOUNT_SESSION_CLOSE, P.ACCOUNT_LOGIN_CLOSE, P.PUBLIC_POLICY_REPORT,
    P.SCIM_RESOURCE_SEARCH, P.PLATFORM_EXPORTER_WRITE,
})  # fmt: skip
_DOORS: Final = frozenset({
    "commands.vote", "page.vote",  # their handlers let a denial through, and nothing else
    "commands.cancel",  # an agent takes its own request back
    "commands.finish", "recordings.extend", "recordings.hear", "recordings.end",  # what ran is told to its end
    "policy.explain", "commands.edit_trial", "page.why_explain",  # they decide nothing
})  # fmt: skip


def must_keep_up(door: Door, services: Services) -> None:
    """Return when `door` may be passed now. Raises: ExporterBehind."""
    if not (door.is_safe or door.method == "WS" or door.permission in _PERMISSIONS or door.name in _DOORS):
        services.exporting.required.must_keep_up()
