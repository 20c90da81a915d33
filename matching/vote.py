"""Which similarity transforms link two constellations: every match proposes one, all matches vote. Exhaustive, so the same on every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.local_features import Constellation

# Lowe's ratio, loose because the vote that follows is strict; the second neighbour is looked for at another place,
# as SIFT gives one place several directions and scales.
_MAX_DISTANCE_RATIO: Final = 0.88
_SAME_PLACE_PX: Final = 6.0
_MIN_COSINE: Final = 0.60
_MAX_MATCHES: Final = 240
# How far a voter's own transform may stray from the one it votes for, and how its place may.
_MAX_LOG_SCALE_GAP: Final = 0.45
_MAX_ANGLE_GAP: Final = 0.40
_PLACE_TOLERANCE_PX: Final = 6.0
_PLACE_TOLERANCE_PER_PX: Final = 0.10
# Voters nearer than this to each other say the same thing.
_VOTER_CELL_PX: Final = 6.0
_MIN_VOTES: Final = 4.0

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Matches:
    """Places in the query and in the reference that look alike, best first, and what each says on scale and angle."""

    query_points: _Floats
    reference_points: _Floats
    log_scales: _Floats
    angles: _Floats

    def __len__(self) -> int:
        return len(self.query_points)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A 3 x 3 similarity from query to reference pixels, its votes, and who cast them."""

    matrix: NDArray[np.float64]
    votes: float
    voters: NDArray[np.intp]


def nearest_matches(query: Constellation, reference: Constellation) -> Matches:
    """One-to-one nearest neighbours that stand out from the second nearest."""
    if len(query) < 2 or len(reference) < 2:
        empty = np.zeros(0, np.float32)
        return Matches(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), empty, empty)
    cosines = cosine_similarities(query, reference)
    rows = np.arange(len(query))
    best = cosines.argmax(axis=1)
    mutual = cosines.argmax(axis=0)[best] == rows
    rows = rows[mutual & (cosines[rows, best] >= _MIN_COSINE)]
    best = best[rows]
    first = cosines[rows, best]
    others = cosines[rows]
    x, y = reference.points.T
    others[(x[best][:, None] - x) ** 2 + (y[best][:, None] - y) ** 2 < _SAME_PLACE_PX**2] = -1.0
    second = others.max(axis=1)
    ratio = np.sqrt(np.maximum(1 - first, 0) / np.maximum(1 - second, 1e-6))
    order = np.argsort(ratio, kind="stable")
    order = order[ratio[order] < _MAX_DISTANCE_RATIO][:_MAX_MATCHES]
    rows, best = rows[order], best[order]
    return Matches(
        query.points[rows],
        reference.points[best],
        np.log(reference.scales[best] / query.scales[rows]),
        _wrapped(reference.angles[best] - query.angles[rows]),
    )


def cosine_similarities(query: Constellation, reference: Constellation) -> _Floats:
    """How alike every code of one is to every code of the other; the inner products are exact, see local_features."""
    first, second = query.codes.astype(np.float32), reference.codes.astype(np.float32)
    cosines: _Floats = first @ second.T
    for codes, axis in ((first, 1), (second, 0)):
        cosines /= np.expand_dims(np.maximum(np.sqrt(np.einsum("ij,ij->i", codes, codes)), 1.0), axis)
    return cosines


def propose(matches: Matches, *, max_proposals: int) -> list[Proposal]:
    """The transforms with the most votes; each takes its voters away before the next is sought."""
    if len(matches) < _MIN_VOTES:
        return []
    ballot = _ballot(matches)
    weights = _voter_weights(matches)
    proposals: list[Proposal] = []
    while len(proposals) < max_proposals:
        votes = ballot @ weights
        elected = int(votes.argmax())
        if votes[elected] < _MIN_VOTES:
            break
        voters = np.flatnonzero(ballot[elected] & (weights > 0))
        proposals.append(Proposal(_similarity(matches, elected), float(votes[elected]), voters))
        weights[voters] = 0
    return proposals


def _ballot(matches: Matches) -> NDArray[np.bool_]:
    """Entry i, j: match j agrees with the transform that match i proposes."""
    scale = np.exp(matches.log_scales)
    cosine, sine = scale * np.cos(matches.angles), scale * np.sin(matches.angles)
    offset = matches.query_points[None, :, :] - matches.query_points[:, None, :]
    landed_x = cosine[:, None] * offset[..., 0] - sine[:, None] * offset[..., 1]
    landed_y = sine[:, None] * offset[..., 0] + cosine[:, None] * offset[..., 1]
    actual = matches.reference_points[None, :, :] - matches.reference_points[:, None, :]
    miss = np.hypot(landed_x - actual[..., 0], landed_y - actual[..., 1])
    allowed = _PLACE_TOLERANCE_PX + _PLACE_TOLERANCE_PER_PX * np.hypot(actual[..., 0], actual[..., 1])
    near: NDArray[np.bool_] = miss < allowed
    near &= np.abs(matches.log_scales[None, :] - matches.log_scales[:, None]) < _MAX_LOG_SCALE_GAP
    near &= np.abs(_wrapped(matches.angles[None, :] - matches.angles[:, None])) < _MAX_ANGLE_GAP
    return near


def _voter_weights(matches: Matches) -> NDArray[np.float64]:
    """One over the number of matches in the same place, on the side where it is more crowded."""
    weights = np.ones(len(matches))
    for points in (matches.query_points, matches.reference_points):
        cells = np.floor(points / _VOTER_CELL_PX).astype(np.int64)
        _, inverse, counts = np.unique(cells[:, 0] * 100_003 + cells[:, 1], return_inverse=True, return_counts=True)
        weights = np.minimum(weights, 1.0 / counts[inverse.reshape(-1)])
    return weights


def _similarity(matches: Matches, index: int) -> NDArray[np.float64]:
    scale, angle = np.exp(float(matches.log_scales[index])), float(matches.angles[index])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = matches.reference_points[index] - linear @ matches.query_points[index]
    return matrix


def _wrapped(angles: _Floats) -> _Floats:
    wrapped: _Floats = np.mod(angles + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
    return wrapped
