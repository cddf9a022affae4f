"""The contract of document formats as tests: foreign documents, hostile ones too."""

import contextlib
from collections.abc import Sequence

import pytest

from failgate.base.errors import TooLarge, Unprocessable
from failgate.drafts import DocumentFormat, Draft, clean
from failgate.redaction import Scanner
from failgate.reports.manifest import ManifestLimits, check
from failgate.wire.reports import Manifest

_ID = "0190a0a0-0000-7000-8000-000000000001"
_KEY = b"k" * 32


def cleaned(draft: Draft) -> tuple[Manifest, Sequence[bytes]]:
    """Return `draft` as the manifest and the artifacts that the server takes, checked as the server checks."""
    found = clean(draft, Scanner(key=_KEY), _ID, 1_700_000_000_000_000)
    check(found.manifest, ManifestLimits())
    assert [len(content) for content in found.contents] == [one.size_bytes for one in found.manifest.artifacts]
    return found.manifest, found.contents


class DocumentContract:
    """What every document format keeps. Override the fixtures `document_format` and `documents` (one at least)."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def document_format(self) -> DocumentFormat:
        """Give the format."""
        pytest.fail("override the fixture `document_format`")

    @pytest.fixture
    def documents(self) -> Sequence[bytes]:
        """Give documents in each of which something failed."""
        pytest.fail("override the fixture `documents`")

    async def test_its_name_can_stand_in_a_path(self, document_format: DocumentFormat) -> None:
        """Letters, digits and hyphens."""
        assert document_format.name.replace("-", "a").isalnum()
        assert document_format.name.isascii()

    async def test_a_document_gives_drafts_that_become_reports(
        self, document_format: DocumentFormat, documents: Sequence[bytes]
    ) -> None:
        """Reading is pure, and what it gives passes the checks of the server."""
        for document in documents:
            reading = document_format.drafts(document)
            assert reading.drafts
            assert document_format.drafts(document) == reading
            for draft in reading.drafts:
                manifest, _ = cleaned(draft)
                assert manifest.title

    async def test_a_document_that_is_cut_off_or_spoilt_is_refused_or_read(
        self, document_format: DocumentFormat, documents: Sequence[bytes]
    ) -> None:
        """Whatever arrives, the answer is a reading or a sentence for the sender: never another exception."""
        for document in documents:
            step = max(1, len(document) // 60)
            for at in range(0, len(document), step):
                spoilt = [document[:at], document[at:], document[:at] + b"\xff\x00\xc3" + document[at + 1 :]]
                for each in spoilt:
                    with contextlib.suppress(Unprocessable, TooLarge):
                        for draft in document_format.drafts(each).drafts:
                            cleaned(draft)

    @pytest.mark.parametrize(
        "document",
        [b"", b"\0", b"\xff\xfe", b"null", b"[]", b"{}", b"<a/>", b"[" * 200_000, b'{"a":' * 200_000, b"<a>" * 200_000],
        ids=["empty", "nul", "bom", "null", "list", "object", "element", "lists", "objects", "elements"],
    )
    async def test_what_is_no_such_document_is_unprocessable(
        self, document_format: DocumentFormat, document: bytes
    ) -> None:
        """Also when it is nested deeper than a stack is."""
        with pytest.raises((Unprocessable, TooLarge)):
            document_format.drafts(document)
