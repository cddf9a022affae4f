"""What the program says while it runs: one JSON object per line on stderr, nothing secret in any of them.

A line is an event `<noun>.<past participle>` with snake_case facts. Whatever looks like a secret is replaced by the
last processor before the line is written, also inside tracebacks and in lines of other libraries. Bodies, cookies,
`Authorization` and query strings are not logged at all. What a secret looks like, the rules of redaction say.
"""

import asyncio
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog

from failgate.base.secret import Secret
from failgate.redaction import without_secrets

MASK = "********"
_encode = msgspec.json.Encoder().encode
_MASKED_KEYS = frozenset(
    {"authorization", "cookie", "set_cookie", "password", "secret", "token", "code", "form", "body", "query_string"}
)
# What every line has, and lines of nothing but what we fixed ourselves: they are not searched for secrets.
_OWN_KEYS = frozenset({"level", "timestamp", "room", "logger", "request_id", "_record", "_from_structlog"})
_FIXED_LINES = frozenset({"request.answered", "letter.sent"})
_EVENT = re.compile(r"[a-z_]{1,40}(?:\.[a-z_]{1,40})?", re.ASCII)
_direct: "list[_Lines | None]" = [None]  # where lines go that need no processor
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


def masked(value: Any, depth: int = 6) -> Any:
    """Return `value`, which is made of JSON values and secrets, with every credential in it masked."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Secret) or depth == 0:
        return MASK
    if isinstance(value, bytes | bytearray | memoryview):
        return without_secrets(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        pairs: Mapping[Any, Any] = value
        return {without_secrets(str(k)): _masked_fact(str(k), v, depth - 1) for k, v in pairs.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [masked(item, depth - 1) for item in cast("Sequence[Any]", value)]
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_secrets(str(value))


class _Lines:
    """A stream whose lines may be lost, but that never keeps the program from its work: a full disk, a closed pipe.

    Once lines are taken again, one before the next says how many were not.
    """

    def __init__(self, stream: TextIO, log_format: str) -> None:
        self._stream = stream
        self._is_json = log_format == "json"
        self._lost = 0
        self._waiting: list[str] = []
        self._lock = threading.RLock()  # a line may be written while one is: by a signal, a destructor

    def write(self, line: str) -> None:
        """Write and flush what waits, and `line`."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if not (waiting or line):  # they went with another line
                return
            try:
                self._stream.write("".join([self._told_of_lost(), *waiting, line]))
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: it was closed
                self._lost += len(waiting) + bool(line)
            else:
                self._lost = 0

    def write_soon(self, line: str) -> None:
        """Write `line` at the end of this turn of the loop, with others; at once where no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write(line)
            return
        with self._lock:
            if not self._waiting:
                loop.call_soon(self.write, "")
            self._waiting.append(line)

    def flush(self) -> None:
        """Do nothing: `write` did."""

    def _told_of_lost(self) -> str:
        if not self._lost:
            return ""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if not self._is_json:
            return f"{now} [warning  ] log.interrupted lines_lost={self._lost}\n"
        line = {"room": __name__, "lines_lost": self._lost, "event": "log.interrupted", "level": "warning"}
        return json.dumps(line | {"timestamp": now}) + "\n"


def start_logging(
    log_format: Literal["json", "console"] = "json", *, level: str = "info", stream: TextIO | None = None
) -> None:
    """Make structlog and the standard library's loggers write masked lines to `stream` (stderr by default)."""
    lines = _Lines(stream or sys.stderr, log_format)
    target = cast("TextIO", lines)
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
    _direct[:] = [lines if log_format == "json" and number <= logging.INFO else None]
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


def log_crashes() -> None:
    """Make what the interpreter itself would print a line of the log: a thread's end, a destructor's, a warning."""
    log = get_logger("failgate.crash")

    def of_thread(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
            log.error("thread.crashed", exc_info=ended.exc_value)

    def unraisable(ended: "sys.UnraisableHookArgs") -> None:
        log.error("destructor.crashed", reason=ended.err_msg, exc_info=ended.exc_value or True)

    threading.excepthook = of_thread
    sys.unraisablehook = unraisable
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of the module `name`."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(room=name))


class FixedLine:
    """Writes the lines of one event that hold nothing but what we fixed ourselves, as `get_logger(name).info` would.

    As JSON in half its time: a server writes one for each request.
    """

    def __init__(self, name: str, event: str) -> None:
        """Write lines of `event`, which stands in `_FIXED_LINES`, for the module `name`."""
        self._event = event
        self._first = {"room": name}
        self._log = get_logger(name).bind()  # bound once: the lazy one binds anew for each line

    def write(self, **facts: str | float | None) -> None:
        """Write one line."""
        target = _direct[-1] if structlog.is_configured() else None
        if target is None:
            self._log.info(self._event, **facts)
            return
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = self._first | facts | {"event": self._event, "level": "info", "timestamp": now}
        if (current := request_context.get()) is not None:
            line["request_id"] = current.request_id
        target.write_soon(_json_line(line, str) + "\n")


def _add_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_context.get()
    if current is not None:
        event.setdefault("request_id", current.request_id)
    return event


def _mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    name = event.get("event")
    if type(name) is str and name in _FIXED_LINES:
        return event
    return {key: value if _is_fixed(key, value) else _masked_fact(key, value) for key, value in event.items()}


def _is_fixed(key: str, value: Any) -> bool:
    """Tell whether `value` cannot hold a secret: a number, what every line has, the name of an event."""
    if key in _OWN_KEYS or type(value) in _NUMBERS:
        return True
    return key == "event" and type(value) is str and _EVENT.fullmatch(value) is not None


def _masked_fact(key: str, value: Any, depth: int = 6) -> Any:
    return MASK if key.lower() in _MASKED_KEYS else masked(value, depth)


def _json_line(event: Mapping[str, Any], default: Callable[[Any], Any]) -> str:
    """Return `event` as one line of ASCII, whatever it holds."""
    try:
        line = _encode(event).decode()
    except (TypeError, ValueError):
        line = ""
    return line if line and line.isascii() else json.dumps(event, default=default)
