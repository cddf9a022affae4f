"""Webhooks against the contract, verified by the library of Standard Webhooks at a real receiver. B9."""

import json
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from failgate_webhook import WebhookSettings, plugin
from failgate_webhook.signature import headers_of
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from failgate.base.clock import SystemClock
from failgate.base.secret import Secret
from failgate.plugin import DeliveryFailed, Destination, Unprocessable
from failgate.testing import (
    PLANTED,
    SECRETS,
    NotifierContract,
    Other,
    Receiver,
    Reply,
    host_at,
    notification,
    opened,
    receiving,
)


@pytest.fixture
def receiver():
    with receiving() as one:
        yield one


def _notifier(folder: Path, *, allow_loopback: bool = True):
    @asynccontextmanager
    async def one():
        host = host_at(folder, "webhook", SystemClock(), allow_loopback=allow_loopback)
        async with opened(plugin, WebhookSettings(), host) as provides:
            assert provides.notifier is not None
            yield provides.notifier

    return one()


class TestContract(NotifierContract):
    @pytest.fixture
    def open_notifier(self, tmp_path: Path):
        return lambda: _notifier(tmp_path)

    @pytest.fixture
    def other(self, receiver: Receiver) -> Other:
        async def arrived() -> list[str]:
            return [each.body.decode() + str(dict(each.headers)) for each in receiver.posted]

        return Other(receiver.url, arrived, lambda: receiver.replies.append(Reply(500, {}, PLANTED.encode())))


async def delivered(folder: Path, receiver: Receiver, *secrets: str):
    async with _notifier(folder) as notifier:
        await notifier.deliver(notification(), Destination(receiver.url, tuple(Secret(text) for text in secrets)))
    return receiver.posted[-1]


async def test_the_library_verifies_what_is_signed_and_reads_type_time_and_data(tmp_path, receiver) -> None:
    posted = await delivered(tmp_path, receiver, SECRETS[0])
    payload = Verifier(SECRETS[0]).verify(posted.body, dict(posted.headers))
    assert payload == json.loads(posted.body)
    assert payload["type"] == "command.pending"
    assert payload["timestamp"] == "2023-11-14T22:13:20.000000Z"
    assert payload["data"]["command"]["program"] == "rm"
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["webhook-id"] == notification().id


async def test_while_a_secret_is_replaced_both_verify_and_no_other_does(tmp_path, receiver) -> None:
    posted = await delivered(tmp_path, receiver, *SECRETS)
    for secret in SECRETS:
        Verifier(secret).verify(posted.body, dict(posted.headers))
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + "R0hJ" * 8).verify(posted.body, dict(posted.headers))


@pytest.mark.parametrize("spoil", ["body", "webhook-id", "webhook-timestamp", "stale"])
async def test_what_was_changed_or_is_stale_does_not_verify(tmp_path, receiver, spoil: str) -> None:
    posted = await delivered(tmp_path, receiver, SECRETS[0])
    body, headers = posted.body, dict(posted.headers)
    if spoil == "body":
        body = body.replace(b"rm", b"ls")
    elif spoil == "stale":
        headers |= headers_of(notification().id, int(time.time()) - 400, body, [Secret(SECRETS[0])])
    else:
        headers[spoil] += "1"
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS[0]).verify(body, headers)


async def test_each_try_has_the_same_id(tmp_path, receiver) -> None:
    first = await delivered(tmp_path, receiver, SECRETS[0])
    second = await delivered(tmp_path, receiver, SECRETS[0])
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("reply", "is_final", "is_gone", "retry_after"),
    [
        (Reply(410), True, True, None),
        (Reply(429, {"retry-after": "120"}), False, False, 120.0),
        (Reply(503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), False, False, None),
        (Reply(302, {"location": "https://example.com/"}), False, False, None),
        (Reply(400), False, False, None),
    ],
)
async def test_what_the_other_side_answers_says_what_comes_next(
    tmp_path, receiver, reply: Reply, is_final, is_gone, retry_after
) -> None:
    receiver.replies.append(reply)
    with pytest.raises(DeliveryFailed) as failed:
        await delivered(tmp_path, receiver, SECRETS[0])
    error = failed.value
    assert (error.is_final, error.is_gone, error.retry_after_seconds) == (is_final, is_gone, retry_after)
    assert len(receiver.posted) == 1, "a redirect is not followed"


async def test_this_machine_is_not_reached_unless_the_operator_said_so(tmp_path, receiver) -> None:
    """SSRF: neither at the creation of a destination nor when it is delivered to, whatever was checked before."""
    async with _notifier(tmp_path, allow_loopback=False) as notifier:
        with pytest.raises(Unprocessable):
            await notifier.check(receiver.url)
        with pytest.raises(DeliveryFailed):
            await notifier.deliver(notification(), Destination(receiver.url, (Secret(SECRETS[0]),)))
    assert receiver.posted == []


async def test_the_query_of_an_address_is_not_shown(tmp_path, receiver) -> None:
    async with _notifier(tmp_path) as notifier:
        assert await notifier.check(f"{receiver.url}?key=hunter2") == f"{receiver.url}?…"
