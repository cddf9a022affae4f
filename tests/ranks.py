"""Whether two samples of times differ: the rank test of Mann and Whitney, by its normal approximation with ties."""

from collections.abc import Sequence
from itertools import groupby
from math import erfc, sqrt


def rank_test(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the two-sided p-value of the Mann-Whitney U test; for samples of 20 and more. 1.0 when all are equal."""
    both = sorted([(value, 0) for value in ours] + [(value, 1) for value in theirs])
    rank, sum_of_ours, ties = 0, 0.0, 0
    for _, group in groupby(both, key=lambda one: one[0]):
        members = [side for _, side in group]
        size = len(members)
        sum_of_ours += members.count(0) * (rank + (size + 1) / 2)  # each has the mean rank of its group
        ties += size**3 - size
        rank += size
    first, second, total = len(ours), len(theirs), len(both)
    u = sum_of_ours - first * (first + 1) / 2
    spread = sqrt(first * second / 12 * (total + 1 - ties / (total * (total - 1))))
    if spread == 0:
        return 1.0
    distance = max(abs(u - first * second / 2) - 0.5, 0.0)
    return erfc(distance / spread / sqrt(2))
