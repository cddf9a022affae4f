"""The public API for programs on a developer's machine: a draft of a failure becomes a redacted local report.

It loads no server part, so that a test runner may import it when something failed.
"""

from failgate.client.importing import keep_draft
from failgate.drafts import Draft, DraftArtifact

__all__ = ["Draft", "DraftArtifact", "keep_draft"]
