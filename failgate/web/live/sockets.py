"""Which sockets are open under which credential, so that they end when it does, before any further frame."""

from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager

from failgate.accounts.sessions import Sessions
from failgate.accounts.token_text import token_id_of
from failgate.accounts.tokens import Tokens
from failgate.base.errors import TooManyRequests
from failgate.web.context import Visit

CREDENTIAL_ENDED = 4401
ROLE_ENDED = 4403
MAX_OF_SESSION = 32

Ended = Callable[[], None]


class OpenSockets:
    """The open sockets of one server, by the id of the session or token that proved them."""

    def __init__(self, sessions: Sessions, tokens: Tokens) -> None:
        """Be told when a session ends or a token is revoked."""
        self._open: defaultdict[str, set[Ended]] = defaultdict(set)
        self._undo = (sessions.on_closed(self._end), tokens.on_revoked(self._end))

    @contextmanager
    def register(self, visit: Visit, ended: Ended) -> Generator[None]:
        """Have `ended` called in the moment when the credential of `visit` ends, while this context is open.

        Raises: TooManyRequests (a session holds 32 sockets).
        """
        key = _key(visit)
        if visit.session is not None and len(self._open.get(key, ())) >= MAX_OF_SESSION:
            raise TooManyRequests("Too many pages of this session are open.", retry_after_seconds=5, hint="Close some.")
        self._open[key].add(ended)
        try:
            yield
        finally:
            sockets = self._open.get(key)
            if sockets is not None:
                sockets.discard(ended)
                if not sockets:
                    del self._open[key]

    def close(self) -> None:
        """Listen no more."""
        for undo in self._undo:
            undo()

    def _end(self, credential_id: str) -> None:
        for ended in tuple(self._open.get(credential_id, ())):
            ended()


def _key(visit: Visit) -> str:
    if visit.session is not None:
        return visit.session.id
    return (token_id_of(visit.credential) if visit.credential is not None else None) or visit.request_id
