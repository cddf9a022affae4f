"""What the server answered: its head parsed, its problem documents raised. No socket here."""

from __future__ import annotations

from failgate.base.quick import NamedTuple, cast, loads
from failgate.client.address import Address
from failgate.client.exits import Refused, Unreachable
from failgate.client.messages import inert

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import Any


class Answer(NamedTuple):
    """What the server answered: its status and the JSON object of its body (empty when there was none)."""

    status: int
    content: dict[str, Any]


class Lost(Unreachable):
    """The connection was refused or broke; the request may or may not have been taken."""


class Strange(Unreachable):
    """Something answered that is not this server: no HTTP, a redirect, no JSON."""


class Raw(NamedTuple):
    """An answer as it was read: header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


def parsed_head(head: bytes, address: Address) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of a head without its empty line. Raises: Strange."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or parts[0] not in ("HTTP/1.1", "HTTP/1.0") or not (parts[1].isdigit() and len(parts[1]) == 3):
        raise Strange(f"{address} does not speak HTTP.", hint="Check FAILGATE_URL: http or https, host and port.")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if parts[0] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return int(parts[1]), headers


def accepted(raw: Raw, address: Address) -> Answer:
    """Return the answer of 200 to 299 that `raw` is.

    Raises: Refused (a problem document), Strange (a redirect, no JSON), Lost (a proxy's 5xx).
    """
    if 300 <= raw.status < 400:
        where = inert(raw.headers.get("location", "elsewhere")[:200])
        raise Strange(
            f"{address} redirects to {where}; a token does not follow redirects.",
            hint="Set FAILGATE_URL to the server itself.",
        )
    content = _parsed_body(raw, address)
    if raw.status < 300:
        return Answer(raw.status, content)
    problem = str(content.get("type") or content.get("error") or "").removeprefix("urn:failgate:error:")
    said = content.get("detail") or content.get("title") or content.get("error_description")
    sentence = said or f"The server answered with status {raw.status}."
    hint = content.get("hint")
    raise Refused(
        raw.status,
        problem,
        inert(str(sentence)[:2000]),
        hint=inert(str(hint)[:1000]) if hint else None,
        members=content,
    )


def _parsed_body(raw: Raw, address: Address) -> dict[str, Any]:
    if not raw.body:
        return {}
    try:
        content: object = loads(raw.body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return cast("dict[str, Any]", content)
    if raw.status >= 500:
        raise Lost(f"{address} answered with status {raw.status}.", hint="Ask whoever runs the server.")
    raise Strange(
        f"{address} answered with something that is not JSON.", hint="Check that FAILGATE_URL is a Failgate server."
    )
