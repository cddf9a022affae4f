"""The words of ASGI, for the few places that speak it directly. Source: ASGI specification 3.0."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ASKED_FOR_HEAD: Final = "failgate.asked_for_head"
"""Stands in the scope of a HEAD, which is answered as the GET of the same path; the transport drops the body."""

HasArrived: TypeAlias = Callable[[], bool]

ARRIVED: Final = "failgate.arrived"
"""In the scope of a request, a `HasArrived`: whether its whole body is there, all of it in the next message."""
