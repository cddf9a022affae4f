"""Secrets found and replaced in text and in streams: one implementation for the client and the server.

It is a safety layer, not a guarantee. It imports nothing else of ours: `rules.py`, `providers.py`, `issuers.py` and
`general.py` are the rules, `environment.py` the values of this process's sensitive variables, `scanner.py` finds,
`prefilter.py` chooses an engine that makes it quick, `stream.py` follows a stream.
"""

from failgate.redaction.arguments import redact_arguments
from failgate.redaction.catalogue import RULES, RULES_VERSION
from failgate.redaction.environment import environment_secrets, is_sensitive_name
from failgate.redaction.offsets import CharacterOffsets
from failgate.redaction.passing import arguments_without_secrets, without_secrets
from failgate.redaction.patterns import Pattern, PatternMatcher, UnusablePattern, check_pattern
from failgate.redaction.prefilter import ENGINES, installed_engines
from failgate.redaction.rules import Rule
from failgate.redaction.scanner import Finding, Redacted, Scanner, redact, redact_bytes
from failgate.redaction.stream import RedactingStream

__all__ = [
    "ENGINES",
    "RULES",
    "RULES_VERSION",
    "CharacterOffsets",
    "Finding",
    "Pattern",
    "PatternMatcher",
    "Redacted",
    "RedactingStream",
    "Rule",
    "Scanner",
    "UnusablePattern",
    "arguments_without_secrets",
    "check_pattern",
    "environment_secrets",
    "installed_engines",
    "is_sensitive_name",
    "redact",
    "redact_arguments",
    "redact_bytes",
    "without_secrets",
]
