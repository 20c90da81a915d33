"""Samples to a picture of them: log magnitude in 36 bands an octave, 50 frames a second, each band less its own mean."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

SAMPLE_RATE: Final = 16_000
FRAME_SECONDS: Final = 0.02
BANDS_PER_OCTAVE: Final = 36
"""A third of a semitone: a shift in pitch is a shift by whole bands, near enough."""
LOWEST_HZ: Final = 110.0
HIGHEST_HZ: Final = 6000.0
BANDS: Final = int(BANDS_PER_OCTAVE * np.log2(HIGHEST_HZ / LOWEST_HZ))

_HOP: Final = round(SAMPLE_RATE * FRAME_SECONDS)
_WINDOW: Final = 2048
_BLOCK_FRAMES: Final = 512
_MEAN_FRAMES: Final = 101
"""Two seconds: takes out equalisers, hum and steady tones, leaves notes and syllables."""
_LOUD_PERCENTILE: Final = 95
FLOOR: Final = 3e-4
"""Of the loud frames' highest band, 70 dB below it: what is weaker is noise, or what codecs leave out."""
_SILENCE: Final = 3e-6
"""Of a full-scale tone: the noise of 16 bits, as each band has it."""

Floats = NDArray[Any]
# float32 throughout; cv2's stubs cannot say so.


def _filters() -> csr_array:
    """Triangles on the frequency axis, one a band, 1 in sum. Sparse: summed in one order, whatever BLAS does with threads."""
    frequencies = np.arange(_WINDOW // 2 + 1) * SAMPLE_RATE / _WINDOW
    used = int(np.searchsorted(frequencies, HIGHEST_HZ * 1.05))
    centres = LOWEST_HZ * 2 ** (np.arange(BANDS) / BANDS_PER_OCTAVE)
    widths = np.maximum(centres * (2 ** (1 / BANDS_PER_OCTAVE) - 1), frequencies[1])
    filters = np.maximum(0, 1 - np.abs(frequencies[None, :used] - centres[:, None]) / widths[:, None])
    return csr_array((filters / filters.sum(axis=1, keepdims=True)).astype(np.float32))


_FILTERS: Final = _filters()
_HANN: Final = (np.hanning(_WINDOW) / (_WINDOW / 4)).astype(np.float32)


def magnitudes(samples: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Frames by bands, the log of the magnitude; and each frame's highest above the floor: 0 where it is silent."""
    frames = len(samples) // _HOP + 1
    # Mirrored at its ends, so that a clip does not begin with a knock that the whole does not have.
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW), "symmetric") if len(samples) else np.zeros(_WINDOW, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:frames]
    bands = np.empty((frames, BANDS), np.float32)
    for start in range(0, frames, _BLOCK_FRAMES):
        spectrum = np.fft.rfft(windows[start : start + _BLOCK_FRAMES] * _HANN, axis=1)[:, : _FILTERS.shape[1]]
        amplitude = cv2.magnitude(np.ascontiguousarray(spectrum.real.T), np.ascontiguousarray(spectrum.imag.T))
        bands[start : start + _BLOCK_FRAMES] = (_FILTERS @ amplitude).T
    highest = bands.max(axis=1)
    floor = np.float32(max(_SILENCE, FLOOR * float(np.percentile(highest, _LOUD_PERCENTILE))))
    np.log(np.add(bands, floor, out=bands), out=bands)
    return bands, np.log(np.maximum(highest / floor, np.float32(1.0)))


def levelled(logs: Floats) -> Floats:
    """What stands out of each band's mean over two seconds, lightly smoothed."""
    level = logs - cv2.blur(logs, (1, _MEAN_FRAMES), borderType=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(level, (5, 7), sigmaX=0.7, sigmaY=1.0, borderType=cv2.BORDER_REPLICATE)
