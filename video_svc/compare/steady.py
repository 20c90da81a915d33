"""Takes the shake out of a film that was shot from a screen by hand: each pair of frames is moved to where it correlates most."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.windows import Floats

REACH: Final = 0.1
"""Of the picture's longer side, either way."""


def best_shifts(first: Floats, second: Floats) -> NDArray[np.float64]:
    """By how many pixels across and down each plane of the second stack (height x width x planes) lies off the first's."""
    height, width, count = first.shape
    size = 2 * height, 2 * width  # so that nothing comes in again on the other side
    spectrum = np.fft.rfft2(first, size, axes=(0, 1)).conj() * np.fft.rfft2(second, size, axes=(0, 1))
    likeness = np.fft.irfft2(spectrum, size, axes=(0, 1))
    reach = max(1, round(REACH * max(height, width)))
    near = np.roll(likeness, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    top = near.reshape(-1, count).argmax(axis=0)
    rows, columns = top // (2 * reach + 1), top % (2 * reach + 1)
    planes = np.arange(count)
    last = 2 * reach
    down = _between(
        near[(rows - 1).clip(0), columns, planes], near[rows, columns, planes], near[(rows + 1).clip(None, last), columns, planes]
    )
    across = _between(
        near[rows, (columns - 1).clip(0), planes], near[rows, columns, planes], near[rows, (columns + 1).clip(None, last), planes]
    )
    return np.column_stack([columns - reach + across, rows - reach + down])


def _between(before: Floats, top: Floats, after: Floats) -> Floats:
    """Where between whole pixels a parabola through three values has its peak."""
    bend = before - 2 * top + after
    return np.where(bend < 0, 0.5 * (before - after) / np.minimum(bend, -1e-9), 0.0).clip(-0.5, 0.5)


def moved(planes: Floats, shifts: NDArray[np.float64]) -> Floats:
    """Each plane moved back by its shift, with nothing where it leaves the frame bare."""
    done = np.empty_like(planes)
    size = planes.shape[1], planes.shape[0]
    for k, (across, down) in enumerate(shifts):
        matrix = np.array([[1, 0, across], [0, 1, down]], np.float64)
        plane = np.ascontiguousarray(planes[..., k])
        done[..., k] = cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=0)
    return done
