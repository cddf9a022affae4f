"""The hash chain: where the next record of a log goes, and what it must say of the one before. Pure.

A `Head` is all that is needed to append: it is a value, replaced and never changed, so that a transaction that fails
leaves the old one in place.
"""

from typing import NamedTuple

from failgate.audit.tree import Peaks, root_of

BEFORE_FIRST = bytes(32)  # what the first record's `prev` stands for
LARGEST_BACKWARD_STEP_US = 1_000_000  # a clock that goes further back is recorded


class Head(NamedTuple):
    """The end of a log of `size` records.

    `last` is the leaf hash of the newest record; `ts_us` its time; `clock_us` what the clock said then, which is lower
    while a clock that was set back catches up.
    """

    size: int = 0
    last: bytes = BEFORE_FIRST
    peaks: Peaks = ()
    ts_us: int = 0
    clock_us: int = 0

    @property
    def root(self) -> bytes:
        """Return the root hash of the log."""
        return root_of(self.peaks)


def is_step_back(clock_us: int, now_us: int) -> bool:
    """Tell whether the clock went back by more than a second since it said `clock_us`."""
    return now_us < clock_us - LARGEST_BACKWARD_STEP_US
