"""The constellation: where the levelled spectrum has local maxima, in order of time, then of pitch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from audio_svc.fingerprint.spectrum import Floats, levelled, magnitudes

MAX_PEAKS_PER_WINDOW: Final = 22
WINDOW_FRAMES: Final = 25
_NEIGHBOURHOOD: Final = np.ones((11, 13), np.uint8)
_MIN_LEVEL: Final = np.float32(0.25)
_LEVEL_STEPS: Final = 32.0
_SILENCE: Final = float(np.log(3e-5))
"""Of a full-scale tone's magnitude: the last bit of 16."""
_BELOW_LOUD: Final = 7.0
"""Nepers (60 dB) below the loud parts there is only noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Constellation:
    """Peaks; a level is what stands out of the band's mean, in 1/32 nepers."""

    frames: NDArray[np.int64]
    bands: NDArray[np.int64]
    levels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)


def find_peaks(samples: NDArray[np.float32]) -> Constellation:
    """At most MAX_PEAKS_PER_WINDOW in every half second, the highest."""
    logs = magnitudes(samples)
    level = levelled(logs)
    highest = cv2.dilate(level, _NEIGHBOURHOOD, borderType=cv2.BORDER_REPLICATE)
    found = (level == highest) & (level > _MIN_LEVEL) & _sounding(logs)[:, None]
    frames, bands = np.nonzero(found)
    values = level[frames, bands]
    window = frames // WINDOW_FRAMES
    order = np.lexsort((bands, frames, -values, window))
    ranked = window[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked, side="left")
    kept = np.sort(order[rank < MAX_PEAKS_PER_WINDOW])
    levels = (values[kept] * _LEVEL_STEPS).clip(0, 255).astype(np.int64)
    return Constellation(frames[kept].astype(np.int64), bands[kept].astype(np.int64), levels)


def _sounding(logs: Floats) -> NDArray[np.bool_]:
    loudness = logs.max(axis=1)
    sounding: NDArray[np.bool_] = loudness > max(_SILENCE, float(np.percentile(loudness, 95)) - _BELOW_LOUD)
    return sounding
