"""What server and signer say to each other: one JSON object a line, one question and one answer a connection.

The signer reads a question strictly: no member that is not here, no number, hash or list beyond its bounds.
"""

from typing import Annotated, Final, TypeAlias

import msgspec

QUESTION_BYTES: Final = 512 * 1024
ANSWER_BYTES: Final = 64 * 1024 * 1024  # the list of earlier keys holds the sizes of every log
MOST_HEADS: Final = 64  # in one question
HEADS_PAGE: Final = 256  # in one answer
MOST_HASHES: Final = 64  # in a proof: a log has fewer than 2**63 records

Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Log = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,64}\Z")]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head to sign: `proof` leads from `old` records, which were signed before, to `size` (RFC 9162, 2.1.4)."""

    log: Log
    size: Size
    root: bytes
    old: Size
    proof: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MOST_HASHES)]

    def __post_init__(self) -> None:
        """Refuse hashes of another length. Raises: ValueError."""
        if any(len(one) != 32 for one in (self.root, *self.proof)):
            raise ValueError("a hash has 32 bytes")


class AskIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="identity"):
    """Who signs here?"""


class AskHeads(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="heads"):
    """What was signed last of the logs named above `after`?"""

    after: Annotated[str, msgspec.Meta(max_length=64)] = ""


class AskSignatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="sign"):
    """Sign these heads."""

    heads: Annotated[tuple[Wanted, ...], msgspec.Meta(min_length=1, max_length=MOST_HEADS)]


class AskHandover(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", tag="hand_over"):
    """Let the key that waits, whose public half in hex is `to`, sign from now on."""

    to: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


Question: TypeAlias = AskIdentity | AskHeads | AskSignatures | AskHandover


class Known(msgspec.Struct, frozen=True):
    """Who signs: the name of the logs, the public key, the one that waits to follow it, the list of those before."""

    origin: str
    public: str
    following: str | None
    keys: str


class Signed(msgspec.Struct, frozen=True):
    """The last head of a log that was signed."""

    log: str
    size: int
    root: bytes


class Page(msgspec.Struct, frozen=True):
    """Heads, by the names of their logs; fewer than a page are the last ones."""

    heads: list[Signed]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a head: its signed note, the size that was signed already (prove from there), or a refusal."""

    log: str
    note: str | None = None
    behind: int | None = None
    refused: str | None = None


class Outcomes(msgspec.Struct, frozen=True):
    """One outcome for each head, in their order."""

    outcomes: list[Outcome]


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing of a question was answered."""

    sentence: str
    hint: str | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of these, or a refusal."""

    known: Known | None = None
    page: Page | None = None
    signed: Outcomes | None = None
    refusal: Refusal | None = None
