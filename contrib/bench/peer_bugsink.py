"""Bugsink as a peer: Sentry envelopes are posted, and the rows of its `events_event` are counted until they stop.

What it answered is not what it has digested, so the clock stops when the last row is there. `bugsink_server.py` runs
one; `FAILGATE_BENCH_BUGSINK=DSN,DATABASE` names another that runs already.
"""

import json
import sqlite3
import time
import uuid
from urllib.parse import urlsplit

from harness import Measure, Sample, run_load

EVENTS = 200
PATIENCE_SECONDS = 120.0


def digesting(dsn: str, database: str, kind: str = "envelopes") -> Measure:
    """Return what posts `EVENTS` envelopes and waits until all are digested; the value is digested events a second."""
    parts = urlsplit(dsn)
    project = parts.path.strip("/")
    headers = {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={parts.username}, sentry_client=bench/1"}

    def measure() -> Sample:
        before, started = _digested(database), time.perf_counter()
        job = {
            "kind": "posts",
            "host": parts.hostname,
            "port": parts.port,
            "path": f"/api/{project}/envelope/",
            "headers": headers,
        }
        seen = run_load(
            job | {"clients": 16, "expect": 200, "make": {"what": kind, "seed": time.time_ns(), "count": EVENTS}}
        )
        while _digested(database) - before < EVENTS:
            if time.perf_counter() - started > PATIENCE_SECONDS:
                raise RuntimeError(f"Bugsink digested {_digested(database) - before} of {EVENTS} events")
            time.sleep(0.02)
        return Sample(EVENTS / (time.perf_counter() - started), {"answered_per_s": seen["rate"]})

    return measure


def _digested(database: str) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM events_event").fetchone()[0])


def envelope(number: int, frame_count: int = 24) -> str:
    """Return one Sentry envelope, of about 2.7 KB when nothing else is said."""
    identifier = uuid.uuid4().hex
    frames = [
        {"filename": f"app/module_{place}.py", "function": f"step_{place}", "lineno": 10 + place, "in_app": True}
        for place in range(frame_count)
    ]
    event = {
        "event_id": identifier,
        "timestamp": time.time(),
        "platform": "python",
        "level": "error",
        "exception": {
            "values": [
                {"type": f"Failure{number % 50}", "value": f"case {number} failed", "stacktrace": {"frames": frames}}
            ]
        },
    }
    body = json.dumps(event)
    return "\n".join(
        [json.dumps({"event_id": identifier}), json.dumps({"type": "event", "length": len(body.encode())}), body, ""]
    )
