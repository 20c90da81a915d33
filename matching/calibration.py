"""From raw evidence to a score: a rising curve through fixed points, so that one number means the same in every medium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight lines between (evidence, score) points; both rise strictly, so different evidence gives different scores."""

    points: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        for axis in (0, 1):
            values = [point[axis] for point in self.points]
            if any(later <= earlier for earlier, later in pairwise(values)):
                raise ValueError("a calibration curve must rise strictly")

    def score(self, evidence: float) -> float:
        """The score for this much evidence, clamped to the curve's ends."""
        return float(np.interp(evidence, [p[0] for p in self.points], [p[1] for p in self.points]))
