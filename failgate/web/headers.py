"""The security headers of every answer, and whose host name it was asked under.

What a handler sets itself stays (an artifact is sandboxed, a static file is cached): the middleware fills in the rest.
Sources: W3C CSP Level 3; OWASP ASVS 5.0 sections 3.4 and 14.3.
"""

import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from failgate.base.errors import BadInput
from failgate.config.addresses import is_wildcard, machine_name
from failgate.web.asgi import Message, Scope, Send
from failgate.web.context import Visit

_HOST = re.compile(r"(?:[^\s:\[\]/?#@\\]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
LAST_PORT = 65_535
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_CSP = (
    "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'{forms}; frame-ancestors 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'; trusted-types failgate"
)
REPORTS_TO = "/csp-reports"
SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
_FIXED: tuple[tuple[bytes, bytes], ...] = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)
_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


_NONCES: list[str] = []  # asking the system for each costs more than all the rest
_NONCE_BYTES, _BATCH = 18, 256


def new_nonce() -> str:
    """Return a fresh nonce of 144 bits, in base64url."""
    try:
        return _NONCES.pop()
    except IndexError:
        text = urlsafe_b64encode(os.urandom(_NONCE_BYTES * _BATCH)).decode()
        width = len(text) // _BATCH  # 18 bytes are 24 characters, and nothing is left over
        _NONCES.extend(text[place : place + width] for place in range(0, len(text), width))
        return _NONCES.pop()


os.register_at_fork(after_in_child=_NONCES.clear)


def security_headers(
    nonce: str, *, is_https: bool, is_trustworthy: bool, reports_to: str | None = REPORTS_TO
) -> list[tuple[bytes, bytes]]:
    """Return the headers that every answer carries.

    `is_trustworthy` tells whether a browser sends Fetch Metadata here (https, or a loopback name). Elsewhere the
    referrer policy lets a form of ours name its origin, which is the only proof that is left.
    """
    referrer = (b"referrer-policy", b"no-referrer" if is_trustworthy else b"same-origin")
    policy = (b"content-security-policy", nonce.encode().join(_around_nonces(reports_to)))
    return [*_FIXED, policy, referrer, _HSTS] if is_https else [*_FIXED, policy, referrer]


@lru_cache(maxsize=8)
def _around_nonces(reports_to: str | None) -> list[bytes]:
    return content_policy("\0", reports_to=reports_to).encode().split(b"\0")


def content_policy(nonce: str, forms: str = "", *, reports_to: str | None = REPORTS_TO) -> str:
    """Return the content security policy of a page; `forms` are further sources to which its forms may be sent.

    Browsers say at the path `reports_to` what it stopped; None: nowhere.
    """
    policy = _CSP.format(nonce=nonce, forms=f" {forms}" if forms else "")
    return policy if reports_to is None else f"{policy}; report-uri {reports_to}"


def sending_headers(scope: Scope, visit: Visit, send: Send) -> Send:
    """Return a `send` whose every answer, also to a handshake, carries the security headers and pending cookies."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] in _STARTS:
            given: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            ours = security_headers(visit.nonce, is_https=visit.is_https, is_trustworthy=_is_trustworthy(scope, visit))
            given += [pair for pair in ours if pair[0] not in names]
            given.append((b"x-request-id", visit.request_id.encode()))
            given += [(b"set-cookie", cookie.encode("latin-1")) for cookie in visit.set_cookies]
            message = {**message, "headers": given}
        await send(message)

    return send_with_headers


def attachment_headers(name: str, otherwise: str) -> dict[str, str]:
    """Return the headers under which bytes of a stranger are kept as `name`, or `otherwise`, and never shown.

    Source: RFC 6266 section 4.3.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:100].lstrip(".")
    said = quote(name[:200].encode("utf-8", "replace"), safe="")
    return {
        "content-disposition": f"attachment; filename=\"{plain or otherwise}\"; filename*=UTF-8''{said}",
        "content-security-policy": SANDBOX,
    }


def header(scope: Scope, name: bytes) -> str | None:
    """Return the header `name` (lower case) of an ASGI `scope`; None when absent.

    Raises: BadInput (it stands twice).
    """
    found: bytes | None = None
    for key, value in scope["headers"]:
        if key == name:
            if found is not None:
                raise BadInput(f"The header {name.decode()} stands twice.")
            found = value
    return None if found is None else found.decode("latin-1")


@lru_cache(maxsize=1024)
def host_name(host: str) -> str:
    """Return the name in a `Host` header in lower case, without its port; IPv6 addresses keep their brackets."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().rstrip(".")


def allowed_hosts(listen_host: str, public_url: str | None) -> frozenset[str]:
    """Return the names under which this server answers: its own address, its public name, and the loopback names.

    A wildcard is no name; there it is the machine's name.
    """
    names = set(LOOPBACK_NAMES)
    if is_wildcard(listen_host):
        names.add(machine_name())
    elif listen_host:
        names.add(f"[{listen_host}]".lower() if ":" in listen_host else listen_host.lower())
    if public_url:
        name = urlsplit(public_url).hostname or ""
        names.add(f"[{name}]" if ":" in name else name)
    return frozenset(names)


def check_host(scope: Scope, names: Collection[str]) -> None:
    """Check that the request names a host of ours, so that a name that an attacker points at us is worth nothing.

    The address that the peer connected to is allowed too: a rebound name is never written as that address.

    Raises: BadInput.
    Source: RFC 9112 section 3.2.
    """
    host = header(scope, b"host")
    if not host:
        raise BadInput("The request names no host.", hint="Send a Host header.")
    if not _is_written_as_host(host):
        raise BadInput("The Host header is malformed.", hint="Send NAME or NAME:PORT.")
    name = host_name(host)
    server: tuple[str, Any] | None = scope.get("server")
    if name in names or (server is not None and name.strip("[]") == server[0].lower()):
        return
    raise BadInput(
        "The request names a host that this server does not answer for.",
        hint="Use its own address, or set [server] public_url to the name that people use.",
    )


@lru_cache(maxsize=1024)
def _is_written_as_host(host: str) -> bool:
    written = _HOST.fullmatch(host)
    return written is not None and int(written[1] or 0) <= LAST_PORT


def own_origins(scope: Scope, public_url: str | None) -> frozenset[str]:
    """Return the origins that count as ours for the request in `scope`, whose host has been checked."""
    scheme = "https" if scope["scheme"] in {"https", "wss"} else "http"
    origins = {f"{scheme}://{header(scope, b'host')}"}
    if public_url:
        parts = urlsplit(public_url)
        origins.add(f"{parts.scheme}://{parts.netloc}")
    return frozenset(origins)


def _is_trustworthy(scope: Scope, visit: Visit) -> bool:
    names = [value for key, value in scope["headers"] if key == b"host"]
    return visit.is_https or (len(names) == 1 and host_name(names[0].decode("latin-1")) in LOOPBACK_NAMES)
