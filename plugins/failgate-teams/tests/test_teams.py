"""Teams cards against the contract at a real receiver. B9."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from failgate_teams import Teams, TeamsSettings, card_of, plugin

from failgate.plugin import DeliveryFailed, Destination, Outbound, Unprocessable
from failgate.testing import PLANTED, NotifierContract, Other, Reply, host_at, notification, opened, receiving

HOSTILE = "[Approve](https://evil.example) **b** <at>all</at>"


def notifier_at(folder: Path, *hosts: str):
    @asynccontextmanager
    async def one():
        settings = TeamsSettings(hosts) if hosts else TeamsSettings()
        async with opened(plugin, settings, host_at(folder, "teams", allow_loopback=True)) as provides:
            assert provides.notifier is not None
            yield provides.notifier

    return one


class TestContract(NotifierContract):
    @pytest.fixture
    def other(self):
        with receiving() as receiver:

            async def arrived() -> list[str]:
                return [each.body.decode() for each in receiver.posted]

            yield Other(receiver.url, arrived, lambda: receiver.replies.append(Reply(400, {}, PLANTED.encode())))

    @pytest.fixture
    def open_notifier(self, tmp_path: Path):
        return notifier_at(tmp_path, "127.0.0.1")


def test_no_text_of_others_is_read_as_markdown() -> None:
    """Only text runs show text of others: `TextBlock` and `FactSet` read Markdown."""
    content = card_of(notification(title=HOSTILE, lines=(("Agent", HOSTILE),)))["attachments"][0]["content"]
    assert {block["type"] for block in content["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in content["body"] for run in block["inlines"]} == {"TextRun"}
    assert HOSTILE in json.dumps(content)
    assert [action["type"] for action in content["actions"]] == ["Action.OpenUrl"]


async def test_a_connector_that_answers_200_and_says_no_has_not_taken_it(tmp_path: Path) -> None:
    said = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    with receiving() as receiver:
        receiver.replies.append(Reply(200, {}, said))
        async with notifier_at(tmp_path, "127.0.0.1")() as notifier:
            with pytest.raises(DeliveryFailed):
                await notifier.deliver(notification(), Destination(receiver.url))


async def test_only_the_hosts_of_teams_are_taken(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with notifier_at(tmp_path)() as notifier:
            with pytest.raises(Unprocessable, match="Teams"):
                await notifier.check(receiver.url)


@pytest.mark.parametrize("host", ["evil-logic.azure.com", "logic.azure.com.evil.example", "logic.azure.com"])
async def test_a_name_that_only_looks_like_theirs_is_not(host: str) -> None:
    async def resolve(_name: str, _port: int) -> list[str]:
        return ["20.0.0.1"]

    notifier = Teams(TeamsSettings().hosts, Outbound(resolve=resolve))
    assert await notifier.check("https://prod-1.westus.logic.azure.com:443/workflows/x") == (
        "https://prod-1.westus.logic.azure.com/…"
    )
    with pytest.raises(Unprocessable):
        await notifier.check(f"https://{host}/workflows/x")
