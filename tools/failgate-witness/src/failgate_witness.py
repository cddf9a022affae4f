"""A witness: it cosigns a checkpoint of a log when the log continues the one that it cosigned before, and never else.

Run by somebody who does not run the log. Source: C2SP tlog-witness, tlog-cosignature, signed-note; RFC 9162, 2.1.
Everything is in this file and one SQLite database; the only library is `cryptography`, which signs and verifies.
"""

import argparse
import base64
import contextlib
import os
import sqlite3
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOG, WITNESS = 0x01, 0x04  # kinds of keys in a vkey
MOST_BYTES = 64 * 1024  # of a request
MOST_HASHES, MOST_AT_ONCE = 63, 64  # lines of a proof; requests
SILENCE_SECONDS = 10.0
_LARGEST = 2**63 - 1
_EMPTY_ROOT = sha256(b"").digest()
_node: Callable[[bytes], bytes] = lambda both: sha256(b"\x01" + both).digest()  # noqa: E731 - a line of arithmetic
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS trusted (name TEXT NOT NULL, public BLOB NOT NULL, is_prefix INTEGER NOT NULL,
  PRIMARY KEY (name, public)) STRICT;
CREATE TABLE IF NOT EXISTS cosigned (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,
  note TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
"""


class Refused(Exception):
    """A request that is answered with `status` and `body`."""

    def __init__(self, status: int, body: str, media_type: str = "text/plain; charset=utf-8") -> None:
        super().__init__(body)
        self.status, self.body, self.media_type = status, body, media_type


@dataclass(frozen=True)
class Key:
    """A public key with its name."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that stand before its signatures."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """Return it as text."""
        return f"{self.name}+{self.key_id.hex()}+{_b64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True)
class Submission:
    """What a log asks to be cosigned: the size that it believes to be known, a proof, and its checkpoint."""

    old: int
    proof: list[bytes]
    origin: str
    size: int
    root: bytes
    text: str
    note: str


def read_key(vkey: str) -> Key:
    """Return the key that `vkey` writes. Raises: ValueError."""
    name, _, rest = vkey.strip().partition("+")
    identifier, _, encoded = rest.partition("+")
    octets = _unb64(encoded)
    key = Key(name, octets[0] if octets else 0, octets[1:])
    is_known = key.kind in {LOG, WITNESS} and len(key.public) == 32 and _is_name(name)
    if not is_known or key.key_id.hex() != identifier:
        raise ValueError("this is no Ed25519 verifier key; it reads name+8 hex digits+base64")
    return key


def read_submission(body: bytes) -> Submission:
    """Return what the body of `add-checkpoint` says. Raises: Refused (400)."""
    try:
        head, separator, note = body.decode().partition("\n\n")
        lines = head.split("\n")
        proof = [_unb64(line) for line in lines[1:]]
        text, border, tail = note.rpartition("\n\n")
        origin, size, root, *more = text.split("\n")
        if not (lines[0].startswith("old ") and separator and border and tail.endswith("\n") and origin and all(more)):
            raise ValueError(head)
        if len(proof) > MOST_HASHES or any(len(element) != 32 for element in proof):
            raise ValueError(head)
        found = Submission(
            _size(lines[0].removeprefix("old ")), proof, origin, _size(size), _unb64(root), text + "\n", note
        )
    except ValueError:
        raise Refused(400, "the body is: old N, hashes in base64, an empty line, a checkpoint\n") from None
    if any(one < " " and one != "\n" for one in note) or len(found.root) != 32 or found.old > found.size:
        raise Refused(400, "the checkpoint holds what none holds, or is smaller than N\n")
    return found


def continues(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Tell whether the log of `new` records begins with the `old` ones. Source: RFC 9162 section 2.1.4.2."""
    if old == 0:
        return not proof and (new > 0 or new_root == _EMPTY_ROOT)
    if old == new:
        return not proof and old_root == new_root
    elements = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    if not elements:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    found_old = found_new = elements[0]
    for element in elements[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            found_old, found_new = _node(element + found_old), _node(element + found_new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found_new = _node(found_new + element)
        place, last = place >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root


class Witness:
    """The key, the logs that are trusted, and the newest head of each that was cosigned."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open what `init` made in `folder`. Raises: OSError, ValueError (there is none)."""
        name, _, seed = (folder / "witness.key").read_text().strip().partition("\n")
        self._private = Ed25519PrivateKey.from_private_bytes(_unb64(seed))
        self.key = Key(name, WITNESS, self._private.public_key().public_bytes_raw())
        self._path = folder / "witness.sqlite"
        self._clock = clock
        with self._connection() as connection:
            connection.executescript(_TABLES)

    def trust(self, key: Key, *, is_installation: bool) -> str:
        """Witness the log of `key`; of an installation every log, named like it up to `/log/`. Return the name.

        Raises: ValueError (a witness's key, or a name without `/log/`).
        """
        prefix, border, _ = key.name.rpartition("/log/")
        if key.kind != LOG or (is_installation and not border):
            raise ValueError("this is the key of no log of an installation")
        name = prefix + border if is_installation else key.name
        with self._connection() as connection:
            connection.execute("INSERT OR REPLACE INTO trusted VALUES (?, ?, ?)", (name, key.public, is_installation))
        return name

    def cosigned(self) -> list[tuple[str, int, int]]:
        """Return origin, size and time of every head that was cosigned last."""
        with self._connection() as connection:
            return connection.execute("SELECT origin, size, at FROM cosigned ORDER BY 1").fetchall()

    def note(self, origin: str) -> str | None:
        """Return the newest note of a log with our cosignature."""
        with self._connection() as connection:
            row = connection.execute("SELECT note FROM cosigned WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else str(row[0])

    def add_checkpoint(self, body: bytes) -> str:
        """Return the cosignature line for the checkpoint in `body`; the head is durable before. Raises: Refused.

        The comparison with the last head and the new head are one transaction: of two submissions at once the second
        sees what the first one left.
        """
        asked = read_submission(body)
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._must_be_signed(connection, asked)
            row = connection.execute("SELECT size, root FROM cosigned WHERE origin = ?", (asked.origin,)).fetchone()
            size, root = row or (0, _EMPTY_ROOT)
            if asked.old != size or (asked.old == asked.size and asked.root != root):
                raise Refused(409, f"{size}\n", "text/x.tlog.size")
            if not continues(size, asked.size, asked.proof, root, asked.root):
                raise Refused(422, "the proof does not lead from the head that was cosigned to this one\n")
            seconds = int(self._clock())
            signature = self._private.sign(f"cosignature/v1\ntime {seconds}\n{asked.text}".encode())
            line = f"— {self.key.name} {_b64(self.key.key_id + seconds.to_bytes(8, 'big') + signature)}\n"
            row = asked.origin, asked.size, asked.root, asked.note + line, seconds
            connection.execute("INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?, ?, ?)", row)
            connection.execute("COMMIT")
        return line

    def _must_be_signed(self, connection: sqlite3.Connection, asked: Submission) -> None:
        rows = connection.execute(
            "SELECT public FROM trusted WHERE (name = $1 AND NOT is_prefix)"
            " OR (is_prefix AND substr($1, 1, length(name)) = name AND instr(substr($1, length(name) + 1), '/') = 0)",
            (asked.origin,),
        ).fetchall()
        if not rows:
            raise Refused(404, "this log is not witnessed here\n")
        keys = [Key(asked.origin, LOG, public) for (public,) in rows]
        signatures = asked.note.removeprefix(asked.text + "\n").splitlines()
        if len(signatures) > MOST_HASHES or not any(_signed(asked, line, key) for line in signatures for key in keys):
            raise Refused(403, "no trusted key signed this checkpoint\n")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()


def _signed(asked: Submission, line: str, key: Key) -> bool:
    name, _, encoded = line.removeprefix("— ").partition(" ")
    try:
        octets = _unb64(encoded)
        if not line.startswith("— ") or name != key.name or octets[:4] != key.key_id:
            return False
        Ed25519PublicKey.from_public_bytes(key.public).verify(octets[4:], asked.text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def make_witness(folder: Path, name: str) -> Key:
    """Make a key in `folder`, readable by its owner alone. Raises: ValueError, FileExistsError, OSError."""
    if not _is_name(name):
        raise ValueError("a name has no blank and no plus")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = Ed25519PrivateKey.generate()
    descriptor = os.open(folder / "witness.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{name}\n{_b64(private.private_bytes_raw())}\n")
        file.flush()
        os.fsync(file.fileno())
    return Key(name, WITNESS, private.public_key().public_bytes_raw())


class WitnessServer(ThreadingHTTPServer):
    """Answers `POST /add-checkpoint`, `GET /vkey`, `GET /checkpoint/<origin>` and `GET /healthz`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], witness: Witness, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(address, _Handler)
        self.witness, self.room, self._tls = witness, threading.BoundedSemaphore(MOST_AT_ONCE), tls

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Answer in a thread of its own, TLS handshake included; whoever is too many is dropped."""
        if not self.room.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]  # a socket, as socketserver gives it
            return
        try:
            if self._tls is not None:
                request.settimeout(SILENCE_SECONDS)  # type: ignore[attr-defined]  # as above
                request = self._tls.wrap_socket(request, server_side=True)  # type: ignore[arg-type]  # as above
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]  # as above
        except OSError:
            self.shutdown_request(request)  # type: ignore[arg-type]  # as above
        finally:
            self.room.release()


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer  # pyright: ignore[reportIncompatibleVariableOverride] - made by that server alone
    timeout = SILENCE_SECONDS
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "failgate-witness", ""

    def do_POST(self) -> None:
        """Answer `add-checkpoint`."""
        try:
            if self.path != "/add-checkpoint":
                raise Refused(404, "there is POST /add-checkpoint\n")
            self._answer(200, self.server.witness.add_checkpoint(self._body()))
        except Refused as refused:
            self.close_connection = True
            self._answer(refused.status, refused.body, refused.media_type)
        except sqlite3.Error:
            self.close_connection = True
            self._answer(503, "the witness cannot write now\n")

    def do_GET(self) -> None:
        """Answer what is public."""
        witness, origin = self.server.witness, self.path.removeprefix("/checkpoint/")
        note = None if origin == self.path else witness.note(origin)
        body = {"/vkey": f"{witness.key.vkey}\n", "/healthz": "ok\n"}.get(self.path, note)
        self._answer(404 if body is None else 200, body or "there is nothing of this name\n")

    def _body(self) -> bytes:
        written = self.headers.get("content-length", "")
        if not (written.isascii() and written.isdigit() and len(written) < 10):
            raise Refused(411, "say how long the body is\n")
        if int(written) > MOST_BYTES:
            raise Refused(413, f"a submission has at most {MOST_BYTES} bytes\n")
        body = self.rfile.read(int(written))
        if len(body) < int(written):
            raise Refused(400, "the body is shorter than it said\n")
        return body

    def _answer(self, status: int, body: str, media_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Write a line that holds no control characters."""
        sys.stderr.write(f"{self.client_address[0]} {format % args!a}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; return 0, or 2 after a sentence that says what is wrong."""
    parser = argparse.ArgumentParser(prog="failgate-witness", description="Cosign logs that only ever grew.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the key and of what was cosigned")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("init", help="make a key and print it").add_argument("name", help="as witness.example/w1")
    trust = verbs.add_parser("trust", help="witness a log")
    trust.add_argument("vkey", help="the log's key")
    trust.add_argument("--installation", action="store_true", help="and every log of the same Failgate")
    serve = verbs.add_parser("serve", help="answer over HTTP")
    serve.add_argument("--listen", default="127.0.0.1:7380", metavar="HOST:PORT")
    serve.add_argument("--certificate", type=Path, help="PEM; with it the witness speaks TLS")
    serve.add_argument("--certificate-key", type=Path)
    verbs.add_parser("list", help="print what was cosigned")
    given = parser.parse_args(arguments)
    try:
        _carry_out(given)
    except (OSError, ValueError, sqlite3.Error) as error:
        print(f"failgate-witness: {error}", file=sys.stderr)
        return 2
    return 0


def _carry_out(given: argparse.Namespace) -> None:
    if given.verb == "init":
        print(make_witness(given.data, given.name).vkey)
        return
    witness = Witness(given.data)
    if given.verb == "trust":
        print(f"witnesses {witness.trust(read_key(given.vkey), is_installation=given.installation)}")
    elif given.verb == "list":
        print(*(f"{at} {size} {origin!a}" for origin, size, at in witness.cosigned()), sep="\n")
    else:
        _serve(witness, given)


def _serve(witness: Witness, given: argparse.Namespace) -> None:
    host, _, port = given.listen.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("--listen reads HOST:PORT")
    tls = None if given.certificate is None else ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if tls is not None and given.certificate is not None:
        tls.load_cert_chain(given.certificate, given.certificate_key)
    with WitnessServer((host, int(port)), witness, tls) as server:
        print(f"{witness.key.vkey}\nlistening on {server.server_address[0]!s}:{server.server_address[1]}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _size(text: str) -> int:
    """Return a size in its one decimal form. Raises: ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and str(int(text)) == text and int(text) <= _LARGEST):
        raise ValueError(text)
    return int(text)


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and name.isprintable() and not any(one.isspace() for one in name)


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _unb64(text: str) -> bytes:
    """Return the bytes that `text` writes in the one form of base64. Raises: ValueError."""
    octets = base64.b64decode(text.encode("ascii"), validate=True)  # its errors are ValueErrors
    if _b64(octets) != text:
        raise ValueError("this is not base64 in its one form")
    return octets


if __name__ == "__main__":
    sys.exit(main())
