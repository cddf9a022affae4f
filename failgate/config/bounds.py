"""What a setting must fit beyond its type; stands in `Annotated[…]` beside the type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a setting, both included: `Annotated[Duration, Between("1s", "24h")]`; also for sizes and numbers."""

    least: str | int | None = None
    most: str | int | None = None

    def check(self, value: Any) -> None:
        """Return for a value within the bounds.

        Raises: ValueError naming the bound.
        """
        if self.least is not None and value < type(value)(self.least):
            raise ValueError(f"must be at least {self.least}")
        if self.most is not None and value > type(value)(self.most):
            raise ValueError(f"must be at most {self.most}")


@dataclass(frozen=True, slots=True)
class Fits:
    """A check of one setting alone: `check` returns for a good value and raises ValueError saying what is accepted."""

    check: Callable[[Any], object]
