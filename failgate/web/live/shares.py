"""How many sockets and long polls one person, or one agent, has open at once, by whatever credentials."""

from collections import Counter
from collections.abc import Callable

from failgate.access.principal import Principal
from failgate.base.errors import TooManyRequests
from failgate.config.model import LimitsSection

_RETRY_SECONDS = 5


class Shares:
    """Counts what is open, by who opened it."""

    def __init__(self, limits: LimitsSection, refused: Callable[[str], None]) -> None:
        """Nothing is open; `refused` is told of each refusal, `person` or `agent`."""
        self._most = {"person": limits.sockets_per_person, "agent": limits.sockets_per_agent}
        self._refused = refused
        self._open: Counter[str] = Counter()

    def take(self, principal: Principal) -> str | None:
        """Count one more of `principal`; return what `give_back` takes, None for who has neither account nor agent.

        Raises: TooManyRequests.
        """
        whose = "agent" if principal.agent_id is not None else "person"
        holder = principal.agent_id or principal.account_id
        if holder is None:
            return None
        most = self._most[whose]
        if self._open[holder] >= most:
            self._refused(whose)
            raise TooManyRequests(
                f"This {whose} has {most} sockets and waiting requests open, and may have no more.",
                retry_after_seconds=_RETRY_SECONDS,
                hint=f"Close some, or ask the operator for a larger [limits] sockets_per_{whose}.",
            )
        self._open[holder] += 1
        return holder

    def give_back(self, holder: str) -> None:
        """Count one less."""
        self._open[holder] -= 1
        if self._open[holder] <= 0:
            del self._open[holder]
