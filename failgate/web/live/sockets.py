"""Which sockets and long polls are open under which credential, so that they end when it does.

A credential may end between the look at it and the moment from which its end is heard: the last ones that ended are
kept, and open nothing.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Generator, Hashable
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from failgate.access.permission import Permission
from failgate.access.role import GRANTS, Role
from failgate.accounts.logins import Logins
from failgate.accounts.sessions import Sessions
from failgate.accounts.token_text import token_id_of
from failgate.accounts.tokens import Tokens
from failgate.base.errors import NotSignedIn, TooManyRequests
from failgate.sso.enforcement import Enforcements
from failgate.web.context import Visit
from failgate.web.live.shares import Shares
from failgate.web.stop import before
from failgate.workspaces.certificates import AgentCertificates
from failgate.workspaces.workspaces import Workspaces

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

CREDENTIAL_ENDED = 4401
ROLE_ENDED = 4403
COME_AGAIN = 1013  # try again later: RFC 6455 section 7.4.1, as registered
MAX_OF_SESSION = 32
ENDED_KEPT: Final = 10_000  # credentials; a handshake takes milliseconds

Ended = Callable[[int], None]
"""Closes one socket with this code."""
Open = defaultdict[str, set[Ended]]


class Entered:
    """One that is told of an end, until it leaves. Small, for there may be ten thousand."""

    __slots__ = ("_among", "_ended", "_holder", "_key", "_left", "_shares")

    def __init__(
        self, among: Open, key: str, ended: Ended, left: Callable[[], None] | None, shares: Shares, holder: str | None
    ) -> None:
        """Have been put into `among` under `key`; `left` undoes what else was done, `shares` count it for `holder`."""
        self._among, self._key, self._ended, self._left = among, key, ended, left
        self._shares, self._holder = shares, holder

    def leave(self) -> None:
        """Be told no more."""
        _discard(self._among, self._key, self._ended)
        if self._left is not None:
            self._left()
        if self._holder is not None:
            self._shares.give_back(self._holder)
            self._holder = None


class OpenSockets:
    """The open sockets of one server, by the id of the session, login, token or certificate that proved them.

    Beside them the answers that are held back until something happens (long polls).
    """

    def __init__(
        self,
        sessions: Sessions,
        tokens: Tokens,
        workspaces: Workspaces,
        logins: Logins,
        certificates: AgentCertificates,
        enforcements: Enforcements,
        shares: Shares,
    ) -> None:
        """Be told when a session or a login ends, a token or a certificate is revoked or a membership changes.

        Also when a workspace begins or ends to demand single sign-on: then its people come in anew, or do not.
        """
        self._open: Open = defaultdict(set)
        self._held: Open = defaultdict(set)
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._of_member: defaultdict[tuple[str, str], set[tuple[Permission, Ended]]] = defaultdict(set)
        self._shares = shares
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

        Raises: as `enter`.
        """
        entered = self.enter(visit, ended)
        try:
            yield
        finally:
            entered.leave()

    def enter(self, visit: Visit, ended: Ended) -> "Entered":
        """Have `ended` called in that moment, until `leave` is called on what is returned.

        Raises: NotSignedIn (the credential has ended meanwhile); TooManyRequests (a session or a login holds 32, the
        person or the agent as many as they may).
        """
        is_of_session = visit.principal.session_id is not None
        if is_of_session and len(self._open.get(_key(visit), ())) >= MAX_OF_SESSION:
            raise TooManyRequests("Too many pages of this session are open.", retry_after_seconds=5, hint="Close some.")
        return self._heard(self._open, visit, ended)

    async def hold(self, visit: Visit, wanted: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `wanted` answers, or None when the credential or the role of `visit` ends before it does.

        Raises: NotSignedIn (the credential has ended meanwhile); TooManyRequests (the person or the agent waits often
        enough).
        """
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        heard = self._heard(self._held, visit, first_of(ended))
        try:
            answered = await before(wanted(), ended)
        finally:
            heard.leave()
        return None if ended.done() else answered

    def _heard(self, among: Open, visit: Visit, ended: Ended) -> "Entered":
        key = _key(visit)
        if key in self._ended:
            raise NotSignedIn("The credential is not valid any more.", hint="Sign in again, or use another token.")
        holder = self._shares.take(visit.principal)
        among[key].add(ended)
        member, left = _member(visit), None
        if member is not None and visit.door is not None:
            entry = (visit.door.permission, ended)
            self._of_member[member].add(entry)
            left = partial(_discard, self._of_member, member, entry)
        return Entered(among, key, ended, left, self._shares, holder)

    def close(self) -> None:
        """Listen no more."""
        for undo in self._undo:
            undo()

    def _end(self, credential_id: str) -> None:
        self._ended[credential_id] = None
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        for ended in (*self._open.get(credential_id, ()), *self._held.get(credential_id, ())):
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


def first_of(ended: asyncio.Future[int]) -> Ended:
    """Return what keeps the first code with which the socket is to be closed."""

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    return end


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
