"""Two pictures seen in one frame, upright in the first, around what an alignment lays upon each other."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.alignment import Matrix, local_scale, project
from matching.pyramid import MAX_FRAME_PX, Pyramid
from matching.windows import Floats

# The frame is as fine as the coarser of the two pictures there, but never so coarse that windows fill it.
_MIN_FRAME_PX: Final = 48
_MAX_ENLARGEMENT: Final = 2.0
# Share of the query below which an overlap says nothing.
_MIN_OVERLAP: Final = 0.004
# Variance of a neighbourhood of 5 x 5 from which it is graded, not flat.
_GRADED: Final = np.float32(6.0)
_FROM_MIDDLE: Final = np.linspace(-1, 1, 64, dtype=np.float32) ** 2
_CENTRALITY: Final = np.outer(1 - _FROM_MIDDLE, 1 - _FROM_MIDDLE)
_WARP: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class Frame:
    """Both pictures as drawn there; what else there is to know of it is found when somebody asks."""

    def __init__(self, query: Pyramid, reference: Pyramid, to_query: Matrix, to_reference: Matrix, size: tuple[int, int]) -> None:
        self._query, self._reference, self._to_query, self._to_reference, self._size = query, reference, to_query, to_reference, size
        self.first, first_mask = query.draw(to_query, size)
        self.second, second_mask = reference.draw(to_reference, size)
        self.seen: Floats = first_mask * second_mask
        """1 where both are, else 0."""

    @cached_property
    def middle(self) -> Floats:
        """1 in the middle of both."""
        one = centrality(self._query.size, self._to_query, self._size)
        other = centrality(self._reference.size, self._to_reference, self._size)
        return one * other

    @cached_property
    def graded(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where either picture is not flat."""
        return _graded(self.first), _graded(self.second)

    def on_query(self, good: Floats) -> tuple[Floats, float]:
        """Where on the query's content grid the frame is good, and the share of its content that this is."""
        return _covered(self._query, good, self._to_query)

    def on_reference(self, good: Floats) -> tuple[Floats, float]:
        """The same of the reference."""
        return _covered(self._reference, good, self._to_reference)


def frame_around(query: Pyramid, reference: Pyramid, matrix: Matrix, max_frame_px: int) -> Frame | None:
    """The frame where `matrix` (query to reference pixels) lays one upon the other; None where they hardly overlap."""
    found = common_frame(query.size, reference.size, matrix, max_frame_px)
    return Frame(query, reference, *found) if found else None


def common_frame(
    query: tuple[int, int], reference: tuple[int, int], matrix: Matrix, max_frame_px: int = MAX_FRAME_PX
) -> tuple[Matrix, Matrix, tuple[int, int]] | None:
    """Maps from one frame (upright in the query, around the overlap) to either picture, given their sizes, and the frame's size."""
    try:
        backward = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    corners = _corners(reference)
    if (corners @ backward[2, :2] + backward[2, 2]).min() <= 0:
        return None
    shown = project(backward, corners).astype(np.float32)
    area, overlap = cv2.intersectConvexConvex(shown, _corners(query).astype(np.float32))
    if area < _MIN_OVERLAP * query[0] * query[1]:
        return None
    across, down = zip(*overlap.reshape(-1, 2).tolist(), strict=True)
    left, top, right, bottom = math.floor(min(across)), math.floor(min(down)), math.ceil(max(across)), math.ceil(max(down))
    longest = float(max(right - left, bottom - top))
    fineness = min(1.0, local_scale(matrix, (left + right) / 2, (top + bottom) / 2), max_frame_px / longest)
    fineness = max(fineness, min(_MIN_FRAME_PX / longest, _MAX_ENLARGEMENT))
    width, height = (max(8, math.ceil(length * fineness)) for length in (right - left, bottom - top))
    step, half = 1 / fineness, 0.5 / fineness - 0.5
    to_query = np.array([[step, 0, left + half], [0, step, top + half], [0, 0, 1]])
    return to_query, matrix @ to_query, (width, height)


def _corners(size: tuple[int, int]) -> Matrix:
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _covered(picture: Pyramid, good: Floats, to_picture: Matrix) -> tuple[Floats, float]:
    """Where on the picture's content grid the frame agrees, and the share of the content that this is."""
    height, width = picture.content.shape
    across, down = picture.size[0] / width, picture.size[1] / height
    from_grid = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    to_frame = np.linalg.inv(to_picture) @ from_grid
    step = local_scale(to_frame, width / 2, height / 2)
    if step > 1.5:
        odd = 2 * int(step / 2) + 1
        good = cv2.blur(good, (odd, odd))
    found = cv2.warpPerspective(good, to_frame, (width, height), flags=_WARP, borderValue=0)
    return found, min(1.0, share_of(found, picture.content))


def centrality(picture: tuple[int, int], to_picture: Matrix, size: tuple[int, int]) -> Floats:
    """1 in the middle of the picture, falling towards its edges, as the frame sees it."""
    side, middle = _CENTRALITY.shape[0], 1 - _FROM_MIDDLE
    if not (to_picture[0, 1] or to_picture[1, 0] or to_picture[2, :2].any()):
        across, down = (
            np.interp((np.arange(length) * to_picture[axis, axis] + to_picture[axis, 2]) * (side / picture[axis]), range(side), middle)
            for axis, length in enumerate(size)
        )
        return np.outer(down, across).astype(np.float32)
    shrink = np.diag([side / picture[0], side / picture[1], 1.0])
    return cv2.warpPerspective(_CENTRALITY, shrink @ to_picture, size, flags=_WARP, borderValue=0)


def _graded(values: Floats) -> NDArray[np.bool_]:
    graded: NDArray[np.bool_] = cv2.blur(values * values, (5, 5)) - cv2.blur(values, (5, 5)) ** 2 > _GRADED
    return graded


def share_of(values: Floats, weights: Floats) -> float:
    """The mean, weighted."""
    return float(np.vdot(values, weights)) / max(float(weights.sum()), 1e-6)
