"""`failgate audit signer …`: the program that keeps the log's key, under an account and in a folder of its own."""

import os
import signal
import sys
from pathlib import Path

import click

from failgate.base.errors import BadInput, StorageUnavailable

folder_option = click.option(
    "--folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="The signer's own folder."
)


@click.group()
def signer() -> None:
    """Sign checkpoints in a process of its own, which refuses a fork and a shorter log."""


@signer.command()
@folder_option
@click.option(
    "--from",
    "data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data folder of a stopped server, whose key and last signed heads are copied.",
)
@click.option("--origin", help="The logs' name, when the installation is new; without it one is made from the key.")
def init(folder: Path, data: Path | None, origin: str | None) -> None:
    """Make a signer: with a new key, or with that of an installation."""
    from failgate.audit.signer.making import make_signer, new_installation, of_data_folder
    from failgate.base.data_folder import hold_data_folder, require_failgate
    from failgate.config.addresses import check_log_origin

    if data is not None and origin is not None:
        raise BadInput("--origin is for a new installation.", hint="With --from the logs keep their name.")
    if origin is not None:
        try:
            check_log_origin(origin)
        except ValueError as error:
            raise BadInput(f"--origin {origin}: {error}.", hint="As a URL without scheme: failgate.example") from None
    try:
        if data is None:
            moved = new_installation(origin)
            make_signer(folder, moved)
        else:
            require_failgate(data)
            with hold_data_folder(data):
                moved = of_data_folder(data)
                make_signer(folder, moved)
    except OSError as error:
        raise StorageUnavailable(f"{folder} cannot be written: {error.strerror}.", hint="Make space there.") from error
    print(f"{moved.origin}: a signer in {folder}, which knows {len(moved.heads)} signed heads")
    if data is not None:
        print(
            f"Give {folder} to the signer's account, keep a copy of {data / 'audit.key'} apart, then remove that file."
        )


@signer.command()
@folder_option
@click.option(
    "--socket", "path", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where it listens."
)
@click.option("--peer", "peers", multiple=True, help="Account that may ask, by name or number; its own without one.")
def serve(folder: Path, path: Path, peers: tuple[str, ...]) -> None:
    """Sign until SIGTERM or Ctrl-C."""
    import logging
    import sqlite3

    from failgate.audit.signer.ledger import open_ledger
    from failgate.audit.signer.listening import answer_all, listening

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    allowed = frozenset(_account(one) for one in peers) or frozenset({os.geteuid()})
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    is_for_others = allowed != frozenset({os.geteuid()})
    try:
        with open_ledger(folder) as ledger, listening(path.absolute(), is_for_others=is_for_others) as listener:
            print(f"failgate: signing {ledger.known().origin} at {path}", flush=True)
            answer_all(ledger, listener, allowed, lambda: bool(stopping))
    except sqlite3.Error as error:
        raise StorageUnavailable(
            f"What is signed cannot be kept in {folder}: {error}.",
            hint="Look at its disk; the next start reads it anew.",
        ) from error


@signer.command()
@folder_option
def show(folder: Path) -> None:
    """Print the name, the public key, and the last signed head of each log; the signer is stopped meanwhile."""
    from failgate.audit.signer.ledger import open_ledger
    from failgate.audit.signer.messages import HEADS_PAGE

    with open_ledger(folder) as ledger:
        known = ledger.known()
        print(f"origin {known.origin}\nkey {known.public}\nnext {known.following or 'none'}")
        after, count = "", HEADS_PAGE
        while count == HEADS_PAGE:
            page = ledger.heads(after)
            for one in page:
                print(f"{one.log} {one.size} {one.root.hex()}")
            after, count = page[-1].log if page else "", len(page)


@signer.command("next-key")
@folder_option
def next_key(folder: Path) -> None:
    """Make the key that is to follow, also while the signer runs; `failgate admin log-key rotate` changes over."""
    from failgate.audit.signer.ledger import NEXT_KEY_FILE, no_signer
    from failgate.audit.signing import KEY_FILE, make_key, read_key

    if not (folder / KEY_FILE).exists():
        raise no_signer(folder)
    try:
        key = read_key(folder / NEXT_KEY_FILE) or make_key(folder / NEXT_KEY_FILE)
    except OSError as error:
        raise StorageUnavailable(f"{folder} cannot be written: {error.strerror}.", hint="Make space there.") from error
    print(f"{key.public_key().public_bytes_raw().hex()} waits; now: failgate admin log-key rotate")


@signer.command()
@folder_option
@click.option("--log", required=True, help="`system`, or the id of a workspace.")
def forget(folder: Path, log: str) -> None:
    """Let a log begin anew after its database went back for good; the signer is stopped meanwhile."""
    from failgate.audit.signer.ledger import open_ledger
    from failgate.base.clock import SystemClock

    with open_ledger(folder) as ledger:
        one = ledger.forget(log, SystemClock())
    print(f"{one.log}: the head of {one.size} records, root {one.root.hex()}, is forgotten; the next one may be any")


def _account(name: str) -> int:
    import pwd

    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise BadInput(f"There is no account {name}.", hint="Name the account that runs the server.") from None
