"""The valley of a histogram: where scores that nobody labelled fall apart in two heaps, if they do.

The histogram is smoothed by a Gaussian kernel (Silverman, Density Estimation, 1986), mirrored at 0 and 1, narrower the more scores there
are. A valley counts where enough scores lie on both sides of it, it is at most half as high as the lower of the two heaps, and nine in ten
sets that are drawn anew have it, too. It says nothing of costs: only where the two heaps part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.thresholds.cost import drawn_again
from matching.thresholds.scores import TICKS, Counts

Heights = NDArray[np.float64]

MIN_SCORES: Final = 50
_CELLS: Final = 500
"""Of the smoothed histogram: a valley is known to 0.002 at best."""
_MIN_ON_A_SIDE: Final = 10
_MIN_SHARE_ON_A_SIDE: Final = 0.002
_MAX_DEPTH: Final = 0.5
_FLOOR: Final = 0.05
"""Of the lower heap above the valley's ground: so high its water stands, and the middle of the water is the cutoff."""
_RESAMPLES: Final = 200
_MIN_STANDING: Final = 0.9
_SEED: Final = 20_260_102


class NoValley(StrEnum):
    TOO_FEW = "too_few_scores"
    ONE_HEAP = "no_valley"
    UNSTEADY = "valley_unsteady"


@dataclass(frozen=True, slots=True)
class Valley:
    """The middle of its ground, where that lies in 95 of 100 sets drawn anew, and its ground."""

    cutoff: float
    interval: tuple[float, float]
    ground: tuple[float, float]


def find_valley(counts: Counts) -> Valley | NoValley:
    total = int(counts.sum())
    if total < MIN_SCORES:
        return NoValley.TOO_FEW
    cells = _in_cells(counts)
    ground = _ground(cells)
    if ground is None:
        return NoValley.ONE_HEAP
    generator = np.random.default_rng(_SEED)
    again = [_ground(drawn_again(generator, cells)) for _ in range(_RESAMPLES)]
    middles = [(low + high) / 2.0 for low, high in filter(None, again)]
    if len(middles) < _MIN_STANDING * _RESAMPLES:
        return NoValley.UNSTEADY
    low, high = np.percentile(middles, [2.5, 97.5])
    cutoff = round((ground[0] + ground[1]) / 2.0 * TICKS) / TICKS
    return Valley(cutoff, (round(float(low), 4), round(float(high), 4)), ground)


def _ground(cells: Counts) -> tuple[float, float] | None:
    """From where to where the deepest valley's ground goes."""
    heights = _smoothed(cells)
    ranks = np.cumsum(cells)
    total = int(ranks[-1])
    enough = max(_MIN_ON_A_SIDE, _MIN_SHARE_ON_A_SIDE * total)
    left, right = np.maximum.accumulate(heights), np.maximum.accumulate(heights[::-1])[::-1]
    lower = np.minimum(left, right)
    has_sides = (ranks >= enough) & (total - ranks >= enough)
    is_valley = has_sides & (heights <= _MAX_DEPTH * lower)
    if not is_valley.any():
        return None
    # The depth against the lower heap; where several are as deep, the one between the higher heaps.
    depth = np.where(is_valley, heights / np.maximum(lower, 1e-12) - lower / lower.max() * 1e-6, np.inf)
    deepest = int(np.argmin(depth))
    water = heights <= heights[deepest] + _FLOOR * lower[deepest]
    first = deepest
    while first > 0 and water[first - 1]:
        first -= 1
    last = deepest
    while last < _CELLS - 1 and water[last + 1]:
        last += 1
    return first / _CELLS, (last + 1) / _CELLS


def _in_cells(counts: Counts) -> Counts:
    cells = np.minimum(np.arange(TICKS + 1) * _CELLS // TICKS, _CELLS - 1)
    return np.bincount(cells, weights=counts, minlength=_CELLS).astype(np.int64)


def _smoothed(cells: Counts) -> Heights:
    """Narrow enough to leave a gap open, wide enough that a few scores make no heap."""
    width = _CELLS * float(np.clip(0.35 * cells.sum() ** (-1.0 / 3.0), 0.02, 0.1))
    reach = int(4 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    mirrored = np.pad(cells.astype(np.float64), reach, mode="symmetric")
    return np.convolve(mirrored, kernel / kernel.sum(), mode="valid")
