"""The server's side: it asks the signer, proves every head from the last one, and verifies what comes back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from failgate.audit.checkpoint import Checkpoint, NoteRejected, open_checkpoint
from failgate.audit.handover import HANDOVERS_FILE, Handovers, parse_handovers, read_handovers, write_handovers
from failgate.audit.signer.messages import (
    ANSWER_BYTES,
    HEADS_PAGE,
    MOST_HEADS,
    Answer,
    AskHandover,
    AskHeads,
    AskIdentity,
    AskSignatures,
    Known,
    Outcome,
    Question,
    Wanted,
)
from failgate.audit.signing import Identity, sync_folder
from failgate.audit.stored import StoredHead
from failgate.base.errors import StartRefused, StorageUnavailable

PATIENCE_SECONDS: Final = 10.0  # for one answer
START_SECONDS: Final = 10.0  # that a start waits for a signer that starts too
_PAUSE_SECONDS: Final = 0.1

Proof = Callable[[StoredHead, int], Awaitable[list[bytes]]]


class SignerAway(StorageUnavailable):
    """The signer does not answer, or cannot write: nothing is signed; whoever needs a new checkpoint asks again."""

    slug = "signer-away"
    title = "The signer of the audit log does not sign"


@dataclass(frozen=True, slots=True)
class Due:
    """A head that is to be signed, and how many records of its log were signed before, as far as is known here."""

    stored: StoredHead
    old: int


@dataclass(frozen=True, slots=True)
class Introduced:
    """Who the signer is, and the public key that waits to take over."""

    identity: Identity
    handovers: Handovers
    following: bytes | None


class SignerProcess:
    """The signer behind a Unix socket. `origin` is the name that it has to sign by, when the config says one."""

    def __init__(self, path: Path, origin: str | None = None, *, start_seconds: float = START_SECONDS) -> None:
        """Ask at `path`; a start waits `start_seconds` for it."""
        self.path = path
        self._origin = origin
        self._start_seconds = start_seconds
        self._refused: str | None = None

    async def problem(self) -> str | None:
        """Ask who signs, and return what an operator should know: it is away, or refused a head; else None."""
        try:
            await self.introduction()
        except (SignerAway, StartRefused) as error:
            return error.sentence
        return self._refused

    async def begin(self, data_dir: Path) -> Introduced:
        """Return who the signer is, once it answers, and keep its list of keys in `data_dir`.

        Raises: StartRefused (it does not answer in time, it is another one than before).
        """
        deadline = asyncio.get_running_loop().time() + self._start_seconds
        introduced: Introduced | None = None
        while introduced is None:
            try:
                introduced = await self.introduction()
            except SignerAway as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise StartRefused(error.sentence, hint=error.hint) from error
                await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.to_thread(self._keep, data_dir, introduced.handovers)
        return introduced

    async def introduction(self) -> Introduced:
        """Return who the signer is. Raises: SignerAway; StartRefused (it signs by another name than the config's)."""
        return self._introduced((await self._ask(AskIdentity())).known)

    async def heads(self) -> dict[str, Checkpoint]:
        """Return the last head of each log that it signed. Raises: SignerAway."""
        found: dict[str, Checkpoint] = {}
        after = ""
        while True:
            page = (await self._ask(AskHeads(after))).page
            if page is None:
                raise self._odd()
            found |= {one.log: Checkpoint("", one.size, one.root) for one in page.heads}
            if len(page.heads) < HEADS_PAGE:
                return found
            after = page.heads[-1].log

    async def sign(self, identity: Identity, due: Sequence[Due], proof: Proof) -> tuple[dict[str, str], list[str]]:
        """Return the signed note of each log that it signs, and what it said of the others.

        Raises: SignerAway.
        """
        notes: dict[str, str] = {}
        refused: list[str] = []
        for start in range(0, len(due), MOST_HEADS):
            part = due[start : start + MOST_HEADS]
            again: list[Due] = []
            for one, outcome in await self._sign(part, proof):
                if outcome.behind is not None and one.old != outcome.behind <= one.stored.head.size:
                    again.append(Due(one.stored, outcome.behind))  # a kill came between its signature and our sidecar
                else:
                    _sort(identity, one, outcome, notes, refused)
            for one, outcome in await self._sign(again, proof) if again else ():
                _sort(identity, one, outcome, notes, refused)
        self._refused = " ".join(refused) or None
        return notes, refused

    async def _sign(self, due: Sequence[Due], proof: Proof) -> list[tuple[Due, Outcome]]:
        wanted = [
            Wanted(
                one.stored.log, one.stored.head.size, one.stored.head.root, one.old, tuple(await _proven(one, proof))
            )
            for one in due
        ]
        signed = (await self._ask(AskSignatures(tuple(wanted)))).signed
        if signed is None or [one.log for one in signed.outcomes] != [one.log for one in wanted]:
            raise self._odd()
        return list(zip(due, signed.outcomes, strict=True))

    async def hand_over(self, to: bytes, data_dir: Path) -> Identity:
        """Let the key that waits sign from now on; return who signs then. Raises: SignerAway, StartRefused."""
        introduced = self._introduced((await self._ask(AskHandover(to.hex()))).known)
        await asyncio.to_thread(self._keep, data_dir, introduced.handovers)
        return introduced.identity

    def _introduced(self, known: Known | None) -> Introduced:
        if known is None:
            raise self._odd()
        try:
            handovers = parse_handovers(known.keys.encode())
            public, following = bytes.fromhex(known.public), bytes.fromhex(known.following or "") or None
        except Exception as error:
            raise self._odd() from error
        if (handovers.origin, handovers.current) != (known.origin, public):
            raise self._odd()
        if self._origin not in {None, known.origin}:
            raise StartRefused(
                f'[audit] origin is "{self._origin}", but the signer at {self.path} signs as "{known.origin}".',
                hint=f'Set origin = "{known.origin}", or remove the setting.',
            )
        return Introduced(Identity(public, known.origin, handovers.retired), handovers, following)

    def _keep(self, data_dir: Path, handovers: Handovers) -> None:
        """Keep the list of keys beside the sidecar, for whoever verifies without the signer. Raises: StartRefused."""
        path, count = data_dir / HANDOVERS_FILE, 0
        kept = read_handovers(path)
        if kept == handovers:
            return
        if kept is not None:
            count = len(kept.retired)
            follows = handovers.retired[count].public if len(handovers.retired) > count else handovers.current
            if (kept.origin, kept.retired, kept.current) != (handovers.origin, handovers.retired[:count], follows):
                raise StartRefused(
                    f"The signer at {self.path} is not the one that signed this installation's audit logs.",
                    hint=f"Name the right one in [audit.signer]; {path} lists the keys that signed here.",
                )
        try:
            write_handovers(path, handovers)
            sync_folder(data_dir)
        except OSError as error:
            raise StartRefused(f"{path} cannot be written: {error.strerror}.", hint="Make space there.") from error

    async def _ask(self, question: Question) -> Answer:
        """Return the signer's answer. Raises: SignerAway."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await self._exchange(msgspec.json.encode(question) + b"\n")
            answer = msgspec.json.decode(line, type=Answer)
        except (OSError, asyncio.LimitOverrunError, asyncio.IncompleteReadError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "it gave no answer"
            raise SignerAway(
                f"The signer of the audit log at {self.path} does not answer: {reason}.",
                hint="Start it (failgate audit signer serve), or look at [audit.signer] socket.",
            ) from error
        except msgspec.MsgspecError as error:
            raise self._odd() from error
        if answer.refusal is not None:
            raise SignerAway(f"The signer does not sign: {answer.refusal.sentence}", hint=answer.refusal.hint)
        return answer

    async def _exchange(self, question: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=ANSWER_BYTES)
        try:
            writer.write(question)
            await writer.drain()
            return await reader.readuntil(b"\n")
        finally:
            writer.close()

    def _odd(self) -> SignerAway:
        return SignerAway(
            f"What answers at {self.path} is no signer of this version.", hint="Update server and signer together."
        )


async def _proven(one: Due, proof: Proof) -> list[bytes]:
    size = one.stored.head.size
    return await proof(one.stored, one.old) if 0 < one.old < size else []


def _sort(identity: Identity, one: Due, outcome: Outcome, notes: dict[str, str], refused: list[str]) -> None:
    """Keep the note, once it is proven to be of this head and by this key; else keep why there is none."""
    log, head = one.stored.log, one.stored.head
    if outcome.note is None:
        sentence = outcome.refused or f"The log {log} has {head.size} records, but {outcome.behind} were signed."
        refused.append(f"The signer refuses: {sentence}")
        return
    try:
        signed = open_checkpoint(outcome.note, [identity.verifier(log)])
    except NoteRejected as error:
        refused.append(f"The signer's note of the log {log} is not good: {error.sentence}")
        return
    if (signed.size, signed.root) != (head.size, head.root):
        refused.append(f"The signer signed another head of the log {log} than it was asked to.")
        return
    notes[log] = outcome.note
