"""`failgate audit witness`: have somebody else cosign the head of a log. Source: C2SP tlog-witness, add-checkpoint."""

import http.client
import ssl
import sys
from base64 import b64encode
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from failgate.base.errors import BadInput, StorageUnavailable
from failgate.cli.audit_export import must_be_free, opened, put_in_place, workspace_option, write_new
from failgate.cli.server import config_option, data_option, run_loop

CONTRADICTED = 1
SECONDS = 30.0
_MOST_BYTES = 64 * 1024
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Contradicted(Exception):
    """The witness cosigned a head before that this log does not continue."""


class Answer(NamedTuple):
    """What the witness said."""

    status: int
    body: str


@click.command()
@workspace_option
@click.option("--url", required=True, help="The witness's submission prefix: https, or http on this machine.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="A file for the cosigned checkpoint.")
@data_option
@config_option
def witness(workspace: str, url: str, output: Path, data: Path, config_path: Path | None) -> None:
    """Have a witness cosign the newest checkpoint. Exit 1: it saw another history of this log."""
    must_be_free(output)
    place = _place_of(url)
    try:
        note = run_loop(_cosigned(workspace, place, data, config_path))
    except Contradicted as error:
        print(f"failgate: {error}", file=sys.stderr)
        sys.exit(CONTRADICTED)
    with put_in_place(output) as fresh:
        write_new(fresh, note.encode())
    print(f"The checkpoint of {workspace} in {output}; prove it with: failgate-verify policy {output}")


async def _cosigned(workspace: str, place: "_Place", data: Path, config_path: Path | None) -> str:
    """Return the note with the cosignature. Raises: Contradicted, StorageUnavailable."""
    from failgate.audit.checkpoint import read_unverified
    from failgate.audit.nodes import StoredTree
    from failgate.audit.stored import read_head

    async with opened(workspace, data, config_path) as (database, _, head):
        size, old, stored = head.checkpoint.size, 0, await read_head(database, head.log)
        answer = place.submit(f"old 0\n\n{head.note}".encode())
        for _attempt in range(2):  # the first answer tells what the witness knows; it may learn more meanwhile
            if answer.status != http.HTTPStatus.CONFLICT:
                break
            known = _size_in(answer.body)
            if known > size or known == old == size:
                raise Contradicted(_another(f"it cosigned {known} records, and this log has {size}", head.log))
            old = known
            hashes = [] if stored is None else await StoredTree(database).consistency(stored.number, old, size)
            lines = "".join(f"{b64encode(element).decode('ascii')}\n" for element in hashes)
            answer = place.submit(f"old {old}\n{lines}\n{head.note}".encode())
        if answer.status == http.HTTPStatus.CONFLICT and _size_in(answer.body) == old == size:
            raise Contradicted(_another(f"it cosigned another root of these {size} records", head.log))
        if answer.status == http.HTTPStatus.OK:
            note = head.note + answer.body
            read_unverified(note)  # refuses what is no signature line
            return note
    if answer.status == http.HTTPStatus.UNPROCESSABLE_ENTITY:
        raise Contradicted(_another(f"the {old} records that it cosigned are not the first ones here", head.log))
    raise StorageUnavailable(
        f"The witness did not cosign: {answer.status} {answer.body[:120]!a}.",
        hint="403, 404: its operator has to trust this log's key, in `vkey` of an export.",
    )


def _another(why: str, log: str) -> str:
    mend = "Run `failgate audit verify`, and keep both checkpoints."
    return f"The witness saw another history of the log {log}: {why}. {mend}"


class _Place(NamedTuple):
    """Where a witness answers."""

    is_tls: bool
    host: str
    port: int | None
    path: str

    def submit(self, body: bytes) -> Answer:
        """Send a submission. Raises: StorageUnavailable (no answer, or one that is none of a witness)."""
        kind = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=SECONDS)
        try:
            connection.request("POST", f"{self.path}/add-checkpoint", body, {"content-type": "text/plain"})
            answer = connection.getresponse()
            text = answer.read(_MOST_BYTES).decode()
        except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
            why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error
            raise StorageUnavailable(
                f"The witness {self.host} does not answer: {why}.", hint="Ask again later."
            ) from None
        finally:
            connection.close()
        return Answer(answer.status, text)


def _place_of(url: str) -> _Place:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or ""
    is_known = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not (is_known and host and not parts.query and not parts.fragment and parts.username is None):
        raise BadInput(f"--url {url[:200]!a} is no witness's.", hint="Write https://witness.example/path.")
    return _Place(parts.scheme == "https", host, port, parts.path.rstrip("/"))


def _size_in(body: str) -> int:
    text = body.removesuffix("\n")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise StorageUnavailable("The witness named no size.", hint="Is this a witness's address?")
    return int(text)
