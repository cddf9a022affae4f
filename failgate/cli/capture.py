"""The command that keeps what fails."""

import os
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from failgate.client.execution import Way

_REST = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings=_REST)
@click.option("--pty", "way", flag_value="terminal", help="Give the command a pseudo-terminal.")
@click.option("--pipes", "way", flag_value="pipes", help="Give it pipes. Without both: as our own output is.")
@click.option("--file", "files", multiple=True, metavar="PATTERN", help="Keep these files too, as 'logs/*.log'.")
@click.option("--binary-files", is_flag=True, help="Keep binary files among them, not only their digests.")
@click.option("--snapshot", is_flag=True, help="Keep the source tree, without what git ignores.")
@click.option("--bundle", is_flag=True, help="Keep the history as a git bundle. The rules cannot look into it.")
@click.option("--project", metavar="NAME", help="Project of the report (default: the repository's folder).")
@click.option("--project-version", metavar="TEXT", help="Version of the project.")
@click.option("--json", "is_json", is_flag=True, help="Messages on stderr as JSON lines.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def capture(
    argv: tuple[str, ...],
    way: str | None,
    files: tuple[str, ...],
    project: str | None,
    project_version: str | None,
    binary_files: bool,
    snapshot: bool,
    bundle: bool,
    is_json: bool,
) -> int:
    """Run ARGV; when it fails, keep a redacted report under .failgate/reports. No server is needed."""
    from failgate.client.capture import capture_command
    from failgate.client.capture_settings import read_wishes
    from failgate.client.messages import Messages
    from failgate.client.patterns import parse_pattern
    from failgate.client.settings import capture_table

    kept = read_wishes(capture_table(os.environ))
    wishes = kept._replace(
        patterns=(*kept.patterns, *map(parse_pattern, files)),
        has_binary_files=kept.has_binary_files or binary_files,
        has_snapshot=kept.has_snapshot or snapshot,
        has_bundle=kept.has_bundle or bundle,
        project=project or kept.project,
        version=project_version,
    )
    chosen = {"terminal": "terminal", "pipes": "pipes"}.get(way or "", "auto")
    return capture_command(argv, Messages(is_json=is_json), wishes, cast("Way", chosen))
