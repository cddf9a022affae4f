"""The contract of report formats: how something that arrived becomes a manifest of ours."""

from typing import Any, Protocol

from failgate.wire.reports import Manifest


class ReportFormat(Protocol):
    """A capture-ingestion plugin's part. Pure: it neither stores nor fetches."""

    name: str

    def read(self, document: dict[str, Any]) -> Manifest:
        """Return the manifest that `document` describes.

        Raises: Unprocessable, naming the member and the mend.
        """
        ...

    def title(self, manifest: Manifest) -> str:
        """Return one line, at most 200 characters, that people recognise the report by."""
        ...
