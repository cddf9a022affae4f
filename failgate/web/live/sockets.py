"""Which sockets are open under which credential, so that they end when it does, before any further frame."""

from collections import defaultdict
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import TypeVar

from failgate.access.permission import Permission
from failgate.access.role import GRANTS, Role
from failgate.accounts.logins import Logins
from failgate.accounts.sessions import Sessions
from failgate.accounts.token_text import token_id_of
from failgate.accounts.tokens import Tokens
from failgate.base.errors import TooManyRequests
from failgate.sso.enforcement import Enforcements
from failgate.web.context import Visit
from failgate.workspaces.certificates import AgentCertificates
from failgate.workspaces.workspaces import Workspaces

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

CREDENTIAL_ENDED = 4401
ROLE_ENDED = 4403
COME_AGAIN = 1013  # try again later: RFC 6455 section 7.4.1, as registered
MAX_OF_SESSION = 32

Ended = Callable[[int], None]
"""Closes one socket with this code."""


class OpenSockets:
    """The open sockets of one server, by the id of the session, login, token or certificate that proved them."""

    def __init__(
        self,
        sessions: Sessions,
        tokens: Tokens,
        workspaces: Workspaces,
        logins: Logins,
        certificates: AgentCertificates,
        enforcements: Enforcements,
    ) -> None:
        """Be told when a session or a login ends, a token or a certificate is revoked or a membership changes.

        Also when a workspace begins or ends to demand single sign-on: then its people come in anew, or do not.
        """
        self._open: defaultdict[str, set[Ended]] = defaultdict(set)
        self._of_member: defaultdict[tuple[str, str], set[tuple[Permission, Ended]]] = defaultdict(set)
        self._undo = (
            sessions.on_closed(self._end),
            tokens.on_revoked(self._end),
            certificates.on_ended(self._end),
            workspaces.on_role_changed(self._role_changed),
            logins.on_closed(self._end),
            enforcements.on_changed(self._demand_changed),
        )

    @contextmanager
    def register(self, visit: Visit, ended: Ended) -> Generator[None]:
        """Have `ended` called in the moment when the credential or the role of `visit` ends, while this is open.

        Raises: TooManyRequests (a session or a login holds 32 sockets).
        """
        key = _key(visit)
        if visit.principal.session_id is not None and len(self._open.get(key, ())) >= MAX_OF_SESSION:
            raise TooManyRequests("Too many pages of this session are open.", retry_after_seconds=5, hint="Close some.")
        self._open[key].add(ended)
        member = _member(visit)
        entry = (visit.door.permission, ended) if visit.door is not None else None
        if member is not None and entry is not None:
            self._of_member[member].add(entry)
        try:
            yield
        finally:
            _discard(self._open, key, ended)
            if member is not None and entry is not None:
                _discard(self._of_member, member, entry)

    def close(self) -> None:
        """Listen no more."""
        for undo in self._undo:
            undo()

    def _end(self, credential_id: str) -> None:
        for ended in tuple(self._open.get(credential_id, ())):
            ended(CREDENTIAL_ENDED)

    def _role_changed(self, workspace_id: str, account_id: str, role: Role | None) -> None:
        for permission, ended in tuple(self._of_member.get((workspace_id, account_id), ())):
            if role is None or permission not in GRANTS[role]:
                ended(ROLE_ENDED)

    def _demand_changed(self, workspace_id: str) -> None:
        for member, entries in tuple(self._of_member.items()):
            if member[0] == workspace_id:
                for _, ended in tuple(entries):
                    ended(COME_AGAIN)


def _discard(kept: defaultdict[K, set[V]], key: K, value: V) -> None:
    values = kept.get(key)
    if values is not None:
        values.discard(value)
        if not values:
            del kept[key]


def _member(visit: Visit) -> tuple[str, str] | None:
    if visit.workspace is None or visit.principal.account_id is None:
        return None
    return visit.workspace.id, visit.principal.account_id


def _key(visit: Visit) -> str:
    if visit.session is not None:
        return visit.session.id
    if visit.certificate_id is not None:
        return visit.certificate_id
    if visit.principal.session_id is not None:
        return visit.principal.session_id
    return (token_id_of(visit.credential) if visit.credential is not None else None) or visit.request_id
