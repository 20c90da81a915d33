"""From evidence spread along a line to the stretches that carry it, and from many stretches to those that say something new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """From start to end on one axis."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start


def heaviest_span(times: Times, weights: NDArray[np.float64]) -> Span | None:
    """The stretch whose weights, rewards and penalties in order of time, sum to the most (Kadane); None where nothing is above 0."""
    order = np.argsort(times, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    gains = sums - np.minimum.accumulate(sums)
    last = int(gains.argmax())
    if gains[last] <= 0:
        return None
    before = sums[: last + 1]
    first = int(np.flatnonzero(before == before.min())[-1])
    return Span(float(times[order[first]]), float(times[order[last - 1]]))


def extended(span: Span, times: Times, weights: NDArray[np.float64], *, max_drop: float) -> tuple[Span, float]:
    """The span made longer at either end to where the weights beyond it sum to the most, and that sum.

    Nothing is reached across a stretch that costs more than `max_drop` (as BLAST extends its hits).
    """
    order = np.argsort(times, kind="stable")
    before, after = order[times[order] < span.start][::-1], order[times[order] > span.end]
    ends, gained = [span.start, span.end], 0.0
    for side, beyond in enumerate((before, after)):
        sums = np.cumsum(weights[beyond])
        dropped = np.flatnonzero(np.maximum.accumulate(np.maximum(sums, 0.0)) - sums > max_drop)
        sums = sums[: dropped[0]] if len(dropped) else sums
        if len(sums) and sums.max() > 0:
            best = int(sums.argmax())
            ends[side] = float(times[beyond[best]])
            gained += float(sums[best])
    return Span(*ends), gained


def split_at_gaps(span: Span, times: Times, weights: NDArray[np.float64], *, cell: float, min_gap: float, min_loss: float) -> list[Span]:
    """The span without the stretches inside it where penalties rule for `min_gap` and cost `min_loss`."""
    cells = max(1, int(np.ceil(span.length / cell)))
    inside = (times >= span.start) & (times <= span.end)
    index = np.minimum(((times[inside] - span.start) / cell).astype(np.int64), cells - 1)
    sums = np.bincount(index, weights[inside], cells)
    parts, start = [], span.start
    for first, last in _runs(sums < 0):
        if (last - first) * cell >= min_gap and -sums[first:last].sum() >= min_loss:
            parts.append(Span(start, span.start + first * cell))
            start = span.start + last * cell
    parts.append(Span(start, span.end))
    return [part for part in parts if part.length > 0]


def uncovered_share(span: Span, covered: list[Span]) -> float:
    """What share of the span none of the others covers."""
    if span.length <= 0:
        return 0.0
    return 1.0 - union_length([Span(max(span.start, c.start), min(span.end, c.end)) for c in covered]) / span.length


def union_length(spans: list[Span]) -> float:
    """Length of what at least one of them covers."""
    total, reached = 0.0, float("-inf")
    for span in sorted(spans, key=lambda s: s.start):
        total += max(0.0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return total


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one-past-last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
