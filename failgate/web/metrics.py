"""What is counted, in a registry of our own: requests by door, open sockets, pending commands, the exporters' lag.

Labels are names of doors, never paths: an attacker cannot make new series.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

MEDIA_TYPE = "text/plain; version=0.0.4"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
Reading = Callable[[], dict[tuple[str, ...], float]]


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "failgate_requests", "Answered requests.", ("door", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "failgate_request_seconds", "Time until the answer was complete.", ("door",),
            registry=self._registry, buckets=_BUCKETS,
        )  # fmt: skip
        self._known: dict[
            tuple[str, str, int], tuple[Counter, Histogram]
        ] = {}  # to look one up costs more than to count
        self._sockets = Gauge("failgate_open_sockets", "Open WebSockets.", ("door",), registry=self._registry)
        self._sockets_refused = Counter(
            "failgate_sockets_refused",
            "WebSockets and long polls refused since a person or an agent has too many.",
            ("whose",),
            registry=self._registry,
        )
        self._lag_records = Gauge(
            "failgate_audit_lag_records", "Records not yet delivered.", ("exporter",), registry=self._registry
        )
        self._lag_seconds = Gauge(
            "failgate_audit_lag_seconds", "How long the oldest of them waits.", ("exporter",), registry=self._registry
        )
        self._notifications = Gauge(
            "failgate_notifications", "Notifications that wait or were given up.", ("state",), registry=self._registry
        )
        self._failing = Gauge(
            "failgate_audit_exporter_failing", "1 while delivery fails.", ("exporter",), registry=self._registry
        )

        self._put_aside = Gauge(
            "failgate_audit_put_aside", "Records that the other side refused for ever.", ("exporter",),
            registry=self._registry,
        )  # fmt: skip
        self._unwitnessed = Gauge(
            "failgate_audit_unwitnessed_seconds", "How long the oldest record waits for enough cosignatures.",
            registry=self._registry,
        )  # fmt: skip
        self._witness_lag = Gauge(
            "failgate_audit_witness_lag_records", "Records that no head covers that it cosigned.", ("witness",),
            registry=self._registry,
        )  # fmt: skip
        self._witness_failing = Gauge(
            "failgate_audit_witness_failing",
            "1 while a witness does not cosign.",
            ("witness",),
            registry=self._registry,
        )
        self._witness_conflict = Gauge(
            "failgate_audit_witness_conflict", "1 while a witness says that it saw another history.", ("witness",),
            registry=self._registry,
        )  # fmt: skip
        self._signer_failing = Gauge(
            "failgate_audit_signer_failing", "1 while the signer that is a process of its own does not sign.",
            registry=self._registry,
        )  # fmt: skip
        self._contradictions = Gauge(
            "failgate_audit_contradictions", "Rows and records that differ, by the last comparison.",
            registry=self._registry,
        )  # fmt: skip
        self._handshakes = Counter(
            "failgate_tls_handshakes_failed",
            "TLS handshakes that came to nothing.",
            ("reason",),
            registry=self._registry,
        )

        self._policy = Counter(
            "failgate_policy_violations",
            "What browsers say that a content security policy stopped.",
            ("directive",),
            registry=self._registry,
        )

    def policy_broken(self, directive: str) -> None:
        """Count a report of a browser; `directive` is one of the specification."""
        self._policy.labels(directive).inc()

    def handshake_failed(self, reason: str) -> None:
        """Count a handshake that failed: `certificate`, `plain_http`, `timeout` or `tls`."""
        self._handshakes.labels(reason).inc()

    def request(self, door: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = self._known.get((door, method, status))
        if known is None:
            counter, histogram = self._requests.labels(door, method, str(status)), self._seconds.labels(door)
            known = self._known[door, method, status] = counter, histogram
        known[0].inc()
        known[1].observe(seconds)

    def socket_opened(self, door: str) -> None:
        """Count a socket in."""
        self._sockets.labels(door).inc()

    def socket_closed(self, door: str) -> None:
        """Count a socket out."""
        self._sockets.labels(door).dec()

    def socket_refused(self, whose: str) -> None:
        """Count a socket or a long poll beyond what a `person` or an `agent` may have."""
        self._sockets_refused.labels(whose).inc()

    def watch(self, name: str, help_text: str, labels: tuple[str, ...], read: Reading) -> None:
        """Ask `read` for the gauge `name` whenever somebody looks: values by their labels."""
        self._registry.register(_Watched(name, help_text, labels, read))

    def exporter(self, name: str, records: int, seconds: float, *, is_failing: bool, put_aside: int = 0) -> None:
        """Note how far an audit exporter is behind, and how many records its other side refused."""
        self._put_aside.labels(name).set(put_aside)
        self._lag_records.labels(name).set(records)
        self._lag_seconds.labels(name).set(seconds)
        self._failing.labels(name).set(int(is_failing))

    def witness(self, name: str, records: int, *, is_failing: bool, is_conflict: bool) -> None:
        """Note how far a witness is behind, whether it fails, whether it saw another history."""
        self._witness_lag.labels(name).set(records)
        self._witness_failing.labels(name).set(int(is_failing))
        self._witness_conflict.labels(name).set(int(is_conflict))

    def unwitnessed(self, seconds: float) -> None:
        """Note how long the oldest record waits for enough cosignatures."""
        self._unwitnessed.set(seconds)

    def signer(self, *, is_failing: bool) -> None:
        """Note whether the signer that is a process of its own does not sign."""
        self._signer_failing.set(int(is_failing))

    def contradictions(self, number: int) -> None:
        """Note how many rows and records differ."""
        self._contradictions.set(number)

    def notifications(self, states: Mapping[str, int]) -> None:
        """Note how many notifications stand how."""
        for state, number in states.items():
            self._notifications.labels(state).set(number)

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Watched(Collector):
    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], read: Reading) -> None:
        self._name, self._help, self._labels, self._read = name, help_text, labels, read

    def describe(self) -> list[GaugeMetricFamily]:
        """Return no sample: reading is left for when somebody looks."""
        return [GaugeMetricFamily(self._name, self._help, labels=self._labels)]

    def collect(self) -> list[GaugeMetricFamily]:
        """Return the values of this moment."""
        family = GaugeMetricFamily(self._name, self._help, labels=self._labels)
        for labels, value in self._read().items():
            family.add_metric(list(labels), value)
        return [family]
