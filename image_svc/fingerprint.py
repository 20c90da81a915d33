"""What is kept of a picture: an outline (global codes, a thumbnail) and a detail (local features, the picture in grey).

A function of the pixels alone: no randomness, no clock, no threads. Change any constant here and VERSION must change too.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from image_svc.pdq import pdq
from matching.local_features import Constellation, extract, pack, unpack
from matching.pyramid import Pyramid
from matching.terms import KEPT_FEATURES, code_terms, feature_terms
from mesh.errors import FingerprintMismatch, InvalidRequest
from stills import Picture

ALGORITHM: Final = "mediamesh-image"
VERSION: Final = 1

CANONICAL_SIDE: Final = 400
"""Pixels on the longer side of everything that follows: enough to find a copy pasted on a tenth of a page, for 25 ms of SIFT."""
MAX_ENLARGEMENT: Final = 2.0
"""Small pictures are enlarged, or their features would not reach SIFT's first octave; beyond this there is nothing to gain."""
MIN_SIDE_PX: Final = 8
"""A picture as thin as a line still gets this many pixels across."""
THUMBNAIL_SIDE: Final = 96
"""The dense check of plain copies needs the composition, not the detail."""
MAX_FEATURES: Final = 500
"""35 KB; more cost time in every comparison and find little that 500 well spread ones do not."""
MAX_DETAIL_BYTES: Final = 54_000
"""With the largest outline (9.3 KB: a thumbnail of noise) a fingerprint stays below 64,000 bytes, whatever the picture."""
GREY_JPEG_QUALITIES: Final = (60, 50, 40, 30, 20)
"""The first that fits: about 15 KB, artefacts finer than any window that the dense check averages over. libjpeg's integers are exact."""
FULL_INFORMATION: Final = 0.04
"""Share of the picture with texture from which on it counts as fully informative: a small logo on white."""
MIN_PDQ_QUALITY: Final = 50
"""PDQ's own rule: below it a hash says little."""
MIN_INFORMATION: Final = 0.02
"""Below it there is nothing to tell one picture from another: blank, a gradient, stripes."""
MAX_GAIN: Final = 3.0
"""More would make pictures out of sensor noise."""
_TEXTURE_HALF: Final = 30.0
_TEXTURE_SIDE: Final = 192
_TEXTURE_WINDOW_PX: Final = 9

_OUTLINE: Final = struct.Struct("<BIIBf32sHH")
_DETAIL: Final = struct.Struct("<BI")
_WORKING: Final = struct.Struct("<IIHH")
_JPEG_BEGIN: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"

_DAMAGED: Final = "The fingerprint is damaged."

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
    thumbnail: _Grey


@dataclass(frozen=True, eq=False)
class Detail:
    """Layer 1, read back; the picture only when somebody looks at it, as most candidates are rejected by their features."""

    features: Constellation
    jpeg: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.features.width, self.features.height

    @cached_property
    def pyramid(self) -> Pyramid:
        try:
            grey = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        except cv2.error as error:
            raise InvalidRequest(_DAMAGED) from error
        if grey is None or grey.shape[::-1] not in (self.size, _half(self.size)):
            raise InvalidRequest(_DAMAGED)
        return Pyramid(_resized(grey.astype(np.uint8, copy=False), self.size))


def canonical_size(width: int, height: int) -> tuple[int, int]:
    """The size at which a picture of this size is measured."""
    scale = min(CANONICAL_SIDE / max(width, height), MAX_ENLARGEMENT)
    return min(CANONICAL_SIDE, max(MIN_SIDE_PX, round(width * scale))), min(CANONICAL_SIDE, max(MIN_SIDE_PX, round(height * scale)))


def canonical(picture: Picture) -> Canonical:
    """The decoded picture in grey, at the one size that everything else is measured in."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture.pixels), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return Canonical(_resized(grey, canonical_size(picture.width, picture.height)), picture.width, picture.height)


def outline(picture: Canonical) -> bytes:
    """Layer 0: what settles plain copies, and what hash lists speak."""
    thumbnail = _stretched(_reduced(picture.grey, THUMBNAIL_SIDE))
    code, quality = pdq(picture.grey)
    head = _OUTLINE.pack(
        VERSION,
        picture.width,
        picture.height,
        quality,
        _information(picture.grey),
        code,
        *thumbnail.shape[::-1],
    )
    return head + zlib.compress(thumbnail.tobytes(), 1)


def read_outline(payload: bytes) -> Outline:
    """The outline that `outline` wrote; anything else is refused."""
    _check_version(payload)
    try:
        _, width, height, quality, information, pdq, columns, rows = _OUTLINE.unpack_from(payload)
        stream = zlib.decompressobj()
        pixels = stream.decompress(payload[_OUTLINE.size :], THUMBNAIL_SIDE**2 + 1)
        thumbnail = np.frombuffer(pixels, np.uint8).reshape(rows, columns)
    except (struct.error, zlib.error, ValueError) as error:
        raise InvalidRequest(_DAMAGED) from error
    if not (stream.eof and width and height and thumbnail.size and 0 <= information <= 1):
        raise InvalidRequest(_DAMAGED)
    return Outline(width, height, information, pdq, quality, thumbnail)


def detail(picture: Canonical) -> bytes:
    """Layer 1: what finds and proves everything else."""
    grey = _stretched(picture.grey)
    features = pack(extract(grey, max_features=MAX_FEATURES))
    head = _DETAIL.pack(VERSION, len(features)) + features
    return head + _coded(grey, max_bytes=MAX_DETAIL_BYTES - len(head))


def read_detail(payload: bytes) -> Detail:
    """The detail that `detail` wrote; anything else is refused."""
    _check_version(payload)
    try:
        length = _DETAIL.unpack_from(payload)[1]
        known = Detail(unpack(payload[_DETAIL.size : _DETAIL.size + length]), payload[_DETAIL.size + length :])
    except (struct.error, ValueError) as error:
        raise InvalidRequest(_DAMAGED) from error
    is_whole = known.jpeg.startswith(_JPEG_BEGIN) and known.jpeg.endswith(_JPEG_END)
    if not is_whole or max(known.size) > CANONICAL_SIDE or len(known.features) > MAX_FEATURES:
        raise InvalidRequest(_DAMAGED)
    return known


def terms(outline_layer: bytes, detail_layer: bytes) -> tuple[int, ...]:
    """Integers that a copy of the picture is likely to share, mirrored or not; at most 400, rising."""
    return _terms(outline_layer, detail_layer, max_features=KEPT_FEATURES)


def search_terms(outline_layer: bytes, detail_layer: bytes) -> tuple[int, ...]:
    """Those of every feature, at most 1,010: what is small in this picture may be large in the one that an index keeps."""
    return _terms(outline_layer, detail_layer, max_features=MAX_FEATURES)


def _terms(outline_layer: bytes, detail_layer: bytes, *, max_features: int) -> tuple[int, ...]:
    known = read_outline(outline_layer)
    found = feature_terms(read_detail(detail_layer).features, max_features=max_features)
    if known.pdq_quality >= MIN_PDQ_QUALITY:
        found |= code_terms(known.pdq)
    return tuple(sorted(found))


def _coded(grey: _Grey, *, max_bytes: int) -> bytes:
    """The picture as JPEG, as exact as fits; pure noise only fits at half its size."""
    encoded = b""
    for shown in (grey, _resized(grey, _half(grey.shape[::-1]))):
        for quality in GREY_JPEG_QUALITIES:
            encoded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            if len(encoded) <= max_bytes:
                return encoded
    return encoded


def _half(size: tuple[int, ...]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _resized(grey: _Grey, size: tuple[int, int]) -> _Grey:
    if size == grey.shape[::-1]:
        return grey
    shrinks = size[0] * size[1] < grey.size
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _reduced(grey: _Grey, side: int) -> _Grey:
    """No longer than `side`, never enlarged."""
    scale = min(1.0, side / max(grey.shape))
    return _resized(grey, (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))))


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
    small = cv2.GaussianBlur(_reduced(grey, _TEXTURE_SIDE).astype(np.float32), (0, 0), 0.8)
    window = _TEXTURE_WINDOW_PX
    texture = small - cv2.blur(small, (window, 1)) - cv2.blur(small, (1, window)) + cv2.blur(small, (window, window))
    power = cv2.blur(texture * texture, (window, window))
    share = float((power / (power + _TEXTURE_HALF)).mean())
    return min(1.0, share / FULL_INFORMATION)


def _check_version(payload: bytes) -> None:
    if payload[:1] != bytes([VERSION]):
        raise FingerprintMismatch(f"This layer is not of {ALGORITHM} {VERSION}.")
