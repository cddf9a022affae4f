"""Envelopes: as SDKs write them, and as they should not."""

import json

import pytest
from failgate_sentry import SentryFormat, plugin

from failgate.plugin import Plugin, TooLarge, Unprocessable
from failgate.testing import DocumentContract, cleaned

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
ID = "9ec79c33ec9942ab8353589fcb2e04dc"
EVENT = {
    "event_id": ID,
    "timestamp": "2026-01-02T03:04:05.5Z",
    "level": "error",
    "platform": "python",
    "release": "shop@1.2.3",
    "environment": "staging",
    "server_name": "web-1",
    "transaction": "pay",
    "tags": {"team": "cart"},
    "user": {"email": "ada@example.org"},
    "request": {"url": "https://shop.example/pay", "method": "POST", "headers": {"Cookie": "sid=12345678"}},
    "extra": {"sys.argv": ["manage.py", "pay", "--token", GITHUB]},
    "contexts": {"runtime": {"name": "CPython", "version": "3.11.7"}, "os": {"name": "Linux", "version": "6"}},
    "breadcrumbs": {"values": [{"timestamp": "t", "category": "http", "message": f"token={GITHUB}", "data": {"a": 1}}]},
    "exception": {
        "values": [
            {"type": "KeyError", "value": "'total'"},
            {
                "type": "PaymentError",
                "value": "card refused",
                "module": "shop.pay",
                "stacktrace": {
                    "frames": [
                        {"filename": "pay.py", "function": "pay", "lineno": 7, "context_line": "  raise PaymentError", "in_app": True,
                         "vars": {"password": "'hunter2-hunter2-77'", "n": 3}},
                        {"filename": "lib.py", "in_app": False},
                    ]
                },
            },
        ]
    },
}  # fmt: skip


def envelope(*items: tuple[dict, bytes], header: dict | None = None) -> bytes:
    lines = [json.dumps(header if header is not None else {"event_id": ID}).encode()]
    for item, payload in items:
        lines += [json.dumps(item).encode(), payload]
    return b"\n".join(lines)


def event(**members: object) -> bytes:
    return envelope(({"type": "event"}, json.dumps(EVENT | members).encode()))


class TestSentryFormat(DocumentContract):
    @pytest.fixture
    def document_format(self) -> SentryFormat:
        return SentryFormat()

    @pytest.fixture
    def documents(self) -> list[bytes]:
        attached = {"type": "attachment", "length": 5, "filename": "a.txt", "content_type": "text/plain"}
        return [event(), envelope((attached, b"a\nb\nc"), ({"type": "event"}, json.dumps(EVENT).encode()))]


def test_an_event_becomes_a_report_without_its_secrets_and_its_user():
    (draft,) = SentryFormat().drafts(event()).drafts
    manifest, (content,) = cleaned(draft)
    text = content.decode()
    assert manifest.title == "PaymentError: card refused"
    assert manifest.id.replace("-", "") == ID
    assert (manifest.source, manifest.version, manifest.host) == ("sentry", "shop@1.2.3", "web-1")
    assert manifest.created_at == "2026-01-02T03:04:05.500000Z"
    assert manifest.environment.values == {
        "level": "error",
        "environment": "staging",
        "transaction": "pay",
        "tag.team": "cart",
    }
    assert (manifest.environment.python, manifest.environment.platform) == ("3.11.7", "Linux 6")
    assert manifest.argv[:3] == ["manage.py", "pay", "--token"]
    for part in ("=== KeyError", "=== shop.pay.PaymentError", 'File "pay.py", line 7, in pay', "n = 3", "(library)"):
        assert part in text
    for secret in (GITHUB, "hunter2-hunter2-77", "ada@example.org", "sid=12345678"):
        assert secret not in text + str(manifest)
    assert {one.where for one in manifest.redactions} == {"event.txt", "manifest"}


def test_attachments_go_with_the_event_and_other_items_are_counted():
    reading = SentryFormat().drafts(
        envelope(
            ({"type": "session"}, b"{}"),
            ({"type": "event", "length": len(json.dumps(EVENT))}, json.dumps(EVENT).encode()),
            ({"type": "attachment", "length": 4, "filename": "../x", "content_type": "Text/HTML"}, b"\n\n\n\n"),
            ({"type": "attachment", "length": 3, "content_type": "nonsense"}, b"\0\1\2"),
            ({"type": "invented"}, b""),
        )
    )
    (draft,) = reading.drafts
    manifest, contents = cleaned(draft)
    assert [(one.name, one.kind, one.media_type) for one in manifest.artifacts[1:]] == [
        (".._x", "file", "text/html"),
        ("attachment", "file", "application/octet-stream"),
    ]
    assert list(contents[1:]) == [b"\n\n\n\n", b"\0\1\2"]
    assert reading.passed_over == {"session": 1, "other": 1}


def test_an_envelope_without_an_event_gives_no_report():
    reading = SentryFormat().drafts(
        envelope(({"type": "transaction"}, b"{}"), ({"type": "attachment", "length": 0}, b""))
    )
    assert (reading.drafts, reading.passed_over) == ((), {"transaction": 1, "attachment": 1})
    assert SentryFormat().drafts(b'{"event_id":"x"}') == ((), {})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"not json", "header of the envelope is no JSON"),
        (envelope(({"type": "event", "length": 10**9}, b"{}")), "does not end where its length says"),
        (envelope(({"type": "event", "length": 1}, b"{}")), "does not end where its length says"),
        (envelope(({"type": "event", "length": -1}, b"{}")), "no number of bytes"),
        (envelope(({"type": "event", "length": "2"}, b"{}")), "no number of bytes"),
        (envelope(({"length": 2}, b"{}")), "has no type"),
        (envelope(({"type": "event"}, b"[]")), "no JSON object"),
        (envelope(({"type": "event"}, b'"\xff"')), "is no JSON"),
        (envelope(({"type": "event"}, b"{}"), header={}), "event_id"),
        (envelope(({"type": "event"}, b'{"event_id": "../.."}'), header={}), "event_id"),
        (b'{"a": "' + b"x" * 70_000 + b'"}\n', "longer than"),
        (envelope(({"type": "event"}, b"[" * 100_000)), "is no JSON"),
    ],
)
def test_what_is_no_envelope_is_refused_with_its_place(document, says):
    with pytest.raises(Unprocessable, match=says):
        SentryFormat().drafts(document)


def test_an_event_that_would_take_fifty_times_its_text_is_refused():
    wide = b'{"extra":[' + b"{}," * 400_000 + b"{}]}"
    with pytest.raises(TooLarge, match="Event 1 is larger"):
        SentryFormat().drafts(envelope(({"type": "event", "length": len(wide)}, wide)))


def test_too_many_items_are_refused():
    with pytest.raises(TooLarge):
        SentryFormat().drafts(envelope(*([({"type": "session"}, b"{}")] * 101)))


@pytest.mark.parametrize(
    "odd", [None, 1, "x", [], [1], {}, {"values": 1}, {"values": [None, 1, "x", {}]}, [["a"]], [["a", 1]]]
)
def test_members_of_another_type_are_passed_over(odd):
    for member in EVENT:
        if member != "event_id":
            for draft in SentryFormat().drafts(event(**{member: odd})).drafts:
                cleaned(draft)


@pytest.mark.parametrize("stamp", [1e30, -1, "x", True, float("1e308"), "9999-99-99", [], 1767323045])
def test_any_time_is_taken(stamp):
    (draft,) = SentryFormat().drafts(event(timestamp=stamp)).drafts
    cleaned(draft)


def test_the_plugin_is_a_value_that_provides_one_format():
    assert isinstance(plugin, Plugin)
    assert plugin.name == "sentry"
