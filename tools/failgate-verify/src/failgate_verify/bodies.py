r"""Bodies beside the records of a bundle: whether each is what its record commits to.

A record of version 2 says in `pd` base64url of SHA-256("failgate personal data v1\n" ‖ salt ‖ body). A line of
`bodies.jsonl` is the canonical JSON of `{"body", "salt", "seq"}`, in the order of the numbers. A body that is not there
is no fault: it may be erased, or was not to leave.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from failgate_verify.bundle import Place
from failgate_verify.held import Held, split
from failgate_verify.record import base64url, canonical, parsed, plain, read_object
from failgate_verify.tree import WIDTH
from failgate_verify.verdict import Incomplete, Tampered, Unusable

FILE = "bodies.jsonl"
DOMAIN = b"failgate personal data v1\n"
_LONGEST_LINE = 131_072  # bytes
_SALT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class Carried(NamedTuple):
    """How many bodies are there and what they should be, and of how many records that commit to one it is not there."""

    bodies: int
    absent: int


class _Line(NamedTuple):
    seq: int
    salt: bytes
    body: bytes


def commitment(salt: bytes, body: bytes) -> str:
    """Return what a record says in `pd` of `body`, which is canonical JSON."""
    return base64url(sha256(DOMAIN + salt + body).digest()).decode()


def committed_in(leaf: bytes) -> str | None:
    """Return what a record that was verified commits to; None of one that commits to nothing."""
    found = plain(leaf)
    if found is not None:
        said = found[2]
        return None if said is None or said == b"null" else said[1:-1].decode()
    said = parsed(leaf).get("pd")
    return said if isinstance(said, str) else None


def check_bodies(held: Held, first: int, last: int) -> Carried | None:
    """Compare the bodies that a bundle carries with its records, which were verified before; None when it has none.

    Of those from `first` to `last` it counts what is not there. Raises: Tampered, Unusable, Incomplete.
    """
    place = held.bundle.plain.get(FILE)
    if place is None:
        return None
    lines = _lines(place, is_cut=held.bundle.is_cut)
    line = next(lines, None)
    count = absent = 0
    for number in range(held.begin, held.end):
        leaves, _ = split(held.records(number) or held.any_records(number), held.width(number))
        for seq, leaf in enumerate(leaves, number * WIDTH):
            said = committed_in(leaf)
            if line is not None and line.seq == seq:
                if said != commitment(line.salt, line.body):
                    raise Tampered(seq, f"The body of record {seq} is not what the record commits to.")
                count += 1
                line = next(lines, None)
            elif said is not None and first <= seq <= last:
                absent += 1
    if line is not None:
        raise Tampered(line.seq, f"{FILE} has a body of record {line.seq}, which is not in the bundle.")
    return Carried(count, absent)


def _lines(place: Place, *, is_cut: bool) -> Iterator[_Line]:
    """Yield the lines, whose numbers grow. Raises: Unusable, Incomplete."""
    left, before, number = place.size, -1, 0
    try:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            while left:
                text = file.readline(min(left, _LONGEST_LINE))
                left, number = left - len(text), number + 1
                if is_cut and not left and not text.endswith(b"\n"):
                    raise Incomplete(f"The bundle ends within {FILE}.")
                line = _line(text)
                if line is None or line.seq <= before:
                    raise Unusable(f"{FILE}: line {number} is no body, or stands in another order.")
                before = line.seq
                yield line
    except OSError as error:
        raise Unusable(f"{place.path} cannot be read: {error.strerror}.") from error


def _line(text: bytes) -> _Line | None:
    value = read_object(text[:-1]) if text.endswith(b"\n") else None
    if value is None or set(value) != {"body", "salt", "seq"}:
        return None
    seq, salt, body = value["seq"], value["salt"], value["body"]
    if type(seq) is not int or not isinstance(salt, str) or _SALT.fullmatch(salt) is None or not isinstance(body, dict):
        return None
    return _Line(seq, urlsafe_b64decode(f"{salt}="), canonical(body))
