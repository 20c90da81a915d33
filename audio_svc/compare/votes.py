"""Which shift in pitch, place in time and tempo link two constellations: every pair of peaks votes for one, for each tempo anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from audio_svc.compare.track import Track
from audio_svc.fingerprint.spectrum import BANDS
from matching.significance import stand_out

MAX_PITCH_BANDS: Final = 18
"""Six semitones up or down."""
TEMPO_STEP: Final = 1.02
TEMPO_STEPS: Final = 11
TEMPOS: Final = (1.0, *(TEMPO_STEP ** (sign * step) for step in range(1, TEMPO_STEPS + 1) for sign in (1, -1)))
"""From 0.80 to 1.24."""
VOTERS_PER_SECOND: Final = 20
PROPOSALS_AT_TEMPO_ONE: Final = 6
PROPOSALS_AT_OTHER_TEMPOS: Final = 2

_BIN_FRAMES: Final = 2
_BANDS_AT_ONCE: Final = 6
_ROWS: Final = 2 * (MAX_PITCH_BANDS + _BANDS_AT_ONCE) + 1
_SURROUNDINGS: Final = 200
"""Bins of 40 ms to either side: eight seconds."""
_NEIGHBOURS: Final = np.array([0.7, 1.0, 0.7], np.float32)
_SAME_PITCH: Final = 3
_SAME_PLACE: Final = 12


@dataclass(frozen=True, slots=True)
class Line:
    """frame of one = tempo x frame of two + offset; band of one = band of two + pitch."""

    tempo: float
    offset: float
    pitch: int


@dataclass(frozen=True, slots=True)
class Proposal:
    line: Line
    deviations: float


def propose(one: Track, two: Track) -> list[Proposal]:
    """The lines that stand out most, at any tempo, the best first."""
    voters = one.strongest(VOTERS_PER_SECOND), two.strongest(VOTERS_PER_SECOND)
    proposals = list(vote(one, two, voters, 1.0, most=PROPOSALS_AT_TEMPO_ONE))
    for tempo in TEMPOS[1:]:
        proposals += vote(one, two, voters, tempo, most=PROPOSALS_AT_OTHER_TEMPOS)
    return sorted(proposals, key=lambda proposal: -proposal.deviations)


def vote(
    one: Track, two: Track, voters: tuple[NDArray[np.intp], NDArray[np.intp]], tempo: float, *, most: int, pitch: int | None = None
) -> Iterable[Proposal]:
    """The fullest places of the table of pitch shifts by time offsets, at one tempo, and near one pitch if given."""
    table, first_offset = _table(one, two, voters, tempo)
    if table is None:
        return
    if pitch is not None:
        row = pitch + MAX_PITCH_BANDS
        table[: max(0, row - 1)] = table[row + 2 :] = -1
    for _ in range(most):
        row, column = divmod(int(table.argmax()), table.shape[1])
        deviations = float(table[row, column])
        if deviations <= 0:
            return
        yield Proposal(Line(tempo, (column - first_offset) * _BIN_FRAMES, row - MAX_PITCH_BANDS), deviations)
        table[max(0, row - _SAME_PITCH) : row + _SAME_PITCH + 1, max(0, column - _SAME_PLACE) : column + _SAME_PLACE + 1] = -1


def _table(one: Track, two: Track, voters: tuple[NDArray[np.intp], NDArray[np.intp]], tempo: float) -> tuple[Any, int]:
    """Deviations above chance, and the column of offset 0."""
    bins_1 = one.peaks.frames[voters[0]] // _BIN_FRAMES
    bins_2 = np.rint(two.peaks.frames[voters[1]] * (tempo / _BIN_FRAMES)).astype(np.int64)
    first_offset = int(bins_2.max()) + 2
    width = int(bins_1.max()) + first_offset + 6
    places_1, starts_1 = _by_band(bins_1, one.peaks.bands[voters[0]], width)
    places_2, starts_2 = _by_band(bins_2, two.peaks.bands[voters[1]], width)
    places_2 -= (MAX_PITCH_BANDS + _BANDS_AT_ONCE) * width + first_offset
    ballots = []
    for band in range(0, BANDS, _BANDS_AT_ONCE):
        few = places_1[starts_1[band] : starts_1[min(BANDS, band + _BANDS_AT_ONCE)]]
        low, high = max(0, band - MAX_PITCH_BANDS), min(BANDS, band + _BANDS_AT_ONCE + MAX_PITCH_BANDS)
        ballots.append(np.subtract.outer(few, places_2[starts_2[low] : starts_2[high]]).ravel())
    counts = np.bincount(np.concatenate(ballots), minlength=_ROWS * width)
    votes = counts.reshape(_ROWS, width)[_BANDS_AT_ONCE:-_BANDS_AT_ONCE].astype(np.float32)
    if not votes.any():
        return None, 0
    votes = cv2.sepFilter2D(votes, -1, _NEIGHBOURS, _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT)
    return stand_out(votes, _SURROUNDINGS), first_offset


def _by_band(bins: NDArray[np.int64], bands: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Band and time as one number, so that one subtraction gives both differences; sorted by band, with each band's start."""
    places = np.sort(bands * width + bins)
    return places, np.searchsorted(places, np.arange(BANDS + 1) * width)
