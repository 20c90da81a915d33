"""How far a count of agreements lies above what chance alone would bring: the same question in every vote and every dense check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

# float32 throughout; cv2's stubs cannot say so.
Floats = NDArray[Any]

_LEAST_VARIANCE: Final = 2.0
"""So that two or three agreements where none were expected are no sensation."""


@dataclass(frozen=True, slots=True)
class Excess:
    """Agreements against chance."""

    tried: int
    agreed: int
    expected: float
    variance: float

    @property
    def deviations(self) -> float:
        """Standard deviations above chance."""
        return float((self.agreed - self.expected) / np.sqrt(self.variance + _LEAST_VARIANCE))

    @property
    def share(self) -> float:
        """What share agrees for a reason, 0 to 1: chance taken out."""
        return float(max(0.0, self.agreed - self.expected) / max(self.tried - self.expected, 1.0))


def excess(agrees: NDArray[np.bool_], chance: NDArray[np.float64]) -> Excess:
    """Of single trials, each with its own chance."""
    return Excess(len(agrees), int(agrees.sum()), float(chance.sum()), float((chance * (1 - chance)).sum()))


def standing_out(votes: Floats, reach: int, least: float) -> tuple[NDArray[np.intp], Floats]:
    """The cells of a table of votes that lie at least so many deviations above what their row and column lead one to expect.

    A row is full where all is alike in one way (a steady chord), a column where all is alike in another (a common beat):
    only what is more than both is a coincidence of the two. `reach` cells to either side make a row's mean.
    Flat indices, the most outstanding first.
    """
    width = 2 * reach + 1
    rows = cv2.blur(votes, (width, 1), borderType=cv2.BORDER_REFLECT)
    overall = cv2.blur(cv2.reduce(rows, 0, cv2.REDUCE_AVG), (width, 1), borderType=cv2.BORDER_REFLECT) + np.float32(1e-3)
    columns = cv2.blur(cv2.reduce(votes, 0, cv2.REDUCE_AVG), (3, 1)) / overall
    expected = rows * columns
    deviations = ((votes - expected) / np.sqrt(expected + np.float32(_LEAST_VARIANCE))).ravel()
    cells = np.flatnonzero(deviations >= least)
    deviations = deviations[cells]
    order = np.argsort(-deviations, kind="stable")
    return cells[order], deviations[order]
