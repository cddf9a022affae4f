"""`failgate run`: ask, wait, verify the verdict, execute once; on failure keep a report and, when agreed, upload it.

Every way that is not a verified approval of exactly this call ends without executing anything.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from failgate.base.errors import BadInput, FailgateError
from failgate.client.answer import Answer, Lost
from failgate.client.command import Call, build_call, check_unchanged, close_call, is_script
from failgate.client.exits import (
    DENIED,
    EXPIRED,
    INTERRUPTED,
    UNVERIFIED,
    USAGE,
    ClientError,
    NotExecutable,
    Refused,
    Unreachable,
    Unverified,
)
from failgate.client.http import ANSWER_SECONDS, Api
from failgate.client.messages import Messages, inert
from failgate.client.options import USAGE as HELP
from failgate.client.options import Options, parse_options
from failgate.client.settings import Settings, load_settings
from failgate.client.verdict import SKEW_SECONDS, Standing, check_approval, note_of, standing_of

if TYPE_CHECKING:
    from failgate.client.execution import Ended
    from failgate.client.output import Output

    Witness = Callable[[Ended, Output], None]

_WAIT_SECONDS = 25
_FIRST_PATIENCE_SECONDS = 5.0
_OUTCOME_TRIES = 3
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class _Stopped(BaseException):
    """A signal asks us to stop while nothing is executed yet."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(arguments: Sequence[str]) -> int:
    """Carry out `failgate run` with `arguments`; return the exit code."""
    messages = Messages(
        is_json="--json" in arguments[: arguments.index("--")] if "--" in arguments else "--json" in arguments
    )
    try:
        options = parse_options(arguments)
        if options is None:
            os.write(1, HELP.encode())
            return 0
        messages = Messages(is_json=options.is_json)
        return _Run(options, load_settings(os.environ), messages).carry_out()
    except BadInput as error:
        messages.say("usage", inert(str(error)))
        return USAGE
    except ClientError as error:
        messages.say(error.slug, inert(str(error)))
        return error.exit_code
    except FailgateError as error:  # a call that has no canonical form
        messages.say(error.slug, inert(str(error)))
        return UNVERIFIED
    except KeyboardInterrupt:
        messages.clear()
        return INTERRUPTED


def ask_and_run(options: Options, settings: Settings, messages: Messages, witness: "Witness") -> int:
    """Ask for the command of `options`, execute it once; return its exit code, or why nothing was executed.

    `witness` is given how it ended and its output instead of a report being kept.

    Raises: what a run ends with before its verdict: ClientError and the errors of its call.
    """
    return _Run(options, settings, messages, witness).carry_out()


class _Run:
    """One request from its submission to its outcome."""

    def __init__(
        self, options: Options, settings: Settings, messages: Messages, witness: "Witness | None" = None
    ) -> None:
        self._options = options
        self._witness = witness
        self._settings = settings
        self._messages = messages
        self._api = Api(settings)
        self._request: str | None = None
        self._standing: Standing | None = None

    def carry_out(self) -> int:
        """Return the exit code of the command, or the one that says why nothing was executed."""
        call = build_call(self._options.argv, os.environ, (*self._settings.env, *self._options.env))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _stop)
        try:
            base = self._api.workspace()
            standing = self._decided(call, f"{base}/commands")
            if standing.state != "approved":
                return self._not_approved(standing)
            check_approval(standing, call.digest, time.time())
            check_unchanged(call)
            return self._execute(call, standing, f"{base}/commands/{standing.id}")
        except (_Stopped, KeyboardInterrupt) as stop:
            self._withdraw()
            return 128 + stop.number if isinstance(stop, _Stopped) else INTERRUPTED
        finally:
            self._messages.clear()
            self._api.close()
            close_call(call)

    def _decided(self, call: Call, route: str) -> Standing:
        """Return the first standing that is not pending; a lost connection is opened again until it expires."""
        body: dict[str, Any] = {"command": call.command, "digest": call.digest}
        if self._options.reason is not None:
            body["reason"] = self._options.reason
        if self._options.ttl_seconds is not None:
            body["ttl_seconds"] = self._options.ttl_seconds
        until = time.monotonic() + _FIRST_PATIENCE_SECONDS
        submit = self._patiently(lambda: self._api.call("POST", route, body, idempotency_key=call.digest), until)
        standing = self._standing = standing_of(submit.content, call.digest)
        self._request = f"{route}/{standing.id}"
        if standing.state == "pending":
            self._say_waiting(standing)
        left = max(0.0, standing.expires - time.time()) + SKEW_SECONDS
        until = time.monotonic() + min(left, 86_400.0 + SKEW_SECONDS)
        while standing.state == "pending":
            if time.monotonic() > until:
                return standing._replace(state="expired")
            standing = self._standing = self._asked_again(call, standing, until)
        return standing

    def _asked_again(self, call: Call, standing: Standing, until: float) -> Standing:
        route = f"{self._request}?wait={_WAIT_SECONDS}"
        try:
            answer = self._patiently(
                lambda: self._api.call("GET", route, seconds=_WAIT_SECONDS + ANSWER_SECONDS, tick=self._tick),
                until,
                is_submitted=True,
            )
        except Refused as error:
            if error.answered == 404:
                raise Unverified(
                    "The server does not know this request any more.", hint="Nothing was executed; ask again."
                ) from error
            raise
        return standing_of(answer.content, call.digest, standing.id)

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

    def _execute(self, call: Call, standing: Standing, route: str) -> int:
        """Use the approval up, execute, tell the outcome. Signals from the use on are the command's."""
        from failgate.client.output import Output

        output = Output()
        began_us = time.time_ns() // 1000
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            self._consume(call, standing, route)
            if is_script(call):
                check_unchanged(call)
            self._messages.clear()
            ended = self._run_once(call, route, output)
            self._request = None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            self._tell(route, call, ended)
            if self._witness is not None:
                self._witness(ended, output)
            elif ended.exit_code != 0 and self._options.is_captured:
                self._report(call, standing, ended, output, began_us)
        except (_Stopped, KeyboardInterrupt):
            self._messages.say("stopped", "stopped after the command had ended")
        self._messages.say_json(
            "ended", id=standing.id, exit_code=ended.exit_code, signal=ended.signal, duration_ms=ended.duration_ms
        )
        return ended.exit_code

    def _consume(self, call: Call, standing: Standing, route: str) -> None:
        """Return when the server noted that the approval is used by this call.

        Raises: Unverified (it was used or ended before, or the answer is not about this call), Unreachable.
        """
        body = {"digest": call.digest}
        key = os.urandom(16).hex()  # of this process alone: nobody else may be given its answer again
        try:
            until = time.monotonic() + _FIRST_PATIENCE_SECONDS
            answer = self._patiently(
                lambda: self._api.call("POST", f"{route}/consume", body, seconds=10, idempotency_key=key),
                until,
                is_submitted=True,
            )
        except Refused as error:
            if error.answered == 409:
                state = error.members.get("state")
                raise _Ended(
                    EXPIRED if state == "expired" else UNVERIFIED, f"The approval cannot be used: {error.sentence}"
                ) from error
            raise
        used = standing_of(answer.content, call.digest, standing.id)
        if used.state != "executed":
            raise Unverified(f"The approval cannot be used: the request is {used.state}.", hint="Nothing was executed.")
        check_approval(standing, call.digest, time.time())

    def _run_once(self, call: Call, route: str, output: "Output") -> "Ended":
        from failgate.client.execution import Ended, execute

        try:
            return execute(
                call.argv,
                path=call.executable.path,
                environment=call.environment,
                descriptor=call.executable.descriptor,
                folder=call.folder,
                output=output if self._options.is_captured else None,
            )
        except NotExecutable as error:
            self._tell(route, call, Ended(error.exit_code, None, 0))
            raise

    def _report(self, call: Call, standing: Standing, ended: "Ended", output: "Output", began_us: int) -> None:
        from failgate.client.capture import Failure, keep_report

        report = keep_report(
            Failure(call.argv, call.command["cwd"], ended, output, began_us, call.environment), self._messages
        )
        if report is not None:
            from failgate.client.consent import offer_upload

            offer_upload(self._api, report, self._settings, self._messages, standing.id)

    def _tell(self, route: str, call: Call, ended: "Ended") -> None:
        """Tell the server how the execution ended; that it could not be told is said and changes nothing."""
        body = {
            "digest": call.digest,
            "exit_code": ended.exit_code,
            "duration_ms": ended.duration_ms,
            "signal": ended.signal,
        }
        key = os.urandom(16).hex()
        for attempt in range(_OUTCOME_TRIES):
            try:
                self._api.call("POST", f"{route}/outcome", body, seconds=10, idempotency_key=key)
            except Unreachable as error:
                if attempt + 1 == _OUTCOME_TRIES:
                    self._messages.say(
                        "outcome-failed", f"the outcome could not be told to the server: {inert(str(error))}"
                    )
                else:
                    time.sleep(0.3 * (attempt + 1))
            except Refused as error:
                self._messages.say("outcome-failed", f"the server did not take the outcome: {inert(str(error))}")
                return
            else:
                return

    def _not_approved(self, standing: Standing) -> int:
        said = note_of(standing)
        if standing.state == "denied":
            self._messages.say("denied", f"denied{said}", id=standing.id)
            return DENIED
        if standing.state == "expired":
            self._messages.say("expired", "expired: nobody decided in time", id=standing.id)
            return EXPIRED
        if standing.state == "cancelled":
            self._messages.say("cancelled", "the request was withdrawn; nothing was executed", id=standing.id)
            return DENIED
        self._messages.say("unverified", f"the request is {standing.state}; nothing was executed", id=standing.id)
        return UNVERIFIED

    def _withdraw(self) -> None:
        """Cancel the request, if it was submitted; a server that does not answer lets it expire."""
        if self._request is None:
            return
        try:
            self._api.close()
            self._api.call(
                "POST", f"{self._request}/cancel", {}, seconds=3, idempotency_key=f"cancel-{self._request[-36:]}"
            )
            self._messages.say("cancelled", "the request is withdrawn; nothing was executed")
        except (ClientError, KeyboardInterrupt, _Stopped):
            self._messages.say("cancelled", "nothing was executed; the request expires by itself")

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
        standing = self._standing
        if standing is not None and self._messages.is_live:
            minutes, seconds = divmod(round(max(0.0, standing.expires - time.time())), 60)
            self._messages.show(f"waiting for {_who(standing)[:60]}, {minutes}:{seconds:02d} left (Ctrl-C withdraws)")


class _Ended(ClientError):
    """The approval is no longer usable; its code says how it ended."""

    slug = "ended"

    def __init__(self, exit_code: int, sentence: str) -> None:
        super().__init__(sentence, hint="Nothing was executed.")
        self.exit_code = exit_code


def _who(standing: Standing) -> str:
    return standing.waiting_for or "a reviewer"


def _stop(number: int, _frame: object) -> NoReturn:
    raise _Stopped(number)
