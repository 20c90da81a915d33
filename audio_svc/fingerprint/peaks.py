"""The constellation: where the levelled spectrum has local maxima, in order of time, then of pitch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from audio_svc.fingerprint.spectrum import Floats, levelled, magnitudes

MAX_PEAKS_PER_WINDOW: Final = 26
WINDOW_FRAMES: Final = 25
_NEIGHBOURHOOD: Final = np.ones((11, 13), np.uint8)
_MIN_LEVEL: Final = np.float32(0.25)
_LEVEL_STEPS: Final = 8.0
MAX_LEVEL: Final = 63
_SOUNDING: Final = np.float32(0.7)
"""Nepers above the floor."""


@dataclass(frozen=True, slots=True, eq=False)
class Constellation:
    """Peaks: in which frame and which quarter of it, in which band, and how far out of the band's mean, in eighths of a neper."""

    frames: NDArray[np.int64]
    quarters: NDArray[np.int64]
    bands: NDArray[np.int64]
    levels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)


def find_peaks(samples: NDArray[np.float32]) -> Constellation:
    """At most MAX_PEAKS_PER_WINDOW in every half second, the highest."""
    logs, above_floor = magnitudes(samples)
    level = levelled(logs)
    highest = cv2.dilate(level, _NEIGHBOURHOOD, borderType=cv2.BORDER_REPLICATE)
    found = (level == highest) & (level > _MIN_LEVEL) & (above_floor > _SOUNDING)[:, None]
    frames, bands = np.nonzero(found)
    values = level[frames, bands]
    window = frames // WINDOW_FRAMES
    order = np.lexsort((bands, frames, -values, window))
    ranked = window[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked, side="left")
    kept = np.sort(order[rank < MAX_PEAKS_PER_WINDOW])
    frames, bands = frames[kept].astype(np.int64), bands[kept].astype(np.int64)
    levels = (values[kept] * _LEVEL_STEPS).clip(0, MAX_LEVEL).astype(np.int64)
    return Constellation(frames, _quarters(level, frames, bands), bands, levels)


def _quarters(level: Floats, frames: NDArray[np.int64], bands: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in its frame each peak has its top, by a parabola through it and its neighbours in time."""
    before, top, after = (level[np.clip(frames + step, 0, len(level) - 1), bands].astype(np.float64) for step in (-1, 0, 1))
    offset = (before - after) / np.minimum(2 * (before - 2 * top + after), -1e-9)
    quarters: NDArray[np.int64] = np.floor((offset + 0.5) * 4).clip(0, 3).astype(np.int64)
    return quarters
