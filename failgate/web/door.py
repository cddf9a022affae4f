"""One door: what stands at a path, and what a visitor must hold to pass it.

A door is a value. The table of all of them is `failgate/web/routes.py`; `failgate/web/app.py` builds the application
from it and refuses to start with a door that is not fully declared; `failgate/web/guard.py` stands at each.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from failgate.access.permission import Permission
from failgate.base.errors import StartRefused
from failgate.pages import Admit, FilesTaken

Kind = Literal["page", "api", "operation", "live", "oauth", "scim"]
Credential = Literal["cookie", "bearer"]
WorkspaceFrom = Literal["path", "query", "credential"]
Reauthentication = Literal["any", "all"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "WS"})
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_BOTH: frozenset[Credential] = frozenset({"cookie", "bearer"})
_COOKIE: frozenset[Credential] = frozenset({"cookie"})
_NONE: frozenset[Credential] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What stands at `method path`, and who may pass.

    `path` has its parameters in braces: `{workspace}` is a slug, `{id}` an identifier of ours, `{sha256}` 64 hex
    digits; the guard answers 404 when they are written otherwise. `kind` says how errors look (`page`: HTML and
    redirects, `oauth`: JSON of OAuth, `scim`: the documents of RFC 7644, all others: problem documents) and which
    credentials count (`page`: the cookie; `oauth`: none; others: the cookie or a bearer token).
    `own_permission` lets an agent in that lacks `permission` but has this one: services show an agent its own things
    only. A sensitive door needs a second factor of the last five minutes from a person. `asks_anew` is of the doors of
    one's own account: all factors of the last five minutes (what changes how one signs in), or any one of them.
    A cross-site door takes forms that pages of other sites send: it knows no cookie of a session, so nobody is there.
    `form_bytes` is how large a form may be where that is more than usual; `files` are those that it may carry; `admit`
    may turn it away before it is read. `status` is the HTTP status of success.
    """

    name: str
    method: str
    path: str
    handler: Callable[..., Any]
    permission: Permission
    kind: Kind
    own_permission: Permission | None = None
    is_sensitive: bool = False
    asks_anew: Reauthentication | None = None
    is_open_to_loopback: bool = False
    is_documented: bool = False
    is_cross_site: bool = False
    form_bytes: int | None = None
    files: FilesTaken | None = None
    admit: Admit | None = None
    credentials: frozenset[Credential] | None = None
    workspace_from: WorkspaceFrom | None = None
    status: int = 200

    @property
    def accepted(self) -> frozenset[Credential]:
        """Return the credentials that count here."""
        if self.credentials is not None:
            return self.credentials
        if self.kind == "oauth":
            return _NONE
        return _COOKIE if self.kind == "page" else _BOTH

    @property
    def workspace(self) -> WorkspaceFrom | None:
        """Return where the workspace of this door is named, or None for a door outside of all workspaces."""
        return self.workspace_from or ("path" if "{workspace}" in self.path else None)

    @property
    def is_safe(self) -> bool:
        """Tell whether the method changes nothing."""
        return self.method in SAFE_METHODS

    @property
    def tag(self) -> str:
        """Return the group under which the API documents show this door: the first word of its name."""
        return self.name.partition(".")[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters in the path, in their order."""
        return tuple(_PARAMETER.findall(self.path))

    def check(self) -> None:
        """Check that this door is fully declared.

        Raises: StartRefused, naming the door and the mend.
        """
        where = f"The door {self.name!r} ({self.method} {self.path})"
        if not isinstance(cast("object", self.permission), Permission):
            raise StartRefused(f"{where} declares no permission.", hint="Give it one of failgate.access.permission.")
        if self.method not in METHODS:
            raise StartRefused(f"{where} has an unknown method.", hint=f"Use one of {', '.join(sorted(METHODS))}.")
        if (self.method == "WS") != (self.kind == "live"):
            raise StartRefused(f"{where} mixes WebSocket and HTTP.", hint='Use method "WS" with kind "live".')
        scope, action = self.permission.partition(":")[0], self.permission.rpartition(":")[2]
        if scope == "workspace" and self.workspace is None:
            raise StartRefused(
                f"{where} needs a workspace permission but names no workspace.", hint="Set workspace_from."
            )
        if self.is_cross_site and (self.accepted or scope != "public"):
            raise StartRefused(f"{where} takes forms of other sites with credentials.", hint="Let it accept none.")
        if not self.is_safe and self.method != "WS" and action == "read":
            raise StartRefused(
                f"{where} changes something under a permission to read.", hint="Use a writing permission."
            )
