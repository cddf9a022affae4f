"""Where a browser reports what its page's content security policy stopped: counted by directive, some of it logged.

Anybody can send anything here, and a browser's extension that touches our pages makes it send too: a hint to the
operator, never a proof. Of what was stopped the origin is kept at most, of the page nothing: its address may hold a
token.
Source: W3C Content Security Policy Level 3 sections 5.3 and 6.5.1.
"""

from typing import Any, Final, cast
from urllib.parse import urlsplit

from litestar import Request

from failgate.audit.flood import Flood
from failgate.base.clock import Clock
from failgate.base.errors import BadInput
from failgate.base.log import get_logger
from failgate.web.forms import check_media_type, read_whole
from failgate.web.metrics import Metrics
from failgate.web.strict_json import decode

REPORT_BYTES: Final = 16 * 1024
WINDOW_SECONDS: Final = 3600
DIRECTIVES: Final = frozenset(
    {
        "default-src", "script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem",
        "style-src-attr", "img-src", "connect-src", "font-src", "base-uri", "form-action", "frame-ancestors",
        "frame-src", "child-src", "worker-src", "manifest-src", "media-src", "object-src",
        "require-trusted-types-for", "trusted-types",
    }
)  # fmt: skip
_WORDS: Final = frozenset({"inline", "eval", "wasm-eval", "trusted-types-policy", "trusted-types-sink", "self", "data"})
log = get_logger(__name__)


class PolicyReports:
    """Counts what was reported; logs a few of an hour. One object for the whole server."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._flood = Flood(clock, WINDOW_SECONDS)

    def note(self, directive: str, stopped: str) -> None:
        """Count that `directive` stopped what came from `stopped`, an origin or a word."""
        self._metrics.policy_broken(directive)
        passed_over = self._flood.drain() if self._flood.is_over else 0
        if self._flood.admits():
            log.warning("policy.broken", directive=directive, stopped=stopped, passed_over=passed_over)


async def report(request: Request[Any, Any, Any]) -> None:
    """Take one report. Raises: WrongMediaType, TooLarge, BadInput."""
    check_media_type(request, "application/csp-report")
    value = decode(await read_whole(request, REPORT_BYTES), REPORT_BYTES)
    told: object = cast("dict[str, object]", value).get("csp-report") if isinstance(value, dict) else None
    if not isinstance(told, dict):
        raise BadInput("This is no report of a content security policy.")
    said = cast("dict[str, object]", told)
    named = str(said.get("effective-directive") or said.get("violated-directive") or "").partition(" ")[0]
    if named not in DIRECTIVES:
        raise BadInput("The report names no directive of a content security policy.")
    reports: PolicyReports = request.app.state.policy_reports
    reports.note(named, _origin(str(said.get("blocked-uri") or "")))


def _origin(text: str) -> str:
    """Return what may be kept of the address that was stopped: a word of the specification, or scheme and host."""
    if text in _WORDS:
        return text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "unknown"
    if not parts.scheme.isascii() or not host.isascii() or len(host) > 253 or not host:
        return "unknown"
    return f"{parts.scheme[:20]}://{host}" + (f":{port}" if port is not None else "")
