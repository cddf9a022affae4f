"""An approval for whoever executes by itself: asked for, waited for, used up when it is told, its outcome told."""

import os
import threading
import time
from collections.abc import Mapping, Sequence

from failgate.client.asking import Asking, tell_outcome
from failgate.client.command import build_call, check_unchanged, close_call
from failgate.client.exits import ClientError, Unverified
from failgate.client.http import Api
from failgate.client.messages import Messages
from failgate.client.settings import Settings
from failgate.client.verdict import SKEW_SECONDS, Standing, check_approval, note_of

LONGEST_WAIT_SECONDS = 55


class Approval:
    """One request. `state` is the server's word until it is used; only `use` verifies an approval.

    Its methods may be called from any thread; they wait for each other.
    """

    def __init__(
        self,
        settings: Settings,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        reason: str | None = None,
        ttl_seconds: int | None = None,
        variables: Sequence[str] = (),
        origin: Mapping[str, str] | None = None,
    ) -> None:
        """Ask for `argv` in the folder `cwd` now. Raises: ClientError."""
        folder = os.fspath(cwd) if cwd is not None else None
        self._call = build_call(argv, os.environ, (*settings.env, *variables), folder)
        self._api = Api(settings)
        self._asking = Asking(self._api, Messages(), self._call.command, self._call.digest)
        self._lock = threading.Lock()
        self._used_at: float | None = None
        try:
            self._standing = self._asking.submitted(
                reason=reason, ttl_seconds=ttl_seconds, origin=dict(origin) if origin else None
            )
        except BaseException:
            self.close()
            raise

    @property
    def request(self) -> str:
        """Return the id of the request."""
        return self._standing.id

    @property
    def state(self) -> str:
        """Return the state that was heard last; `used` once it is used up here."""
        return "used" if self._used_at is not None else self._standing.state

    @property
    def note(self) -> str:
        """Return who decided and what they said, as inert text."""
        return note_of(self._standing).strip()

    def wait(self, seconds: float) -> str:
        """Return the state once it is decided, or after `seconds`. Raises: ClientError."""
        until = time.monotonic() + seconds
        with self._lock:
            while self._standing.state == "pending" and (left := until - time.monotonic()) > 0:
                if time.time() > self._standing.expires + SKEW_SECONDS:
                    self._standing = self._standing._replace(state="expired")
                    break
                span = max(1, min(LONGEST_WAIT_SECONDS, round(left)))
                self._standing = self._asking.looked(self._standing, until, span)
            return self.state

    def use(self) -> Standing:
        """Use the approval up, for the only time: execute after this returned, never before.

        Raises: ClientError (not approved, used before, past its time, the program or folder has changed).
        """
        with self._lock:
            if self._used_at is not None or self._standing.state != "approved":
                raise Unverified(f"The request is {self.state}.", hint="Nothing may be executed.")
            check_approval(self._standing, self._call.digest, time.time())
            self._asking.check(lambda: check_unchanged(self._call))
            self._asking.use(self._standing)
            self._used_at = time.time()
            return self._standing

    def finish(self, exit_code: int) -> bool:
        """Tell how the execution ended; return whether the server took it."""
        with self._lock:
            if self._used_at is None or self._asking.route is None:
                return False
            outcome = {
                "digest": self._call.digest,
                "exit_code": exit_code,
                "duration_ms": max(0, round((time.time() - self._used_at) * 1000)),
            }
            return tell_outcome(self._api, Messages(), self._asking.route, outcome)

    def withdraw(self) -> None:
        """Cancel the request while it is pending; a server that does not answer lets it expire."""
        with self._lock:
            if self._standing.state == "pending" and self._asking.route is not None:
                try:
                    self._api.call("POST", f"{self._asking.route}/cancel", {}, seconds=3)
                except ClientError:
                    return
                self._standing = self._standing._replace(state="cancelled")

    def close(self) -> None:
        """Close the connection and what was opened for the call."""
        self._api.close()
        close_call(self._call)
