"""Quantiles without the values: durations counted in buckets that grow by 2 % each.

DDSketch (Masson, Rim, Lee, VLDB 2019): any quantile is within 1 % of the exact one, buckets add up, and nothing depends
on the order of what was counted.
"""

from math import ceil, log

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
BELOW_1_MS = -1


def bucket(ms: int) -> int:
    """The bucket of a duration; a clock that went back counts as no time."""
    return ceil(log(ms) / log(GAMMA)) if ms >= 1 else BELOW_1_MS


def value(bucket: int) -> float:
    """The duration in ms that stands for a bucket."""
    return 0.0 if bucket == BELOW_1_MS else 2 * GAMMA**bucket / (GAMMA + 1)
