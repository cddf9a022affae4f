"""An external policy service: what it is told, what its word is worth, and that everything unclear refuses. E5."""

import json
import time
from contextlib import asynccontextmanager

import msgspec
import pytest
from failgate_http_policy import HttpPolicySettings, plugin

from failgate.base.clock import SystemClock
from failgate.plugin import CommandContext, Duration, Secret, SettingRefused
from failgate.testing import PolicyContract, Receiver, Reply, command, host_at, opened, receiving

CONTEXT = CommandContext("w", "a", "r", 1_700_000_000_000_000)
TOKEN = "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A"


@pytest.fixture
def receiver():
    with receiving() as one:
        yield one


def answering(receiver, result, times=1):
    receiver.replies += [Reply(200, {}, json.dumps({"result": result}).encode())] * times


@asynccontextmanager
async def policy_at(folder, url, *, allow_loopback=True, **settings):
    host = host_at(folder, "http-policy", SystemClock(), allow_loopback=allow_loopback)
    async with opened(plugin, HttpPolicySettings(url=url, **settings), host) as provides:
        yield provides.approval_policy


async def judged(folder, receiver, call=None, **settings):
    async with policy_at(folder, receiver.url, **settings) as policy:
        return await policy.judge(call or command("ls", "-l"), CONTEXT)


class TestHttpPolicyContract(PolicyContract):
    @pytest.fixture
    async def policy(self, tmp_path, receiver: Receiver, request):
        answering(receiver, {"decision": "ask", "reason": "look", "need": 2}, 200)
        # Fifty at a time on a busy machine are not what the deadline is for; odd input is what it is for.
        deadline = Duration("1500ms" if "odd_input" in request.node.name else "20s")
        async with policy_at(tmp_path, receiver.url, deadline=deadline) as policy:
            yield policy


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (True, "abstain"), (False, "deny"), ({"decision": "abstain"}, "abstain"), ({"decision": "deny"}, "deny"),
        ({"decision": "ask", "need": 3, "challenge": "factor"}, "ask"), ({"decision": "allow"}, "abstain"),
    ],
)  # fmt: skip
async def test_a_clear_answer_counts(tmp_path, receiver, result, says):
    answering(receiver, result)
    finding = await judged(tmp_path, receiver)
    assert finding.says == says, finding
    if says == "ask":
        assert (finding.need, finding.terms.challenge) == (3, "factor")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {}, b"ok"), Reply(200, {}, b"{}"), Reply(200, {}, b'{"result": null}'), Reply(200, {}, b'{"result": 1}'),
        Reply(200, {}, b'{"result": "allow"}'), Reply(200, {}, b'{"result": {"allow": true}}'),
        Reply(200, {}, b'{"result": {"decision": "ask", "need": 0}}'), Reply(200, {}, b'{"result": {"decision": "Allow"}}'),
        Reply(200, {}, b'{"result": {"decision": "abstain", "need": true}}'), Reply(200, {}, b"[" * 60_000),
        Reply(200, {}, b'{"result": true}' + b" " * 70_000), Reply(500, {}, b'{"result": true}'),
        Reply(204, {}, b""), Reply(302, {"location": "http://127.0.0.1/"}, b'{"result": true}'),
    ],
)  # fmt: skip
async def test_everything_else_refuses(tmp_path, receiver, reply):
    receiver.replies.append(reply)
    assert (await judged(tmp_path, receiver)).says == "deny"


async def test_silence_no_connection_and_a_forbidden_address_refuse(tmp_path, receiver, monkeypatch):
    take = receiver.take

    def late(posted):
        time.sleep(0.3)
        return take(posted)

    monkeypatch.setattr(receiver, "take", late)
    finding = await judged(tmp_path, receiver, deadline=Duration("100ms"))
    assert finding.says == "deny"
    async with policy_at(tmp_path, "http://127.0.0.1:9/x") as policy:
        assert (await policy.judge(command("ls"), CONTEXT)).says == "deny"
    async with policy_at(tmp_path, receiver.url, allow_loopback=False) as policy:
        assert (await policy.judge(command("ls"), CONTEXT)).says == "deny"


async def test_its_allow_counts_where_it_may_and_never_for_what_it_has_not_seen_whole(tmp_path, receiver):
    answering(receiver, {"decision": "allow", "reason": "known"}, 3)
    assert (await judged(tmp_path, receiver, may_allow=True)).says == "allow"
    for call in (command("curl", "-H", f"Authorization: Bearer {TOKEN}"), command("login", "--password", "hunter2")):
        assert (await judged(tmp_path, receiver, call, may_allow=True)).says == "abstain"


async def test_no_secret_leaves(tmp_path, receiver, monkeypatch):
    call = msgspec.structs.replace(
        command("deploy", "--token", TOKEN, f"https://ann:hunter2hunter2@x.example/{TOKEN}"),
        env={"API_KEY": "planted-value-of-the-environment"},
        stdin_sha256="0" * 64,
    )
    answering(receiver, True)
    await judged(tmp_path, receiver, call, token=Secret("token-of-the-service"))
    [posted] = receiver.posted
    told = json.loads(posted.body)["input"]
    assert posted.headers["authorization"] == "Bearer token-of-the-service"
    for secret in (TOKEN, "hunter2hunter2", "planted-value", "token-of-the-service", "0" * 64):
        assert secret not in posted.body.decode()
    assert (told["env"], told["redacted"], told["argv"][0]) == (["API_KEY"], True, "deploy")
    assert (told["workspace"], told["agent"], told["requester"]) == ("w", "a", "r")
    assert told["time"] == "2023-11-14T22:13:20.000000Z"


async def test_what_the_service_says_becomes_one_clean_line(tmp_path, receiver):
    answering(receiver, {"decision": "deny", "reason": f"no\n\x1b[2J {TOKEN} " + "x" * 900})
    finding = await judged(tmp_path, receiver)
    assert finding.reason.isprintable()
    assert TOKEN not in finding.reason
    assert len(finding.reason) < 400


@pytest.mark.parametrize("url", ["x", "ftp://x/", "https://ann:secret@x.example/"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url):
    with pytest.raises(SettingRefused):
        HttpPolicySettings(url=url)
