"""PDQ, the hash that the industry's hash lists speak: 256 bits and a quality from 0 to 100.

After its authors' description (https://github.com/facebook/ThreatExchange/tree/main/pdq, hashing.pdf). Sums run in the order of their C++
and in single precision, so that every bit is the same; its package comes as source alone, and would need a compiler.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SIDE: Final = 64
"""Of the picture that is transformed."""
BANDS: Final = 16
MIN_SIDE_PX: Final = 5
PASSES: Final = 2
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_LEVELS = np.arange(256)
_LUMA_OF_GREY: Final[Floats] = (_LEVELS * _RED + _LEVELS * _GREEN + _LEVELS * _BLUE).astype(np.float32)
_QUALITY_SCALE: Final = 90

_BAND, _PLACE = np.mgrid[1 : BANDS + 1, 0:SIDE]
_COSINES: Final = (np.sqrt(np.float32(2 / SIDE)).astype(float) * np.cos(np.pi / 2 / SIDE * _BAND * (2 * _PLACE + 1))).astype(np.float32)


def pdq(pixels: npt.NDArray[np.uint8]) -> tuple[bytes, int]:
    """The hash, its bits in the order that it is written in, and the quality, of a picture in RGB or in grey."""
    if min(pixels.shape[:2]) < MIN_SIDE_PX:
        return bytes(BANDS * BANDS // 8), 0
    small = _reduced(_luma(pixels))
    bands = _sum_of_products(_COSINES, _sum_of_products(_COSINES, small).T).T
    median = np.partition(bands, BANDS * BANDS // 2 - 1, axis=None)[BANDS * BANDS // 2 - 1]
    return np.packbits((bands > median).ravel()[::-1]).tobytes(), _quality(small)


def _luma(pixels: npt.NDArray[np.uint8]) -> Floats:
    if pixels.ndim == 2:
        return _LUMA_OF_GREY[pixels]
    luma: Floats = (pixels[..., 0] * _RED + pixels[..., 1] * _GREEN + pixels[..., 2] * _BLUE).astype(np.float32)
    return luma


def _reduced(luma: Floats) -> Floats:
    """Blurred by a tent of two pixels of the result, then picked out."""
    if luma.shape == (SIDE, SIDE):
        return luma
    rows, columns = (((np.arange(SIDE) + 0.5) * length / SIDE).astype(int) for length in luma.shape)
    for _ in range(PASSES):
        luma = _averaged(_averaged(luma.T).T)
    return luma[np.ix_(rows, columns)]


def _averaged(lines: Floats) -> Floats:
    """Each line the mean of those in a window around it, by a sum that runs along."""
    lines = np.ascontiguousarray(lines)
    count, window = len(lines), -(-len(lines) // (2 * SIDE))
    after = window // 2
    sums = np.empty_like(lines)
    views, results = list(lines), list(sums)
    total = np.zeros(lines.shape[1], np.float32)
    for end in range(window):
        np.add(total, views[end], total)
        if end >= after:
            results[end - after][:] = total
    last = total
    for entering, leaving, result in zip(views[window:], views, results[window - after :], strict=False):
        np.subtract(np.add(last, entering, total), leaving, result)
        last = result
    for leaving, result in zip(views[count - window :], results[count - after :], strict=False):
        np.subtract(last, leaving, result)
        last = result
    ends = np.arange(after, count + after)
    sums /= (np.minimum(ends, count - 1) - np.maximum(ends - window, -1)).astype(np.float32)[:, None]
    return sums


def _sum_of_products(cosines: Floats, lines: Floats) -> Floats:
    """A matrix product that adds from first to last: of a flat picture, the bits are what rounding leaves."""
    total = np.zeros((len(cosines), lines.shape[1]), np.float32)
    for factors, line in zip(cosines.T, lines, strict=True):
        total += factors[:, None] * line
    return total


def _quality(small: Floats) -> int:
    """How much changes from pixel to pixel."""
    steps = [np.trunc(np.diff(small, axis=axis) * np.float32(100) / np.float32(255)) for axis in (0, 1)]
    return min(100, int(sum(np.abs(step).sum() for step in steps)) // _QUALITY_SCALE)
