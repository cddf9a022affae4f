"""Commands about what is sealed and signed end to end."""

from pathlib import Path

import click

from failgate.base.errors import BadInput

LARGEST_FILE = 64 * 1024 * 1024


@click.group()
def sealed() -> None:
    """What is sealed and signed end to end: an administrator's root and manifests, test vectors."""


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


@sealed.command()
@click.argument("file", type=click.Path(path_type=Path))
def root(file: Path) -> None:
    """Make a root key in FILE, with which an administrator signs manifests.

    Keep it off the server, and keep a copy: without it nothing follows the last manifest.
    """
    from failgate.client.administering import make_root
    from failgate.sealed.keys import safety_number

    made = make_root(file)
    click.echo(f"root    {made.key.jkt}\nnumber  {safety_number(made.key.jkt)}")


@sealed.command()
@click.option("--root", "file", required=True, type=click.Path(path_type=Path), help="The file of the root key.")
@click.option("--need", default=1, type=click.IntRange(1, 20), help="How many people have to approve.")
@click.option("--days", default=7, type=click.IntRange(1, 7), help="For how many days it is believed.")
@click.option("--yes", is_flag=True, help="Sign without asking: every number was compared.")
def manifest(file: Path, need: int, days: int, *, yes: bool) -> int:
    """Sign the next manifest: everybody who enrolled two keys reviews, every agent that enrolled one asks.

    Compare each number that is new with its person or machine, on another way than the server: what you sign is
    believed. The first manifest seals the workspace for good. It speaks by an administrator's API key (FAILGATE_TOKEN).
    """
    import os

    from failgate.client.administering import load_root, proposed, sign_and_hand_in
    from failgate.client.http import Api
    from failgate.client.messages import inert
    from failgate.client.review import ask
    from failgate.client.settings import load_settings
    from failgate.sealed.keys import safety_number

    kept = load_root(file)
    with Api(load_settings(os.environ)) as api:
        wish = proposed(api, kept, need=need, days=days)
        click.echo(f"epoch   {wish.payload['epoch']}, {len(wish.payload['members'])} people, {need} have to approve")
        for whose, purpose, jkt in wish.fresh:
            click.echo(f"new     {inert(whose)} {inert(purpose)}\n        {safety_number(jkt)}")
        if not yes and not ask("Sign this? Every number was compared"):
            click.echo("failgate: nothing was signed", err=True)
            return 1
        signed = sign_and_hand_in(api, kept, wish)
    click.echo(f"digest  {signed.digest}")
    return 0


@sealed.command()
@click.option("--root", "files", required=True, multiple=True, type=click.Path(path_type=Path),
              help="The file of a root key; once for each administrator who signs.")  # fmt: skip
@click.option("--days", default=7, type=click.IntRange(1, 7), help="For how many days it is believed.")
@click.option(
    "--body", required=True, type=click.Path(path_type=Path), help="Where to write what machines are brought."
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def rules(files: tuple[Path, ...], days: int, body: Path, file: Path) -> None:
    """Sign the rules in FILE, a list of {"id", "kind": "exact" or "prefix", "argv": […]}, in place of those before.

    The server is given their signed head alone. Bring the BODY to each machine: failgate agent rules BODY. An empty
    list takes all rules back. It speaks by an administrator's API key (FAILGATE_TOKEN).
    """
    import os

    from failgate.client.administering import load_root
    from failgate.client.http import Api
    from failgate.client.rule_signing import sign_rules
    from failgate.client.settings import load_settings

    roots = [load_root(one) for one in files]
    with Api(load_settings(os.environ)) as api:
        head = sign_rules(api, roots, _read(file), body, days=days)
    click.echo(f"epoch   {head.epoch}\nrules   {head.rules}\ndigest  {head.digest}")


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
