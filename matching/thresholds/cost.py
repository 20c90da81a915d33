"""The cutoff that costs least, where a false positive costs so many times what a miss does, and how far it may be off.

Costs only change where a score lies, so a whole range of cutoffs costs the same: the middle of the widest such range is recommended,
as far as possible from the scores on either side. The interval is a percentile bootstrap (Efron, Annals of Statistics 7, 1979):
copies and others are drawn again, each from their own, and the recommendation is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from matching.thresholds.curves import area_under_roc
from matching.thresholds.scores import TICKS, Counts

RESAMPLES: Final = 400
_SEED: Final = 20_260_101
"""The same scores get the same interval."""
_TAIL_PERCENT: Final = 2.5
_SAME: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Prices:
    """What a false positive and a miss each add to the cost of a set, where a miss of one pair costs 1."""

    false_positive: float
    miss: float


@dataclass(frozen=True, slots=True)
class Cheapest:
    """In steps of the grid: the recommended cutoff, and the range around it that costs the same."""

    tick: int
    first: int
    last: int
    cost: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the recommendation, and the area under the ROC curve, lie in 95 of 100 sets that are drawn anew."""

    cutoff: tuple[float, float]
    area: tuple[float, float]


def prices(copies: int, others: int, cost: float, prevalence: float | None) -> Prices:
    """Of one pair as they come in earnest: as often a copy as in the set, or as often as is said."""
    share = copies / (copies + others) if prevalence is None else prevalence
    return Prices(cost * (1.0 - share) / others, share / copies)


def cost_at(copies: Counts, others: Counts, tick: int, of: Prices) -> float:
    return float(of.false_positive * int(others[tick:].sum()) + of.miss * int(copies[:tick].sum()))


@dataclass(frozen=True, slots=True)
class Steps:
    """The scores that came, in order, and the cutoffs that they leave apart: below the first, between two, above the last.

    Beyond the score 1 there is no cutoff."""

    scores: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]

    @classmethod
    def between(cls, counts: Counts) -> Self:
        scores = np.flatnonzero(counts)
        first, last = np.concatenate(([0], scores + 1)), np.concatenate((scores, [TICKS]))
        return cls(scores, first[first <= last], last[first <= last])

    def cheapest(self, copies: Counts, others: Counts, of: Prices) -> Cheapest:
        """Of counts of these scores alone; some may not have come this time."""
        missed = np.concatenate(([0], np.cumsum(copies)))[: len(self.first)]
        wrong = int(others.sum()) - np.concatenate(([0], np.cumsum(others)))[: len(self.first)]
        costs = of.false_positive * wrong + of.miss * missed
        least = float(costs.min())
        is_least = np.concatenate(([False], costs <= least + _SAME * max(1.0, abs(least)), [False]))
        starts, ends = np.flatnonzero(is_least[1:] > is_least[:-1]), np.flatnonzero(is_least[1:] < is_least[:-1]) - 1
        widest = int(np.argmax(self.last[ends] - self.first[starts]))
        low, high = int(self.first[starts[widest]]), int(self.last[ends[widest]])
        return Cheapest((low + high + 1) // 2, low, high, least)


def cheapest(copies: Counts, others: Counts, of: Prices) -> Cheapest:
    steps = Steps.between(copies + others)
    return steps.cheapest(copies[steps.scores], others[steps.scores], of)


def spread(copies: Counts, others: Counts, of: Prices, resamples: int = RESAMPLES) -> Spread:
    generator = np.random.default_rng(_SEED)
    steps = Steps.between(copies + others)
    copies, others = copies[steps.scores], others[steps.scores]
    cutoffs, areas = [], []
    for _ in range(resamples):
        some_copies, some_others = drawn_again(generator, copies), drawn_again(generator, others)
        cutoffs.append(steps.cheapest(some_copies, some_others, of).tick / TICKS)
        areas.append(area_under_roc(some_copies, some_others))
    return Spread(_middle(cutoffs), _middle(areas))


def drawn_again(generator: np.random.Generator, counts: Counts) -> Counts:
    """As many, each of them any of those that came."""
    total = int(counts.sum())
    return np.asarray(generator.multinomial(total, counts / total))


def _middle(values: list[float]) -> tuple[float, float]:
    """To the grid that scores are on."""
    ends: NDArray[np.float64] = np.percentile(values, [_TAIL_PERCENT, 100.0 - _TAIL_PERCENT])
    return round(float(ends[0]), 4), round(float(ends[1]), 4)
