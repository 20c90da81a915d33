"""A grey picture at falling sizes, drawn into any frame without aliasing, and where in it there is something to see."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.alignment import Matrix, local_scale
from matching.windows import Floats, Windows, content

MAX_FRAME_PX: Final = 224
"""The finest at which two pictures are compared; letters of a page still differ at it."""
GROUND_TOLERANCE: Final = 8
MIN_GROUND_BORDER: Final = 0.8
MIN_GROUND_CHANGE: Final = 16
"""Grey levels from which on two plain grounds differ: one thing on white and on black is compared without them."""
_SOFTENING_PX: Final = 0.8
_MAX_LEVEL: Final = 6
_LEAST_DEPTH: Final = 1e-9
_WARP: Final = cv2.WARP_INVERSE_MAP


class Pyramid:
    def __init__(self, grey: NDArray[Any], presence: NDArray[np.uint8] | None = None) -> None:
        """`presence` is 1 where the picture counts, everywhere by default."""
        self._levels: list[NDArray[Any]] = [grey]
        self._presence = presence

    @property
    def grey(self) -> NDArray[Any]:
        return self._levels[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.grey.shape[1], self.grey.shape[0]

    @cached_property
    def content(self) -> Floats:
        """How much there is to see around each place, 0 to 1, on a small grid over the whole picture."""
        small = self._level(max(0, math.ceil(math.log2(max(self.size) / MAX_FRAME_PX)))).astype(np.float32)
        height, width = small.shape
        windows = Windows(np.ones_like(small))
        variance = windows.average(windows.structure(cv2.GaussianBlur(small, (0, 0), _SOFTENING_PX)) ** 2)
        seen = content(variance)
        if self._presence is not None:
            seen *= cv2.resize(self._presence.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return cv2.resize(seen, (max(4, width // 2), max(4, height // 2)), interpolation=cv2.INTER_AREA)

    @cached_property
    def ground(self) -> float | None:
        """The even grey that surrounds what is shown; None where nothing even surrounds it."""
        edges = np.concatenate([self.grey[0], self.grey[-1], self.grey[:, 0], self.grey[:, -1]])
        level = float(np.median(edges))
        return level if (np.abs(edges - level) <= GROUND_TOLERANCE).mean() >= MIN_GROUND_BORDER else None

    def without_ground(self, level: float) -> Pyramid:
        """The picture without the even grey around it."""
        even = (np.abs(self.grey.astype(np.int16) - level) <= GROUND_TOLERANCE).astype(np.uint8)
        _, parts = cv2.connectedComponents(even, connectivity=4)
        border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        shown = (~np.isin(parts, np.unique(border[border > 0]))).astype(np.uint8)
        # What lies next to the ground has taken on some of it.
        return Pyramid(self.grey, cv2.erode(shown, np.ones((5, 5), np.uint8)).astype(np.uint8))

    def draw(self, to_picture: Matrix, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """The picture seen in a frame, softened, and a mask of where in the frame there is picture."""
        step = local_scale(to_picture, size[0] / 2, size[1] / 2)
        # A quarter of an octave early: softening hides a little aliasing, nothing brings back lost detail.
        level = self._level(min(_MAX_LEVEL, int(np.log2(max(step, 1.0)) + 0.25)))
        across, down = level.shape[1] / self.size[0], level.shape[0] / self.size[1]
        to_level = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]]) @ to_picture
        drawn = cv2.warpPerspective(level, to_level, size, flags=cv2.INTER_LINEAR | _WARP, borderMode=cv2.BORDER_REPLICATE)
        return cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), _SOFTENING_PX), self._mask(to_picture, size)

    def _mask(self, to_picture: Matrix, size: tuple[int, int]) -> Floats:
        presence = self._presence
        if presence is None:
            if self._has_all(to_picture, size):
                return np.ones(size[::-1], np.float32)
            presence = np.ones(self.grey.shape, np.uint8)
        mask = cv2.warpPerspective(presence, to_picture, size, flags=cv2.INTER_NEAREST | _WARP, borderValue=0)
        return mask.astype(np.float32)

    def _has_all(self, to_picture: Matrix, size: tuple[int, int]) -> bool:
        """Whether the frame lies in the picture, corner by corner."""
        (a, b, c), (d, e, f), (g, h, i) = to_picture.tolist()
        across, down = size[0] - 1, size[1] - 1
        for x, y in ((0, 0), (across, 0), (0, down), (across, down)):
            depth = g * x + h * y + i
            if abs(depth) < _LEAST_DEPTH:
                return False
            u, v = (a * x + b * y + c) / depth, (d * x + e * y + f) / depth
            if not (-0.5 < u < self.size[0] - 0.5 and -0.5 < v < self.size[1] - 0.5):
                return False
        return True

    def _level(self, index: int) -> NDArray[Any]:
        while len(self._levels) <= index:
            last = self._levels[-1]
            half = max(1, (last.shape[1] + 1) // 2), max(1, (last.shape[0] + 1) // 2)
            self._levels.append(cv2.resize(last, half, interpolation=cv2.INTER_AREA))
        return self._levels[index]


def two_grounds(one: Pyramid, two: Pyramid) -> tuple[float, float] | None:
    """The plain greys around what the two show, where they differ."""
    first, second = one.ground, two.ground
    if first is None or second is None or abs(first - second) < MIN_GROUND_CHANGE:
        return None
    return first, second
