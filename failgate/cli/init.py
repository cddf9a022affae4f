"""`failgate init`: a commented config for a server, or our hooks in the settings of an agent program."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from failgate.base.errors import BadInput, StartRefused

if TYPE_CHECKING:
    from failgate.client.hooks.configuration import Program, Scope

_PROGRAMS: "dict[str, Program]" = {"claude-code": "claude-code", "codex": "codex"}
_DEFAULT_CONFIG = "failgate.toml"


@click.command()
@click.option("--force", is_flag=True, help="Replace a config file that is there.")
@click.option("--scope", type=click.Choice(("user", "project", "local")), help="Which settings of the agent program.")
@click.option("--wait", help="How long a call may wait for its reviewers.  [default: 570s]")
@click.option("--print", "is_printed", is_flag=True, help="Print what would be written; write nothing.")
@click.option("--remove", is_flag=True, help="Take our hooks out of the settings.")
@click.argument("what", default=_DEFAULT_CONFIG)
def init(what: str, force: bool, scope: str | None, wait: str | None, is_printed: bool, remove: bool) -> None:
    """Write a commented config file to WHAT; or, for claude-code and codex, our hooks into their settings."""
    program = _PROGRAMS.get(what)
    if program is not None:
        if force:
            raise BadInput("--force is for a config file.", hint="Hooks replace earlier ones of ours anyway.")
        _hooks(program, cast("Scope", scope or "user"), wait, is_printed=is_printed, remove=remove)
        return
    if scope or wait or remove:
        raise BadInput(
            "--scope, --wait and --remove are for an agent program.", hint=f"Name one: {', '.join(_PROGRAMS)}."
        )
    _config(Path(what), is_printed=is_printed, force=force)


def _config(path: Path, *, is_printed: bool, force: bool) -> None:
    from failgate.base.migrate import shipped

    text = shipped("config/failgate.toml").read_text(encoding="utf-8")
    if is_printed:
        print(text, end="")
        return
    if path.exists() and not force:
        raise StartRefused(f"{path} is there already.", hint="Use --force to replace it.")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StartRefused(f"{path} cannot be written: {error.strerror}.", hint="Choose another path.") from error
    print(f"failgate: wrote {path}; every setting in it shows its default.")


def _hooks(program: "Program", scope: "Scope", wait: str | None, *, is_printed: bool, remove: bool) -> None:
    from failgate.client.address import parse_address
    from failgate.client.hooks.configuration import settings_path, with_hooks, without_hooks
    from failgate.client.hooks.hook import MARGIN_SECONDS, WAIT_SECONDS
    from failgate.client.hooks.settings_file import read_settings, replace_settings, text_of
    from failgate.client.options import parse_seconds
    from failgate.client.settings import load_settings

    wait_seconds = parse_seconds(wait, "--wait") if wait else WAIT_SECONDS
    path = settings_path(program, scope, Path.cwd())
    before = read_settings(path)
    settings = load_settings(os.environ)
    server = str(parse_address(settings.url))
    after = without_hooks(before) if remove else with_hooks(before, program, wait_seconds, server, settings.folder)
    if is_printed:
        print(text_of(after), end="")
        return
    if after == before:
        print(
            f"failgate: {path} {'has no hook of ours' if remove else 'has these hooks already'}; nothing was changed."
        )
        return
    backup = replace_settings(path, after)
    print(f"failgate: {'took our hooks out of' if remove else 'wrote our hooks into'} {path}.")
    if backup is not None:
        print(f"failgate: what was there before: {backup}")
    if not remove:
        print(f"failgate: only the word of {server} counts; another server: sign in there, then init once more.")
        print(f"failgate: a call waits up to {wait_seconds} s, the program {wait_seconds + MARGIN_SECONDS} s.")
        print("failgate: prove that it blocks when it is broken: failgate doctor --hooks")
    if program == "codex" and not remove:
        print("failgate: Codex asks you to trust new hooks: open /hooks in it once.")
