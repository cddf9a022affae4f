"""What other tools wrote, on its way to a report: unredacted drafts, the contract that reads them, the cleaning.

A document (JUnit XML, a SARIF log, a Sentry envelope, a session of pytest) becomes drafts by a pure
`DocumentFormat`; a draft becomes a manifest and its artifacts by `clean`, after which nothing of it is unredacted. The
same code runs on the machine of a developer (`failgate report import`) and on the server (an SDK that sends). Nothing
here reads or writes.
"""

from failgate.drafts.cleaning import Clean, clean
from failgate.drafts.draft import NOT_KNOWN, DocumentFormat, Draft, DraftArtifact, Reading

__all__ = ["NOT_KNOWN", "Clean", "DocumentFormat", "Draft", "DraftArtifact", "Reading", "clean"]
