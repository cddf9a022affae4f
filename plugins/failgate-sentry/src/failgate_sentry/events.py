"""Events of an envelope become drafts; everything else is counted by kind.

SDKs differ, so nothing but the event's id is demanded: what has another type than it should is passed over.
Source: develop.sentry.dev, SDK development, "Event payloads".
"""

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from failgate.plugin import Draft, DraftArtifact, Reading, TooLarge, Unprocessable
from failgate_sentry.envelope import Envelope, Item, json_object, parse_envelope, text_of
from failgate_sentry.writing import object_of, pairs_of, title_of, written

LARGEST_EVENT = 1024 * 1024
"""As Sentry has it. A parsed value takes fifty times its text, and the key of a project is no secret."""
# Kinds that are counted under their own name; a sender could invent names without end.
_KNOWN = frozenset(
    {
        "attachment",
        "session",
        "sessions",
        "transaction",
        "client_report",
        "profile",
        "profile_chunk",
        "replay_event",
        "replay_recording",
        "check_in",
        "statsd",
        "metric_buckets",
        "user_report",
        "feedback",
        "log",
        "span",
        "raw_security",
        "otel_log",
        "trace_metric",
    }
)
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}", re.ASCII)
_EVENT_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class SentryFormat:
    """A `DocumentFormat`: a report for each event of an envelope, with the envelope's attachments."""

    name = "sentry"

    def drafts(self, document: bytes) -> Reading:
        """Return the events of `document`.

        Raises: Unprocessable (no envelope, an event without an id), TooLarge.
        """
        envelope = parse_envelope(document)
        events = [item for item in envelope.items if item.kind == "event"]
        attachments = [_attachment(item) for item in envelope.items if item.kind == "attachment"] if events else []
        passed_over = Counter(
            item.kind if item.kind in _KNOWN else "other"
            for item in envelope.items
            if item.kind != "event" and not (events and item.kind == "attachment")
        )
        drafts = [
            _draft(envelope, item, attachments if number == 0 else [], number) for number, item in enumerate(events)
        ]
        return Reading(tuple(drafts), dict(passed_over))


def _draft(envelope: Envelope, item: Item, attachments: list[DraftArtifact], number: int) -> Draft:
    if len(item.payload) > LARGEST_EVENT:
        raise TooLarge(f"Event {number + 1} is larger than {LARGEST_EVENT} bytes.", hint="Send less, or an attachment.")
    event = json_object(item.payload, f"Event {number + 1} of the envelope")
    contexts = object_of(event.get("contexts"))
    runtime, system = object_of(contexts.get("runtime")), object_of(contexts.get("os"))
    text = "\n".join(written(event)).encode("utf-8", "replace")
    facts = {name: text_of(event.get(name)) for name in ("level", "environment", "transaction", "logger")}
    tags = {f"tag.{name}": value for name, value in pairs_of(event.get("tags"))}
    return Draft(
        source="sentry",
        id=_event_id(text_of(event.get("event_id")) or text_of(envelope.header.get("event_id"))),
        title=title_of(event),
        created_us=_microseconds(event.get("timestamp")),
        argv=_argv(event),
        host=text_of(event.get("server_name")),
        platform=_named(system) or text_of(event.get("platform")),
        python=text_of(runtime.get("version")) if "python" in text_of(runtime.get("name")).lower() else None,
        version=text_of(event.get("release")) or None,
        values={name: value for name, value in (facts | tags).items() if value},
        artifacts=[DraftArtifact("event.txt", "output", "text/plain", text), *attachments],
    )


def _event_id(written_id: str) -> str:
    if not _EVENT_ID.fullmatch(written_id):
        raise Unprocessable("An event has no event_id of 32 hex digits.", hint="Send the event's id.")
    return str(UUID(written_id))


def _argv(event: dict[str, Any]) -> list[str]:
    """Return the command line, which the SDK for Python sends, else what the event says of the program."""
    named: object = object_of(event.get("extra")).get("sys.argv")
    tokens = [each for each in cast("list[object]", named) if isinstance(each, str)] if isinstance(named, list) else []
    return tokens or ["sentry", text_of(event.get("transaction")) or text_of(event.get("platform")) or "event"]


def _named(thing: dict[str, Any]) -> str:
    return " ".join(part for part in (text_of(thing.get("name")), text_of(thing.get("version"))) if part)


def _attachment(item: Item) -> DraftArtifact:
    media_type = text_of(item.header.get("content_type")).lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    return DraftArtifact(text_of(item.header.get("filename")) or "attachment", "file", media_type, item.payload)


def _microseconds(timestamp: object) -> int | None:
    """Return the time of an event: seconds since 1970, or RFC 3339; one without a zone is UTC."""
    try:
        if isinstance(timestamp, str):
            moment = datetime.fromisoformat(timestamp)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        elif isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
            seconds = float(timestamp)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return round(seconds * 1_000_000) if 0 <= seconds < 253_402_300_800 else None
