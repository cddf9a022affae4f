"""Providers' discovery documents and key sets, kept for a while, fetched once for all who wait.

A provider may change its keys at any time, also in the middle of a sign-in: a token by an unknown key leads to one
fetch of the key set, and to no more than one in ten seconds: anybody can send such a token to the back-channel door.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar, final

from failgate.base.clock import Clock
from failgate.base.destination import OutboundRefused
from failgate.base.outbound import Answer, Outbound
from failgate.sso.connection import OidcSettings
from failgate.sso.oidc.metadata import ProviderMetadata, discovery_url, read_metadata
from failgate.sso.oidc.token import Jwk, read_key_set
from failgate.sso.protocol import Refusal

METADATA_SECONDS: Final = 3600.0
KEYS_SECONDS: Final = 600.0
KEYS_AGAIN_SECONDS: Final = 10.0
MAX_KEPT: Final = 500
_MAX_BYTES: Final = 512 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    """A value; both times are of the monotonic clock. `asked_again`: when `refresh` last loaded it."""

    value: T
    fetched: float
    asked_again: float = float("-inf")


@final
class Shelf(Generic[T]):
    """Values by name, each loaded by one task however many wait for it, and loaded anew when it is too old."""

    def __init__(self, clock: Clock, *, limit: int = MAX_KEPT) -> None:
        """Keep at most `limit` values; the one asked for longest ago leaves first."""
        self._clock = clock
        self._limit = limit
        self._kept: OrderedDict[str, _Kept[T]] = OrderedDict()
        self._running: dict[str, asyncio.Task[T]] = {}

    async def get(self, name: str, load: Callable[[], Awaitable[T]], *, max_age_seconds: float) -> T:
        """Return the value under `name`, loaded when there is none younger than `max_age_seconds`.

        Raises: what `load` raises; nothing is remembered then.
        """
        kept = self._kept.get(name)
        is_young = kept is not None and self._clock.monotonic() - kept.fetched < max_age_seconds
        if kept is not None and is_young and name not in self._running:
            self._kept.move_to_end(name)
            return kept.value
        return await self._loaded(name, load)

    async def refresh(self, name: str, load: Callable[[], Awaitable[T]], *, gap_seconds: float) -> T:
        """Return the value under `name` as it is now, or was when it was last asked for so, `gap_seconds` ago at most.

        Raises: what `load` raises.
        """
        kept, now = self._kept.get(name), self._clock.monotonic()
        if kept is not None and name not in self._running:
            if now - kept.asked_again < gap_seconds:
                return kept.value
            self._kept[name] = replace(kept, asked_again=now)  # counts also when the load fails
        return await self._loaded(name, load)

    async def _loaded(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        task = self._running.get(name)
        if task is None:
            task = asyncio.create_task(self._load(name, load), name=f"load {name}")
            self._running[name] = task
            task.add_done_callback(lambda done: self._forget_task(name, done))
        # Who hangs up does not take the answer away from the others.
        return await asyncio.shield(task)

    def forget(self, name: str) -> None:
        """Forget the value under `name`."""
        self._kept.pop(name, None)

    async def _load(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        value = await load()
        before = self._kept.get(name)
        fetched = self._clock.monotonic()
        self._kept[name] = _Kept(value, fetched, before.asked_again if before else float("-inf"))
        self._kept.move_to_end(name)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return value

    def _forget_task(self, name: str, done: "asyncio.Task[T]") -> None:
        if self._running.get(name) is done:
            del self._running[name]
        if not done.cancelled():
            done.exception()  # everybody who waited may be gone


@final
class Documents:
    """The discovery documents and key sets of every provider that this server knows."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        """Fetch through `outbound`."""
        self._outbound = outbound
        self._documents: Shelf[Any] = Shelf(clock)
        self._keys: Shelf[tuple[Jwk, ...]] = Shelf(clock)

    async def metadata(self, settings: OidcSettings, *, is_fresh: bool = False) -> ProviderMetadata:
        """Return what the connection's issuer says of itself, at most an hour old; `is_fresh`: of now.

        Raises: Refusal (`provider_…`, `metadata_malformed`, `issuer_mismatch`, `provider_unsuitable`).
        """
        url = discovery_url(settings.issuer)
        document = await self._documents.get(
            url, lambda: self._fetch(url), max_age_seconds=0 if is_fresh else METADATA_SECONDS
        )
        try:
            return read_metadata(document, settings)
        except Refusal:
            self._documents.forget(url)  # who mends the provider does not wait for an hour
            raise

    async def keys(self, metadata: ProviderMetadata, *, is_fresh: bool = False) -> tuple[Jwk, ...]:
        """Return the provider's keys, at most ten minutes old; `is_fresh`: of now, once in ten seconds.

        Raises: Refusal (`provider_…`, `keys_malformed`).
        """
        url = metadata.jwks_uri

        async def load() -> tuple[Jwk, ...]:
            return read_key_set(await self._fetch(url))

        if is_fresh:
            return await self._keys.refresh(url, load, gap_seconds=KEYS_AGAIN_SECONDS)
        return await self._keys.get(url, load, max_age_seconds=KEYS_SECONDS)

    async def _fetch(self, url: str) -> Any:
        try:
            answer = await self._outbound.get(url, max_bytes=_MAX_BYTES)
        except OutboundRefused as error:
            raise provider_refused(error) from None
        return read_json(answer, url)


def provider_refused(error: OutboundRefused) -> Refusal:
    """Return why a provider could not be asked, as a refusal: its reason is `provider_` and the word of `error`."""
    return Refusal(f"provider_{error.reason.replace('-', '_')}", str(error))


def read_json(answer: Answer, url: str) -> Any:
    """Return the JSON of an answer with status 200.

    Raises: Refusal (`provider_status`, `provider_not_json`).
    """
    if answer.status != 200:
        raise Refusal("provider_status", f"{url} answers with status {answer.status}.")
    try:
        return answer.json()
    except OutboundRefused:
        raise Refusal("provider_not_json", f"{url} does not answer with JSON.") from None
