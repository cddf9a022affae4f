"""Slack messages against the contract at a real receiver. B9."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from failgate_slack import SlackSettings, message_of, plugin

from failgate.plugin import Unprocessable
from failgate.testing import PLANTED, NotifierContract, Other, Reply, host_at, notification, opened, receiving

HOSTILE = "<!channel> <https://evil.example|Approve> &amp; *b* ⟨U+202E RLO⟩"


def notifier_at(folder: Path, *hosts: str):
    @asynccontextmanager
    async def one():
        settings = SlackSettings(hosts) if hosts else SlackSettings()
        async with opened(plugin, settings, host_at(folder, "slack", allow_loopback=True)) as provides:
            assert provides.notifier is not None
            yield provides.notifier

    return one


class TestContract(NotifierContract):
    @pytest.fixture
    def other(self):
        with receiving() as receiver:

            async def arrived() -> list[str]:
                return [each.body.decode() for each in receiver.posted]

            yield Other(receiver.url, arrived, lambda: receiver.replies.append(Reply(404, {}, PLANTED.encode())))

    @pytest.fixture
    def open_notifier(self, tmp_path: Path):
        return notifier_at(tmp_path, "127.0.0.1")


def test_no_text_of_others_is_read_as_markup() -> None:
    message = message_of(notification(title=HOSTILE, lines=(("Agent", HOSTILE),)))
    assert "<" not in message["text"]
    texts = [part for part in walk(message["blocks"]) if "text" in part and isinstance(part["text"], str)]
    assert [part["type"] for part in texts] == ["plain_text"] * len(texts)
    assert HOSTILE in json.dumps(texts, ensure_ascii=False)


def walk(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from walk(one)


def test_a_message_stays_within_the_bounds_of_block_kit() -> None:
    lines = tuple((f"L{number}", "x" * 5000) for number in range(30))
    header, section, _ = message_of(notification(title="y" * 500, lines=lines))["blocks"]
    assert len(header["text"]["text"]) == 150
    assert len(section["fields"]) == 10
    assert all(len(field["text"]) <= 2000 for field in section["fields"])


async def test_only_the_hosts_of_slack_are_taken_and_the_address_is_not_shown(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with notifier_at(tmp_path)() as notifier:
            with pytest.raises(Unprocessable, match=r"hooks\.slack\.com"):
                await notifier.check(receiver.url)
        async with notifier_at(tmp_path, "127.0.0.1")() as notifier:
            assert await notifier.check(f"{receiver.url}/T000/B000/hunter2") == "http://127.0.0.1/…"
