"""A first, cheap look at an alignment on small versions of two pictures: how far their structure agrees, in all and in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.alignment import Matrix, inverted, local_scale
from matching.windows import Floats, agreement, content

FRAME_PX: Final = 48
_SOFTENING_PX: Final = 0.8
_WINDOW: Final = (9, 9)
_NOISE: Final = np.float32(1.0)
# What is larger in its picture is drawn into the frame of the one that shows it smaller, unless so little of it is there to be drawn.
_MIN_SCALE: Final = 0.3
_MIN_OVERLAP: Final = 0.2
_MIN_CONTENT: Final = 0.01
_WARP: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Shares, 0 to 1, of what the two show where they overlap."""

    agreement: float
    central_agreement: float
    """Of what lies in the middle of both."""


class Small:
    """One picture, ready to be looked at in passing."""

    def __init__(self, grey: NDArray[Any]) -> None:
        scale = min(1.0, FRAME_PX / max(grey.shape))
        self.width, self.height = max(8, round(grey.shape[1] * scale)), max(8, round(grey.shape[0] * scale))
        self.fine: Floats = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _SOFTENING_PX)
        values = cv2.GaussianBlur(
            cv2.resize(grey, (self.width, self.height), interpolation=cv2.INTER_AREA).astype(np.float32), (0, 0), _SOFTENING_PX
        )
        self.structure, self.power = _relief(values)
        self.content = content(self.power)
        self.centrality = _centrality(self.width, self.height)

    def fit(self, size: tuple[int, int]) -> Matrix:
        """From pixels of the picture at that size to those of the frame."""
        return _stretch(size, (self.width, self.height))


def glimpse(query: Small, reference: Small, matrix: Matrix) -> Glimpse | None:
    """What is seen where `matrix` takes the query's frame to the reference's; None where that is too little to say."""
    scale = local_scale(matrix, query.width / 2, query.height / 2)
    if scale > 1:
        query, reference, matrix, scale = reference, query, inverted(matrix), 1 / scale
    if scale < _MIN_SCALE:
        return None
    size = query.width, query.height
    to_fine = _stretch((reference.width, reference.height), reference.fine.shape[::-1]) @ matrix
    drawn = cv2.warpPerspective(reference.fine, to_fine, size, flags=_WARP, borderMode=cv2.BORDER_REPLICATE)
    middle = cv2.warpPerspective(reference.centrality, matrix, size, flags=_WARP, borderValue=0)
    if cv2.countNonZero(middle) < _MIN_OVERLAP * middle.size:
        return None
    inside = (middle > 0).astype(np.float32)
    structure, power = _relief(drawn)
    shown = content(power)
    most = np.maximum(query.content, shown)
    weight = (most + most * np.minimum(query.content, shown)) * inside
    total = float(weight.sum())
    if total < 2 * _MIN_CONTENT * weight.size:
        return None
    agrees = agreement(cv2.blur(query.structure * structure, _WINDOW) / np.sqrt((query.power + _NOISE) * (power + _NOISE)))
    agrees *= weight
    middle *= query.centrality
    return Glimpse(float(agrees.sum()) / total, float(np.vdot(agrees, middle)) / max(float(np.vdot(weight, middle)), 1e-6))


@lru_cache(maxsize=256)
def _centrality(width: int, height: int) -> Floats:
    """1 in the middle, falling towards the edges; never 0, so that it tells inside from outside as well."""
    down, across = (1 - np.linspace(-1, 1, side, dtype=np.float32) ** 2 for side in (height, width))
    return np.outer(down, across) + np.float32(1e-3)


def _relief(values: Floats) -> tuple[Floats, Floats]:
    """What stands out from the mean of each window, and the variance there."""
    structure = values - cv2.blur(values, _WINDOW)
    return structure, cv2.blur(structure * structure, _WINDOW)


def _stretch(one: tuple[int, ...], two: tuple[int, ...]) -> Matrix:
    """The whole of a picture of one size on the whole of one of another."""
    across, down = two[0] / one[0], two[1] / one[1]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
