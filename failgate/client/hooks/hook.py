"""`failgate hook claude-code` and `failgate hook codex`: a tool is used when the gate approves this very call.

The agent program executes by itself, so the approval is used up before the answer is given, and the outcome is told by
the event after the call. Exit 0 is an answer (or none: the program decides by itself); 2 blocks, with the reason on
stderr. There is no other code: both programs let a call through that a hook left with any other.
"""

from __future__ import annotations

import os
import sys
import time

from failgate.base.canonical import canonical
from failgate.base.errors import BadInput, FailgateError
from failgate.base.quick import NamedTuple, signal
from failgate.client.address import parse_address
from failgate.client.asking import Asking, Stopped, stop_by_signals
from failgate.client.exits import NotConfigured
from failgate.client.hooks.attested import digesting_in
from failgate.client.hooks.call import Tooling, tooling_of
from failgate.client.hooks.event import Event, Unreadable, model_of, read_event
from failgate.client.hooks.remembered import Used, remember, take_fresh
from failgate.client.hooks.tools import treatment_of
from failgate.client.http import Api
from failgate.client.messages import Messages, inert
from failgate.client.options import parse_seconds
from failgate.client.settings import Settings, hook_table, load_settings
from failgate.client.verdict import Standing, check_approval, note_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = ("claude-code", "codex")
WAIT_SECONDS = 570
MARGIN_SECONDS = 30  # what the program waits longer than we do
_OWN_MARGIN_SECONDS = 20
_BLOCKED = 2
HELP = """Usage: failgate hook claude-code|codex [--wait 570s] [--server URL] [--home FOLDER]

Answers one hook event of the agent program on standard input. Written into its settings by: failgate init PROGRAM.

  --wait 570s   how long a call may wait for its reviewers
  --server URL  the only server whose word counts, whatever environment and files name
  --home FOLDER the client's own folder, whatever the environment names

Exit codes: 0 an answer, or none where the program decides by itself; 2 blocked, with the reason on stderr.
"""


class _Options(NamedTuple):
    program: str
    wait_seconds: int
    server: str | None
    home: str | None


class _Verdict(NamedTuple):
    is_allowed: bool
    reason: str


def main(arguments: Sequence[str]) -> int:
    """Answer the event on standard input; return 0 or 2."""
    try:
        return _carry_out(arguments)
    except Stopped as stop:
        return _block(f"stopped by signal {stop.number}" if stop.number != signal.SIGALRM else "no decision in time")
    except FailgateError as error:
        return _block(inert(str(error)))
    except BaseException as crash:  # noqa: BLE001 - any other end of this process lets the call through
        return _block(f"the hook failed ({type(crash).__name__})")


def _carry_out(arguments: Sequence[str]) -> int:
    options = _options_of(arguments)
    if options is None:
        os.write(1, HELP.encode())
        return _BLOCKED  # an agent program that was given --help is misconfigured
    if options.home is not None:  # the settings of a project may change the environment, and so what is asked for
        os.environ["FAILGATE_HOME"] = options.home
    stop_by_signals(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, options.wait_seconds + _OWN_MARGIN_SECONDS)
    event = read_event(0)
    if event.name in ("PostToolUse", "PostToolUseFailure"):
        from failgate.client.hooks.aftermath import tell

        return tell(options.program, event)
    if event.name not in ("PreToolUse", "PermissionRequest"):
        raise Unreadable(f"The event {event.name[:60]!a} is not known.", hint="Configure the hook anew: failgate init.")
    settings = load_settings(os.environ)
    if options.server is not None and str(parse_address(settings.url)) != options.server:
        raise NotConfigured(
            "The environment or client.toml names another server than this hook was made for.",
            hint="If that is meant: failgate init, once more.",
        )
    table = hook_table(os.environ)
    treatment = treatment_of(event, table, settings.folder)
    if treatment == "deny":
        return _answer(
            options.program, event, _Verdict(is_allowed=False, reason=f"{inert(event.tool[:100])} is switched off here")
        )
    if event.name == "PreToolUse" and treatment == "pass":
        return 0
    if event.name == "PermissionRequest" and take_fresh(settings.folder, options.program, event):
        return _answer(options.program, event, _Verdict(is_allowed=True, reason="approved a moment ago"))
    shell = table.get("shell")
    tooling = tooling_of(
        event, options.program, os.environ, settings.env, shell if isinstance(shell, str) else None,
        digesting_in(settings.folder),
    )  # fmt: skip
    try:
        return _answer(options.program, event, _decide(options, settings, event, tooling))
    finally:
        tooling.close()


def _decide(options: _Options, settings: Settings, event: Event, tooling: Tooling) -> _Verdict:
    """Ask, wait, verify, use the approval up; return what to answer.

    Raises: ClientError (no server, a refusal, a verdict that does not fit, what was approved has changed), Stopped.
    """
    with Api(settings) as api:
        asking = Asking(api, Messages(), tooling.command, tooling.digest)
        try:
            standing = asking.decided(
                reason=tooling.reason,
                ttl_seconds=options.wait_seconds,
                origin=_origin(options.program, event),
            )
            if standing.state != "approved":
                return _Verdict(is_allowed=False, reason=_refusal(standing))
            check_approval(standing, tooling.digest, time.time())
            asking.check(tooling.check_unchanged)
            asking.use(standing)
        except Stopped:
            signal.setitimer(signal.ITIMER_REAL, 0)
            asking.withdraw()
            raise
        remember(settings.folder, options.program, event, Used(asking.route or "", tooling.digest, time.time()))
        return _Verdict(is_allowed=True, reason=f"approved{note_of(standing)} (request {standing.id})")


def _origin(program: str, event: Event) -> dict[str, str]:
    """Return where the request comes from, as the program says, within what the server takes."""
    named = {"program": program, "session": event.session, "model": model_of(event), "tool": event.tool}
    return {name: word[:200] for name, word in named.items() if word}


def _refusal(standing: Standing) -> str:
    if standing.state == "denied":
        return f"denied{note_of(standing)} (request {standing.id})"
    if standing.state == "expired":
        return f"nobody decided in time (request {standing.id}); ask again or do something else"
    return f"the request {standing.id} is {standing.state}; the call is blocked"


def _answer(program: str, event: Event, verdict: _Verdict) -> int:
    """Write the answer as the program wants it."""
    reason = f"Failgate: {verdict.reason}"
    if event.name == "PermissionRequest":
        decision: dict[str, str] = (
            {"behavior": "allow"}
            if verdict.is_allowed
            else {
                "behavior": "deny",
                "message": reason,
            }
        )
        return _write({"hookEventName": event.name, "decision": decision})
    if verdict.is_allowed and program == "codex":
        return 0  # it knows no "allow" of a hook and takes silence for one
    return _write(
        {
            "hookEventName": event.name,
            "permissionDecision": "allow" if verdict.is_allowed else "deny",
            "permissionDecisionReason": reason,
        }
    )


def _write(output: dict[str, object]) -> int:
    text = canonical({"hookSpecificOutput": output}) + b"\n"
    while text:
        text = text[os.write(1, text) :]
    return 0


def _options_of(arguments: Sequence[str]) -> _Options | None:
    rest = list(arguments)
    if not rest or rest[0] in ("-h", "--help"):
        return None
    program = rest.pop(0)
    if program not in PROGRAMS:
        raise BadInput(f"There is no hook for {program!a}.", hint=f"There are {' and '.join(PROGRAMS)}.")
    options = _Options(program, WAIT_SECONDS, None, None)
    while rest:
        name, sign, value = rest.pop(0).partition("=")
        if name not in ("--wait", "--server", "--home") or (not sign and not rest):
            raise BadInput(f"failgate hook has no option {name!a}.", hint="See: failgate hook --help")
        value = value if sign else rest.pop(0)
        if name == "--wait":
            options = options._replace(wait_seconds=parse_seconds(value, name))
        elif name == "--home":
            options = options._replace(home=value)
        else:
            options = options._replace(server=str(parse_address(value)))
    return options


def _block(reason: str) -> int:
    """Say why, never nothing: an empty reason would not block."""
    try:
        sys.stderr.write(f"failgate: {reason or 'the hook failed'}; the call is blocked\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
    return _BLOCKED
