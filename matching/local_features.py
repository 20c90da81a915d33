"""A constellation of local features: SIFT points spread over the picture and over scales, each with a RootSIFT code of 4-bit steps.

The codes are small integers, so their inner products are exact in float32: the same on every processor and thread count.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

# SIFT's results come in an order that depends on its threads; one thread is one order.
cv2.setNumThreads(1)

# Low, so that soft and dark pictures have features too; the spread below keeps the strong ones where there are many.
_CONTRAST_THRESHOLD: Final = 0.01
_EDGE_THRESHOLD: Final = 12.0
# A textured patch or a line of text must not eat the budget: each cell of this grid, at each of three scale bands, is served in turn.
_GRID: Final = 8
_SCALE_BANDS_PX: Final = (3.5, 8.0)
# RootSIFT (Arandjelovic & Zisserman 2012): L1 norm, then the square root; its values hardly pass 0.25.
_CODE_STEPS: Final = 15
_CODE_CEILING: Final = 0.25
_HEADER: Final = struct.Struct("<HHH")
_POSITION_STEPS_PER_PX: Final = 32
_SCALE_STEPS_PER_OCTAVE: Final = 24

_SCALES: Final = np.exp2(np.arange(256, dtype=np.float32) / np.float32(_SCALE_STEPS_PER_OCTAVE))
_ANGLES: Final = np.arange(256, dtype=np.float32) * np.float32(2 * np.pi / 256)

_Floats = NDArray[np.float32]

# 4 x 4 spatial cells of 8 directions: the patch turns with its own direction, so a mirror swaps the side across it.
_IN_MIRROR: Final = np.arange(128).reshape(4, 4, 8)[::-1, :, (0, 7, 6, 5, 4, 3, 2, 1)].ravel()
_ONE_OF_EACH_PAIR: Final = slice(64)
_OTHER_OF_EACH_PAIR: Final = _IN_MIRROR[_ONE_OF_EACH_PAIR]


@dataclass(frozen=True)
class Constellation:
    """Features of one picture of `width` x `height` pixels; angles in radians, clockwise as the y axis points down."""

    width: int
    height: int
    points: _Floats
    scales: _Floats
    angles: _Floats
    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.points)

    def in_mirror(self, rows: NDArray[np.intp] | slice = slice(None)) -> tuple[_Floats, _Floats]:
        """Points and angles of these features as a mirror shows them."""
        points = self.points[rows].copy()
        points[:, 0] = self.width - 1 - points[:, 0]
        return points, np.mod(np.float32(np.pi) - self.angles[rows], np.float32(2 * np.pi))

    @cached_property
    def halves(self) -> tuple[_Floats, _Floats]:
        """Sums and differences of the values that a mirror swaps, a column for each feature: it leaves the sums and turns the signs of
        the differences, so inner products of both give those of the codes straight and in the mirror."""
        values = np.ascontiguousarray(self.codes.T).view(np.int8)
        one, other = values[_ONE_OF_EACH_PAIR], values[_OTHER_OF_EACH_PAIR]
        return (one + other).astype(np.float32), (one - other).astype(np.float32)

    @cached_property
    def lengths(self) -> _Floats:
        """Of the codes, as vectors."""
        if not len(self):
            return np.zeros(0, np.float32)
        squares = cv2.reduce(self.codes.T * self.codes.T, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0]
        lengths: _Floats = np.maximum(np.sqrt(squares), np.float32(1.0))
        return lengths


def extract(grey: NDArray[np.uint8], *, max_features: int) -> Constellation:
    """The picture's features, at most `max_features`, spread over its area and over scales."""
    height, width = grey.shape
    detector: Any = cv2.SIFT.create(0, 3, _CONTRAST_THRESHOLD, _EDGE_THRESHOLD)
    found = detector.detect(grey, None)
    values = np.array([(k.pt[0], k.pt[1], k.size, k.response) for k in found], np.float32).reshape(-1, 4)
    kept = _spread(values, width, height, max_features)
    keypoints, descriptors = detector.compute(grey, [found[i] for i in kept])
    if descriptors is None or not len(keypoints):
        none = np.zeros(0, np.float32)
        return Constellation(width, height, none.reshape(0, 2), none, none, np.zeros((0, 128), np.uint8))
    points, scales, angles = _geometry(keypoints)
    return Constellation(width, height, points, scales, angles, _root_codes(descriptors))


def mirrored(features: Constellation) -> Constellation:
    """The features of the picture seen in a mirror, without looking at it again."""
    points, angles = features.in_mirror()
    return Constellation(features.width, features.height, points, features.scales, angles, features.codes[:, _IN_MIRROR])


def pack(features: Constellation) -> bytes:
    """The constellation as bytes, 70 a feature."""
    places = np.round(features.points * _POSITION_STEPS_PER_PX).clip(0, 65535).astype("<u2")
    scales = np.round(np.log2(np.maximum(features.scales, 1.0)) * _SCALE_STEPS_PER_OCTAVE).clip(0, 255).astype(np.uint8)
    angles = np.round(features.angles * (256 / (2 * np.pi))).astype(np.int64).astype(np.uint8)
    codes = features.codes[:, 0::2] | (features.codes[:, 1::2] << 4)
    head = _HEADER.pack(features.width, features.height, len(features))
    return b"".join((head, places.tobytes(), scales.tobytes(), angles.tobytes(), codes.tobytes()))


def unpack(payload: bytes) -> Constellation:
    """The constellation that `pack` wrote."""
    width, height, count = _HEADER.unpack_from(payload)
    at = _HEADER.size
    places = np.frombuffer(payload, "<u2", 2 * count, at).reshape(-1, 2)
    scales = np.frombuffer(payload, np.uint8, count, at + 4 * count)
    angles = np.frombuffer(payload, np.uint8, count, at + 5 * count)
    pairs = np.frombuffer(payload, np.uint8, 64 * count, at + 6 * count).reshape(-1, 64)
    # In memory value by value, as comparing asks for them.
    values = np.empty((128, count), np.uint8)
    if count:
        columns = np.asarray(cv2.transpose(pairs), np.uint8)
        values[0::2], values[1::2] = columns & 15, columns >> 4
    return Constellation(
        width,
        height,
        places.astype(np.float32) / np.float32(_POSITION_STEPS_PER_PX),
        _SCALES.take(scales),
        _ANGLES.take(angles),
        values.T,
    )


def _geometry(keypoints: Any) -> tuple[_Floats, _Floats, _Floats]:
    values = np.array([(k.pt[0], k.pt[1], k.size, k.angle) for k in keypoints], np.float32)
    return values[:, :2].copy(), values[:, 2].copy(), np.radians(values[:, 3])


def _root_codes(descriptors: _Floats) -> NDArray[np.uint8]:
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1.0)
    codes: NDArray[np.uint8] = np.round(np.sqrt(shares) * (_CODE_STEPS / _CODE_CEILING)).clip(0, _CODE_STEPS).astype(np.uint8)
    return codes


def _spread(values: _Floats, width: int, height: int, max_features: int) -> NDArray[np.intp]:
    """Which to keep: the strongest of every cell and scale band first, then the second strongest, and so on."""
    if len(values) <= max_features:
        return np.arange(len(values))
    x, y, size, response = values.T
    column = np.minimum((x * _GRID / width).astype(int), _GRID - 1)
    row = np.minimum((y * _GRID / height).astype(int), _GRID - 1)
    cell = (np.digitize(size, _SCALE_BANDS_PX) * _GRID + row) * _GRID + column
    by_cell = np.lexsort((-response, cell))
    starts = np.searchsorted(cell[by_cell], cell[by_cell])
    rank = np.empty(len(values), int)
    rank[by_cell] = np.arange(len(values)) - starts
    kept = np.lexsort((-response, rank))[:max_features]
    return np.sort(kept)
