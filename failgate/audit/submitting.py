"""A checkpoint, submitted to a witness. Source: C2SP tlog-witness, `add-checkpoint`.

The witness knows a size; the proof leads from there. Who does not know which size that is says one, and is told.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, NamedTuple

from failgate.audit.checkpoint import read_unverified
from failgate.base.destination import OutboundRefused
from failgate.base.errors import StorageUnavailable, Unprocessable
from failgate.base.outbound import Outbound

SECONDS: Final = 15.0
_MOST_BYTES: Final = 64 * 1024
_MOST_TRIES: Final = 4  # each but the first because the witness learned more in between
Prove = Callable[[int], Awaitable[list[bytes]]]


class Reply(NamedTuple):
    """What the witness said."""

    status: int
    body: str


Ask = Callable[[bytes], Awaitable[Reply]]


class Contradicted(Unprocessable):
    """The witness cosigned a head that this log does not continue: two histories, or a witness that lies."""

    slug = "witness-contradicts"
    title = "A witness saw another history of the log"


class WitnessAhead(Contradicted):
    """The witness knows more records than the checkpoint has; `size` says how many."""

    def __init__(self, sentence: str, size: int) -> None:
        """Keep the size that the witness told."""
        super().__init__(sentence, hint=_MEND)
        self.size = size


class WitnessFailed(StorageUnavailable):
    """The witness answered, and not with what was asked for: ask again later."""

    slug = "witness-failed"
    title = "The witness did not cosign"


class WitnessAway(WitnessFailed):
    """The witness did not answer."""


_MEND: Final = "Run `failgate audit verify`, and keep both checkpoints."


def asking(outbound: Outbound, url: str, *, seconds: float = SECONDS) -> Ask:
    """Return what asks the witness whose submission prefix is `url`."""
    place = f"{url.rstrip('/')}/add-checkpoint"

    async def ask(body: bytes) -> Reply:
        headers = {"Content-Type": "text/plain; charset=utf-8", "Accept": "text/plain"}
        try:
            answer = await outbound.post(place, body, headers=headers, max_bytes=_MOST_BYTES, seconds=seconds)
            return Reply(answer.status, answer.body.decode())
        except OutboundRefused as refused:
            raise WitnessAway(f"The witness does not answer: {refused.sentence}", hint=refused.hint) from None
        except UnicodeDecodeError:
            raise WitnessFailed("The witness answers with what is no text.", hint="Check its address.") from None

    return ask


async def submit(ask: Ask, note: str, prove: Prove, *, known: int = 0) -> str:
    """Return the signature lines with which a witness answers the signed `note`; nothing is checked of them.

    `known` is the size that it is believed to know; `prove` returns the consistency proof from such a size to the
    note's.

    Raises: Contradicted (it saw another history; WitnessAhead when it knows more records), WitnessFailed.
    """
    head = read_unverified(note)
    old = min(known, head.size)
    for _attempt in range(_MOST_TRIES):
        hashes = await prove(old) if 0 < old < head.size else []
        lines = "".join(f"{b64encode(each).decode('ascii')}\n" for each in hashes)
        status, body = await ask(f"old {old}\n{lines}\n{note}".encode())
        if status == HTTPStatus.OK:
            return body
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            why = f"the {old} records that it cosigned are not the first ones here"
            raise Contradicted(_another(why, head.origin), hint=_MEND)
        if status != HTTPStatus.CONFLICT:
            break
        told = _size_in(body)
        if told > head.size:
            why = f"it cosigned {told} records, and this log has {head.size}"
            raise WitnessAhead(_another(why, head.origin), told)
        if told == old == head.size:
            why = f"it cosigned another root of these {head.size} records"
            raise Contradicted(_another(why, head.origin), hint=_MEND)
        if told == old:
            raise WitnessFailed("The witness says that it knows another size, and names the one it was told.")
        old = told
    else:
        raise WitnessFailed("The witness names another size each time.", hint="Ask again later.")
    raise WitnessFailed(
        f"The witness did not cosign: {status} {body[:120]!a}.",
        hint="403, 404: its operator has to trust this log's key, in `vkey` of an export.",
    )


def _another(why: str, origin: str) -> str:
    return f"The witness saw another history of the log {origin.rpartition('/log/')[2]}: {why}."


def _size_in(body: str) -> int:
    text = body.removesuffix("\n")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise WitnessFailed("The witness named no size.", hint="Is this a witness's address?")
    return int(text)
