"""What every cutoff would do to labelled scores: recall against false positives (ROC), and against precision.

A pair whose score reaches the cutoff counts as a copy, as everywhere in the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.thresholds.interval import share_interval
from matching.thresholds.scores import TICKS, Counts

MAX_POINTS: Final = 200


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One cutoff: what it gets right and wrong, and what that says of pairs that were not in the set (95 %, exact)."""

    cutoff: float
    copies_found: int
    false_positives: int
    misses: int
    recall: float
    recall_interval: tuple[float, float]
    false_positive_rate: float
    false_positive_interval: tuple[float, float]
    # None: it finds nothing.
    precision: float | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    cutoff: float
    recall: float
    false_positive_rate: float
    precision: float | None


def reaching(counts: Counts) -> Counts:
    """How many reach each cutoff, from 0 to 1 and one step beyond, which nothing reaches."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0)


def area_under_roc(copies: Counts, others: Counts) -> float:
    """The chance that a copy scores more than a pair that is none; where both score the same it counts half."""
    below = np.cumsum(others) - others
    wins = np.dot(copies, below + others / 2.0)
    return float(wins / (int(copies.sum()) * int(others.sum())))


def average_precision(copies: Counts, others: Counts, prevalence: float | None = None) -> float:
    """Precision, averaged over the recall that each lower cutoff adds."""
    precision = precisions(copies, others, prevalence)
    gained = copies / copies.sum()
    return float(np.sum(gained * np.nan_to_num(precision[:-1])))


def precisions(copies: Counts, others: Counts, prevalence: float | None = None) -> NDArray[np.float64]:
    """At each cutoff; not a number where nothing reaches it. Given how rare copies are in earnest, as it would be there."""
    found, wrong = reaching(copies).astype(np.float64), reaching(others).astype(np.float64)
    if prevalence is not None:
        found, wrong = prevalence * found / copies.sum(), (1.0 - prevalence) * wrong / others.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(found / (found + wrong))


def curve(copies: Counts, others: Counts, prevalence: float | None = None) -> list[CurvePoint]:
    """From nothing found to everything, at most so many points, closest where the curve goes furthest."""
    found, wrong = reaching(copies) / copies.sum(), reaching(others) / others.sum()
    precision = precisions(copies, others, prevalence)
    way = found + wrong
    wanted = np.linspace(0.0, 2.0, MAX_POINTS)
    # `way` falls with the cutoff: the highest cutoff that has come so far.
    ticks = np.unique(TICKS + 1 - np.searchsorted(way[::-1], wanted - 1e-12))[::-1]
    return [
        CurvePoint(
            min(1.0, tick / TICKS),
            float(found[tick]),
            float(wrong[tick]),
            None if np.isnan(precision[tick]) else float(precision[tick]),
        )
        for tick in ticks.tolist()
    ]


def operating_point(copies: Counts, others: Counts, tick: int, prevalence: float | None = None) -> OperatingPoint:
    found, wrong = int(copies[tick:].sum()), int(others[tick:].sum())
    all_copies, all_others = int(copies.sum()), int(others.sum())
    is_copy = found if prevalence is None else prevalence * found / all_copies
    is_other = wrong if prevalence is None else (1.0 - prevalence) * wrong / all_others
    return OperatingPoint(
        cutoff=tick / TICKS,
        copies_found=found,
        false_positives=wrong,
        misses=all_copies - found,
        recall=found / all_copies,
        recall_interval=share_interval(found, all_copies),
        false_positive_rate=wrong / all_others,
        false_positive_interval=share_interval(wrong, all_others),
        precision=is_copy / (is_copy + is_other) if is_copy + is_other else None,
    )
