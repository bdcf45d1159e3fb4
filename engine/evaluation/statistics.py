"""Intervals: how far a measured share can be from the true one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959964
"""Of 95 %."""
DRAWS = 2000
Interval = tuple[float, float]


def wilson(mean: float, count: int) -> Interval:
    """95 % interval of a share `mean` of `count` answers (Wilson's score interval)."""
    if not count:
        return 0.0, 1.0
    spread = Z * math.sqrt(mean * (1 - mean) / count + Z * Z / (4 * count * count))
    middle, whole = mean + Z * Z / (2 * count), 1 + Z * Z / count
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def bootstrap(groups: Sequence[Sequence[float]], *, seed: int = 0) -> Interval:
    """95 % interval of the mean over all values, drawn in whole groups: answers on one prompt err together.

    Of a single group, its values are drawn.
    """
    units = [list(group) for group in groups if group]
    if len(units) == 1:
        units = [[value] for value in units[0]]
    if not units:
        return 0.0, 0.0
    sums, sizes = np.array([sum(u) for u in units]), np.array([len(u) for u in units])
    drawn = np.random.default_rng(seed).integers(0, len(units), (DRAWS, len(units)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
