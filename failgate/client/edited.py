"""The form in which reviewers approve a command instead: what they made of it, and the call that it then is.

Nothing of that runs unless who asked agrees: by `--accept-edits` or `accept_edits`, or by asking for that very form
with `--edited`. Program, folder, environment and input stay as asked; programs that a line names have to be attested.
"""

from __future__ import annotations

from failgate.base.canonical import digest_of
from failgate.base.quick import NamedTuple
from failgate.client.exits import Unverified
from failgate.client.messages import inert
from failgate.client.operand import script_of
from failgate.client.search import programs_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from failgate.client.command import Call
    from failgate.client.verdict import Standing

MOST_EDITS = 8  # of one command, one after the other


class Edited(NamedTuple):
    """The request for the edited command: its id, the digest of its call, its arguments."""

    id: str
    digest: str
    argv: list[str]


def edited_of(standing: Standing) -> Edited | None:
    """Return what reviewers made of the command that they denied; None when they made nothing of it."""
    found: Any = (standing.verdict or {}).get("edited")
    if standing.state != "denied" or not isinstance(found, dict):
        return None
    number, digest, argv = (found.get(name) for name in ("id", "digest", "argv"))
    if not isinstance(number, str) or not set(number) <= set("0123456789abcdef-") or not isinstance(digest, str):
        return None
    if not isinstance(argv, list) or not argv or not all(isinstance(token, str) for token in argv):
        return None
    return Edited(number, digest, argv)


def shown(argv: Sequence[str]) -> str:
    """Return `argv` as one writes it in a shell, as inert text."""
    from shlex import join

    return inert(join(argv))


def edited_call(call: Call, edited: Edited) -> Call:
    """Return `call` with the arguments of the edit, of the same open program and folder.

    Raises: Unverified (another program, a line that names programs which were not attested, another digest than told).
    """
    if edited.argv[0] != call.argv[0]:
        raise Unverified("The edited command names another program.", hint="Nothing was executed.")
    made = _with_programs(call, call.command | {"argv": edited.argv}, call.command["programs"])
    if made.digest != edited.digest:
        raise Unverified("The edited command is another one than the server says.", hint="Nothing was executed.")
    return made


def resumed_call(call: Call, view: Mapping[str, Any]) -> Call:
    """Return `call` as the very call that `view`, the request for an edited command, is about.

    Raises: Unverified (it is no edit, or of another call: arguments, folder, environment or program differ).
    """
    asked = view.get("command")
    if not isinstance(view.get("edits"), str) or not isinstance(asked, dict):
        raise Unverified("That request is for no edited command.", hint="Ask for the command without --edited.")
    programs, nonce = asked.get("programs"), asked.get("nonce")
    if not isinstance(programs, dict) or not isinstance(nonce, str):
        raise Unverified("That request was made by another kind of client.", hint="Ask without --edited.")
    if isinstance(asked.get("stdin_sha256"), str) and "stdin_sha256" not in call.command:
        raise Unverified("That request has an input.", hint="Give the same input, with --stdin.")
    made = _with_programs(call, call.command | {"nonce": nonce}, programs)
    if made.digest != view.get("digest"):
        differing = sorted(name for name in {*asked, *made.command} if asked.get(name) != made.command.get(name))
        raise Unverified(
            f"The command is not the one that was approved; it differs in: {inert(', '.join(differing)[:200])}.",
            hint="Write the command as it was told, in the same folder and environment, or ask without --edited.",
        )
    return made


def _with_programs(call: Call, command: dict[str, Any], attested: Mapping[str, Any]) -> Call:
    """Return the call of `command`, whose programs are those of `attested`, all that its line names among them."""
    argv, cwd, path = command["argv"], command["cwd"], command["env"].get("PATH", "")
    if script_of(argv, cwd, path) != command.get("script"):
        raise Unverified(
            "The edited command runs a script that was not attested when it was asked.",
            hint="Ask for that command anew.",
        )
    found = programs_of(argv, cwd, path)
    for name, facts in found.items():
        if attested.get(name) != facts:
            raise Unverified(
                f"The edited line starts {inert(name[:80])!r}, whose file was not attested when it was asked.",
                hint="Ask for that command anew.",
            )
    command = command | {"programs": attested}
    return call._replace(command=command, digest=digest_of(command), programs=found)
