"""What is kept of a picture: an outline (global codes, a thumbnail) and a detail (local features, the picture in grey).

A function of the pixels alone: no randomness, no clock, no threads. Change any constant here and VERSION must change too.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pdqhash
from numpy.typing import NDArray

from image_svc.decode import Picture
from matching.local_features import Constellation, extract, pack, unpack
from matching.terms import terms_of
from mesh.errors import FingerprintMismatch

ALGORITHM: Final = "mediamesh-image"
VERSION: Final = 1

CANONICAL_SIDE: Final = 400
"""Pixels on the longer side of everything that follows: enough for a copy pasted on a tenth of a page, 40 ms of SIFT."""
MAX_ENLARGEMENT: Final = 2.0
"""Small pictures are enlarged, or their features would not reach SIFT's first octave; beyond this there is nothing to gain."""
MIN_SIDE_PX: Final = 8
"""A picture as thin as a line still gets this many pixels across."""
THUMBNAIL_SIDE: Final = 96
"""The dense check of plain copies needs the composition, not the detail."""
DCT_INPUT_SIDE, DCT_SIDE = 32, 8
"""As imagehash.phash has them: 64 signs of the lowest frequencies."""
MAX_FEATURES: Final = 500
"""42 KB; more cost time in every comparison and find little that 600 well spread ones do not."""
GREY_JPEG_QUALITY: Final = 60
"""About 17 KB; its artefacts are finer than any window that the dense check averages over. libjpeg's integers are exact."""
FULL_INFORMATION: Final = 0.04
"""Share of the picture with texture from which on it counts as fully informative: a small logo on white."""
MIN_INFORMATION: Final = 0.05
"""Below it there is nothing to tell one picture from another: blank, a gradient, stripes."""
MAX_GAIN: Final = 3.0
"""More would make pictures out of sensor noise."""
_TEXTURE_HALF: Final = 30.0
_TEXTURE_WINDOW_PX: Final = 9

_OUTLINE: Final = struct.Struct("<BIIBf32s8sHH")
_DETAIL: Final = struct.Struct("<BI")
_WORKING: Final = struct.Struct("<IIHH")

_Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """The picture that fingerprints are made from: grey, its longer side CANONICAL_SIDE; `width` and `height` of the whole one."""

    grey: _Grey
    width: int
    height: int

    def to_bytes(self) -> bytes:
        return _WORKING.pack(self.width, self.height, *self.grey.shape[::-1]) + self.grey.tobytes()

    @staticmethod
    def from_bytes(payload: bytes) -> Canonical:
        width, height, columns, rows = _WORKING.unpack_from(payload)
        return Canonical(np.frombuffer(payload, np.uint8, columns * rows, _WORKING.size).reshape(rows, columns), width, height)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Layer 0, read back."""

    width: int
    height: int
    information: float
    pdq: bytes
    pdq_quality: int
    dct: bytes
    thumbnail: _Grey


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """Layer 1, read back."""

    features: Constellation
    grey: _Grey


def canonical(picture: Picture) -> Canonical:
    """The decoded picture in grey, at the one size that everything else is measured in."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture.pixels), cv2.COLOR_RGB2GRAY)
    return Canonical(_resized(grey, CANONICAL_SIDE, MAX_ENLARGEMENT), picture.width, picture.height)


def outline(picture: Canonical) -> bytes:
    """Layer 0: what settles plain copies, and what hash lists speak."""
    thumbnail = _stretched(_resized(picture.grey, THUMBNAIL_SIDE, 1.0))
    bits, quality = pdqhash.compute(cv2.cvtColor(picture.grey, cv2.COLOR_GRAY2RGB))
    head = _OUTLINE.pack(
        VERSION,
        picture.width,
        picture.height,
        int(quality),
        _information(picture.grey),
        np.packbits(bits.astype(bool)).tobytes(),
        _dct_signs(picture.grey),
        *thumbnail.shape[::-1],
    )
    return head + zlib.compress(thumbnail.tobytes(), 1)


def read_outline(payload: bytes) -> Outline:
    """The outline that `outline` wrote."""
    version, width, height, quality, information, pdq, dct, columns, rows = _OUTLINE.unpack_from(payload)
    _check_version(version)
    thumbnail = np.frombuffer(zlib.decompress(payload[_OUTLINE.size :]), np.uint8).reshape(rows, columns)
    return Outline(width, height, information, pdq, quality, dct, thumbnail)


def detail(picture: Canonical) -> bytes:
    """Layer 1: what finds and proves everything else."""
    grey = _stretched(picture.grey)
    features = pack(extract(grey, max_features=MAX_FEATURES))
    encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, GREY_JPEG_QUALITY])[1].tobytes()
    return _DETAIL.pack(VERSION, len(features)) + features + encoded


def read_detail(payload: bytes) -> Detail:
    """The detail that `detail` wrote."""
    version, length = _DETAIL.unpack_from(payload)
    _check_version(version)
    features = payload[_DETAIL.size : _DETAIL.size + length]
    grey = cv2.imdecode(np.frombuffer(payload, np.uint8, offset=_DETAIL.size + length), cv2.IMREAD_GRAYSCALE)
    return Detail(unpack(features), grey.astype(np.uint8, copy=False))


def terms(detail_layer: bytes) -> tuple[int, ...]:
    """Integers that a copy of the picture is likely to share."""
    length = _DETAIL.unpack_from(detail_layer)[1]
    return terms_of(unpack(detail_layer[_DETAIL.size : _DETAIL.size + length]))


def _resized(grey: _Grey, side: int, max_enlargement: float) -> _Grey:
    height, width = grey.shape
    scale = min(side / max(width, height), max_enlargement)
    size = tuple(min(side, max(MIN_SIDE_PX, round(length * scale))) for length in (width, height))
    if size == (width, height):
        return grey
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _stretched(grey: _Grey) -> _Grey:
    """Night scenes and faded pictures over the whole range of grey, or their structure would drown in rounding."""
    low, high = np.percentile(grey, (1, 99))
    gain = min(MAX_GAIN, 235 / max(float(high - low), 1.0))
    if gain <= 1:
        return grey
    table = np.clip((np.arange(256) - float(low + high) / 2) * gain + 127.5, 0, 255).astype(np.uint8)
    return cv2.LUT(grey, table).astype(np.uint8, copy=False)


def _information(grey: _Grey) -> float:
    """How much of the picture has texture, that is, something left when rows and columns are taken out."""
    small = cv2.GaussianBlur(_resized(grey, 192, 1.0).astype(np.float32), (0, 0), 0.8)
    window = _TEXTURE_WINDOW_PX
    texture = small - cv2.blur(small, (window, 1)) - cv2.blur(small, (1, window)) + cv2.blur(small, (window, window))
    power = cv2.blur(texture * texture, (window, window))
    share = float((power / (power + _TEXTURE_HALF)).mean())
    return min(1.0, share / FULL_INFORMATION)


def _dct_signs(grey: _Grey) -> bytes:
    small = cv2.resize(grey, (DCT_INPUT_SIDE, DCT_INPUT_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:DCT_SIDE, :DCT_SIDE]
    return np.packbits((low > np.median(low)).ravel()).tobytes()


def _check_version(version: int) -> None:
    if version != VERSION:
        raise FingerprintMismatch(f"{ALGORITHM} {version} does not compare with {ALGORITHM} {VERSION}")
