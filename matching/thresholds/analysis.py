"""A set of scores, looked at as a whole: its histogram, its curves where it is labelled, and the cutoff that it speaks for, or why none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from matching.thresholds.cost import cheapest, cost_at, prices, spread
from matching.thresholds.curves import CurvePoint, OperatingPoint, area_under_roc, average_precision, curve, operating_point
from matching.thresholds.scores import TICKS, Scores, tick_of
from matching.thresholds.valley import NoValley, find_valley

BARS: Final = 50
MIN_COST: Final = 0.001
MAX_COST: Final = 1_000_000.0
_FEW: Final = 30
RECOMMENDED: Final = "recommended"


class Method(StrEnum):
    """What a recommendation goes by."""

    COST = "cost"
    VALLEY = "valley"


class Note(StrEnum):
    """What is to be known of a recommendation."""

    FEW_COPIES = "few_copies"
    FEW_OTHERS = "few_others"
    NOT_SEPARATED = "not_separated"
    FLAGS_ALL = "flags_all"
    FLAGS_NONE = "flags_none"
    WIDE = "wide_interval"


class Refusal(StrEnum):
    """Why there is none."""

    NO_SCORES = "no_scores"
    ONE_KIND = "one_kind_only"
    TOO_FEW = NoValley.TOO_FEW.value
    ONE_HEAP = NoValley.ONE_HEAP.value
    UNSTEADY = NoValley.UNSTEADY.value


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a false positive costs where a miss costs 1, how rare copies are in earnest (None: as in the set), cutoffs to compare with."""

    cost: float = 1.0
    prevalence: float | None = None
    cutoffs: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """Scores from `start` (inclusive) to `end`; the last bar has the score 1, too."""

    start: float
    end: float
    copies: int
    others: int
    unlabelled: int


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The cutoff, its 95 % interval by bootstrap, and the range of cutoffs that do the same to this set."""

    cutoff: float
    interval: tuple[float, float]
    same: tuple[float, float]
    method: Method
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Curves:
    """Of a labelled set. Points are named, and each has the cost of a pair (a miss costs 1)."""

    area: float
    area_interval: tuple[float, float]
    average_precision: float
    points: list[CurvePoint]
    operating: dict[str, tuple[OperatingPoint, float]]


@dataclass(frozen=True, slots=True)
class Analysis:
    scores: Scores
    histogram: list[Bar]
    recommendation: Recommendation | Refusal
    curves: Curves | None = None


def analyse(scores: Scores, wanted: Wanted = Wanted()) -> Analysis:
    if scores.is_labelled:
        return _by_cost(scores, wanted)
    histogram = _histogram(scores)
    if not scores.all.any():
        return Analysis(scores, histogram, Refusal.NO_SCORES)
    if not scores.unlabelled.any():
        return Analysis(scores, histogram, Refusal.ONE_KIND)
    found = find_valley(scores.all)
    if isinstance(found, NoValley):
        return Analysis(scores, histogram, Refusal(found.value))
    notes = (Note.WIDE,) if _is_wide(found.interval) else ()
    return Analysis(scores, histogram, Recommendation(found.cutoff, found.interval, found.ground, Method.VALLEY, notes))


def _by_cost(scores: Scores, wanted: Wanted) -> Analysis:
    copies, others = scores.copies, scores.others
    of = prices(int(copies.sum()), int(others.sum()), wanted.cost, wanted.prevalence)
    best, around = cheapest(copies, others, of), spread(copies, others, of)
    notes = [
        note
        for note, holds in {
            Note.FEW_COPIES: copies.sum() < _FEW,
            Note.FEW_OTHERS: others.sum() < _FEW,
            Note.NOT_SEPARATED: around.area[0] <= 0.5,
            Note.FLAGS_ALL: not (copies + others)[: best.tick].any(),
            Note.FLAGS_NONE: not (copies + others)[best.tick :].any(),
            Note.WIDE: _is_wide(around.cutoff),
        }.items()
        if holds
    ]
    named = {RECOMMENDED: best.tick, **{name: tick_of(cutoff) for name, cutoff in (wanted.cutoffs or {}).items()}}
    return Analysis(
        scores,
        _histogram(scores),
        Recommendation(best.tick / TICKS, around.cutoff, (best.first / TICKS, best.last / TICKS), Method.COST, tuple(notes)),
        Curves(
            area=area_under_roc(copies, others),
            area_interval=around.area,
            average_precision=average_precision(copies, others, wanted.prevalence),
            points=curve(copies, others, wanted.prevalence),
            operating={
                name: (operating_point(copies, others, tick, wanted.prevalence), cost_at(copies, others, tick, of))
                for name, tick in named.items()
            },
        ),
    )


def _is_wide(interval: tuple[float, float]) -> bool:
    """More than the step from one label of the product to the next."""
    return interval[1] - interval[0] > 0.2


def _histogram(scores: Scores) -> list[Bar]:
    bars = np.minimum(np.arange(TICKS + 1) * BARS // TICKS, BARS - 1)
    counts = [np.bincount(bars, weights=kind, minlength=BARS) for kind in (scores.copies, scores.others, scores.unlabelled)]
    return [Bar(at / BARS, (at + 1) / BARS, *(int(kind[at]) for kind in counts)) for at in range(BARS)]
