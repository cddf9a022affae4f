"""`failgate run`: ask, wait, verify the verdict, execute once; on failure keep a report and, when agreed, upload it.

Every way that is not a verified approval of exactly this call ends without executing anything.
"""

from __future__ import annotations

import os
import time

from failgate.base.errors import BadInput, FailgateError
from failgate.base.quick import signal
from failgate.client.asking import Asking, Stopped, stop_by_signals, tell_outcome
from failgate.client.command import Call, build_call, check_unchanged, close_call, is_read
from failgate.client.exits import (
    DENIED,
    EXPIRED,
    INTERRUPTED,
    UNVERIFIED,
    USAGE,
    ClientError,
    NotExecutable,
    Unverified,
)
from failgate.client.http import Api
from failgate.client.messages import Messages, inert
from failgate.client.options import USAGE as HELP
from failgate.client.options import Options, parse_options
from failgate.client.search import is_of_system
from failgate.client.settings import Settings, load_settings
from failgate.client.verdict import Standing, check_approval, note_of, remark_of, wants_changes

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from failgate.client.copies import Held
    from failgate.client.execution import Ended
    from failgate.client.output import Output

    Witness = Callable[[Ended, Output], None]

_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


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
        if options.message_fd is not None:
            _keep_from_command(options.message_fd)
        messages = Messages(is_json=options.is_json, descriptor=options.message_fd)
        settings = load_settings(os.environ)
        if os.path.lexists(f"{settings.folder}/sealed.json"):
            from failgate.client.pins import is_pinned

            if is_pinned(settings.folder):
                from failgate.client.sealed_run import run_sealed

                return run_sealed(options, settings, messages)
        return _Run(options, settings, messages).carry_out()
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


def _keep_from_command(descriptor: int) -> None:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's own signature
    except OSError as error:
        raise BadInput(f"--message-fd {descriptor}: {error.strerror}.") from error


def ask_and_run(options: Options, settings: Settings, messages: Messages, witness: Witness) -> int:
    """Ask for the command of `options`, execute it once; return its exit code, or why nothing was executed.

    `witness` is given how it ended and its output instead of a report being kept.

    Raises: what a run ends with before its verdict: ClientError and the errors of its call.
    """
    return _Run(options, settings, messages, witness).carry_out()


def _origin(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return what the request says of where it comes from: the run that the environment names."""
    names = {"run": "FAILGATE_RUN", "session": "FAILGATE_SESSION", "model": "FAILGATE_MODEL"}
    named = {member: environment[name][:200] for member, name in names.items() if environment.get(name)}
    return {"program": "failgate run", **named} if named else None


def is_edited(standing: Standing) -> bool:
    """Tell whether reviewers made another command of it."""
    return standing.state == "denied" and (standing.verdict or {}).get("edited") is not None


def _way_of(standing: Standing) -> str:
    """Return how what reviewers made of it is run, as inert text; empty when they made nothing of it."""
    if not is_edited(standing):
        return ""
    from failgate.client.edited import edited_of, shown

    edited = edited_of(standing)
    if edited is None:
        return ""
    return f"; to run that form: failgate run --edited {edited.id} -- {shown(edited.argv)[:2000]}"


def _held(call: Call) -> Held | None:
    """Return what of `call` has to be held while it begins. Raises: Unverified."""
    if is_of_system(call.executable.path) and not is_read(call):
        return None
    from failgate.client.copies import hold

    return hold(call)


class _Run:
    """One request from its submission to its outcome."""

    def __init__(
        self, options: Options, settings: Settings, messages: Messages, witness: Witness | None = None
    ) -> None:
        self._options = options
        self._witness = witness
        self._settings = settings
        self._messages = messages
        self._api = Api(settings)

    def carry_out(self) -> int:
        """Return the exit code of the command, or the one that says why nothing was executed."""
        held = None
        if self._options.is_input_held:
            from failgate.client.held import hold_input

            held = hold_input()
        call = build_call(self._options.argv, os.environ, (*self._settings.env, *self._options.env), held=held)
        if held is not None:
            os.dup2(held, 0)
            os.close(held)
        stop_by_signals(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        asking = self._asking = Asking(self._api, self._messages, call.command, call.digest)
        try:
            if self._options.edited is not None:
                call, asking, standing = self._resumed(call, self._options.edited)
            else:
                standing = asking.decided(
                    reason=self._options.reason,
                    ttl_seconds=self._options.ttl_seconds,
                    origin=_origin(os.environ),
                )
            if is_edited(standing) and (self._options.accepts_edits or self._settings.accepts_edits):
                call, asking, standing = self._followed(call, asking, standing)
            if standing.state != "approved":
                return self._not_approved(standing)
            check_approval(standing, call.digest, time.time())
            asking.check(lambda: check_unchanged(call))
            return self._execute(call, standing, asking, asking.check(lambda: _held(call)))
        except (Stopped, KeyboardInterrupt) as stop:
            self._asking.withdraw()
            return 128 + stop.number if isinstance(stop, Stopped) else INTERRUPTED
        finally:
            self._messages.clear()
            self._api.close()
            close_call(call)

    def _resumed(self, call: Call, request_id: str) -> tuple[Call, Asking, Standing]:
        """Return what stands of the edited command that the request `request_id` is for, when `call` is that."""
        from failgate.client.edited import resumed_call

        view = self._api.call("GET", f"{self._api.workspace()}/commands/{request_id}").content
        return self._awaited(resumed_call(call, view), request_id)

    def _followed(self, call: Call, asking: Asking, standing: Standing) -> tuple[Call, Asking, Standing]:
        """Return what stands of what reviewers made of `call`: the last edit, decided."""
        from failgate.client.edited import MOST_EDITS, edited_call, edited_of, shown

        for _ in range(MOST_EDITS):
            edited = edited_of(standing)
            if edited is None:
                break
            self._messages.say("edited", f"a reviewer edited it: {shown(edited.argv)}", id=edited.id, argv=edited.argv)
            call, asking, standing = self._awaited(edited_call(call, edited), edited.id)
        return call, asking, standing

    def _awaited(self, call: Call, request_id: str) -> tuple[Call, Asking, Standing]:
        asking = self._asking = Asking(self._api, self._messages, call.command, call.digest)
        return call, asking, asking.awaited(asking.found(request_id))

    def _execute(self, call: Call, standing: Standing, asking: Asking, held: Held | None) -> int:
        """Use the approval up, execute, tell the outcome. Signals from the use on are the command's."""
        from failgate.client.output import Output

        output, route, remark = Output(), asking.route or "", remark_of(standing)
        began_us = time.time_ns() // 1000
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            asking.use(standing)
            if is_read(call):
                check_unchanged(call)
            self._messages.clear()
            if remark is not None:
                self._messages.say(*remark, id=standing.id)
            ended: Ended = asking.check(lambda: self._run_once(call, route, output, held))
            asking.route = None  # nothing is left to withdraw
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            self._tell(route, call, ended)
            if self._witness is not None:
                self._witness(ended, output)
            elif ended.exit_code != 0 and self._options.is_captured:
                self._report(call, standing, ended, output, began_us)
        except (Stopped, KeyboardInterrupt):
            self._messages.say("stopped", "stopped after the command had ended")
        self._messages.say_json(
            "ended", id=standing.id, exit_code=ended.exit_code, signal=ended.signal, duration_ms=ended.duration_ms
        )
        return ended.exit_code

    def _run_once(self, call: Call, route: str, output: Output, held: Held | None) -> Ended:
        from failgate.client.execution import Ended, execute

        try:
            ended = execute(
                call.argv,
                path=call.executable.path,
                environment=call.environment,
                descriptor=call.executable.descriptor,
                folder=call.folder,
                output=output if self._options.is_captured else None,
                held=held,
            )
        except (NotExecutable, Unverified) as error:
            self._tell(route, call, Ended(error.exit_code, None, 0))
            raise
        if not ended.is_held:
            self._messages.say(
                "unheld",
                "what was approved was not held as it began: it was opened by its path, after a last look",
            )
        return ended

    def _report(self, call: Call, standing: Standing, ended: Ended, output: Output, began_us: int) -> None:
        from failgate.client.capture import Failure, keep_report

        report = keep_report(
            Failure(call.argv, call.command["cwd"], ended, output, began_us, call.environment), self._messages
        )
        if report is not None:
            from failgate.client.consent import offer_upload

            offer_upload(self._api, report, self._settings, self._messages, standing.id)

    def _tell(self, route: str, call: Call, ended: Ended) -> None:
        outcome = {
            "digest": call.digest,
            "exit_code": ended.exit_code,
            "duration_ms": ended.duration_ms,
            "signal": ended.signal,
        }
        tell_outcome(self._api, self._messages, route, outcome)

    def _not_approved(self, standing: Standing) -> int:
        said = note_of(standing)
        if standing.state == "denied":
            self._messages.say(
                "denied", f"denied{said}{_way_of(standing)}",
                id=standing.id, wants_changes=wants_changes(standing), edited=(standing.verdict or {}).get("edited"),
            )  # fmt: skip
            return DENIED
        if standing.state == "expired":
            self._messages.say("expired", "expired: nobody decided in time", id=standing.id)
            return EXPIRED
        if standing.state == "cancelled":
            self._messages.say("cancelled", "the request was withdrawn; nothing was executed", id=standing.id)
            return DENIED
        self._messages.say("unverified", f"the request is {standing.state}; nothing was executed", id=standing.id)
        return UNVERIFIED
