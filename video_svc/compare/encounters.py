"""Which features of two films look alike, and which single geometry and time line most of them propose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.alignment import refine
from video_svc.compare.geometry import Geometry
from video_svc.compare.lines import Elected, Line, Votes, elect
from video_svc.compare.side import Side
from video_svc.fingerprint import Stars

# Codes are brought together by the signs of some of their components, in several tables, and then compared in full.
_TABLES: Final = 8
_TABLE_BITS: Final = 13
_MIN_COSINE: Final = 0.72
_MAX_BITS_APART: Final = 14
# Cells of the space of geometries: octaves of scale, turn, and the middle's place in widths of the picture.
_SCALE_CELL: Final = 0.5
_TURN_CELL: Final = np.pi / 6
_PLACE_CELL: Final = 0.15
_MAX_GEOMETRIES: Final = 6
MAX_PROPOSALS: Final = 6
MIN_STRENGTH: Final = 2.5
"""Of a vote; strangers seldom reach it, hardly any copy stays below three times as much."""
_NEAR_SECONDS: Final = 0.6
_MIN_FITTED: Final = 3
_MAX_FITTED: Final = 300
_MIN_MEETINGS: Final = 5
_MIN_FULLNESS: Final = 3.0
_MAX_LINES: Final = 2
_SPOT_PX: Final = 12.0
_MAX_AT_ONCE: Final = 1 << 16
"""Pairs of features: what is looked at together stays in the processor's cache."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Encounters:
    """Features of the first and of the second film, index by index, that look alike."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    cosines: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    geometry: Geometry
    elected: Elected
    votes: Votes
    """All that fits the geometry, at whatever times."""


def meet(first: Stars, second: Stars) -> Encounters:
    """Pairs of features with like codes."""
    if not len(first) or not len(second):
        empty = np.zeros(0, np.intp)
        return Encounters(empty, empty, np.zeros(0, np.float32))
    words_1, words_2 = _words(first), _words(second)
    met = []
    for key_1, key_2 in zip(_keys(first), _keys(second), strict=True):
        order = np.argsort(key_2, kind="stable")
        sizes = np.bincount(key_2, minlength=1 << _TABLE_BITS)
        starts, counts = (np.cumsum(sizes) - sizes)[key_1], sizes[key_1]
        for some in _batches(counts):
            start, count = starts[some], counts[some]
            left = np.repeat(np.arange(some.start, some.stop), count)
            right = order[np.arange(len(left)) + np.repeat(start - (np.cumsum(count) - count), count)]
            near = np.bitwise_count(words_1[left] ^ words_2[right]) <= _MAX_BITS_APART
            met.append(left[near] * len(second) + right[near])
    pairs = np.sort(np.concatenate(met))
    del met
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    left, right = pairs // len(second), pairs % len(second)
    unit_1, unit_2 = _unit(first), _unit(second)
    cosines = np.empty(len(pairs), np.float32)
    for k in range(0, len(pairs), _MAX_AT_ONCE):
        some = slice(k, k + _MAX_AT_ONCE)
        cosines[some] = np.einsum("ij,ij->i", unit_1[left[some]], unit_2[right[some]])
    alike = cosines >= _MIN_COSINE
    return Encounters(left[alike], right[alike], cosines[alike])


def _batches(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Stretches of features that have about so many candidates together as are looked at at once."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _MAX_AT_ONCE, side="right")))
        yield slice(start, stop)
        start = stop


def propose(one: Side, two: Side, first: Stars, second: Stars, *, mirror: bool) -> list[Proposal]:
    """The fullest cells of geometry, each with its strongest time lines. `first` is in the mirror where that is asked."""
    met = meet(first, second)
    if len(met.first) < _MIN_MEETINGS:
        return []
    weights = _weights(first, second, met.first, met.second)
    chosen = []
    for inside in _full_cells(_cells(first, second, met), weights):
        votes = Votes(one.times[first.frames[met.first[inside]]], two.times[second.frames[met.second[inside]]], weights[inside])
        chosen += [(elected, votes, inside) for elected in elect(votes, _MAX_LINES) if elected.strength >= MIN_STRENGTH]
    chosen.sort(key=lambda entry: -entry[0].strength)
    proposals = []
    for elected, votes, inside in chosen[:MAX_PROPOSALS]:
        near = np.flatnonzero(np.abs(votes.second - elected.line(votes.first)) <= _NEAR_SECONDS)
        if len(near) >= _MIN_FITTED:
            here = inside[near[:: max(1, len(near) // _MAX_FITTED)]]
            geometry = _fitted(first, second, met, here, weights[here], mirror=mirror)
            proposals.append(Proposal(replace(geometry, strength=elected.strength), elected, votes))
    return proposals


def propose_moments(two: Side, first: Stars, second: Stars, *, mirror: bool) -> list[Proposal]:
    """Where in the second film the one frame of the first may be seen: in each of the fullest cells of geometry the fullest moments."""
    met = meet(first, second)
    if len(met.first) < _MIN_MEETINGS:
        return []
    weights = np.ones(len(met.first))
    frames = second.frames[met.second]
    proposals = []
    for inside in _full_cells(_cells(first, second, met), weights):
        counts = np.bincount(frames[inside], minlength=len(two))
        for frame in np.argsort(-counts, kind="stable")[:_MAX_LINES]:
            here = inside[frames[inside] == frame]
            if len(here) >= _MIN_FITTED:
                moments = two.times[frames[here]]
                elected = Elected(Line(1.0, float(two.times[frame])), float(len(here)), float(len(here)))
                geometry = _fitted(first, second, met, here, weights[here], mirror=mirror)
                proposals.append(Proposal(geometry, elected, Votes(np.zeros(len(here)), moments, weights[here])))
    proposals.sort(key=lambda proposal: -proposal.geometry.inliers)
    return proposals[:MAX_PROPOSALS]


def _log_scales_and_turns(first: Stars, second: Stars, met: Encounters) -> tuple[_Floats, _Floats]:
    log_scales = np.log2(second.scales[met.second] / first.scales[met.first])
    return log_scales, np.mod(second.angles[met.second] - first.angles[met.first] + np.pi, 2 * np.pi) - np.pi


def _cells(first: Stars, second: Stars, met: Encounters) -> _Floats:
    """Each encounter's geometry, in widths of a cell: scale, turn, and where the middle of the first picture comes to lie."""
    log_scales, turns = _log_scales_and_turns(first, second, met)
    scale = np.exp2(log_scales)
    cosine, sine = scale * np.cos(turns), scale * np.sin(turns)
    off_x, off_y = (np.array([first.width, first.height], np.float32) / 2 - first.points[met.first]).T
    points = second.points[met.second]
    side = _PLACE_CELL * max(second.width, second.height)
    x, y = points[:, 0] + cosine * off_x - sine * off_y, points[:, 1] + sine * off_x + cosine * off_y
    return np.column_stack([log_scales / _SCALE_CELL, turns / _TURN_CELL, x / side, y / side])


def _fitted(first: Stars, second: Stars, met: Encounters, here: NDArray[np.intp], weights: _Floats, *, mirror: bool) -> Geometry:
    """The map that fits these encounters best; from the first film as it is, though `first` may be its mirror image."""
    log_scales, turns = _log_scales_and_turns(first, second, met)
    q, r = first.points[met.first[here]], second.points[met.second[here]]
    turn = float(np.angle((np.exp(1j * turns[here]) * weights).sum()))
    scale = 2.0 ** float(np.average(log_scales[here], weights=weights))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    start = np.eye(3)
    start[:2, :2], start[:2, 2] = linear, np.median(r - q @ linear.T, axis=0)
    refined = refine(start, q, r, np.arange(len(q)))
    flip = np.array([[-1.0, 0, first.width - 1], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    return Geometry(refined.matrix @ flip, mirror, len(refined.inliers))


def _full_cells(cells: _Floats, weights: _Floats) -> list[NDArray[np.intp]]:
    """What lies in and around the fullest cells of the space of geometries, indices of encounters."""
    whole = np.floor(cells + 0.5).astype(np.int64)
    key = (whole[:, 0] + 64) * 12 + np.mod(whole[:, 1], 12)
    key = (key * 1001 + np.clip(whole[:, 2] + 500, 0, 1000)) * 1001 + np.clip(whole[:, 3] + 500, 0, 1000)
    _, inverse = np.unique(key, return_inverse=True)
    fullness = np.bincount(inverse, weights)
    taken = np.zeros(len(cells), bool)
    full: list[NDArray[np.intp]] = []
    for cell in np.argsort(-fullness, kind="stable")[: 2 * _MAX_GEOMETRIES]:
        here = np.flatnonzero(inverse == cell)
        if taken[here].mean() > 0.5:
            continue
        gap = _from(cells, cells[here[0]])
        gap = _from(gap, np.average(gap[here], axis=0, weights=weights[here]))
        inside = np.flatnonzero((np.abs(gap) <= 1.25).all(axis=1))
        if len(inside) < _MIN_MEETINGS or weights[inside].sum() < _MIN_FULLNESS:
            continue
        taken[inside] = True
        full.append(inside)
        if len(full) == _MAX_GEOMETRIES:
            break
    return full


def _from(cells: _Floats, centre: _Floats) -> _Floats:
    """How far each lies from a centre; a whole turn is none."""
    gap = cells - centre
    gap[:, 1] = np.mod(gap[:, 1] + 6, 12) - 6
    return gap


def _weights(first: Stars, second: Stars, a: NDArray[np.intp], b: NDArray[np.intp]) -> _Floats:
    """One over how often a spot of a frame meets anything: what stands still meets itself at all times, and says nothing of when."""
    weights = np.ones(len(a))
    for stars, index in ((first, a), (second, b)):
        spots = np.floor(stars.points[index] / _SPOT_PX).astype(np.int64)
        _, inverse, counts = np.unique(
            (stars.frames[index] * 4096 + spots[:, 0]) * 4096 + spots[:, 1], return_inverse=True, return_counts=True
        )
        weights = np.minimum(weights, 1.0 / counts[inverse])
    return weights


def _keys(stars: Stars) -> list[NDArray[np.int64]]:
    bits = (stars.codes > 0).astype(np.int64)
    powers = 1 << np.arange(_TABLE_BITS, dtype=np.int64)
    return [bits[:, _BITS[table]] @ powers for table in range(_TABLES)]


# Every table has its part of the components of low frequency, which are the steadiest.
_BITS: Final = [(np.arange(_TABLE_BITS) * 3 + np.array([0, 1, 2])[table % 3] + 5 * (table // 3)) % 40 for table in range(_TABLES)]


def _words(stars: Stars) -> NDArray[np.uint64]:
    """All signs of a code in one word."""
    return (stars.codes > 0).astype(np.uint64) @ (np.uint64(1) << np.arange(stars.codes.shape[1], dtype=np.uint64))


def _unit(stars: Stars) -> NDArray[np.float32]:
    values = stars.codes.astype(np.float32)
    unit: NDArray[np.float32] = values / np.maximum(np.sqrt(np.einsum("ij,ij->i", values, values)), 1.0)[:, None]
    return unit
