"""What commands of the client share: where a folder's reports lie, how they print."""

from pathlib import Path

import click

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder that holds .failgate (default: here).",
)


def say(*sentences: str) -> None:
    """Write sentences to stderr, each a line."""
    for sentence in sentences:
        click.echo(f"failgate: {sentence}", err=True)


def print_json(value: object) -> None:
    """Write `value` to stdout."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False))
