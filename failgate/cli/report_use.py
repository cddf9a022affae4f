"""What is done with a report that exists: replay it, hand its context to a program."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from failgate.cli.printing import root_option

if TYPE_CHECKING:
    from failgate.client.replay import Wish
    from failgate.client.report_folder import LocalReport


@click.command()
@root_option
@click.option(
    "--repository",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Repository that has the commit (default: the one around --root).",
)
@click.option("--into", type=click.Path(path_type=Path), help="Make the tree in this new folder, and keep it.")
@click.option("--in-place", is_flag=True, help="Run in the checkout as it is; make no tree.")
@click.option("--keep", is_flag=True, help="Keep the tree.")
@click.option("--allow-redacted", is_flag=True, help="Run although secrets were redacted in argv or changes.")
@click.option("--json", "is_json", is_flag=True, help="Print an object; the command's output goes to stderr.")
@click.option("--remote", is_flag=True, help="As it is on the server: download and verify what a replay needs.")
@click.argument("name", default="latest")
def replay(
    root: Path,
    repository: Path | None,
    into: Path | None,
    in_place: bool,
    keep: bool,
    allow_redacted: bool,
    is_json: bool,
    remote: bool,
    name: str,
) -> int:
    """Run what failed in report NAME again, at its commit with its changes.

    Exit codes: 0 reproduced, 3 different, 4 passed; 65 it cannot be replayed; with nothing executed those of run.
    """
    from failgate.client.messages import Messages, inert
    from failgate.client.replay import Wish, document, replay

    if in_place and (into is not None or keep):
        raise click.UsageError("--in-place makes no tree: leave out --into and --keep.")
    messages = Messages(is_json=is_json)
    answers = os.dup(1)
    if is_json:
        sys.stdout.flush()
        os.dup2(2, 1)
    wish = Wish((repository or root).resolve(), into.absolute() if into else None, in_place, keep, allow_redacted)
    with _report(root, name, wish, is_remote=remote, is_silent=is_json) as report:
        done = replay(report, wish, messages)
    if is_json:
        import json

        os.write(answers, json.dumps(document(report, done)).encode() + b"\n")
    elif done.verdict is not None:
        click.echo(f"failgate: {done.verdict}", err=True)
        for line in done.differences():
            click.echo(f"failgate:   {inert(line)}", err=True)
    return done.exit_code


@click.command()
@root_option
@click.option("--budget", default="8k", show_default=True, help="At most this many tokens, four bytes each.")
@click.option("--remote", is_flag=True, help="As it is on the server, also when it is here.")
@click.argument("name", default="latest")
def context(root: Path, budget: str, remote: bool, name: str) -> None:
    """Print report NAME, of this folder or of the server, as Markdown for a program to read."""
    from failgate.client.briefing import briefing, parse_tokens

    click.echo(briefing(root, name, parse_tokens(budget), is_remote=remote), nl=False)


@contextmanager
def _report(root: Path, name: str, wish: "Wish", *, is_remote: bool, is_silent: bool) -> Iterator["LocalReport"]:
    """Give report `name`: of this folder, or of the server with what a replay as wished needs of it."""
    if not is_remote:
        from failgate.client.report_folder import open_report

        yield open_report(root, name)
        return
    from failgate.client.download import Need, downloaded
    from failgate.client.http import Api
    from failgate.client.remote import known_of
    from failgate.client.settings import load_settings

    known = known_of(root, name)
    with Api(load_settings(os.environ)) as api:
        folder = downloaded(api, known, Need(wish.here, is_in_place=wish.is_in_place), is_silent=is_silent)
        with folder as report:
            api.close()  # the replay may take long, and speaks to the gate on a connection of its own
            yield report
