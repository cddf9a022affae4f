"""The contract of report formats as tests."""

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from failgate.base.errors import Unprocessable
from failgate.reports.format import ReportFormat
from failgate.wire.reports import Manifest


class FormatContract:
    """What every report format keeps. Override the fixtures `report_format` and `documents` (one at least)."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def report_format(self) -> ReportFormat:
        """Give the format."""
        pytest.fail("override the fixture `report_format`")

    @pytest.fixture
    def documents(self) -> Sequence[dict[str, Any]]:
        """Give documents that the format reads."""
        pytest.fail("override the fixture `documents`")

    async def test_its_name_can_stand_in_a_request(self, report_format: ReportFormat) -> None:
        """Letters, digits and hyphens."""
        assert report_format.name.replace("-", "a").isalnum()
        assert report_format.name.isascii()

    async def test_a_document_gives_one_manifest(
        self, report_format: ReportFormat, documents: Sequence[dict[str, Any]]
    ) -> None:
        """Reading is pure: the same document gives the same manifest and stays as it was."""
        for document in documents:
            before = copy.deepcopy(document)
            manifest = report_format.read(document)
            assert isinstance(manifest, Manifest)
            assert report_format.read(document) == manifest
            assert document == before
            assert msgspec.convert(msgspec.to_builtins(manifest), Manifest) == manifest

    async def test_its_title_is_one_short_line(
        self, report_format: ReportFormat, documents: Sequence[dict[str, Any]]
    ) -> None:
        """At most 200 characters, also for a command that is longer or of several lines."""
        for document in documents:
            manifest = report_format.read(document)
            longer = msgspec.structs.replace(manifest, argv=["sh", "-c", "line\n" * 1000], title=None)
            for each in (manifest, longer):
                title = report_format.title(each)
                assert title.strip()
                assert len(title) <= 200
                assert len(title.splitlines()) == 1

    async def test_a_document_with_a_missing_or_spoilt_member_is_unprocessable_or_read(
        self, report_format: ReportFormat, documents: Sequence[dict[str, Any]]
    ) -> None:
        """Whatever arrives, the answer is a manifest or a sentence for the sender: never another exception."""
        spoilt: Sequence[Any] = [None, True, -1, 2**70, 1.5, "", "\ud800", [], [[]], {}, {"a": None}]
        for document in documents:
            for member in document:
                candidates = [{key: value for key, value in document.items() if key != member}]
                candidates += [{**document, member: value} for value in spoilt]
                for candidate in candidates:
                    with contextlib.suppress(Unprocessable):
                        report_format.read(candidate)

    async def test_an_empty_document_is_unprocessable(self, report_format: ReportFormat) -> None:
        """Nothing describes nothing."""
        with pytest.raises(Unprocessable):
            report_format.read({})
