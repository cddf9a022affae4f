"""After the call: the agent program says how the tool ended, and the server is told. Nothing is blocked any more."""

import os
import time

from failgate.base.errors import FailgateError
from failgate.client.asking import tell_outcome
from failgate.client.exits import INTERRUPTED
from failgate.client.hooks.event import Event
from failgate.client.hooks.remembered import take
from failgate.client.http import Api
from failgate.client.messages import Messages, inert
from failgate.client.settings import load_settings

_CODES = ("exit_code", "exitCode", "returnCode", "code")
_WORDS = ("exit code ", "status code ", "exit status ", "exited with code ", "status ")
_LARGEST_CODE = 255


def tell(program: str, event: Event) -> int:
    """Tell the server how the call of `event` ended, when a hook asked for it; return 0: it has happened already."""
    messages = Messages()
    try:
        settings = load_settings(os.environ)
        used = take(settings.folder, program, event)
        exit_code = exit_code_of(event)
        if used is None or exit_code is None:
            return 0
        outcome = {
            "digest": used.digest,
            "exit_code": exit_code,
            "duration_ms": _duration_ms(event, used.at),
            "signal": None,
        }
        with Api(settings) as api:
            tell_outcome(api, messages, used.route, outcome)
    except FailgateError as error:
        messages.say("outcome-failed", f"the outcome could not be told: {inert(str(error))}")
    return 0


def exit_code_of(event: Event) -> int | None:
    """Return the exit code that the program says or implies; None when the tool goes on in the background.

    A program that tells of a failure without a number means 1.
    """
    told = event.raw.get("tool_response")
    if event.raw.get("is_interrupt") is True or (isinstance(told, dict) and told.get("interrupted") is True):
        return INTERRUPTED
    if isinstance(told, dict):
        if told.get("backgroundTaskId") or told.get("background_task_id"):
            return None
        for name in _CODES:
            code = told.get(name)
            if isinstance(code, int) and not isinstance(code, bool):
                return code if 0 <= code <= _LARGEST_CODE else 1
    if event.name == "PostToolUse":
        return 0
    error = event.raw.get("error")
    return _named_code(error if isinstance(error, str) else "")


def _named_code(text: str) -> int:
    lower = text[:2000].lower()
    for word in _WORDS:
        digits = lower.partition(word)[2].lstrip(": ")[:4]
        number = ""
        for sign in digits:
            if not sign.isdigit():
                break
            number += sign
        if number and 0 < int(number) <= _LARGEST_CODE:
            return int(number)
    return 1


def _duration_ms(event: Event, began: float) -> int:
    told = event.raw.get("duration_ms")
    if isinstance(told, int) and not isinstance(told, bool) and told >= 0:
        return told
    return max(0, round((time.time() - began) * 1000))
