"""Integers for an inverted index: triplets of peaks, described by what neither pitch nor tempo changes, and coarsely by what they do.

Three peaks give two steps in pitch and one ratio of times (after Six and Leman's Panako, ISMIR 2014). Each octave has its own, of
peaks that lie near each other in pitch: a voice over music fills some octaves and leaves others. Few are stored; who asks probes more
of them, and the neighbouring cell where a value lies near an edge, so that a peak that moved or went missing costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_svc.fingerprint.peaks import Constellation
from audio_svc.fingerprint.spectrum import BANDS, BANDS_PER_OCTAVE, FRAME_SECONDS

MAX_QUERY_TERMS: Final = 6000
"""What an index answers in a fifth of a second; of a longer query every so many a term is asked for."""

_FRAMES_PER_SECOND: Final = round(1 / FRAME_SECONDS)
_NEAREST_FRAMES: Final = 5
_FARTHEST_FRAMES: Final = 80
_REACH_BANDS: Final = BANDS_PER_OCTAVE // 2
_RATIOS: Final = 16
_SPAN_STEPS_PER_E: Final = 4.0
"""Cells of the whole triplet's length, as logarithm: a quarter each, so that a tempo change moves it by one at most."""
_PITCH_CELL_BANDS: Final = 16
"""Changes of pitch beyond a few semitones are found through the anchors that lie near an edge."""
_MILLISECONDS: Final = round(1000 * FRAME_SECONDS)


@dataclass(frozen=True, slots=True)
class Density:
    """How many triplets are made: so many anchors in every octave of every second, each with so many partners, taken two by two."""

    anchors: int
    partners: int


STORED: Final = Density(2, 2)
ASKED: Final = Density(3, 4)


@dataclass(frozen=True, slots=True)
class Terms:
    """`positions` are milliseconds into the sound, one for each value."""

    values: tuple[int, ...]
    positions: tuple[int, ...]


def stored_terms(peaks: Constellation) -> Terms:
    """What the index keeps of a sound: at most twelve a second."""
    triplets = _triplets(peaks, STORED)
    return _as_terms(np.floor(_cells(peaks, triplets)).astype(np.int64), peaks.frames[triplets[:, 0]])


def query_terms(peaks: Constellation) -> Terms:
    """What the index is asked for: more triplets, and for each the one neighbouring cell that it lies nearest to."""
    triplets = _triplets(peaks, ASKED)
    cells = _cells(peaks, triplets)
    whole = np.floor(cells).astype(np.int64)
    frames = peaks.frames[triplets[:, 0]]
    if not len(whole):
        return _as_terms(whole, frames)
    within = cells - whole - 0.5
    neighbour = whole.copy()
    nearest = np.abs(within).argmax(axis=1)
    rows = np.arange(len(whole))
    neighbour[rows, nearest] += np.sign(within[rows, nearest]).astype(np.int64)
    both, when = np.concatenate([whole, neighbour]), np.concatenate([frames, frames])
    order = np.argsort(when, kind="stable")
    thinned = order[:: -(-len(order) // MAX_QUERY_TERMS)]
    return _as_terms(both[thinned], when[thinned])


def _as_terms(cells: NDArray[np.int64], frames: NDArray[np.int64]) -> Terms:
    sizes = (128, 128, 32, 32, 32)
    values = np.zeros(len(cells), np.int64)
    for axis, size in enumerate(sizes):
        values = values * size + cells[:, axis] % size
    placed = sorted(set(zip(values.tolist(), (frames * _MILLISECONDS).tolist(), strict=True)))
    return Terms(tuple(value for value, _ in placed), tuple(position for _, position in placed))


def _cells(peaks: Constellation, triplets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each triplet as a point in a space whose cells have side 1: two pitch steps, ratio of times, length, pitch."""
    times = (peaks.frames * 4 + peaks.quarters)[triplets].astype(np.float64)
    bands = peaks.bands[triplets].astype(np.float64)
    first, whole = times[:, 1] - times[:, 0], times[:, 2] - times[:, 0]
    return np.stack(
        [
            bands[:, 1] - bands[:, 0] + 0.5,
            bands[:, 2] - bands[:, 0] + 0.5,
            first / whole * _RATIOS,
            np.log(whole) * _SPAN_STEPS_PER_E,
            bands[:, 0] / _PITCH_CELL_BANDS,
        ],
        axis=1,
    )


def _triplets(peaks: Constellation, density: Density) -> NDArray[np.int64]:
    """Rows of three peaks in order of time: an anchor, strong in its second and octave, and two of the strongest that follow it."""
    found: list[tuple[int, int, int]] = []
    for anchor in _strongest(peaks, density.anchors):
        low, high = np.searchsorted(peaks.frames, peaks.frames[anchor] + np.array([_NEAREST_FRAMES, _FARTHEST_FRAMES]))
        near = low + np.flatnonzero(np.abs(peaks.bands[low:high] - peaks.bands[anchor]) <= _REACH_BANDS)
        partners = np.sort(near[np.argsort(-peaks.levels[near], kind="stable")[: density.partners]])
        for one, two in combinations(partners.tolist(), 2):
            if peaks.frames[two] - peaks.frames[one] >= _NEAREST_FRAMES:
                found.append((int(anchor), one, two))
    return np.array(found, np.int64).reshape(-1, 3)


def _strongest(peaks: Constellation, most: int) -> NDArray[np.intp]:
    """In every octave of every second."""
    places = peaks.frames // _FRAMES_PER_SECOND * BANDS + peaks.bands // BANDS_PER_OCTAVE
    order = np.lexsort((-peaks.levels, places))
    ranked = places[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked, side="left")
    return np.sort(order[rank < most])
