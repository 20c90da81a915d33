"""Which shift in pitch, place in time and tempo link two constellations: every pair of peaks votes for one, for each tempo anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from audio_svc.compare.track import Track
from audio_svc.fingerprint.spectrum import BANDS
from matching.significance import standing_out

MAX_PITCH_BANDS: Final = 18
"""Six semitones up or down."""
TEMPO_STEP: Final = 1.025
TEMPO_STEPS: Final = 9
TEMPOS: Final = tuple(TEMPO_STEP ** (sign * step) for step in range(1, TEMPO_STEPS + 1) for sign in (1, -1))
"""Beside 1: from 0.80 to 1.25."""
MIN_DEVIATIONS: Final = 2.0
"""A place that stands out less is not looked at."""
PROPOSALS_AT_TEMPO_ONE: Final = 10
PROPOSALS_AT_OTHER_TEMPOS: Final = 2

_BIN_FRAMES: Final = 2
_OTHER_TEMPO_BIN_FRAMES: Final = 3
"""Where the tempo is only nearly met, the votes for one place spread over half a second anyway."""
_BANDS_AT_ONCE: Final = 6
_ROWS: Final = 2 * (MAX_PITCH_BANDS + _BANDS_AT_ONCE) + 1
_SURROUNDING_FRAMES: Final = 400
"""To either side: eight seconds."""
_NEIGHBOURS: Final = np.array([0.7, 1.0, 0.7], np.float32)
_BALLOTS_AT_ONCE: Final = 2_000_000
_SAME_PITCH: Final = 3
_SAME_PLACE_FRAMES: Final = 24


@dataclass(frozen=True, slots=True)
class Line:
    """frame of one = tempo x frame of two + offset; band of one = band of two + pitch."""

    tempo: float
    offset: float
    pitch: int


@dataclass(frozen=True, slots=True)
class _Proposal:
    line: Line
    deviations: float


def propose(one: Track, two: Track) -> Iterator[list[Line]]:
    """The lines that stand out most: beginnings or ends together, and those of the tempo as it is; then those of all other tempos."""
    whole = [Line(1.0, offset, 0) for offset in (0.0, float(one.frame_count - two.frame_count))]
    yield [*whole, *vote(one, two, 1.0, most=PROPOSALS_AT_TEMPO_ONE)]
    others = [proposal for tempo in TEMPOS for proposal in _ranked(one, two, tempo, most=PROPOSALS_AT_OTHER_TEMPOS)]
    yield [proposal.line for proposal in sorted(others, key=lambda proposal: -proposal.deviations)]


def vote(one: Track, two: Track, tempo: float, *, most: int, pitch: int | None = None) -> list[Line]:
    """The lines of one tempo that stand out most, near one pitch if given."""
    return [proposal.line for proposal in _ranked(one, two, tempo, most=most, pitch=pitch)]


def _ranked(one: Track, two: Track, tempo: float, *, most: int, pitch: int | None = None) -> list[_Proposal]:
    """The fullest places of the table of pitch shifts by time offsets, at one tempo, and near one pitch if given."""
    bin_frames = _BIN_FRAMES if abs(tempo - 1) < TEMPO_STEP - 1 else _OTHER_TEMPO_BIN_FRAMES
    votes, first_offset = _table(one, two, tempo, bin_frames)
    if not len(votes):
        return []
    cells, deviations = standing_out(votes, _SURROUNDING_FRAMES // bin_frames, MIN_DEVIATIONS)
    rows, columns = np.divmod(cells, votes.shape[1])
    if pitch is not None:
        near = np.abs(rows - MAX_PITCH_BANDS - pitch) <= 1
        rows, columns, deviations = rows[near], columns[near], deviations[near]
    proposals: list[_Proposal] = []
    while len(rows) and len(proposals) < most:
        row, column = int(rows[0]), int(columns[0])
        line = Line(tempo, (column - first_offset) * bin_frames, row - MAX_PITCH_BANDS)
        proposals.append(_Proposal(line, float(deviations[0])))
        elsewhere = (np.abs(rows - row) > _SAME_PITCH) | (np.abs(columns - column) > _SAME_PLACE_FRAMES // bin_frames)
        rows, columns, deviations = rows[elsewhere], columns[elsewhere], deviations[elsewhere]
    return proposals


def _table(one: Track, two: Track, tempo: float, bin_frames: int) -> tuple[Any, int]:
    """Votes, each also counted a little for its neighbours, and the column of offset 0."""
    bins_1 = one.peaks.frames[one.voters] // bin_frames
    bins_2 = np.rint(two.peaks.frames[two.voters] * (tempo / bin_frames)).astype(np.int64)
    first_offset = int(bins_2.max()) + 2
    width = int(bins_1.max()) + first_offset + 6
    places_1, starts_1 = _by_band(bins_1, one.peaks.bands[one.voters], width)
    places_2, starts_2 = _by_band(bins_2, two.peaks.bands[two.voters], width)
    places_2 -= (MAX_PITCH_BANDS + _BANDS_AT_ONCE) * width + first_offset
    blocks = []
    for band in range(0, BANDS, _BANDS_AT_ONCE):
        few = places_1[starts_1[band] : starts_1[min(BANDS, band + _BANDS_AT_ONCE)]]
        low, high = max(0, band - MAX_PITCH_BANDS), min(BANDS, band + _BANDS_AT_ONCE + MAX_PITCH_BANDS)
        blocks.append((few, places_2[starts_2[low] : starts_2[high]]))
    counts = _differences(blocks, _ROWS * width)
    votes = counts.reshape(_ROWS, width)[_BANDS_AT_ONCE:-_BANDS_AT_ONCE].astype(np.float32)
    return cv2.sepFilter2D(votes, -1, _NEIGHBOURS, _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT), first_offset


def _differences(blocks: list[tuple[NDArray[np.int64], NDArray[np.int64]]], size: int) -> NDArray[np.int64]:
    """How often each number below `size` is a difference between one of the few and one of the many of its block."""
    counts = np.zeros(size, np.int64)
    sizes = [len(few) * len(many) for few, many in blocks]
    ballots = np.empty(max(*sizes, min(_BALLOTS_AT_ONCE, sum(sizes))), np.int64)
    end = 0
    for (few, many), count in zip(blocks, sizes, strict=True):
        if end + count > len(ballots):
            counts += np.bincount(ballots[:end], minlength=size)
            end = 0
        np.subtract(few[:, None], many, out=ballots[end : end + count].reshape(len(few), len(many)))
        end += count
    return counts + np.bincount(ballots[:end], minlength=size)


def _by_band(bins: NDArray[np.int64], bands: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Band and time as one number, so that one subtraction gives both differences; sorted by band, with each band's start."""
    places = np.sort(bands * width + bins)
    return places, np.searchsorted(places, np.arange(BANDS + 1) * width)
