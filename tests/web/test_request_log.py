"""What is logged of a request, and who it comes from."""

import io
import json
import logging

import pytest
import structlog

from failgate.base.log import start_logging
from tests.web.conftest import cookies_of, running, session_of, with_server


@pytest.fixture
def log():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    start_logging(stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


async def test_one_line_for_each_request_with_its_door_and_without_path_query_cookie_or_token(log, services, people):
    token = await session_of(services, people.accounts["owner"])
    async with running(services) as one, one.client() as client:
        answer = await client.get("/api/v1/workspaces/acme/commands?limit=3", headers={"cookie": cookies_of(token)})
        await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {people.key}"})
        await client.get("/signin?next=/w/acme&token=VERYSECRETVERYSECRET")
        await client.post("/api/v1/whoami?x=VERYSECRETVERYSECRET", content=b"VERYSECRETVERYSECRET")
    lines = [line for line in log() if line["event"] == "request.answered"]
    assert lines[0]["door"] == "commands.list"
    assert lines[0]["path"] == "/api/v1/workspaces/{workspace}/commands"
    assert lines[0]["status"] == 200
    assert lines[0]["request_id"] == answer.headers["x-request-id"]
    assert lines[0]["duration_ms"] > 0
    text = json.dumps(log())
    for secret in (token, people.key, "VERYSECRET", "limit=3"):
        assert secret not in text


async def test_a_failure_is_logged_with_its_request_id_and_its_credentials_masked(log, services, people):
    from tests.web.test_serve import DOORS

    async with running(services, DOORS) as one, one.client() as client:
        answer = await client.get("/fail")
    [line] = [line for line in log() if line["event"] == "request.failed"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "RuntimeError" in line["exception"]
    assert "fg_usr_0351" not in json.dumps(line)


async def address_seen(log, services, headers, **settings):
    async with running(with_server(services, **settings)) as one, one.client() as client:
        await client.get("/healthz", headers=headers)
    return next(line["ip"] for line in log() if line["event"] == "request.answered")


async def test_a_forwarded_address_is_not_believed_of_a_stranger(log, services):
    assert await address_seen(log, services, {"x-forwarded-for": "198.51.100.7"}) == "127.0.0.1"


@pytest.mark.parametrize(
    ("chain", "seen"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("10.9.9.9, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7, 127.0.0.1", "198.51.100.7"),
        ("nonsense", "127.0.0.1"),
        ("198.51.100.7, nonsense", "127.0.0.1"),
    ],
)
async def test_of_a_trusted_proxy_the_last_address_that_is_not_its_own_counts(log, services, chain, seen):
    headers = {"x-forwarded-for": chain}
    assert await address_seen(log, services, headers, trusted_proxies=("127.0.0.0/8",)) == seen


async def test_behind_a_trusted_proxy_that_ends_tls_the_answer_is_https(services):
    async with running(with_server(services, trusted_proxies=("127.0.0.1",))) as one, one.client() as client:
        answer = await client.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" in answer.headers
    async with running(services) as one, one.client() as client:
        answer = await client.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" not in answer.headers
