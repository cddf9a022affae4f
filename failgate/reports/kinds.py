"""Whether a report's artifacts are what their names and media types say, while they arrive and before they are reused.

One that is not is refused before its last byte is kept. Captures name such a file truthfully themselves (`x.png.bin`),
so who is refused made the manifest by other means, or before there was this check.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing

from failgate.artifacts.artifacts import Artifacts, Inspection
from failgate.base.db import Row
from failgate.base.errors import FailgateError, Unprocessable
from failgate.base.file_kinds import SNIFFED_BYTES, is_kept, promises

MOST_HEADS = 1024  # first bytes of artifacts that are kept in memory, 1 KiB each
Named = tuple[str, str]
"""A name and a media type."""


class Sniffing:
    """An inspection that looks at the first bytes and leaves the rest to another one."""

    def __init__(self, inner: Inspection, named: Sequence[Named]) -> None:
        """Expect what `named` says of the bytes: a digest may stand in a manifest under several names."""
        self._inner = inner
        self._named: Sequence[Named] | None = named

    async def feed(self, piece: bytes) -> None:
        """See the next piece; the first one holds `SNIFFED_BYTES`, or all. Raises: Unprocessable."""
        if self._named is not None:
            named, self._named = self._named, None
            for name, media_type in named:
                if not is_kept(name, media_type, piece[:SNIFFED_BYTES]):
                    raise Unprocessable(
                        f"The artifact {name!r} ({media_type}) holds something else than its name or its type says.",
                        hint="Name it for what it holds, or add .bin and say application/octet-stream; "
                        "`failgate run` does so when it captures.",
                        member="artifacts",
                    )
        await self._inner.feed(piece)

    async def finish(self) -> tuple[Mapping[str, int], str]:
        """Return what the other inspection found."""
        return await self._inner.finish()


class Kinds:
    """Looks at artifacts that are stored already, under names that they did not come with."""

    def __init__(self, artifacts: Artifacts) -> None:
        """Read from `artifacts`; the first bytes of the last ones are remembered."""
        self._artifacts = artifacts
        self._heads: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def truthful(self, workspace_id: str, entries: Iterable[tuple[str, str, str]]) -> frozenset[str]:
        """Return those digests of `entries` (name, media type, digest) of whose stored bytes nothing untrue is said.

        Whoever names another one has to send it, as one that is not there: nobody learns what is stored.
        """
        said: dict[str, bool] = {}
        for name, media_type, sha256 in entries:
            if said.get(sha256, True):
                said[sha256] = not promises(name, media_type) or await self._fits(
                    workspace_id, sha256, name, media_type
                )
        return frozenset(sha256 for sha256, is_true in said.items() if is_true)

    async def _fits(self, workspace_id: str, sha256: str, name: str, media_type: str) -> bool:
        head = self._heads.get((workspace_id, sha256))
        if head is None:
            head = await self._head(workspace_id, sha256)
            if head is None:
                return False
            self._heads[workspace_id, sha256] = head
            if len(self._heads) > MOST_HEADS:
                self._heads.popitem(last=False)
        return is_kept(name, media_type, head)

    async def _head(self, workspace_id: str, sha256: str) -> bytes | None:
        """Return the first bytes of a stored artifact; None of one that is not there or cannot be read now."""
        try:
            if await self._artifacts.find(workspace_id, sha256) is None:
                return None
            async with aclosing(self._artifacts.open(workspace_id, sha256, 0, SNIFFED_BYTES)) as pieces:
                return b"".join([piece async for piece in pieces])
        except FailgateError:
            return None


def said_by(entries: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return name, media type and digest of each row of `report_artifact`."""
    return [(entry["name"], entry["media_type"], entry["sha256"]) for entry in entries]
