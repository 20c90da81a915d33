"""From moments that agree more or less to spans of time: those that the agreement earns, with gaps where it dips for a moment."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_GAP: Final = 4
"""Moments in a row that may contradict inside a span: a flash, a sticker, a cut in another place."""

MAX_BRIDGED: Final = 8
"""Telling moments between two spans of one line up to which both are one: what was cut out would have moved the rest."""
MIN_TELLING: Final = 0.05

_Array = NDArray[np.float64]


def earned(gains: _Array) -> list[tuple[int, int]]:
    """Half-open spans of the largest sums of `gains` (positive where the moment agrees), none reaching over a long dip."""
    spans: list[tuple[int, int]] = []
    start, total, best, best_end, start_of_dip = 0, 0.0, 0.0, 0, 0
    for k, gain in enumerate(gains):
        if total <= 0:
            if best > 0:
                spans.append((start, best_end))
            start, total, best, best_end = k, 0.0, 0.0, k
        total += gain
        if total > best:
            best, best_end, start_of_dip = total, k + 1, k + 1
        elif k + 1 - start_of_dip > MAX_GAP and best > 0:
            spans.append((start, best_end))
            start, total, best, best_end = k + 1, 0.0, 0.0, k + 1
    if best > 0:
        spans.append((start, best_end))
    return spans


def merged(spans: list[tuple[int, int]], weight: _Array) -> list[tuple[int, int]]:
    """Neighbours on one line become one, unless much that can be told lies between; blanks tell nothing."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        if joined:
            before = joined[-1]
            between = int((weight[before[1] : start] > MIN_TELLING).sum())
            if between <= min(MAX_BRIDGED, (before[1] - before[0]) + (stop - start)):
                joined[-1] = before[0], stop
                continue
        joined.append((start, stop))
    return joined
