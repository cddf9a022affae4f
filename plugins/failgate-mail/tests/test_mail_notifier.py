"""Letters to members through a real SMTP server, against the contract. B9."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP
from failgate_mail import letter_of, plugin

from failgate.accounts.mail import Relay, message_of
from failgate.base.clock import SystemClock
from failgate.plugin import DeliveryFailed, Destination, Letterbox, NoSettings, StartRefused
from failgate.testing import PLANTED, NotifierContract, Other, host_at, notification, opened


class Inbox:
    def __init__(self) -> None:
        self.envelopes = []
        self.refusing: list[str] = []
        self.port = 0

    async def handle_DATA(self, server, session, envelope):
        if self.refusing:
            return self.refusing.pop(0)
        self.envelopes.append(envelope)
        return "250 OK"

    def letters(self):
        return [message_from_bytes(each.content, policy=policy.default) for each in self.envelopes]


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    one, loop = Inbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(one, hostname="localhost", loop=loop), "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()
    await server.wait_closed()


@pytest.fixture
def opener(inbox: Inbox, tmp_path: Path):
    @asynccontextmanager
    async def one():
        letterbox = Letterbox(Relay("127.0.0.1", inbox.port, "Failgate <f@acme.example>", "none"), SystemClock())
        async with opened(plugin, NoSettings(), host_at(tmp_path, "mail", letterbox=letterbox)) as provides:
            assert provides.notifier is not None
            yield provides.notifier

    return one


class TestContract(NotifierContract):
    @pytest.fixture
    def open_notifier(self, opener):
        return opener

    @pytest.fixture
    def other(self, inbox: Inbox) -> Other:
        async def arrived() -> list[str]:
            return [str(each["subject"]) + each.get_content() for each in inbox.letters()]

        return Other("ann@acme.example", arrived, lambda: inbox.refusing.append(f"451 {PLANTED}"))


async def test_a_letter_is_plain_text_from_a_program_to_one_member(opener, inbox: Inbox) -> None:
    async with opener() as notifier:
        await notifier.deliver(notification(), Destination("ann@acme.example"))
    (letter,) = inbox.letters()
    assert inbox.envelopes[0].rcpt_tos == ["ann@acme.example"]
    assert letter.get_content_type() == "text/plain"
    assert letter["auto-submitted"] == "auto-generated"
    assert letter["subject"] == "[acme] A command waits: rm on build-1"
    assert "Agent: ci\nHost: build-1\nProgram: rm\n" in letter.get_content().replace("\r\n", "\n")


async def test_an_address_that_the_server_refuses_for_good_is_not_tried_again(opener, inbox: Inbox) -> None:
    inbox.refusing.append(f"550 no such mailbox {PLANTED}")
    async with opener() as notifier:
        with pytest.raises(DeliveryFailed) as failed:
            await notifier.deliver(notification(), Destination("gone@acme.example"))
    assert failed.value.is_final
    assert "gone@" not in str(failed.value)


async def test_a_line_break_cannot_make_another_header() -> None:
    """The room renders line breaks; one that came through all the same is refused, not sent."""
    letter = letter_of(notification(title="x\nBcc: all@acme.example"), "ann@acme.example")
    with pytest.raises(ValueError, match="linefeed"):
        message_of(letter, "f@acme.example", 0)


async def test_without_an_smtp_server_it_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"notify\.smtp"):
        async with opened(plugin, NoSettings(), host_at(tmp_path)):
            pass
