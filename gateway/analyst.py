"""Scores that were posted, looked at in a thread of their own, a few sets at a time: the event loop only moves bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from gateway.threshold_schemas import (
    AnalysisBody,
    BarBody,
    CurvePointBody,
    CurvesBody,
    LanesBody,
    NoRecommendationBody,
    PointBody,
    RecommendationBody,
    ScoreErrorBody,
)
from matching.decision import CUTOFFS
from matching.thresholds.analysis import Analysis, Curves, Recommendation, Refusal, Wanted, analyse
from matching.thresholds.curves import OperatingPoint
from matching.thresholds.lanes import Policy
from matching.thresholds.scores import TICKS, Scores, read_scores
from mesh.errors import InvalidRequest, Overloaded

MAX_BYTES: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 2
_DIGITS: Final = 6
PROFILES: Final = CUTOFFS["image"].profiles
"""Scores mean the same in every medium, so these are those of all."""

REASONS: Final[Mapping[Refusal, str]] = {
    Refusal.NO_SCORES: "there are no scores",
    Refusal.ONE_KIND: "all labels are the same: it takes copies and others to tell them apart",
    Refusal.TOO_FEW: "without labels it takes 50 scores or more to see where they part",
    Refusal.ONE_HEAP: "these scores are one heap: nothing says where copies begin; label some of them",
    Refusal.UNSTEADY: "the valley may be chance: as many scores drawn anew often have none; label some of them, or take more",
}


class Analyst:
    def __init__(self) -> None:
        self._running = 0

    async def analyse(self, text: bytes, wanted: Wanted, policy: Policy | None) -> AnalysisBody:
        with self._turn():
            return await asyncio.to_thread(analysis_of, text, wanted, policy)

    async def lanes(self, text: bytes, policy: Policy) -> LanesBody:
        with self._turn():
            return await asyncio.to_thread(_lanes_of, text, policy)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._running >= _AT_ONCE:
            raise Overloaded()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


def _lanes_of(text: bytes, policy: Policy) -> LanesBody:
    scores = _read(text)
    return LanesBody(total=int(scores.all.sum()), lanes=lane_counts(scores, policy), refused=scores.refused, errors=_errors(scores))


def analysis_of(text: bytes, wanted: Wanted, policy: Policy | None) -> AnalysisBody:
    scores = _read(text)
    body = analysis_body(analyse(scores, wanted))
    if policy is not None:
        body.lanes = lane_counts(scores, policy)
    return body


def lane_counts(scores: Scores, policy: Policy) -> dict[str, int]:
    every = scores.all
    reaching = [int(every[round(floor * TICKS) :].sum()) for floor in policy.floors]
    return policy.counts(int(every.sum()), reaching)


def analysis_body(analysis: Analysis) -> AnalysisBody:
    scores, found, curves = analysis.scores, analysis.recommendation, analysis.curves
    return AnalysisBody(
        copies=int(scores.copies.sum()),
        others=int(scores.others.sum()),
        unlabelled=int(scores.unlabelled.sum()),
        refused=scores.refused,
        errors=_errors(scores),
        histogram=[
            BarBody(start=bar.start, end=bar.end, copies=bar.copies, others=bar.others, unlabelled=bar.unlabelled)
            for bar in analysis.histogram
        ],
        curves=_curves_body(curves) if curves else None,
        points=[_point_body(name, point, cost) for name, (point, cost) in curves.operating.items()] if curves else [],
        recommendation=_recommendation_body(found) if isinstance(found, Recommendation) else None,
        no_recommendation=None if isinstance(found, Recommendation) else NoRecommendationBody(reason=found, message=REASONS[found]),
    )


def _errors(scores: Scores) -> list[ScoreErrorBody]:
    return [ScoreErrorBody(line=error.line, message=error.message) for error in scores.errors]


def _read(text: bytes) -> Scores:
    try:
        return read_scores(text.decode())
    except UnicodeDecodeError as problem:
        raise InvalidRequest("the scores must be UTF-8") from problem
    except ValueError as problem:
        raise InvalidRequest(str(problem)) from problem


def _recommendation_body(found: Recommendation) -> RecommendationBody:
    return RecommendationBody(
        cutoff=found.cutoff, interval=list(found.interval), same=list(found.same), method=found.method, notes=list(found.notes)
    )


def _curves_body(curves: Curves) -> CurvesBody:
    return CurvesBody(
        roc_area=_share(curves.area),
        roc_area_interval=list(curves.area_interval),
        average_precision=_share(curves.average_precision),
        points=[
            CurvePointBody(
                cutoff=point.cutoff,
                recall=_share(point.recall),
                false_positive_rate=_share(point.false_positive_rate),
                precision=None if point.precision is None else _share(point.precision),
            )
            for point in curves.points
        ],
    )


def _point_body(name: str, point: OperatingPoint, cost: float) -> PointBody:
    return PointBody(
        name=name,
        cutoff=point.cutoff,
        copies_found=point.copies_found,
        false_positives=point.false_positives,
        misses=point.misses,
        recall=_share(point.recall),
        recall_interval=[_share(end) for end in point.recall_interval],
        false_positive_rate=_share(point.false_positive_rate),
        false_positive_interval=[_share(end) for end in point.false_positive_interval],
        precision=None if point.precision is None else _share(point.precision),
        cost=round(cost, _DIGITS),
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, round(value, _DIGITS)))
