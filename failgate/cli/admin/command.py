"""The shape of every command here: its options are the arguments of one verb, and the verb's answer is printed.

The rooms beside this module say which commands there are.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from failgate.base.errors import BadInput
from failgate.cli.control import carry_out
from failgate.cli.server import config_option, data_option, run_loop

Request = tuple[str, dict[str, Any]]
"""A verb's name and its arguments."""


def read_password() -> str:
    """Return the password on standard input, without the newline at its end."""
    text = sys.stdin.read()
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise BadInput("Standard input holds no password.", hint="printf %s PASSWORD | failgate admin …")
    return password


def _when_given(_context: click.Context, _parameter: click.Parameter, is_given: bool) -> str | None:
    return read_password() if is_given else None


def _for_a_dash(_context: click.Context, _parameter: click.Parameter, word: str) -> str:
    return read_password() if word == "-" else word


EMAIL = click.Option(["--email"], required=True)
CONNECTION = click.Option(["--connection"], required=True, help="The connection's short name.")
WORKSPACE = click.Option(["--workspace"], required=True, help="The workspace's slug.")
ROLE = click.Option(["--role"], required=True, help="owner, admin, reviewer, developer or auditor.")
TOKEN = click.Argument(["token"], metavar="ID", callback=_for_a_dash)
PASSWORD = click.Option(
    ["--password-stdin", "password"],
    is_flag=True,
    required=True,
    callback=_when_given,
    help="Read the password from standard input.",
)


class Room(click.Group):
    """The commands about one kind of thing, each of which carries out the verb of both names."""

    def __init__(self, name: str, says: str) -> None:
        super().__init__(name, help=says)
        self._thing = name

    def add(self, name: str, says: str, *parameters: click.Parameter, **more: Any) -> None:
        """Add the command `name`, which hands its `parameters` to the verb `<room>.<name>` as they are named.

        `more` is what click takes besides.
        """
        verb = f"{self._thing}.{name}".replace("-", "_")
        self.add_command(command(name, says, *parameters, request=as_they_are(verb), **more))


def as_they_are(verb: str) -> Callable[..., Request]:
    """Return what asks for `verb` with a command's options as its arguments."""

    def request(**options: Any) -> Request:
        return verb, options

    return request


def command(
    name: str, says: str, *parameters: click.Parameter, request: Callable[..., Request], **more: Any
) -> click.Command:
    """Return the command that carries out what `request` makes of the values of `parameters`, and prints the answer."""

    def carried_out(*, as_json: bool, data: Path, config_path: Path | None, **options: Any) -> None:
        verb, arguments = request(**options)
        answer = run_loop(carry_out(verb, arguments, data, config_path))
        if as_json:
            print(json.dumps(answer))
            return
        for member, value in answer.items():
            print_one(member, value)

    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print the answer as a JSON object.")
    made = click.Command(name, params=[*parameters, as_json], callback=carried_out, help=says, **more)
    return config_option(data_option(made))


def print_one(name: str, value: Any) -> None:
    """Print a member of the answer; a list with one line for each of its things."""
    if not isinstance(value, list):
        print(f"{name}: {value}")
        return
    for each in cast("list[dict[str, Any] | str]", value):
        facts = each if isinstance(each, dict) else {name: each}
        print("  ".join(f"{key}={fact}" for key, fact in facts.items() if fact is not None))
