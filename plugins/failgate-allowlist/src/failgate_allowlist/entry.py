"""A rule in effect."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec

from failgate.plugin import Finding, Matcher, Rule, RuleView, matcher_of, rule_digest, to_rfc3339

MICROSECONDS: Final = 1_000_000
_KINDS: Final = {
    "exact": "exactly this command",
    "prefix": "commands that begin so",
    "argument": "commands with such arguments",
    "re2": "commands of this form",
    "path": "this program",
}


@dataclass(eq=False)
class Entry:
    """A rule in effect; `uses` and `last_used_us` move, the rest stays."""

    workspace_id: str
    id: str
    rule: Rule
    created_by: str
    created_us: int
    uses: int = 0
    last_used_us: int | None = None
    matcher: Matcher = field(init=False)
    expires_us: int | None = field(init=False)
    finding: Finding = field(init=False)

    def __post_init__(self) -> None:
        """Work out when it ends and what it says.

        Raises: FailgateError when it is no rule that could match.
        """
        self.matcher = matcher_of(self.rule)
        ttl = self.rule.ttl_seconds
        self.expires_us = None if ttl is None else self.created_us + ttl * MICROSECONDS
        verb = "refuses" if self.rule.effect == "deny" else "allows"
        self.finding = Finding(self.rule.effect, f"a rule {verb} {_KINDS[self.rule.kind]}", rule_id=self.id)

    def is_effective(self, now_us: int) -> bool:
        """Tell whether its time and its uses are not over."""
        if self.expires_us is not None and now_us >= self.expires_us:
            return False
        return self.rule.max_uses is None or self.uses < self.rule.max_uses

    @cached_property
    def digest(self) -> str:
        """Return the digest that its audit record has to carry. Raises: Unprocessable."""
        return rule_digest(
            self.workspace_id, self.id, self.rule, created_by=self.created_by, created_us=self.created_us
        )

    def view(self) -> RuleView:
        """Return it as the API shows it."""
        members = {name: value for name, value in msgspec.structs.asdict(self.rule).items() if name != "ttl_seconds"}
        return RuleView(
            **members,
            id=self.id,
            created_at=to_rfc3339(self.created_us),
            created_by=self.created_by,
            uses=self.uses,
            expires_at=None if self.expires_us is None else to_rfc3339(self.expires_us),
            last_used_at=None if self.last_used_us is None else to_rfc3339(self.last_used_us),
        )
