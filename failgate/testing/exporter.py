"""The contract of audit exporters as tests."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import pytest

from failgate.audit.exporter import AuditExporter, ExportedRecord
from failgate.base.canonical import canonical
from failgate.base.ids import new_id


class ExporterContract:
    """What every audit exporter keeps. Override the fixtures `open_exporter` and `read_delivered`.

    `open_exporter()` opens one on the same target each time; `read_delivered()` answers what is there, in the order
    of arrival. Set `keeps_one_copy` when the target drops what it already has.
    """

    pytestmark = pytest.mark.asyncio
    keeps_one_copy: ClassVar[bool] = False

    @pytest.fixture
    def open_exporter(self) -> Callable[[], AbstractAsyncContextManager[AuditExporter]]:
        """Give what opens an exporter."""
        pytest.fail("override the fixture `open_exporter`")

    @pytest.fixture
    def read_delivered(self) -> Callable[[], Awaitable[Sequence[ExportedRecord]]]:
        """Give what reads the target."""
        pytest.fail("override the fixture `read_delivered`")

    async def test_records_arrive_in_order_and_byte_for_byte(
        self,
        open_exporter: Callable[[], AbstractAsyncContextManager[AuditExporter]],
        read_delivered: Callable[[], Awaitable[Sequence[ExportedRecord]]],
    ) -> None:
        """The bytes that arrive are the bytes that are hashed, whatever text they hold."""
        records = exported(0, 250)
        async with open_exporter() as exporter:
            await exporter.deliver(records[:1])
            await exporter.deliver(records[1:200])
            await exporter.deliver(records[200:])
            assert list(await read_delivered()) == records, "deliver() returns when the records are safe, not later"

    async def test_an_empty_batch_delivers_nothing(
        self,
        open_exporter: Callable[[], AbstractAsyncContextManager[AuditExporter]],
        read_delivered: Callable[[], Awaitable[Sequence[ExportedRecord]]],
    ) -> None:
        """It is no error either."""
        async with open_exporter() as exporter:
            await exporter.deliver([])
        assert list(await read_delivered()) == []

    async def test_a_batch_that_comes_again_loses_nothing_and_keeps_the_order(
        self,
        open_exporter: Callable[[], AbstractAsyncContextManager[AuditExporter]],
        read_delivered: Callable[[], Awaitable[Sequence[ExportedRecord]]],
    ) -> None:
        """A follower that crashed repeats its last batch and goes on: nothing is lost, and the order stays."""
        records = exported(0, 30)
        async with open_exporter() as exporter:
            await exporter.deliver(records[:10])
            await exporter.deliver(records[:10])
            await exporter.deliver(records[5:20])
        async with open_exporter() as exporter:
            await exporter.deliver(records[10:20])
            await exporter.deliver(records[15:30])
        delivered = list(await read_delivered())
        assert list(dict.fromkeys(delivered)) == records
        if self.keeps_one_copy:
            assert delivered == records

    async def test_logs_are_kept_apart(
        self,
        open_exporter: Callable[[], AbstractAsyncContextManager[AuditExporter]],
        read_delivered: Callable[[], Awaitable[Sequence[ExportedRecord]]],
    ) -> None:
        """Two logs count for themselves; the number of one hides nothing of the other."""
        one, other = exported(0, 20, log="system"), exported(0, 20, log=new_id())
        async with open_exporter() as exporter:
            await exporter.deliver(one[:10])
            await exporter.deliver(other[:5])
            await exporter.deliver([*one[10:], *other[5:]])
        delivered = list(await read_delivered())
        assert [each for each in delivered if each.log == one[0].log] == one
        assert [each for each in delivered if each.log == other[0].log] == other


def exported(start: int, stop: int, *, log: str = "system") -> list[ExportedRecord]:
    """Return records `start` to `stop` (exclusive) of a log, as a follower hands them over."""
    texts = ["plain", 'quote " and \\', "Grüße 漢字 \U0001f512", "tab\tand\u2028separator", "\x00\x1b[2J"]
    return [
        ExportedRecord(log, seq, canonical({"act": "command.created", "seq": seq, "text": texts[seq % len(texts)]}))
        for seq in range(start, stop)
    ]
