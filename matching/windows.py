"""Local statistics of pictures: what stands out in a window, how two pictures correlate there, how much there is to see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

# float32 throughout; cv2's stubs cannot say so.
Floats = NDArray[Any]

WINDOWS_PER_FRAME: Final = 12
MIN_WINDOW_PX: Final = 9
_MIN_WINDOW_SHARE: Final = 0.35
# Grey levels squared: the variance that counts for half a window of content, and the noise that correlation forgives.
_HALF_CONTENT: Final = np.float32(25.0)
_NOISE: Final = np.float32(1.0)
# Correlation from which a window begins to agree, and from which it agrees wholly.
_AGREES_FROM: Final = np.float32(0.30)
_AGREES_FULLY: Final = np.float32(0.80)


class Windows:
    """Averages over square windows, of those pixels only that `mask` has (float32, 0 or 1); of single pictures or of stacks of them."""

    def __init__(self, mask: Floats, *, stacked: bool = False) -> None:
        self.side = max(MIN_WINDOW_PX, 2 * (max(mask.shape) // (2 * WINDOWS_PER_FRAME)) + 1)
        self._every = (..., None) if stacked else (...,)
        self._plane: Floats = mask
        self._mask: Floats | None = None if mask.all() else mask[self._every]
        self._filled: dict[tuple[int, int], Floats] = {}

    @cached_property
    def usable(self) -> Floats:
        """1 where the mask has the pixel and enough of the window around it, else 0."""
        mask = self._plane
        return (
            mask[self._every] if self._mask is None else (mask * (cv2.blur(mask, (self.side, self.side)) > _MIN_WINDOW_SHARE))[self._every]
        )

    def average(self, values: Floats, *, across: int = 0, down: int = 0) -> Floats:
        """The mean around each pixel, over the whole window unless narrowed."""
        size = across or self.side, down or self.side
        if self._mask is None:
            return cv2.blur(values, size).reshape(values.shape)
        if size not in self._filled:
            self._filled[size] = np.maximum(cv2.blur(self._plane, size), np.float32(1e-6))[self._every]
        average: Floats = cv2.blur(values * self._mask, size).reshape(values.shape) / self._filled[size]
        return average

    def structure(self, values: Floats) -> Floats:
        """What stands out from the window's mean."""
        return values - self.average(values)

    def reliefs(self, values: Floats) -> tuple[Floats, Floats]:
        """The structure, and the texture: what stands out from the window's rows and columns as well; letters, not lines of text; trees,
        not the horizon."""
        mean = self.average(values)
        return values - mean, values - self.average(values, down=1) - self.average(values, across=1) + mean


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Of two pictures, window by window."""

    values: Floats
    scale: Floats
    """What the values were divided by: the root of both variances, with noise."""
    powers: tuple[Floats, Floats]
    """The variances."""
    content: Floats
    """How much there is to see on the side that has more, 0 to 1."""
    weight: Floats
    """The same, up to half less where the other side shows nothing: what is covered up says less than what contradicts."""

    @property
    def attainable(self) -> Floats:
        """The most that noise allows."""
        attainable: Floats = np.sqrt(self.powers[0] * self.powers[1]) / self.scale
        return attainable


def correlate(first: Floats, second: Floats, windows: Windows) -> Correlation:
    """How two pictures, each of mean 0 in every window, correlate."""
    power_1, power_2 = (np.maximum(windows.average(values * values), 0) for values in (first, second))
    return correlate_drawn(first * second, power_1, power_2, content(power_1), content(power_2), windows)


def correlate_drawn(
    product: Floats, power_1: Floats, power_2: Floats, content_1: Floats, content_2: Floats, windows: Windows
) -> Correlation:
    """The same, where each picture's variance and content in every window are known already."""
    scale = np.sqrt((power_1 + _NOISE) * (power_2 + _NOISE))
    most = np.maximum(content_1, content_2)
    return Correlation(
        values=windows.average(product) / scale,
        scale=scale,
        powers=(power_1, power_2),
        content=most,
        weight=most * (0.5 + 0.5 * np.minimum(content_1, content_2)) * windows.usable,
    )


def content(variance: Floats) -> Floats:
    """How much there is to see, 0 to 1, where the windows have this variance."""
    share: Floats = variance / (variance + _HALF_CONTENT)
    return share


def agreement(correlation: Floats) -> Floats:
    """Correlation as agreement, 0 to 1."""
    graded: Floats = correlation - _AGREES_FROM
    graded /= _AGREES_FULLY - _AGREES_FROM
    np.maximum(graded, np.float32(0), out=graded)
    return np.minimum(graded, np.float32(1), out=graded)
