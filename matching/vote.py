"""Which similarity transforms link two constellations: every match proposes one, all matches vote. Exhaustive, so the same on every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.likeness import Matches

# How far a voter's own transform may stray from the one it votes for, and how its place may.
_MAX_LOG_SCALE_GAP: Final = 0.45
_MAX_ANGLE_GAP: Final = 0.40
_PLACE_TOLERANCE_PX: Final = 6.0
_PLACE_TOLERANCE_PER_PX: Final = 0.10
# Voters nearer than this to each other say the same thing.
_VOTER_CELL_PX: Final = 6.0
_CELLS_ACROSS: Final = 1 << 32
MIN_VOTES: Final = 4.0

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A 3 x 3 similarity from query to reference pixels, its votes, and who cast them."""

    matrix: NDArray[np.float64]
    votes: float
    voters: NDArray[np.intp]


def propose(matches: Matches, *, max_proposals: int, min_votes: float = MIN_VOTES) -> list[Proposal]:
    """The transforms with the most votes; each takes its voters away before the next is sought."""
    ballot = _ballot(matches, min_votes)
    if ballot is None:
        return []
    weights = _voter_weights(matches)
    proposals: list[Proposal] = []
    while len(proposals) < max_proposals:
        votes = ballot @ weights
        elected = int(votes.argmax())
        if votes[elected] < min_votes:
            break
        voters = np.flatnonzero((ballot[elected] > 0) & (weights > 0))
        proposals.append(Proposal(_similarity(matches, elected), float(votes[elected]), voters))
        weights[voters] = 0
    return proposals


def _ballot(matches: Matches, min_votes: float) -> NDArray[np.float64] | None:
    """Entry i, j is 1 where match j agrees with the transform that match i proposes, if that may get so many votes; None where none may.

    No vote weighs more than 1, so who has fewer voters is not elected; of two strangers' matches hardly any has, by scale and angle alone.
    """
    cosine, sine = np.cos(matches.angles), np.sin(matches.angles)
    # The cosine of the difference of two angles.
    near = cosine[:, None] * cosine + sine[:, None] * sine > np.cos(_MAX_ANGLE_GAP)
    near &= np.abs(_differences(matches.log_scales)) < _MAX_LOG_SCALE_GAP
    standing = _supported(near, min_votes)
    if not len(standing):
        return None
    scale = np.exp(matches.log_scales)
    across, along = (scale * cosine)[standing, None], (scale * sine)[standing, None]
    x, y = (_differences(values, standing) for values in matches.query_points.T)
    u, v = (_differences(values, standing) for values in matches.reference_points.T)
    missed = across * x
    missed -= along * y
    missed -= u
    missed *= missed
    x *= along
    y *= across
    x += y
    x -= v
    x *= x
    missed += x
    # How far the reference's place lies from the proposer's, and the miss that this allows, squared.
    u *= u
    v *= v
    u += v
    allowed = np.sqrt(u, out=u)
    allowed *= np.float32(_PLACE_TOLERANCE_PER_PX)
    allowed += np.float32(_PLACE_TOLERANCE_PX)
    allowed *= allowed
    near = near[standing]
    near &= missed < allowed
    supported = _supported(near, min_votes)
    if not len(supported):
        return None
    ballot = np.zeros((len(matches), len(matches)))
    ballot[standing[supported]] = near[supported]
    return ballot


def _supported(near: NDArray[np.bool_], least: float) -> NDArray[np.intp]:
    """The rows with so many entries."""
    if not near.size:
        return np.zeros(0, np.intp)
    return np.flatnonzero(cv2.reduce(near.view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S) >= least)


def _differences(values: _Floats, rows: NDArray[np.intp] | slice = slice(None)) -> _Floats:
    """Entry i, j: the j-th less the i-th of the rows."""
    differences: _Floats = values[None, :] - values[rows, None]
    return differences


def _voter_weights(matches: Matches) -> NDArray[np.float64]:
    """One over the number of matches in the same place, on the side where it is more crowded."""
    weights = np.ones(len(matches))
    for points in (matches.query_points, matches.reference_points):
        column, row = np.floor(points / _VOTER_CELL_PX).astype(np.int64).T
        cells = column * _CELLS_ACROSS + row
        ordered = np.sort(cells)
        crowd = ordered.searchsorted(cells, "right") - ordered.searchsorted(cells)
        weights = np.minimum(weights, 1.0 / crowd)
    return weights


def _similarity(matches: Matches, index: int) -> NDArray[np.float64]:
    scale, angle = np.exp(float(matches.log_scales[index])), float(matches.angles[index])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = matches.reference_points[index] - linear @ matches.query_points[index]
    return matrix
