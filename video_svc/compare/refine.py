"""Sharpens a line below the step of the time grid: where between three steps the agreement has its peak, early and late in the stretch."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from video_svc.compare.lines import MAX_RATE, MIN_RATE, Line
from video_svc.compare.proof import Table, meeting
from video_svc.compare.side import GRID_SECONDS

MIN_PEAK: Final = 0.004
"""What a peak must stand above its sides to say where it is."""
MIN_DRIFT_SECONDS: Final = 0.15
"""What the offset must differ between the halves; less is the grid's own noise."""
_MAX_DRIFT_SECONDS: Final = 2.0
_MIN_MOMENTS: Final = 4
_SECONDS_FOR_RATE: Final = 5.0

_Array = NDArray[np.float64]


def sharpen(table: Table, line: Line, start: float, stop: float, reach: int, *, is_level: bool = False) -> Line:
    """The line within so many steps that agrees best between `start` and `stop` of the first film; `is_level` holds its rate."""
    one = table.one
    inside = np.flatnonzero((one.grid >= start) & (one.grid <= stop))
    if len(inside) < _MIN_MOMENTS:
        return line
    trials = _Trials.of(table, line, inside, reach) or _Trials.of(table, line, inside, 1)
    if trials is None:
        return line
    offset = trials.peak(np.ones(len(trials.times), bool))
    if offset is None:
        return line
    middle = float(np.median(trials.times))
    early, late = trials.times < middle, trials.times >= middle
    if not is_level and early.any() and trials.times[-1] - trials.times[0] >= _SECONDS_FOR_RATE:
        before, after = trials.peak(early), trials.peak(late)
        if before is not None and after is not None and MIN_DRIFT_SECONDS < abs(after - before) < _MAX_DRIFT_SECONDS:
            drift = (after - before) / float(trials.times[late].mean() - trials.times[early].mean())
            if MIN_RATE < line.rate + drift < MAX_RATE:
                return Line(line.rate + drift, offset - drift * float(trials.times.mean()))
    return Line(line.rate, offset)


class _Trials:
    """Fidelity at moments of the first film when the line is shifted by whole steps of the grid."""

    def __init__(self, times: _Array, fidelity: _Array, weight: _Array, offsets: _Array) -> None:
        self.times, self._fidelity, self._weight, self._offsets = times, fidelity, weight, offsets

    @staticmethod
    def of(table: Table, line: Line, inside: NDArray[np.intp], reach: int) -> _Trials | None:
        """None where too few moments have all the steps to compare."""
        one, two = table.one, table.two
        shape = 2 * reach + 1, len(inside)
        fidelity, weight, offsets = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
        for row, step in enumerate(range(-reach, reach + 1)):
            shifted = Line(line.rate, line.offset + step * GRID_SECONDS)
            moments, first, second = meeting(one, two, shifted, inside)
            if len(moments):
                at = np.searchsorted(inside, moments)
                found = table.compare(first, second)
                fidelity[row, at], weight[row, at] = found.fidelity, found.weight
                # The frames were taken at times of their own: they may lie nearer to each other than the line.
                own = two.times[second] - line.rate * one.times[first]
                near = np.abs(own - shifted.offset) <= GRID_SECONDS
                offsets[row, at] = np.where(near, own, shifted.offset)
        valid = ~np.isnan(fidelity).any(axis=0)
        if valid.sum() < _MIN_MOMENTS:
            return None
        return _Trials(one.grid[inside][valid], fidelity[:, valid], weight[:, valid], offsets[:, valid])

    def peak(self, chosen: NDArray[np.bool_]) -> float | None:
        """The offset where the mean is highest, between the steps as a triangle over three of them says; None where it is flat."""
        weight = self._weight[:, chosen]
        total = np.maximum(weight.sum(axis=1), 1e-9)
        means = (self._fidelity[:, chosen] * weight).sum(axis=1) / total
        offsets = (self._offsets[:, chosen] * weight).sum(axis=1) / total
        top = int(means.argmax())
        if top in (0, len(means) - 1):
            return None
        low, high = float(means[top - 1]), float(means[top + 1])
        fall = float(means[top]) - min(low, high)
        return None if fall < MIN_PEAK else float(offsets[top]) + 0.5 * GRID_SECONDS * (high - low) / fall
