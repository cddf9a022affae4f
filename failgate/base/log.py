"""What the program says while it runs: one JSON object per line on stderr, nothing secret in any of them.

A line is an event `<noun>.<past participle>` with snake_case facts. Whatever looks like a credential is masked by the
last processor before the line is written, also inside tracebacks and in lines of other libraries. Bodies, cookies,
`Authorization` and query strings are not logged at all.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog

from failgate.base.secret import Secret

MASK = "********"
_encode = msgspec.json.Encoder().encode
_MASKED_KEYS = frozenset(
    {"authorization", "cookie", "set_cookie", "password", "secret", "token", "code", "form", "body", "query_string"}
)
_TOKEN = re.compile(
    r"fg_[a-z]{2,8}_[A-Za-z0-9_\-]{8,}"  # our own tokens
    r"|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"  # JWT
    r"|(?i:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}"  # Authorization
    r"|(?<=://)[^/\s:@]{1,256}:[^/\s@]{1,256}(?=@)"  # user and password in a URL
    r"|(?<=/setup\?)\S+|(?<=/signin\?)\S+|(?<=[?&]token=)[^\s&\"']+"  # links that sign somebody in
)
# Whatever _TOKEN finds holds one of these, in lower case; to look for them costs a hundredth of it.
_MARKS = ("fg_", "eyj", "bearer", "basic", "://", "/setup?", "/signin?", "token=")
_NUMBERS = frozenset({int, float, bool, type(None)})
# Library loggers that repeat what our own lines say, at levels below this one.
_QUIET = {
    "uvicorn.access": logging.CRITICAL,
    "uvicorn.error": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
    "litestar": logging.WARNING,
    "websockets": logging.WARNING,
}


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What every log line and every audit record of one request share: its id and the peer's address."""

    request_id: str
    ip: str | None


request_context: ContextVar[RequestContext | None] = ContextVar("failgate_request_context", default=None)


def mask(text: str) -> str:
    """Return `text` with everything that looks like a credential replaced by asterisks."""
    return _TOKEN.sub(MASK, text) if _may_hold_credential(text) else text


def _may_hold_credential(text: str) -> bool:
    lowered = text.lower()
    return any(mark in lowered for mark in _MARKS)


def masked(value: Any, depth: int = 6) -> Any:
    """Return `value`, which is made of JSON values and secrets, with every credential in it masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Secret) or depth == 0:
        return MASK
    if isinstance(value, bytes | bytearray | memoryview):
        return mask(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        pairs: Mapping[Any, Any] = value
        return {str(k): MASK if str(k).lower() in _MASKED_KEYS else masked(v, depth - 1) for k, v in pairs.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [masked(item, depth - 1) for item in cast("Sequence[Any]", value)]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(str(value))


def start_logging(
    log_format: Literal["json", "console"] = "json", *, level: str = "info", stream: TextIO | None = None
) -> None:
    """Make structlog and the standard library's loggers write masked lines to `stream` (stderr by default)."""
    target = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request,
        structlog.processors.format_exc_info,
        _mask_event,
    ]
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(_json_line)
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        use_get_message=True,
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name, lowest in _QUIET.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(number, lowest))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of the module `name`."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(room=name))


def _add_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_context.get()
    if current is not None:
        event.setdefault("request_id", current.request_id)
    return event


def _mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _is_harmless(event):
        return event
    kept = {key: event[key] for key in ("_record", "_from_structlog") if key in event}
    cleaned: dict[str, Any] = masked({key: value for key, value in event.items() if key not in kept})
    return {**cleaned, **kept}


def _is_harmless(event: Mapping[str, Any]) -> bool:
    """Tell whether `event` is flat and nothing in it can be a credential: most lines, which need no second look."""
    texts: list[str] = []
    for key, value in event.items():
        if type(value) is str:
            texts.append(value)
        elif type(value) not in _NUMBERS:
            return False
        if key.lower() in _MASKED_KEYS:
            return False
    return not _may_hold_credential("\n".join(texts))


def _json_line(event: Mapping[str, Any], default: Callable[[Any], Any]) -> str:
    """Return `event` as one line of ASCII, whatever it holds."""
    try:
        line = _encode(event).decode()
    except (TypeError, ValueError):
        line = ""
    return line if line and line.isascii() else json.dumps(event, default=default)
