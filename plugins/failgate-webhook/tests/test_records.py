"""The audit log by webhook: the exporter contract at a real receiver, signatures by the library, bad input. B11"""

import asyncio
import contextlib
import json
import socket
from pathlib import Path

import pytest
from failgate_webhook import WebhookSettings, plugin
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from failgate.base.clock import SystemClock
from failgate.config.errors import ConfigRefused
from failgate.plugin import Duration, ExportedRecord, ExportFailed, RecordsRefused, Secret
from failgate.testing import (
    PLANTED,
    SECRETS,
    ExporterContract,
    Receiver,
    Reply,
    exported,
    host_at,
    opened,
    receiving,
    settings_from,
)


@pytest.fixture
def receiver():
    with receiving() as one:
        yield one


@contextlib.asynccontextmanager
async def exporter_at(folder: Path, url: str, *, allow_loopback: bool = True, **more):
    settings = WebhookSettings(url=url, secret=Secret(SECRETS[0]), **more)
    host = host_at(folder, "siem", SystemClock(), allow_loopback=allow_loopback)
    async with opened(plugin, settings, host) as provides:
        assert provides.audit_exporter is not None
        yield provides.audit_exporter


def records_in(receiver: Receiver) -> list[ExportedRecord]:
    """What the receiver has, in bodies whose signature holds."""
    found = []
    for posted in receiver.posted:
        verified(posted)
        for line in posted.body.splitlines():
            value = json.loads(line)
            leaf = line.split(b'"record":', 1)[1][:-1]
            found.append(ExportedRecord(value["log"], value["seq"], leaf))
    return found


class TestContract(ExporterContract):
    @pytest.fixture
    def open_exporter(self, tmp_path: Path, receiver: Receiver):
        return lambda: exporter_at(tmp_path, receiver.url)

    @pytest.fixture
    def read_delivered(self, receiver: Receiver):
        async def read():
            return records_in(receiver)

        return read


def verified(posted, secret: str = SECRETS[0]) -> None:
    """Verify the signature by the library; what it reads of JSON is one line here."""
    with contextlib.suppress(json.JSONDecodeError):
        Verifier(secret).verify(posted.body, dict(posted.headers))


async def test_the_library_verifies_a_batch_and_no_other_bytes(tmp_path, receiver) -> None:
    async with exporter_at(tmp_path, receiver.url, previous=(Secret(SECRETS[1]),)) as exporter:
        await exporter.deliver(exported(0, 3))
    [posted] = receiver.posted
    for secret in SECRETS:
        verified(posted, secret)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS[0]).verify(posted.body.replace(b"plain", b"other"), dict(posted.headers))
    assert posted.headers["content-type"] == "application/x-ndjson"


async def test_the_same_lines_have_the_same_id_at_each_try(tmp_path, receiver) -> None:
    async with exporter_at(tmp_path, receiver.url) as exporter:
        for stop in (3, 3, 4):
            await exporter.deliver(exported(0, stop))
    first, second, other = (posted.headers["webhook-id"] for posted in receiver.posted)
    assert first == second != other


async def test_a_large_batch_leaves_in_bodies_that_a_receiver_takes(tmp_path, receiver) -> None:
    batch = [ExportedRecord("system", seq, b'{"text":"' + b"x" * 60_000 + b'"}') for seq in range(20)]
    async with exporter_at(tmp_path, receiver.url) as exporter:
        await exporter.deliver(batch)
    assert len(receiver.posted) == 3
    assert max(len(posted.body) for posted in receiver.posted) <= 512 * 1024
    assert records_in(receiver) == batch


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_what_the_other_side_says_of_the_records_is_for_ever(tmp_path, receiver, status: int) -> None:
    receiver.replies.append(Reply(status, {}, PLANTED.encode()))
    async with exporter_at(tmp_path, receiver.url) as exporter:
        with pytest.raises(RecordsRefused, match=str(status)) as refused:
            await exporter.deliver(exported(0, 1))
    assert PLANTED not in str(refused.value)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 410, 429, 500, 502, 503])
async def test_everything_else_is_tried_again(tmp_path, receiver, status: int) -> None:
    receiver.replies.append(Reply(status, {"retry-after": "7"}, PLANTED.encode()))
    async with exporter_at(tmp_path, receiver.url) as exporter:
        with pytest.raises(ExportFailed, match=str(status)) as failed:
            await exporter.deliver(exported(0, 1))
        assert failed.value.retry_after_seconds == (7.0 if status in {429, 503} else None)
        assert PLANTED not in str(failed.value)
        assert SECRETS[0].removeprefix("whsec_") not in str(failed.value)
        await exporter.deliver(exported(0, 1))


async def test_a_peer_that_hangs_is_given_up_and_one_that_is_gone_is_named(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook?key=hunter2"
        async with asyncio.timeout(10), exporter_at(tmp_path, url, timeout=Duration("1s")) as exporter:
            with pytest.raises(ExportFailed, match="did not answer within 1 seconds") as failed:
                await exporter.deliver(exported(0, 1))
    assert "hunter2" not in str(failed.value)
    async with exporter_at(tmp_path, url) as exporter:
        with pytest.raises(ExportFailed, match="cannot be reached"):
            await exporter.deliver(exported(0, 1))


async def test_this_machine_is_not_reached_unless_the_operator_said_so(tmp_path, receiver) -> None:
    async with exporter_at(tmp_path, receiver.url, allow_loopback=False) as exporter:
        with pytest.raises(ExportFailed):
            await exporter.deliver(exported(0, 1))
    assert receiver.posted == []


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('url = "https://siem.example/x"', "url and secret are set together"),
        ('secret = { env = "S" }', "url and secret are set together"),
        ('url = "http://siem.example/x"\nsecret = { env = "S" }', "no address for records"),
        ('url = "https://siem.example/x"\nsecret = { env = "SHORT" }', "24 to 64 random bytes"),
        ('url = "https://siem.example/x"\nsecret = { env = "S" }\nformat = "leef"', '"json" or "ocsf" or "cef"'),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(toml: str, says: str) -> None:
    env = {"S": SECRETS[0], "SHORT": "whsec_c2hvcnQ="}
    with pytest.raises(ConfigRefused, match=says) as caught:
        settings_from(plugin, toml, env)
    assert "c2hvcnQ" not in str(caught.value)


async def test_without_an_address_it_is_no_exporter(tmp_path) -> None:
    async with opened(plugin, WebhookSettings(), host_at(tmp_path)) as provides:
        assert provides.audit_exporter is None
        assert provides.notifier is not None
