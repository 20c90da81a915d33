"""What a share is at least and at most, having seen so many of so many: Clopper and Pearson's exact interval (Biometrika 26, 1934).

Exact also where nothing was seen: no false positive among 1,000 strangers means fewer than 3.7 in a thousand, not none.
"""

from __future__ import annotations

import math
from typing import Final

CONFIDENCE: Final = 0.95
_TERMS: Final = 20
"""And some twice the square root of the larger parameter: so many the fraction needs to settle."""
_STEPS: Final = 60
"""Of bisection: to the last bit that matters."""


def share_interval(seen: int, tried: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Both ends; nothing tried tells nothing."""
    if tried == 0:
        return 0.0, 1.0
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if seen == 0 else _quantile(tail, seen, tried - seen + 1)
    high = 1.0 if seen == tried else _quantile(1.0 - tail, seen + 1, tried - seen)
    return low, high


def _quantile(share: float, a: float, b: float) -> float:
    """Where the beta distribution has this share below it."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if beta_share(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22) from the far end."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        # There the fraction settles slowly, and here it is the same one read from the other side.
        return 1.0 - beta_share(1.0 - x, b, a)
    fraction = 1.0
    for m in range(_TERMS + 2 * math.isqrt(int(max(a, b))), 0, -1):
        fraction = 1.0 + m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) / fraction
        fraction = 1.0 - (a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1)) / fraction
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) / (a * fraction)
