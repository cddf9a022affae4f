"""The contract of notifiers as tests."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import msgspec
import pytest

from failgate.base.errors import FailgateError
from failgate.base.secret import Secret
from failgate.notify.notifier import DeliveryFailed, Destination, Notification, Notifier

SECRETS = ("whsec_" + "QUJD" * 8, "whsec_" + "REVG" * 8)  # 24 bytes each
PLANTED = "words-of-the-other-side"


def notification(**changes: object) -> Notification:
    """Return a notification as the room makes it; `changes` replace members."""
    plain = Notification(
        id="msg_019f0000-0000-7000-8000-000000000001",
        event="command.pending",
        workspace="acme",
        occurred_us=1_700_000_000_000_000,
        title="A command waits: rm on build-1",
        lines=(("Agent", "ci"), ("Host", "build-1"), ("Program", "rm")),
        url="https://failgate.example/w/acme/queue?c=019f0000-0000-7000-8000-000000000002",
        facts={"command": {"id": "019f0000-0000-7000-8000-000000000002", "program": "rm"}},
    )
    return msgspec.structs.replace(plain, **changes)


@dataclass(frozen=True, slots=True)
class Other:
    """The other side of a notifier: where it is, what arrived there as text, and how to make it refuse the next one.

    What it says when it refuses holds `failgate.testing.PLANTED`.
    """

    address: str
    arrived: Callable[[], Awaitable[Sequence[str]]]
    refuse: Callable[[], None]


class NotifierContract:
    """What every notifier keeps. Override the fixtures `open_notifier` and `other`."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def other(self) -> Other:
        """Give the other side."""
        pytest.fail("override the fixture `other`")

    @pytest.fixture
    def open_notifier(self) -> Callable[[], AbstractAsyncContextManager[Notifier]]:
        """Give what opens a notifier that reaches the other side."""
        pytest.fail("override the fixture `open_notifier`")

    async def test_what_is_told_has_arrived_when_deliver_returns(
        self, open_notifier: Callable[[], AbstractAsyncContextManager[Notifier]], other: Other
    ) -> None:
        """Title and link are there, once."""
        async with open_notifier() as notifier:
            await notifier.deliver(notification(), _destination(notifier, other))
            arrived = await other.arrived()
        assert len(arrived) == 1
        assert "A command waits: rm on build-1" in arrived[0]
        assert "https://failgate.example/w/acme/queue?c=" in arrived[0]

    async def test_the_order_of_calls_is_the_order_of_arrival(
        self, open_notifier: Callable[[], AbstractAsyncContextManager[Notifier]], other: Other
    ) -> None:
        """What was told first arrives first."""
        titles = [f"Number {number} of these" for number in range(5)]
        async with open_notifier() as notifier:
            for title in titles:
                await notifier.deliver(notification(title=title), _destination(notifier, other))
            arrived = await other.arrived()
        assert [any(title in text for text in [each]) for title, each in zip(titles, arrived, strict=True)] == [
            True
        ] * 5

    async def test_no_secret_of_the_destination_is_told(
        self, open_notifier: Callable[[], AbstractAsyncContextManager[Notifier]], other: Other
    ) -> None:
        """Secrets sign; they do not travel."""
        async with open_notifier() as notifier:
            await notifier.deliver(notification(), _destination(notifier, other))
            arrived = "".join(await other.arrived())
        for secret in SECRETS:
            assert secret not in arrived
            assert secret.removeprefix("whsec_") not in arrived

    async def test_a_refusal_is_a_failure_that_repeats_nothing_of_the_other_side(
        self, open_notifier: Callable[[], AbstractAsyncContextManager[Notifier]], other: Other
    ) -> None:
        """Its sentence is shown to the workspace: what the other side wrote is not in it."""
        async with open_notifier() as notifier:
            other.refuse()
            with pytest.raises(DeliveryFailed) as failed:
                await notifier.deliver(notification(), _destination(notifier, other))
            assert PLANTED not in str(failed.value)
            await notifier.deliver(notification(), _destination(notifier, other))

    async def test_texts_of_every_kind_arrive(
        self, open_notifier: Callable[[], AbstractAsyncContextManager[Notifier]], other: Other
    ) -> None:
        """Whatever an inert text holds, nothing of it is lost or stops the delivery."""
        odd = notification(
            title="Grüße ⟨U+202E RLO⟩ <!channel> [x](y) *b* & `c`", lines=(("Agent", "<@U1> ⟨U+000A LF⟩"),)
        )
        async with open_notifier() as notifier:
            await notifier.deliver(odd, _destination(notifier, other))
            assert len(await other.arrived()) == 1

    async def test_an_address_that_is_none_is_refused(
        self, open_notifier: Callable[[], AbstractAsyncContextManager[Notifier]], other: Other
    ) -> None:
        """A notifier of URLs takes no other scheme, no credentials, no private network; one of members takes none."""
        addresses = ["", "nonsense", "javascript:alert(1)", "file:///etc/passwd", "https://user:word@example.com/",
                     "https://10.0.0.1/", "https://169.254.169.254/latest/"]  # fmt: skip
        async with open_notifier() as notifier:
            assert notifier.addressing in {"url", "member"}
            for address in addresses:
                with pytest.raises(FailgateError):
                    await notifier.check(address)
            if notifier.addressing == "url":
                shown = await notifier.check(other.address)
                assert shown
            with contextlib.suppress(FailgateError):
                assert "hunter2" not in await notifier.check(f"{other.address}?key=hunter2")


def _destination(notifier: Notifier, other: Other) -> Destination:
    return Destination(other.address, tuple(Secret(text) for text in SECRETS) if notifier.has_secret else ())
