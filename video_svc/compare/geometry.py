"""How one film's picture lies upon another's: one map for a whole stretch of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matching.alignment import Matrix
from video_svc.compare.side import Side
from video_svc.fingerprint import frame_size


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """A map from the first film's frames to the second's, in pixels of FRAME_SIDE, and what speaks for it."""

    matrix: Matrix
    mirrored: bool = False
    inliers: int = 0
    strength: float = 0.0
    """Of the vote of features that proposed it, in standard deviations above what other times get."""
    is_plain: bool = False
    """The whole of one upon the whole of the other, upright."""


def lay(one: Side, two: Side, *, mirror: bool) -> Geometry:
    """The whole of one film's picture upon the whole of the other's."""
    (width_1, height_1), (width_2, height_2) = (frame_size(s.outline.width, s.outline.height) for s in (one, two))
    across, down = width_2 / width_1, height_2 / height_1
    matrix: Matrix = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1.0]])
    if mirror:
        matrix = matrix @ np.array([[-1.0, 0, width_1 - 1], [0, 1, 0], [0, 0, 1]])
    return Geometry(matrix, mirror, is_plain=not mirror)
