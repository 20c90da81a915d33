"""How far a picture is one thing over and over: what repeats itself, as a tiled mark does, links any two pictures that show it."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 96
_WINDOW_PX: Final = 17
# Nearer than this share of the longer side, a picture is like itself because it is smooth; the two parts overlap by this share.
_MIN_SHIFT: Final = 0.1
_MIN_OVERLAP: Final = 0.45


def repetition(grey: NDArray[Any]) -> float:
    """The highest correlation of the picture with itself moved aside, 0 to 1."""
    scale = min(1.0, _SIDE / max(grey.shape))
    size = max(8, round(grey.shape[1] * scale)), max(8, round(grey.shape[0] * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    values = small - cv2.blur(small, (_WINDOW_PX, _WINDOW_PX))
    height, width = values.shape
    shape = (2 * height, 2 * width)
    picture, squares, place = (np.fft.rfft2(part, shape) for part in (values, values * values, np.ones_like(values)))
    overlap = np.fft.irfft2(np.abs(place) ** 2, shape)
    power = np.fft.irfft2(squares * place.conj(), shape).clip(1) * np.fft.irfft2(squares.conj() * place, shape).clip(1)
    correlation = np.fft.irfft2(np.abs(picture) ** 2, shape) / np.sqrt(power)
    down, across = (np.minimum(np.arange(2 * length), 2 * length - np.arange(2 * length)) for length in (height, width))
    moved = np.hypot(down[:, None], across) >= _MIN_SHIFT * max(height, width)
    return float(max(0.0, correlation[moved & (overlap >= _MIN_OVERLAP * height * width)].max(initial=0.0)))
