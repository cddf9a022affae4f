"""The options of `failgate run`, read without a library: its start-up is what an agent waits for."""

from __future__ import annotations

from failgate.base.errors import BadInput
from failgate.base.quick import NamedTuple

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """Usage: failgate run [--reason T] [--ttl 60s] [--env NAME]... [--stdin] [--no-capture] [--json]
                    [--accept-edits] [--edited ID] -- CMD ...

Ask for CMD, wait for the verdict, verify it and execute once, without a shell.

  --reason T    why, for the reviewers (they see that it is your text)
  --ttl 60s     how long the request may wait: 30s, 15m, 2h (default: the workspace's, 60s)
  --env NAME    pass this variable on too; reviewers see its value (repeatable)
  --stdin       read standard input before asking, at most 16 MiB; its digest is part of what is approved
  --no-capture  keep no report when CMD fails
  --accept-edits  when a reviewer approves CMD with other arguments, run that (also: accept_edits in client.toml)
  --edited ID   CMD is what a reviewer made of an earlier request: use the approval of the request ID for it
  --json        messages on stderr as JSON lines
  --message-fd N  messages as JSON lines on this descriptor; when its reader is gone, the request is withdrawn

CMD gets the variables that the reviewers see and no others: PATH, HOME, LANG, TERM, USER, CI and the like, and --env.
Exit codes: CMD's own; with nothing executed 77 denied, 75 expired, 69 server unreachable, 76 verdict could not be
verified, 78 configuration, 130 withdrawn by Ctrl-C, 127 no such program, 126 not executable.
"""
_FLAGS = ("--no-capture", "--json", "--stdin", "--accept-edits")
_VALUES = ("--reason", "--ttl", "--env", "--edited", "--message-fd")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Options(NamedTuple):
    """What was asked on the command line."""

    argv: list[str]
    reason: str | None = None
    ttl_seconds: int | None = None
    env: tuple[str, ...] = ()
    is_captured: bool = True
    is_json: bool = False
    message_fd: int | None = None
    is_input_held: bool = False
    accepts_edits: bool = False
    edited: str | None = None


def parse_options(arguments: Sequence[str]) -> Options | None:
    """Return the options; None when help was asked for. What follows `--` (or the first word) is the command.

    Raises: BadInput.
    """
    options = Options([])
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        name, sign, value = rest.pop(0).partition("=")
        if name in ("-h", "--help"):
            return None
        if name in _FLAGS and not sign:
            options = _flagged(options, name)
            continue
        if name not in _VALUES:
            raise BadInput(f"failgate run has no option {name!a}.", hint=_nearest(name))
        if not sign:
            if not rest:
                raise BadInput(f"{name} needs a value.", hint="See: failgate run --help")
            value = rest.pop(0)
        options = _with(options, name, value)
    if rest[:1] == ["--"]:
        rest.pop(0)
    if not rest:
        raise BadInput("There is no command to run.", hint="Write it after --: failgate run -- CMD")
    return options._replace(argv=rest)


def _flagged(options: Options, name: str) -> Options:
    if name == "--accept-edits":
        return options._replace(accepts_edits=True)
    if name == "--stdin":
        return options._replace(is_input_held=True)
    return options._replace(is_captured=False) if name == "--no-capture" else options._replace(is_json=True)


def _with(options: Options, name: str, value: str) -> Options:
    if name == "--reason":
        return options._replace(reason=value)
    if name == "--env":
        return options._replace(env=(*options.env, value))
    if name == "--edited":
        if len(value) != 36 or not set(value) <= set("0123456789abcdef-"):
            raise BadInput("--edited is no id of a request.", hint="Take it from the message of the denial.")
        return options._replace(edited=value)
    if name == "--message-fd":
        if not (value.isdecimal() and value.isascii() and 2 < int(value) < 1 << 20):
            raise BadInput(f"--message-fd is {value!a}, which is no descriptor above 2.")
        return options._replace(message_fd=int(value))
    return options._replace(ttl_seconds=parse_seconds(value))


def parse_seconds(text: str, option: str = "--ttl") -> int:
    """Return the seconds of `90`, `60s`, `15m`, `2h` or `1d`, the value of `option`.

    Raises: BadInput (another form, or not between 1 second and 24 hours).
    """
    unit = _UNITS.get(text[-1:], 0)
    digits = text[:-1] if unit else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 8):
        raise BadInput(f"{option} is {text!a}, which is no duration.", hint="Write it like 60s, 15m or 2h.")
    seconds = int(digits) * (unit or 1)
    if not 1 <= seconds <= 86400:
        raise BadInput(f"{option} is {text!a}; it lies between 1s and 24h.")
    return seconds


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, (*_VALUES, "--help", *_FLAGS), n=1)
    return f"Did you mean {near[0]}?" if near else "See: failgate run --help"
