"""The store: one object for each key, visible when its upload is complete. No meaning of the bytes is known here.

An object up to one part is one conditional PUT. A larger one is a multipart upload: its parts are sent while they
arrive, and nothing of it is visible before the last request. What a process that ended left of one is removed by
`leftovers.py`.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from failgate.plugin import Conflict, FailgateError, NotFound, StorageUnavailable, Unprocessable

if TYPE_CHECKING:
    from collections.abc import Generator

    from obstore.store import ObjectStore
    from structlog.typing import FilteringBoundLogger

PIECE_BYTES: Final = 2 * 1024 * 1024
PARTS_IN_FLIGHT: Final = 1  # beside the one that is filled: two parts of memory for each upload
LISTED_AT_ONCE: Final = 1000
_KEY: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)

T = TypeVar("T")
Check = Callable[[], Awaitable[None]]


class _Abandoned(Exception):
    """The upload is not to be completed: obstore then aborts it."""


class IncomingObject:
    """An object that is being sent."""

    def __init__(self, store: "BucketStore", key: str) -> None:
        self._store = store
        self._key = key
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._upload: asyncio.Task[object] | None = None
        self._is_abandoned = False
        self.is_committed = False

    async def write(self, chunk: bytes) -> None:
        """Append `chunk`.

        Raises: StorageUnavailable.
        """
        if self._upload is not None:
            await self._hand_over(chunk)
            return
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes > self._store.part_bytes:
            held, self._held = self._held, []
            self._upload = asyncio.create_task(self._store.send_parts(self._key, self._arriving()), name="parts")
            for piece in held:
                await self._hand_over(piece)

    async def commit(self) -> None:
        """Make the object visible under its key.

        Raises: StorageUnavailable; Conflict when the key is taken.
        """
        if self._upload is None:
            await self._store.send_whole(self._key, b"".join(self._held))
        else:
            if await self._store.is_there(self._key):
                raise Conflict("The object's key is taken.", hint="Put it under a fresh key.")
            await self._hand_over(None)
            with self._store.refusals("keep an object"):
                await _to_its_end(self._upload)
        self.is_committed = True

    async def abandon(self) -> None:
        """Take back what was sent; the store keeps no part of it."""
        if self._upload is None:
            return
        self._is_abandoned = True
        if not self._upload.done():
            if self._pieces.full():
                self._pieces.get_nowait()
            self._pieces.put_nowait(None)
        await asyncio.wait([self._upload])
        if not isinstance(self._upload.exception(), _Abandoned):  # obstore may have failed to take it back as well
            await self._store.forget_parts(self._key)

    async def _hand_over(self, piece: bytes | None) -> None:
        assert self._upload is not None, "parts are handed to an upload"
        putting = asyncio.ensure_future(self._pieces.put(piece))
        try:
            await asyncio.wait({putting, self._upload}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if self._upload.done():
            with self._store.refusals("take bytes"):
                self._upload.result()

    async def _arriving(self) -> AsyncIterator[bytes]:
        while True:
            piece = await self._pieces.get()
            if self._is_abandoned:
                raise _Abandoned
            if piece is None:
                return
            yield piece


class BucketStore:
    """An `ArtifactStore` in a bucket. `check` refuses an endpoint that must not be connected to (any more)."""

    def __init__(
        self,
        bucket: "ObjectStore",
        log: "FilteringBoundLogger",
        *,
        part_bytes: int,
        check: Check,
        forget_parts: Callable[[str], Awaitable[None]],
    ) -> None:
        self._bucket = bucket
        self._log = log
        self.part_bytes = part_bytes
        self._check = check
        self.forget_parts = forget_parts

    @asynccontextmanager
    async def put(self, key: str) -> AsyncGenerator[IncomingObject, None]:
        """Open a new object; without `commit` every trace of it is removed on leaving.

        Raises: Unprocessable (not a key), Conflict (key taken), StorageUnavailable.
        """
        await self._begin(key)
        if await self.is_there(key):
            raise Conflict("The object's key is taken.", hint="Put it under a fresh key.")
        incoming = IncomingObject(self, key)
        try:
            yield incoming
        finally:
            if not incoming.is_committed:
                await _to_its_end(asyncio.create_task(incoming.abandon()))

    async def open(self, key: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes `start` to `stop` (exclusive, None = end) in pieces of at most 2 MiB.

        Each piece is a request of its own, the next one under way meanwhile: a slow reader holds no connection open.

        Raises: NotFound, StorageUnavailable.
        """
        size = await self.size(key)
        end = size if stop is None else min(stop, size)
        position = max(start, 0)
        ahead: asyncio.Task[bytes] | None = None
        try:
            while position < end:
                if ahead is None:
                    ahead = self._fetching(key, position, end)
                piece = await ahead
                position += len(piece)
                ahead = self._fetching(key, position, end) if position < end else None
                yield piece
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait([ahead])
                if not ahead.cancelled():
                    ahead.exception()  # looked at, so that it is not reported as never retrieved

    async def size(self, key: str) -> int:
        """Return the size in bytes.

        Raises: NotFound, StorageUnavailable.
        """
        await self._begin(key)
        with self.refusals("find an object"):
            return (await obstore.head_async(self._bucket, key))["size"]

    async def unlink(self, key: str) -> bool:
        """Remove an object; False when there was none.

        Raises: StorageUnavailable.
        """
        await self._begin(key)
        if not await self.is_there(key):
            return False
        with self.refusals("remove an object"):
            await obstore.delete_async(self._bucket, key)
        return True

    async def keys(self) -> AsyncIterator[str]:
        """Yield every visible key.

        Raises: StorageUnavailable.
        """
        await self._check()
        with self.refusals("list its objects"):
            async for batch in obstore.list(self._bucket, chunk_size=LISTED_AT_ONCE):
                for entry in batch:
                    if _KEY.fullmatch(entry["path"]):
                        yield entry["path"]

    async def health(self) -> str | None:
        """Return None while the bucket answers, else one sentence for the operator."""
        try:
            async with asyncio.timeout(2):
                await self.is_there("00000000-0000-7000-8000-000000000000")
        except TimeoutError:
            return "The object store did not answer within 2 seconds."
        except FailgateError as error:
            return error.sentence
        return None

    async def is_there(self, key: str) -> bool:
        """Tell whether an object of this key is visible.

        Raises: StorageUnavailable.
        """
        try:
            with self.refusals("find an object"):
                await obstore.head_async(self._bucket, key)
        except NotFound:
            return False
        return True

    async def send_whole(self, key: str, content: bytes) -> None:
        """Put a small object in one request, unless its key is taken.

        In Azure, blocks of an upload that was taken back hold their key until they expire after a week, though nothing
        is visible: they are replaced.

        Raises: Conflict, StorageUnavailable.
        """
        try:
            await self._send(key, content, "create")
        except Conflict:
            if await self.is_there(key):
                raise
            await self._send(key, content, "overwrite")

    async def _send(self, key: str, content: bytes, mode: Literal["create", "overwrite"]) -> None:
        with self.refusals("keep an object"):
            await _to_its_end(
                asyncio.ensure_future(obstore.put_async(self._bucket, key, content, mode=mode, use_multipart=False))
            )

    async def send_parts(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Put a large object; when `pieces` raises, the upload is aborted and the exception comes out again."""
        await obstore.put_async(
            self._bucket,
            key,
            pieces,
            use_multipart=True,
            chunk_size=self.part_bytes,
            max_concurrency=PARTS_IN_FLIGHT,
        )

    @contextmanager
    def refusals(self, verb: str) -> "Generator[None, None, None]":
        """Turn the store's refusals into ours; the sentence holds no address and no name: strangers may read it."""
        try:
            yield
        except FileNotFoundError as error:
            raise NotFound("There is no such object.") from error
        except AlreadyExistsError as error:
            raise Conflict("The object's key is taken.", hint="Put it under a fresh key.") from error
        except (BaseError, OSError) as error:
            self._log.warning("objectstore.refused", verb=verb, kind=type(error).__name__, reason=_first_line(error))
            raise StorageUnavailable(
                f"The artifact store cannot {verb}: {_kind(error)}.", hint="Nothing was kept; ask again later."
            ) from error

    async def _begin(self, key: str) -> None:
        if _KEY.fullmatch(key) is None:
            raise Unprocessable("An object key is a lower-case UUID of 36 characters.")
        await self._check()

    def _fetching(self, key: str, position: int, end: int) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self._fetch(key, position, min(end, position + PIECE_BYTES)), name="fetching")

    async def _fetch(self, key: str, start: int, end: int) -> bytes:
        with self.refusals("read an object"):
            piece = bytes(await obstore.get_range_async(self._bucket, key, start=start, end=end))
        if len(piece) != end - start:
            raise StorageUnavailable("The artifact store sent fewer bytes than it has.", hint="Ask again.")
        return piece


async def _to_its_end(task: "asyncio.Future[T]") -> T:
    """Return what `task` does. A cancelled caller waits for its end: it is kept or taken back."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as never retrieved
        raise


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]


def _kind(error: Exception) -> str:
    words = {
        "PermissionDeniedError": "it refuses the credentials",
        "UnauthenticatedError": "it refuses the credentials",
    }
    return words.get(type(error).__name__, "it does not answer as it should")
