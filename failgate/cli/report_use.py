"""What is done with a report that exists: replay it, hand its context to a program."""

import os
import sys
from pathlib import Path

import click

from failgate.cli.printing import root_option


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
@click.argument("name", default="latest")
def replay(
    root: Path,
    repository: Path | None,
    into: Path | None,
    in_place: bool,
    keep: bool,
    allow_redacted: bool,
    is_json: bool,
    name: str,
) -> int:
    """Run what failed in report NAME again, at its commit with its changes.

    Exit codes: 0 reproduced, 3 different, 4 passed; 65 it cannot be replayed; with nothing executed those of run.
    """
    from failgate.client.messages import Messages, inert
    from failgate.client.replay import Wish, document, replay
    from failgate.client.report_folder import open_report

    if in_place and (into is not None or keep):
        raise click.UsageError("--in-place makes no tree: leave out --into and --keep.")
    messages = Messages(is_json=is_json)
    answers = os.dup(1)
    if is_json:
        sys.stdout.flush()
        os.dup2(2, 1)
    report = open_report(root, name)
    wish = Wish((repository or root).resolve(), into.absolute() if into else None, in_place, keep, allow_redacted)
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
@click.argument("name", default="latest")
def context(root: Path, budget: str, name: str) -> None:
    """Print report NAME, of this folder or of the server, as Markdown for a program to read."""
    from failgate.client.briefing import briefing, parse_tokens

    click.echo(briefing(root, name, parse_tokens(budget)), nl=False)
