"""One request at the server: submitted, waited for, used up, told how it ended. Whoever asks executes by itself.

`failgate run` executes the command; a hook lets the program that it serves execute it.
"""

from __future__ import annotations

import os
import time

from failgate.base.errors import FailgateError
from failgate.base.quick import signal
from failgate.client.answer import Answer, Lost
from failgate.client.exits import EXPIRED, UNVERIFIED, ClientError, Refused, Unreachable, Unverified
from failgate.client.http import ANSWER_SECONDS, Api
from failgate.client.messages import Messages, inert
from failgate.client.verdict import SKEW_SECONDS, Standing, check_approval, standing_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

_WAIT_SECONDS = 25
_FIRST_PATIENCE_SECONDS = 5.0
_OUTCOME_TRIES = 3
_ANOTHER = "another-call"  # the digest of none: what would run now was never asked for


class Stopped(BaseException):
    """A signal asks us to stop while nothing is executed yet."""

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__()
        self.number = number


class Ended(ClientError):
    """The approval is no longer usable; its code says how it ended."""

    slug = "ended"

    def __init__(self, exit_code: int, sentence: str) -> None:
        """Keep the code."""
        super().__init__(sentence, hint="Nothing was executed.")
        self.exit_code = exit_code


def stop_by_signals(*numbers: int) -> None:
    """Raise `Stopped` in this thread when one of the signals comes that is not ignored."""
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> NoReturn:
    raise Stopped(number)


def must_be_clear(folder: str) -> None:
    """Return where commands may be asked in the clear by the files in `folder`.

    Raises: Unverified (it is pinned to a sealed workspace), NotConfigured (its file of pins is damaged).
    """
    if os.path.lexists(f"{folder}/sealed.json"):  # the name in `pins`, which is slow to load
        from failgate.client.pins import refuse_clear

        refuse_clear(folder)


class Asking:
    """One request from its submission to its use. `command` and `digest` are what is asked for."""

    def __init__(self, api: Api, messages: Messages, command: Mapping[str, Any], digest: str) -> None:
        """Ask by `api`. Raises: Unverified (this machine is pinned to a sealed workspace), NotConfigured."""
        must_be_clear(api.settings.folder)
        self._api = api
        self._messages = messages
        self._command = command
        self._digest = digest
        self._standing: Standing | None = None
        self.route: str | None = None

    def decided(self, **members: object) -> Standing:
        """Submit with the members of a submission that are not None; return the first standing that is not pending.

        A lost connection is opened again until the request expires.

        Raises: ClientError (no server, a refusal, an answer about something else), Stopped.
        """
        return self.awaited(self.submitted(**members))

    def awaited(self, standing: Standing) -> Standing:
        """Return the first standing from `standing` on that is not pending. Raises: as `decided`."""
        if standing.state == "pending":
            self._say_waiting(standing)
        left = max(0.0, standing.expires - time.time()) + SKEW_SECONDS
        until = time.monotonic() + min(left, 86_400.0 + SKEW_SECONDS)
        while standing.state == "pending":
            if time.monotonic() > until:
                return standing._replace(state="expired")
            standing = self.looked(standing, until)
        return standing

    def submitted(self, **members: object) -> Standing:
        """Submit with the members of a submission that are not None; return what stands.

        Raises: ClientError.
        """
        body: dict[str, Any] = {"command": self._command, "digest": self._digest}
        body |= {name: member for name, member in members.items() if member is not None}
        route = f"{self._api.workspace()}/commands"
        until = time.monotonic() + _FIRST_PATIENCE_SECONDS
        submit = self._patiently(lambda: self._api.call("POST", route, body, idempotency_key=self._digest), until)
        standing = self._standing = standing_of(submit.content, self._digest)
        self.route = f"{route}/{standing.id}"
        return standing

    def found(self, request_id: str) -> Standing:
        """Return what stands of a request for this command that was not made here. Raises: ClientError."""
        self.route = f"{self._api.workspace()}/commands/{request_id}"
        until = time.monotonic() + _FIRST_PATIENCE_SECONDS
        route = self.route
        answer = self._patiently(lambda: self._api.call("GET", route), until, is_submitted=True)
        standing = self._standing = standing_of(answer.content, self._digest, request_id)
        return standing

    def use(self, standing: Standing) -> None:
        """Return when the server noted that the approval is used, by us alone.

        Raises: Ended (it was used or ended before), Unverified (the answer is not about this call), Unreachable.
        """
        if not self._messages.is_heard():
            raise Stopped(signal.SIGHUP)
        body = {"digest": self._digest}
        key = os.urandom(16).hex()  # of this process alone: nobody else may be given its answer again
        try:
            until = time.monotonic() + _FIRST_PATIENCE_SECONDS
            answer = self._patiently(
                lambda: self._api.call("POST", f"{self.route}/consume", body, seconds=10, idempotency_key=key),
                until,
                is_submitted=True,
            )
        except Refused as error:
            if error.answered == 409:
                state = error.members.get("state")
                raise Ended(
                    EXPIRED if state == "expired" else UNVERIFIED, f"The approval cannot be used: {error.sentence}"
                ) from error
            raise
        used = standing_of(answer.content, self._digest, standing.id)
        if used.state != "executed":
            raise Unverified(f"The approval cannot be used: the request is {used.state}.", hint="Nothing was executed.")
        check_approval(standing, self._digest, time.time())

    def check(self, check_unchanged: Callable[[], Any]) -> Any:
        """Return what `check_unchanged` does; else let the server write down that something else would run.

        Raises: Unverified, as `check_unchanged`.
        """
        try:
            return check_unchanged()
        except Unverified:
            try:  # noqa: SIM105 - contextlib is slow to load
                self._api.call("POST", f"{self.route}/consume", {"digest": _ANOTHER}, seconds=3)
            except FailgateError:
                pass  # the answer is a refusal; without one the log just lacks it
            raise

    def withdraw(self) -> None:
        """Cancel the request, if it was submitted; a server that does not answer lets it expire."""
        if self.route is None:
            return
        try:
            self._api.close()
            self._api.call("POST", f"{self.route}/cancel", {}, seconds=3, idempotency_key=f"cancel-{self.route[-36:]}")
            self._messages.say("cancelled", "the request is withdrawn; nothing was executed")
        except (ClientError, KeyboardInterrupt, Stopped):
            self._messages.say("cancelled", "nothing was executed; the request expires by itself")

    def looked(self, standing: Standing, until: float, wait_seconds: int = _WAIT_SECONDS) -> Standing:
        """Return what stands once it is no longer pending, or after `wait_seconds` (up to 55).

        A lost connection is opened again until the monotonic `until`.

        Raises: ClientError, Stopped.
        """
        route = f"{self.route}?wait={wait_seconds}"
        try:
            answer = self._patiently(
                lambda: self._api.call("GET", route, seconds=wait_seconds + ANSWER_SECONDS, tick=self._tick),
                until,
                is_submitted=True,
            )
        except Refused as error:
            if error.answered == 404:
                raise Unverified(
                    "The server does not know this request any more.", hint="Nothing was executed; ask again."
                ) from error
            raise
        self._standing = standing_of(answer.content, self._digest, standing.id)
        return self._standing

    def _patiently(self, ask: Callable[[], Answer], until: float, *, is_submitted: bool = False) -> Answer:
        """Return the answer of `ask`, asked again after a lost connection, a 429 or a 5xx until the monotonic `until`.

        Before anything was submitted, a server that cannot be connected to ends it at once.
        """
        pause = 0.2
        while True:
            try:
                return ask()
            except Lost:
                if time.monotonic() + pause > until or not (is_submitted or self._api.was_connected):
                    raise
                self._messages.show("the connection is lost; trying again")
            except Refused as error:
                if error.answered != 429 and error.answered < 500:
                    raise
                wait = error.members.get("retry_after_seconds")
                pause = max(pause, float(wait)) if isinstance(wait, int) else pause
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 3.0)

    def _say_waiting(self, standing: Standing) -> None:
        left = round(max(0.0, standing.expires - time.time()))
        if not self._messages.is_live:
            self._messages.say(
                "waiting",
                f"waiting for {_who(standing)}, {left} s left (request {standing.id})",
                id=standing.id,
                waiting_for=standing.waiting_for,
                seconds_left=left,
            )
        self._tick()

    def _tick(self) -> None:
        if not self._messages.is_heard():
            raise Stopped(signal.SIGHUP)
        standing = self._standing
        if standing is not None and self._messages.is_live:
            minutes, seconds = divmod(round(max(0.0, standing.expires - time.time())), 60)
            self._messages.show(f"waiting for {_who(standing)[:60]}, {minutes}:{seconds:02d} left (Ctrl-C withdraws)")


def tell_outcome(api: Api, messages: Messages, route: str, outcome: Mapping[str, object]) -> bool:
    """Tell the server how the execution of the request at `route` ended: digest, exit code, duration, signal.

    That it could not be told is said and changes nothing; return whether it was.
    """
    key = os.urandom(16).hex()
    for attempt in range(_OUTCOME_TRIES):
        try:
            api.call("POST", f"{route}/outcome", dict(outcome), seconds=10, idempotency_key=key)
        except Unreachable as error:
            if attempt + 1 == _OUTCOME_TRIES:
                messages.say("outcome-failed", f"the outcome could not be told to the server: {inert(str(error))}")
            else:
                time.sleep(0.3 * (attempt + 1))
        except Refused as error:
            messages.say("outcome-failed", f"the server did not take the outcome: {inert(str(error))}")
            return False
        else:
            return True
    return False


def _who(standing: Standing) -> str:
    return standing.waiting_for or "a reviewer"
