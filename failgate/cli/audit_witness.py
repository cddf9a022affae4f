"""`failgate audit witness`: have somebody else cosign the head of a log, by the same code as the server does itself."""

import sys
from pathlib import Path

import click

from failgate.base.errors import BadInput
from failgate.cli.audit_export import must_be_free, opened, put_in_place, workspace_option, write_new
from failgate.cli.server import config_option, data_option, read_config, run_loop
from failgate.config.addresses import check_witness_key, check_witness_url

CONTRADICTED = 1
SECONDS = 30.0


@click.command()
@workspace_option
@click.option("--url", required=True, help="The witness's submission prefix: https, or http on this machine.")
@click.option("--vkey", help="The witness's key: then its cosignature is verified before it is kept.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="A file for the cosigned checkpoint.")
@data_option
@config_option
def witness(workspace: str, url: str, vkey: str | None, output: Path, data: Path, config_path: Path | None) -> None:
    """Have a witness cosign the newest checkpoint. Exit 1: it saw another history of this log."""
    from failgate.audit.submitting import Contradicted

    must_be_free(output)
    _check(url, vkey)
    try:
        note = run_loop(_cosigned(workspace, url, vkey, data, config_path))
    except Contradicted as error:
        print(f"failgate: {error.sentence} {error.hint}", file=sys.stderr)
        sys.exit(CONTRADICTED)
    with put_in_place(output) as fresh:
        write_new(fresh, note.encode())
    print(f"The checkpoint of {workspace} in {output}; prove it with: failgate-verify policy {output}")


async def _cosigned(workspace: str, url: str, vkey: str | None, data: Path, config_path: Path | None) -> str:
    """Return the note with the cosignature. Raises: Contradicted, WitnessFailed, NoteRejected."""
    from urllib.parse import urlsplit

    from failgate.audit.checkpoint import signature_lines
    from failgate.audit.cosigning import cosignature_in, witness_key
    from failgate.audit.nodes import StoredTree
    from failgate.audit.stored import read_head
    from failgate.audit.submitting import asking, submit
    from failgate.base.outbound import Outbound

    server = read_config(config_path).server
    outbound = Outbound(allow_loopback=True, networks=server.outbound_networks, hosts=(urlsplit(url).hostname or "",))
    async with opened(workspace, data, config_path) as (database, _, head):
        stored = await read_head(database, head.log)

        async def prove(old: int) -> list[bytes]:
            assert stored is not None  # there is a proof only from a size to a larger one
            return await StoredTree(database).consistency(stored.number, old, head.checkpoint.size)

        lines = await submit(asking(outbound, url, seconds=SECONDS), head.note, prove)
    if vkey is not None:
        return head.note + cosignature_in(lines, head.note, witness_key(vkey)).line
    return head.note + "".join(line for line, *_ in signature_lines(lines))  # refuses what is no signature line


def _check(url: str, vkey: str | None) -> None:
    try:
        check_witness_url(url)
    except ValueError as error:
        raise BadInput(f"--url {url[:200]!a} {error}.", hint="Its operator knows it.") from None
    try:
        if vkey is not None:
            check_witness_key(vkey)
    except ValueError as error:
        raise BadInput(f"--vkey {vkey!a:.200} {error}.", hint="failgate-witness prints it.") from None
