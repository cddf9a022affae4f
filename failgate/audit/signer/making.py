"""Making a signer: with a new key, or with the key and the last signed heads of an installation that had its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.checkpoint import Checkpoint, NoteRejected, read_unverified
from failgate.audit.handover import HANDOVERS_FILE, Handovers, read_handovers, write_handovers
from failgate.audit.signer.ledger import LEDGER_FILE, NEXT_KEY_FILE, TABLES, connected, hold
from failgate.audit.signing import (
    KEY_FILE,
    SIDECAR_FILE,
    default_origin,
    keep_key,
    read_key,
    read_sidecar,
    signer_of,
    sync_folder,
)
from failgate.base.errors import Conflict, StartRefused


@dataclass(frozen=True, slots=True)
class Moved:
    """What a signer begins with: the key, the name, the keys from before, the heads that were signed last."""

    key: Ed25519PrivateKey
    origin: str
    handovers: Handovers | None
    heads: Mapping[str, Checkpoint]


def new_installation(origin: str | None) -> Moved:
    """Return a new key under `origin`, or under a name that is made from it."""
    key = Ed25519PrivateKey.generate()
    return Moved(key, origin or default_origin(key.public_key().public_bytes_raw()), None, {})


def of_data_folder(data: Path) -> Moved:
    """Return what the data folder of a stopped server holds of the signer; its heads are proven by its keys.

    Raises: StartRefused (a file is missing or damaged, a change of the key is under way).
    """
    key, notes = read_key(data / KEY_FILE), read_sidecar(data / SIDECAR_FILE)
    if key is None or notes is None:
        absent = data / (KEY_FILE if key is None else SIDECAR_FILE)
        raise StartRefused(f"{absent} is missing.", hint="Name the data folder of an installation that signs itself.")
    if (data / NEXT_KEY_FILE).exists():
        raise StartRefused(f"A change of the key is under way in {data}.", hint="Start the server once, and stop it.")
    signer, handovers = signer_of(data, key), read_handovers(data / HANDOVERS_FILE)
    try:
        heads = {log: signer.vouched(note) for log, note in notes.items()}
        wrong = [log for log, note in notes.items() if not read_unverified(note).origin.endswith(f"/log/{log}")]
    except NoteRejected as error:
        raise StartRefused(
            f"A signed head in {data / SIDECAR_FILE} is not of this key: {error.sentence}",
            hint="Put both files back from one backup.",
        ) from error
    names = {head.origin.removesuffix(f"/log/{log}") for log, head in heads.items()} | (
        set() if handovers is None else {handovers.origin}
    )
    if wrong or len(names) > 1:
        raise StartRefused(f"The heads in {data / SIDECAR_FILE} are of several installations.", hint="Run doctor.")
    return Moved(key, names.pop() if names else signer.origin, handovers, heads)


def make_signer(folder: Path, moved: Moved) -> None:
    """Put all of it into `folder`; the key last, so that a kill leaves no signer that knows less.

    Raises: Conflict (there is one), StartRefused, OSError, sqlite3.Error.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(folder):
        if (folder / KEY_FILE).exists():
            raise Conflict(f"There is a signer in {folder} already.", hint="Name an empty folder.")
        for leftover in (LEDGER_FILE, f"{LEDGER_FILE}-journal", HANDOVERS_FILE):
            (folder / leftover).unlink(missing_ok=True)
        connection = connected(folder / LEDGER_FILE)
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {TABLES}")
            connection.execute("INSERT INTO installation VALUES (?, 1)", (moved.origin,))
            rows = [(log, head.size, head.root) for log, head in moved.heads.items() if head.size]
            connection.executemany("INSERT INTO head VALUES (?, ?, ?)", rows)
            connection.execute("COMMIT")
        finally:
            connection.close()
        if moved.handovers is not None:
            write_handovers(folder / HANDOVERS_FILE, moved.handovers)
        sync_folder(folder)
        keep_key(folder / KEY_FILE, moved.key)
