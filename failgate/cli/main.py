"""The `failgate` command: `run` straight away, everything else through click, loaded when it is called."""

import os
import sys
from collections.abc import Sequence

FAST = {"run": "failgate.client.run", "hook": "failgate.client.hooks.hook"}
"""Commands that an agent waits for: a module with `main(arguments) -> exit code`, without click."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line `arguments` (default: this process's); return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        _open_closed()
    code = _carry_out(words)
    return 2 if words[:1] == ["hook"] and code != 0 else code  # any other code lets the call of an agent through


def _carry_out(words: list[str]) -> int:
    try:
        if words and words[0] in FAST:
            from importlib import import_module

            code: int = import_module(FAST[words[0]]).main(words[1:])
            return code
        from failgate.cli.commands import carry_out

        return carry_out(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 141  # 128 + SIGPIPE, as other programs end when their reader is gone
    except FileNotFoundError as missing:
        if _is_here():
            _tell(missing)
        else:
            sys.stderr.write(
                "failgate: The folder in which this was started is gone. Change to a folder that exists: cd ~\n"
            )
        return 1
    except Exception as crash:  # noqa: BLE001 - the interpreter would print it with the secrets that its text may hold
        _tell(crash)
        return 1


def _open_closed() -> None:
    """Open on nothing what of standard input, output and error is closed, for us and for the commands that we start.

    The next file that is opened would take its number and be read or written in its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # noqa: FBT003  # takes no keyword
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _is_here() -> bool:
    """Tell whether the current folder is still there; one that was removed has no path any more."""
    from pathlib import Path

    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _tell(crash: Exception) -> None:
    """Print the traceback of `crash` as the interpreter does, without secrets."""
    from traceback import format_exception

    from failgate.redaction import without_secrets

    sys.stderr.write(without_secrets("".join(format_exception(crash))))


def _silence_stdout() -> None:
    """Let the last flush of the interpreter go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
