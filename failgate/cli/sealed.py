"""Commands about what is sealed and signed end to end."""

from pathlib import Path

import click

from failgate.base.errors import BadInput

LARGEST_FILE = 64 * 1024 * 1024


@click.group()
def sealed() -> None:
    """Check what is sealed and signed end to end."""


@sealed.command()
@click.option("--json", "is_json", is_flag=True, help="Print a list of {case, expected, accepted, reason}.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def vectors(file: Path, is_json: bool) -> int:
    """Print the verdict on each test vector of FILE, which docs/sealed.md describes.

    Exit code 0 when every verdict is the expected one, 1 when one is not, 2 when FILE cannot be read.
    """
    from failgate.sealed.vectors import judge

    verdicts = list(judge(_read(file)))
    wrong = sum(one.accepted != one.expected for one in verdicts)
    if is_json:
        from failgate.cli.printing import print_json

        print_json([one._asdict() for one in verdicts])
    else:
        for one in verdicts:
            mark = "ok    " if one.accepted == one.expected else "WRONG "
            click.echo(f"{mark}{'accepted' if one.accepted else f'refused: {one.reason}':32} {one.case!a}"[:160])
        click.echo(f"{len(verdicts)} vectors, {wrong} verdicts are not the expected ones.")
    return 1 if wrong else 0


def _read(file: Path) -> object:
    """Return the JSON value in `file`.

    Raises: BadInput (it cannot be read, is larger than 64 MiB, or holds no JSON), naming the line.
    """
    import json

    try:
        with file.open("rb") as source:
            content = source.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise BadInput(f"{file} is larger than 64 MiB.", hint="Split the vectors into several files.")
        value: object = json.loads(content.decode())
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}.") from error
    except json.JSONDecodeError as error:
        raise BadInput(f"{file}:{error.lineno}: no JSON: {error.msg}.", hint="Give a file of test vectors.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file} holds no JSON text in UTF-8.", hint="Give a file of test vectors.") from error
    return value
