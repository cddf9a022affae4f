"""The values: what a document says of a failure, as it says it, secrets included. And who reads documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from failgate.wire.reports import ArtifactKind, ReportSource, Tool

NOT_KNOWN = "unknown"
"""Stands in a manifest where it demands a text and the document has none."""


class DraftArtifact(NamedTuple):
    """An artifact that is not redacted yet. `name` is made a file's own name when it is none."""

    name: str
    kind: ArtifactKind
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One failure. Texts are as they were found: of any length, with any character.

    `id` is the document's own identifier as a UUID (the same document gives the same report), or None; `created_us` is
    microseconds since 1970, or None when the document does not say; `values` are harmless facts by name, shown where
    values of the environment are. `same_as` is any text that two failures share when the document's own tool takes them
    for the same; a report keeps its digest alone.
    """

    source: ReportSource
    title: str
    artifacts: Sequence[DraftArtifact]
    argv: Sequence[str]
    id: str | None = None
    created_us: int | None = None
    duration_ms: int = 0
    exit_code: int = 1
    cwd: str = NOT_KNOWN
    host: str = NOT_KNOWN
    platform: str = NOT_KNOWN
    python: str | None = None
    project: str | None = None
    version: str | None = None
    tools: Sequence[Tool] = ()
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    same_as: str | None = None


class Reading(NamedTuple):
    """What a document holds: the failures, and how much else, by kind, that is no failure."""

    drafts: Sequence[Draft]
    passed_over: Mapping[str, int]


@runtime_checkable
class DocumentFormat(Protocol):
    """Reads one kind of document. Pure: it neither stores nor fetches, and the same bytes give the same reading."""

    name: str

    def drafts(self, document: bytes) -> Reading:
        """Return what `document` says.

        It ends in time linear in the document, whatever stands there, and never recurses as deep as a document wants.

        Raises: Unprocessable (it is no such document; the sentence says where), TooLarge.
        """
        ...
