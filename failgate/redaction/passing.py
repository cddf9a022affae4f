"""Text that leaves in passing: a line of the log, an answer, a letter, the last words of a crash.

Every such surface asks here, so that what is a secret in a report is one there. Free text only: what the program
itself fixed (names of doors, ids, numbers) is not looked through. A tag is the same for the same secret while the
process lives.
"""

import os
from collections.abc import Sequence
from functools import cache

from failgate.redaction.arguments import redact_arguments
from failgate.redaction.environment import environment_secrets
from failgate.redaction.scanner import Scanner, redact


def without_secrets(text: str) -> str:
    """Return `text` with every secret in it replaced by its tag, those of this process's environment too."""
    return redact(text, _scanner()).text


def arguments_without_secrets(argv: Sequence[str]) -> list[str]:
    """Return `argv` as `redact_arguments` leaves it, without the secrets of this process's environment too."""
    return redact_arguments(argv, _scanner())[0]


@cache
def _scanner() -> Scanner:
    return Scanner(values=environment_secrets(os.environ))
