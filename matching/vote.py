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
MIN_VOTES: Final = 4.0
_MIN_WORTH_HALVING: Final = 200

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


class Likeness:
    """How alike every code of one is to every code of the other: straight and in the mirror for the price of one.

    The inner products are exact, see local_features. Every second code of the query comes first: nearly always they say enough."""

    def __init__(self, query: Constellation, reference: Constellation) -> None:
        self._query, self._reference = query, reference
        self._parts: list[tuple[_Floats, _Floats, _Floats]] = []

    @property
    def is_large(self) -> bool:
        """Whether half of it is much less work."""
        return len(self._query) >= _MIN_WORTH_HALVING

    def cosines(self, *, mirrored: bool = False) -> _Floats:
        """`mirrored`: those of the query in the mirror."""
        cosines = np.empty((len(self._query), len(self._reference)), np.float32)
        cosines[_order(len(self._query))] = self._cosines(2, mirrored=mirrored)
        return cosines

    def nearest(self, *, mirrored: bool = False, of_half: bool = False) -> Matches:
        """One-to-one nearest neighbours that stand out from the second nearest; the query's places are then those in the mirror.

        `of_half`: of every second feature of the query alone."""
        query, reference = self._query, self._reference
        if len(query) < 2 or len(reference) < 2:
            empty = np.zeros(0, np.float32)
            return Matches(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), empty, empty)
        cosines = self._cosines(1 if of_half else 2, mirrored=mirrored)
        best = cosines.argmax(axis=1)
        first = cosines[np.arange(len(cosines)), best]
        rows = np.flatnonzero((first == cosines.max(axis=0)[best]) & (first >= _MIN_COSINE))
        # Where several are equally near to one place, the first.
        taken = np.empty(len(reference), np.intp)
        taken[best[rows[::-1]]] = rows[::-1]
        rows = rows[taken[best[rows]] == rows]
        best, first = best[rows], first[rows]
        second = _best_elsewhere(cosines[rows], best, reference.points)
        ratio = np.sqrt(np.maximum(1 - first, 0) / np.maximum(1 - second, 1e-6))
        order = np.argsort(ratio, kind="stable")
        order = order[ratio[order] < _MAX_DISTANCE_RATIO][:_MAX_MATCHES]
        rows, best = _order(len(query))[rows[order]], best[order]
        points, angles = query.in_mirror if mirrored else (query.points, query.angles)
        return Matches(
            points[rows],
            reference.points[best],
            np.log(reference.scales[best] / query.scales[rows]),
            _wrapped(reference.angles[best] - angles[rows]),
        )

    def _cosines(self, parts: int, *, mirrored: bool) -> _Floats:
        """In the order of `_order`."""
        combine = np.subtract if mirrored else np.add
        while len(self._parts) < parts:
            self._parts.append(self._products(slice(len(self._parts), None, 2)))
        cosines = np.empty((sum(len(even) for even, _, _ in self._parts[:parts]), len(self._reference)), np.float32)
        at = 0
        for even, odd, most in self._parts[:parts]:
            part = cosines[at : at + len(even)]
            combine(even, odd, out=part)
            part /= most
            at += len(even)
        return cosines

    def _products(self, chosen: slice) -> tuple[_Floats, _Floats, _Floats]:
        """Inner products of the sums and of the differences, and the most that both together can be."""
        (even_1, odd_1), (even_2, odd_2) = self._query.halves, self._reference.halves
        # Each pair of values makes twice its product.
        most = np.multiply.outer(2 * self._query.lengths[chosen], self._reference.lengths)
        return even_1[:, chosen].T @ even_2, odd_1[:, chosen].T @ odd_2, most


def _order(count: int) -> NDArray[np.intp]:
    """Every second, then the others."""
    places = np.arange(count)
    return np.concatenate([places[::2], places[1::2]])


def nearest_matches(query: Constellation, reference: Constellation) -> Matches:
    """One-to-one nearest neighbours that stand out from the second nearest."""
    return Likeness(query, reference).nearest()


def _best_elsewhere(cosines: _Floats, best: NDArray[np.intp], points: _Floats) -> _Floats:
    """The second best of each row, not counting what lies where the best one does; overwrites the cosines."""
    rows = np.arange(len(best))
    cosines[rows, best] = -1.0
    runner_up = cosines.argmax(axis=1)
    second: _Floats = cosines[rows, runner_up]
    # Most runners-up lie elsewhere already.
    doubtful = np.flatnonzero(((points[runner_up] - points[best]) ** 2).sum(axis=1) < _SAME_PLACE_PX**2)
    others, place = cosines[doubtful], points[best[doubtful]]
    here = (place[:, :1] - points[:, 0]) ** 2 + (place[:, 1:] - points[:, 1]) ** 2 < _SAME_PLACE_PX**2
    second[doubtful] = np.where(here, np.float32(-1.0), others).max(axis=1)
    return second


def cosine_similarities(query: Constellation, reference: Constellation) -> _Floats:
    """How alike every code of one is to every code of the other."""
    return Likeness(query, reference).cosines()


def propose(matches: Matches, *, max_proposals: int, min_votes: float = MIN_VOTES) -> list[Proposal]:
    """The transforms with the most votes; each takes its voters away before the next is sought."""
    if len(matches) < min_votes:
        return []
    ballot = _ballot(matches)
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


def _ballot(matches: Matches) -> NDArray[np.float64]:
    """Entry i, j is 1 where match j agrees with the transform that match i proposes."""
    scale = np.exp(matches.log_scales)
    cosine, sine = np.cos(matches.angles), np.sin(matches.angles)
    across, along = (scale * cosine)[:, None], (scale * sine)[:, None]
    x, y = (_differences(values) for values in matches.query_points.T)
    u, v = (_differences(values) for values in matches.reference_points.T)
    miss_2 = (across * x - along * y - u) ** 2 + (along * x + across * y - v) ** 2
    allowed = _PLACE_TOLERANCE_PX + _PLACE_TOLERANCE_PER_PX * np.sqrt(u * u + v * v)
    near = miss_2 < allowed * allowed
    near &= np.abs(_differences(matches.log_scales)) < _MAX_LOG_SCALE_GAP
    # The cosine of the difference of two angles.
    near &= cosine[:, None] * cosine + sine[:, None] * sine > np.cos(_MAX_ANGLE_GAP)
    return near.astype(np.float64)


def _differences(values: _Floats) -> _Floats:
    """Entry i, j: the j-th less the i-th."""
    differences: _Floats = values[None, :] - values[:, None]
    return differences


def _voter_weights(matches: Matches) -> NDArray[np.float64]:
    """One over the number of matches in the same place, on the side where it is more crowded."""
    weights = np.ones(len(matches))
    for points in (matches.query_points, matches.reference_points):
        column, row = np.floor(points / _VOTER_CELL_PX).astype(np.int64).T
        crowd = ((column[:, None] == column) & (row[:, None] == row)).sum(axis=1)
        weights = np.minimum(weights, 1.0 / crowd)
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
