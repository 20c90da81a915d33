"""One side of a comparison: its constellation, and what is looked up in it at every step."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audio_svc.fingerprint import Outline
from audio_svc.fingerprint.spectrum import BANDS

REACH_FRAMES: Final = 6
EIGHTHS: Final = 8
"""Times are known to a quarter of a frame, so the middle of a quarter lies on an eighth."""
NOWHERE: Final = 127
"""The distance to a peak that is not within reach."""
VOTERS_PER_SECOND: Final = 20
_BAND_TOLERANCE: Final = 1
_MARGIN_BANDS: Final = 2
_FRAMES_PER_SECOND: Final = 50
_ACTIVE_REACH_FRAMES: Final = 25
"""Around a peak the sound is there; pauses longer than a second are not."""
_LEAST_CHANCE: Final = 0.01
_MOST_CHANCE: Final = 0.6

Indices = NDArray[np.int64]


class Track:
    """Peaks by frame and band, the way to the nearest, and how crowded each frame and band is."""

    def __init__(self, outline: Outline) -> None:
        self.peaks = outline.peaks
        self.eighths = EIGHTHS * outline.peaks.frames + 2 * outline.peaks.quarters - 3
        self.frame_count = outline.frame_count
        self.duration_seconds = outline.duration_seconds
        self.information = outline.information
        self._crowding: dict[float, tuple[Any, Any, float]] = {}

    def __len__(self) -> int:
        return len(self.peaks)

    def strongest(self, per_second: int) -> NDArray[np.intp]:
        """The highest peaks of every second, in order of time."""
        seconds = self.peaks.frames // _FRAMES_PER_SECOND
        order = np.lexsort((-self.peaks.levels, seconds))
        ranked = seconds[order]
        rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked, side="left")
        return np.sort(order[rank < per_second])

    @cached_property
    def voters(self) -> NDArray[np.intp]:
        """The peaks that have a vote."""
        return self.strongest(VOTERS_PER_SECOND)

    def has_peaks(self, frames: Indices, bands: Indices) -> NDArray[np.bool_]:
        """Whether a peak lies at the very places, which lie within the track or one beside it."""
        return self._occupied[frames + 1, bands + 1]

    @cached_property
    def _occupied(self) -> NDArray[np.bool_]:
        table = np.zeros((self.frame_count + 2, BANDS + 2), bool)
        table[self.peaks.frames + 1, self.peaks.bands + 1] = True
        return table

    @cached_property
    def _distances(self) -> NDArray[np.int8]:
        """For every frame and band how many eighths of a frame later the nearest peak lies, within a band of it."""
        table = np.full((self.frame_count + 2 * REACH_FRAMES, BANDS + 2 * _MARGIN_BANDS), NOWHERE, np.int8)
        past_middle = 2 * self.peaks.quarters - 3
        rows, columns = self.peaks.frames + REACH_FRAMES, self.peaks.bands + _MARGIN_BANDS
        for distance in range(REACH_FRAMES, -1, -1):
            for later in {-distance, distance}:
                for across in (-_BAND_TOLERANCE, _BAND_TOLERANCE, 0):
                    table[rows - later, columns + across] = EIGHTHS * later + past_middle
        return table[REACH_FRAMES:-REACH_FRAMES, _MARGIN_BANDS:-_MARGIN_BANDS]

    def contains(self, frames: Indices, bands: Indices) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (frames >= 0) & (frames < self.frame_count) & (bands >= 0) & (bands < BANDS)
        return inside

    def distances(self, frames: Indices, bands: Indices) -> Indices:
        """From places within the track to the nearest peak, in eighths of a frame; NOWHERE where none is in reach."""
        return self._distances[frames, bands].astype(np.int64)

    def chance(self, frames: Indices, bands: Indices, tolerance: float) -> NDArray[np.float64]:
        """How likely a peak lies within the tolerance (in frames) of each place, from how crowded its frame and its band are."""
        if tolerance not in self._crowding:
            near = np.abs(self._distances) <= tolerance * EIGHTHS
            by_frame = np.convolve(near.mean(axis=1), np.full(3, 1 / 3), "same")
            self._crowding[tolerance] = by_frame, near.mean(axis=0), max(float(near.mean()), 1e-6)
        by_frame, by_band, overall = self._crowding[tolerance]
        chance: NDArray[np.float64] = np.clip(by_frame[frames] * by_band[bands] / overall, _LEAST_CHANCE, _MOST_CHANCE)
        return chance

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """Frames where there is something to hear."""
        change = np.zeros(self.frame_count + 1, np.int64)
        np.add.at(change, np.maximum(self.peaks.frames - _ACTIVE_REACH_FRAMES, 0), 1)
        np.add.at(change, np.minimum(self.peaks.frames + _ACTIVE_REACH_FRAMES + 1, self.frame_count), -1)
        active: NDArray[np.bool_] = np.cumsum(change[:-1]) > 0
        return active
