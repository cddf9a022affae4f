"""All rules in order of precedence, and the name of this set of rules."""

import hashlib

from failgate.redaction.general import GENERAL
from failgate.redaction.issuers import ISSUERS
from failgate.redaction.ours import OURS
from failgate.redaction.places import PLACES
from failgate.redaction.prefixes import PREFIXES
from failgate.redaction.providers import PROVIDERS
from failgate.redaction.rules import Rule
from failgate.redaction.statements import STATEMENTS

RULES: tuple[Rule, ...] = OURS + PROVIDERS + ISSUERS + PREFIXES + PLACES + GENERAL + STATEMENTS
"""The first rule wins where two find the same span: a provider's own form says more than an assignment."""

_JUDGEMENT = 5  # raised by hand when `judgement.py` decides otherwise


def _described(rule: Rule) -> str:
    parts = rule.id, rule.keywords, rule.pattern, rule.group, rule.entropy, rule.is_bounded, rule.leading
    return f"{parts} {rule.judge.__name__}"


RULES_VERSION = (
    f"failgate-{_JUDGEMENT}-" + hashlib.sha256("\n".join(_described(rule) for rule in RULES).encode()).hexdigest()[:12]
)
"""Names the rules that ran; a report carries it."""
