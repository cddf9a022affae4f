"""Redaction again on receipt: what the server still finds in a manifest or an artifact, as counts by rule."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from failgate.base.db import Transaction
from failgate.redaction import RedactingStream, Scanner, redact_bytes

ScannerOf = Callable[[str], Awaitable[Scanner]]
"""A workspace's id to the scanner with its own rules."""

Revisit = Callable[[Transaction, str, str, Scanner | None], Awaitable[None]]
"""`(tx, workspace_id, report_id, scanner)`: what `scanner` saw of the report may have to be seen again."""

INLINE_BYTES = 64 * 1024  # more than this is scanned off the loop
# A snapshot is an archive that is not compressed: what its files say stands in it as it is.
_TEXT_KINDS = frozenset({"output", "diff", "environment", "source", "snapshot"})
_SNIFF_BYTES = 8192
_SLICE_BYTES: Final = 256 * 1024
"""As much as is scanned at once: a scan holds several copies of it, which its thread's heap never gives back."""
# Threads of their own for the same reason: on those of an executor that others use, each would grow such a heap.
_SCANNERS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="scan")


async def scan_text(text: str, scanner: Scanner) -> dict[str, int]:
    """Return how often each rule found something in `text`."""
    content = text.encode("utf-8", "surrogatepass")
    if len(content) > INLINE_BYTES:
        _, findings = await asyncio.get_running_loop().run_in_executor(_SCANNERS, redact_bytes, content, scanner)
    else:
        _, findings = redact_bytes(content, scanner)
    return dict(Counter([finding.rule for finding in findings])) if findings else {}


def inspection_for(kind: str, media_type: str, scanner: Scanner) -> "ArtifactInspection":
    """Return an inspection for an artifact: text kinds are always scanned, others when their first bytes hold no NUL.

    The sender's word alone decides nothing: an output called `application/octet-stream` is scanned all the same.
    """
    return ArtifactInspection(scanner, is_text=kind in _TEXT_KINDS or media_type.startswith("text/"))


async def unvisited(tx: Transaction, workspace_id: str, report_id: str, scanner: Scanner | None) -> None:
    """See nothing again: the rules never change."""


class ArtifactInspection:
    """Counts findings while bytes stream by; findings themselves are dropped at once."""

    def __init__(self, scanner: Scanner, *, is_text: bool) -> None:
        self._stream = RedactingStream(scanner)
        self._version = scanner.version
        self._counts: Counter[str] = Counter()
        self._is_text: bool | None = True if is_text else None

    async def feed(self, piece: bytes) -> None:
        """See the next piece."""
        if self._is_text is None and piece:
            self._is_text = b"\0" not in piece[:_SNIFF_BYTES]
        if not self._is_text:
            return
        if len(piece) > INLINE_BYTES:
            await asyncio.get_running_loop().run_in_executor(_SCANNERS, self._scan, piece)
        else:
            self._stream.feed(piece)
        self._count()

    def _scan(self, piece: bytes) -> None:
        for start in range(0, len(piece), _SLICE_BYTES):
            self._stream.feed(piece[start : start + _SLICE_BYTES])

    async def finish(self) -> tuple[Mapping[str, int], str]:
        """Return the counts by rule, and the name of the rule set (empty when nothing was scanned)."""
        if not self._is_text:
            return {}, ""
        self._stream.finish()
        self._count()
        return dict(self._counts), self._version

    def _count(self) -> None:
        self._counts.update(finding.rule for finding in self._stream.findings)
        self._stream.findings.clear()


def summary(findings: Mapping[str, int]) -> str:
    """Return `rule:count` pairs in at most 200 characters, for an audit record: no text of what was found."""
    return ",".join(f"{rule}:{count}" for rule, count in sorted(findings.items()))[:200]


def merged(*findings: Mapping[str, int]) -> dict[str, int]:
    """Return the sums by rule."""
    total: Counter[str] = Counter()
    for one in findings:
        total.update(one)
    return dict(total)
