"""Fetches from addresses that others name: providers' documents, keys and tokens, metadata by URL, webhooks.

The name is resolved once, every address behind it is judged (`base/destination.py`), and the connection goes to a
judged address with the name kept for SNI, certificate and Host: a name that resolves to another address a moment later
(DNS rebinding) changes nothing. No redirect is followed, no proxy of the environment is used, no cookie is kept.
"""

import asyncio
import copy
import functools
import ipaddress
import socket
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from failgate.base.destination import (
    Destination,
    Network,
    OutboundRefused,
    check_addresses,
    check_listed,
    is_listed,
    parse_destination,
)

if TYPE_CHECKING:
    import ssl

    import httpx2

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
MAX_BYTES: Final = 1024 * 1024
SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 3.0  # of the total, so that a second address still has its turn
MAX_ADDRESSES_TRIED: Final = 3
# Fetches at a time: a silent provider holds no memory without bound, and none of what the others need.
MAX_RUNNING: Final = 64
MAX_RUNNING_EACH: Final = 16
RESOLVER_THREADS: Final = 4
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `headers` in lower case, `body` decompressed. A redirect is an answer like any other."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Return the media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_seconds(self) -> float | None:
        """Return the seconds of `Retry-After` of a 429 or 503; None without them or with a date.

        Source: RFC 9110 section 10.2.3.
        """
        text = self.headers.get("retry-after", "")
        is_said = self.status in {429, 503} and text.isascii() and text.isdigit() and len(text) < 8
        return float(text) if is_said else None

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises: OutboundRefused (not JSON, not UTF-8, nested without end).
        """
        import msgspec

        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise OutboundRefused(
                "not-json", "The answer is not JSON.", hint="Check that the address is the one meant."
            ) from None


@final
class Outbound:
    """The one way out to addresses that this server did not choose itself."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        networks: Sequence[str] = (),
        hosts: Sequence[str] = ("*",),
        resolve: Resolve | None = None,
        trust: "ssl.SSLContext | None" = None,
    ) -> None:
        """Connect to public addresses, to `networks` that the operator opened, to loopback when told.

        Of all of them `hosts` alone are asked: names, `*.` and a domain, or `*`; and loopback, when that is allowed.
        `resolve` answers a name with its addresses (default: the system's); `trust` holds the accepted authorities
        (default: the system's, or the file that SSL_CERT_FILE names).
        """
        self._allow_loopback = allow_loopback
        self._networks: tuple[Network, ...] = tuple(ipaddress.ip_network(network) for network in networks)
        self._listed = frozenset((*hosts, *(LOOPBACK if allow_loopback else ())))
        self._resolve = resolve or self._resolve_by_system
        self._trust = trust
        self._trusting = asyncio.Lock()  # the authorities are read once, however many wait
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._hosts: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()
        # Of their own: names that never resolve do not hold the threads that hash passwords.
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")

    @property
    def allows_loopback(self) -> bool:
        """Tell whether this server was told to connect to loopback addresses: in development and tests."""
        return self._allow_loopback

    def lists(self, host: str) -> bool:
        """Tell whether `host` is one that the operator lists or names."""
        return is_listed(host, self._listed)

    def naming(self, *hosts: str) -> "Outbound":
        """Return this way out with `hosts` listed too: those that the operator named in other settings.

        It shares the limits of the one that it comes from.
        """
        more = copy.copy(self)
        more._listed = self._listed | {host for host in hosts if host}  # noqa: SLF001 - of this class, just made
        return more

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
    ) -> Answer:
        """Return the answer to a GET.

        Raises: OutboundRefused.
        """
        return await self._fetch("GET", url, None, headers, max_bytes, seconds)

    async def post(
        self,
        url: str,
        content: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
    ) -> Answer:
        """Return the answer to a POST of `content`; `headers` names its Content-Type.

        Raises: OutboundRefused.
        """
        return await self._fetch("POST", url, content, headers, max_bytes, seconds)

    async def put(
        self,
        url: str,
        content: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
    ) -> Answer:
        """Return the answer to a PUT of `content`.

        Raises: OutboundRefused.
        """
        return await self._fetch("PUT", url, content, headers, max_bytes, seconds)

    async def delete(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
    ) -> Answer:
        """Return the answer to a DELETE.

        Raises: OutboundRefused.
        """
        return await self._fetch("DELETE", url, None, headers, max_bytes, seconds)

    async def check(self, url: str, *, seconds: float = SECONDS) -> None:
        """Do nothing when `url` may be fetched now; nothing is connected to.

        Raises: OutboundRefused.
        """
        destination = parse_destination(url)
        try:
            async with asyncio.timeout(seconds):
                await self._judged_addresses(destination)
        except TimeoutError:
            raise _timed_out(destination, seconds) from None

    async def _fetch(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        max_bytes: int,
        seconds: float,
    ) -> Answer:
        import httpx2

        destination = parse_destination(url)
        try:
            async with asyncio.timeout(seconds), self._turn_of(destination.host), self._running:
                addresses = await self._judged_addresses(destination)
                return await self._try_each(addresses, method, destination, content, headers, max_bytes)
        except (TimeoutError, httpx2.TimeoutException):
            raise _timed_out(destination, seconds) from None
        except httpx2.DecodingError:
            raise OutboundRefused(
                "malformed-answer", f"{destination.host} sent a compressed body that is broken."
            ) from None
        except (httpx2.TransportError, httpx2.InvalidURL, OSError) as error:
            raise OutboundRefused(
                "unreachable",
                f"{destination.host} cannot be reached: {type(error).__name__}.",
                hint="Check name, port, firewall and the certificate's issuer.",
            ) from None

    def _turn_of(self, host: str) -> asyncio.Semaphore:
        turn = self._hosts.get(host)
        if turn is None:  # whoever waits holds it; it goes with the last one
            turn = self._hosts[host] = asyncio.Semaphore(MAX_RUNNING_EACH)
        return turn

    async def _judged_addresses(self, destination: Destination) -> tuple[str, ...]:
        check_listed(destination, self._listed)
        if destination.literal is not None:
            addresses: tuple[str, ...] = (destination.host,)
        else:
            try:
                addresses = tuple(dict.fromkeys(await self._resolve(destination.host, destination.port)))
            except (OSError, UnicodeError):
                addresses = ()
        check_addresses(destination, addresses, allow_loopback=self._allow_loopback, networks=self._networks)
        return addresses

    async def _try_each(
        self,
        addresses: tuple[str, ...],
        method: str,
        destination: Destination,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        max_bytes: int,
    ) -> Answer:
        import httpx2

        tried = addresses[:MAX_ADDRESSES_TRIED]
        for address in tried:
            try:
                return await self._exchange(address, method, destination, content, headers, max_bytes)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):  # nothing was sent yet
                if address == tried[-1]:
                    raise
        raise AssertionError("unreachable: there is at least one address")

    async def _exchange(
        self,
        address: str,
        method: str,
        destination: Destination,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        max_bytes: int,
    ) -> Answer:
        import httpx2

        pinned = f"[{address}]" if ":" in address else address
        url = httpx2.URL(f"{destination.scheme}://{pinned}:{destination.port}{destination.target}")
        sent = {
            "User-Agent": "failgate",
            "Accept": "application/json",
            **(headers or {}),
            "Host": destination.authority,
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        async with httpx2.AsyncClient(
            verify=await self._context(),
            trust_env=False,  # no proxy, no netrc of the environment
            follow_redirects=False,
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),  # the whole is timed by the caller
        ) as client:
            request = client.build_request(
                method, url, content=content, headers=sent, extensions={"sni_hostname": destination.host}
            )
            response = await client.send(request, stream=True)
            try:
                return Answer(
                    response.status_code, dict(response.headers.items()), await _read(response, destination, max_bytes)
                )
            finally:
                await response.aclose()

    async def _resolve_by_system(self, host: str, port: int) -> Sequence[str]:
        ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        # An IPv6 answer with a scope is link-local: the scope stays in the text, so that it is refused.
        return [str(where[0]) for _, _, _, _, where in found]

    async def _context(self) -> "ssl.SSLContext":
        async with self._trusting:
            if self._trust is None:
                self._trust = await asyncio.to_thread(_system_trust)
            return self._trust


async def _read(response: "httpx2.Response", destination: Destination, max_bytes: int) -> bytes:
    """Return the body, decompressed in pieces of at most 1 MiB and never more than `max_bytes` in all."""
    if response.headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:  # also: one inside another
        raise OutboundRefused("malformed-answer", f"{destination.host} answers in an encoding that was not asked for.")
    length = response.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > max_bytes:
        raise _too_large(destination, max_bytes)
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > max_bytes:
            raise _too_large(destination, max_bytes)
    return bytes(body)


def _too_large(destination: Destination, max_bytes: int) -> OutboundRefused:
    return OutboundRefused("too-large", f"{destination.host} answers with more than {max_bytes} bytes.")


def _timed_out(destination: Destination, seconds: float) -> OutboundRefused:
    return OutboundRefused(
        "timed-out", f"{destination.host} did not answer within {seconds:g} seconds.", hint="Try again later."
    )


def _system_trust() -> "ssl.SSLContext":
    import ssl

    import httpx2

    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
