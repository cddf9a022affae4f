"""Audit logs and bundles made by hand: signed by a library, laid out by the words of C2SP, nothing of the verifier's own."""

import base64
import contextlib
import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from failgate_verify.main import main

LOG = "0197f0c2-0000-7000-8000-000000000001"
ORIGIN = f"failgate-test/log/{LOG}"
SECOND = 1_000_000


def b64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\0" + leaf).digest()


def tree_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word by word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + tree_root(hashes[:middle]) + tree_root(hashes[middle:])).digest()


def time_of(seq: int) -> str:
    return f"2026-11-01T{seq // 3600:02d}:{seq // 60 % 60:02d}:{seq % 60:02d}.000000Z"


def canonical(record: dict) -> bytes:
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def record(seq: int, prev: bytes, **members: object) -> dict:
    return {
        "v": 1, "seq": seq, "ts": time_of(seq), "ws": LOG, "act": "vote.cast",
        "actor": {"t": "user", "id": "u1", "auth": ["pwd", "otp"], "sid_h": None},
        "obj": {"t": "command", "id": f"c{seq}"}, "out": "ok", "req": None, "ip": None,
        "data": {"digest": "d" * 43, "n": seq}, "prev": b64url(prev),
    } | members  # fmt: skip


def make_leaves(count: int, change: Callable[[dict], dict] = lambda one: one) -> list[bytes]:
    leaves: list[bytes] = []
    for seq in range(count):
        leaves.append(canonical(change(record(seq, leaf_hash(leaves[-1]) if leaves else bytes(32)))))
    return leaves


def salt_of(seq: int) -> bytes:
    return sha256(b"salt of %d" % seq).digest()


def body_of(seq: int) -> dict:
    return {"ip": f"192.0.2.{seq % 256}"}


def commitment(salt: bytes, body: dict) -> str:
    """What a record of version 2 says of a body, by the words of docs/audit.md."""
    return b64url(sha256(b"failgate personal data v1\n" + salt + canonical(body)).digest())


def committed(one: dict) -> dict:
    """The record as version 2 writes it; every third commits to nothing."""
    seq = one["seq"]
    pd = None if seq % 3 == 2 else commitment(salt_of(seq), body_of(seq))
    return {name: value for name, value in one.items() if name != "ip"} | {"v": 2, "pd": pd}


def body_line(seq: int, salt: bytes | None = None, body: dict | None = None) -> bytes:
    """A line of `bodies.jsonl`."""
    salt, body = salt_of(seq) if salt is None else salt, body_of(seq) if body is None else body
    return canonical({"body": body, "salt": b64url(salt), "seq": seq}) + b"\n"


class Operator:
    """Who holds the key of a log."""

    def __init__(self, seed: int = 1, origin: str = ORIGIN, kind: int = 1) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.origin = origin
        public = bytes([kind]) + self.key.public_key().public_bytes_raw()
        self.key_id = sha256(origin.encode() + b"\n" + public).digest()[:4]
        self.vkey = f"{origin}+{self.key_id.hex()}+{base64.b64encode(public).decode()}"

    def note(self, leaves: list[bytes], size: int | None = None) -> str:
        size = len(leaves) if size is None else size
        root = base64.b64encode(tree_root([leaf_hash(leaf) for leaf in leaves[:size]])).decode()
        text = f"{self.origin}\n{size}\n{root}\n"
        return text + "\n" + self.line(self.key.sign(text.encode()))

    def cosign(self, note: str, seconds: int = 1_795_000_000) -> str:
        text = note.rpartition("\n\n")[0] + "\n"
        signature = self.key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return note + self.line(seconds.to_bytes(8, "big") + signature)

    def line(self, signature: bytes) -> str:
        return f"— {self.origin} {base64.b64encode(self.key_id + signature).decode()}\n"


def entries(leaves: list[bytes]) -> bytes:
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def layout(leaves: list[bytes], *, with_hashes: bool = True) -> dict[str, bytes]:
    """The files in tile layout, for fewer than 1000 tiles."""
    files: dict[str, bytes] = {}
    hashes = [leaf_hash(leaf) for leaf in leaves]
    roots = [tree_root(hashes[start : start + 256]) for start in range(0, len(hashes) - 255, 256)]
    for start in range(0, len(leaves), 256):
        width = min(256, len(leaves) - start)
        name = f"{start // 256:03d}" + ("" if width == 256 else f".p/{width}")
        files[f"entries/{name}"] = entries(leaves[start : start + width])
        if with_hashes:
            files[f"tile/0/{name}"] = b"".join(hashes[start : start + width])
    for start in range(0, len(roots) if with_hashes else 0, 256):
        width = min(256, len(roots) - start)
        files[f"tile/1/{start // 256:03d}" + ("" if width == 256 else f".p/{width}")] = b"".join(
            roots[start : start + width]
        )
    return files


def manifest(size: int, /, **members: object) -> bytes:
    return json.dumps(
        {"format": "failgate-audit-export", "v": 1, "origin": ORIGIN, "size": size, "first": 0, "last": size - 1, "from": None,
         "to": None, "made_at": time_of(0), "tool": "failgate 0.1.0"} | members
    ).encode()  # fmt: skip


def bundle(
    leaves: list[bytes], operator: Operator | None = None, *, with_hashes: bool = True, **members: object
) -> dict[str, bytes]:
    operator = operator or Operator()
    return {
        "manifest.json": manifest(len(leaves), **members),
        "vkey": operator.vkey.encode() + b"\n",
        "checkpoint": operator.note(leaves).encode(),
    } | layout(leaves, with_hashes=with_hashes)


TABLE = "log,record,leaf_hash,further_records,voter\r\n"


def pack_line(leaves: list[bytes], seq: int, *, log: str = LOG) -> str:
    """A line of an evidence pack that names record `seq`."""
    return f'{log},{seq},sha256:{leaf_hash(leaves[seq]).hex()},,"ann, of ""acme"""\r\n'


def pack(
    leaves: list[bytes],
    table: str,
    operator: Operator | None = None,
    *,
    inside: dict[str, bytes] | None = None,
    **members: object,
) -> dict[str, bytes]:
    """An evidence pack with one table and one page."""
    operator = operator or Operator()
    files = {"votes.csv": table.encode(), "approvals.html": b"<!doctype html>"}
    manifest = {
        "format": "failgate-evidence-pack", "v": 1, "pack": "approvals", "origin": operator.origin,
        "root": tree_root([leaf_hash(leaf) for leaf in leaves]).hex(),
        "files": {name: {"sha256": sha256(content).hexdigest()} for name, content in files.items()},
    } | members  # fmt: skip
    within = {f"bundle/{name}": content for name, content in (inside or bundle(leaves, operator)).items()}
    return {"manifest.json": json.dumps(manifest).encode()} | files | within


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def verify(*arguments: object) -> dict:
    """The verdict of `failgate-verify` in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*map(str, arguments), "--json"])
    answer = json.loads(out.getvalue())
    assert answer["exit_code"] == code
    return answer


def consistency(hashes: list[bytes], old: int, *, is_whole: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2, word by word."""
    if old == len(hashes):
        return [] if is_whole else [tree_root(hashes)]
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= middle:
        return [*consistency(hashes[:middle], old, is_whole=is_whole), tree_root(hashes[middle:])]
    return [*consistency(hashes[middle:], old - middle, is_whole=False), tree_root(hashes[:middle])]
