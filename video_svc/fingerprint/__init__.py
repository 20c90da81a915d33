"""What is kept of a film: an outline (thumbnails of the frames that differ, with their times) and a detail (their local features).

A function of the frames alone: no randomness, no clock, no threads. Change any constant in this folder and VERSION must change too.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.windows import Windows, content
from mesh.errors import FingerprintMismatch, InvalidRequest
from video_svc.fingerprint import stars
from video_svc.fingerprint.film import FRAME_SIDE, MAX_FRAMES, MIN_SIDE_PX, THUMBNAIL_SIDE, Film, record
from video_svc.fingerprint.stars import Stars
from video_svc.fingerprint.strip import Thumbnails, roll_up, stretched, unroll
from video_svc.fingerprint.terms import star_terms

__all__ = [
    "ALGORITHM",
    "VERSION",
    "Film",
    "Outline",
    "Stars",
    "detail",
    "outline",
    "read_detail",
    "read_outline",
    "record",
    "search_terms",
    "terms",
]

ALGORITHM: Final = "mediamesh-video"
VERSION: Final = 1

MAX_SECONDS: Final = 100_000.0
FULL_INFORMATION: Final = 0.25
"""Share of the picture with structure from which on it counts as fully informative."""
FULL_MOMENTS: Final = 8
"""Different frames from which on a film counts as one that moves."""
STANDING_SHARE: Final = 0.4
MIN_INFORMATION: Final = 0.02
"""Below it there is nothing to tell one film from another: black, blank, fog."""

_OUTLINE: Final = struct.Struct("<BBIIffHBB")
_STILL: Final = 1
_DAMAGED: Final = "The fingerprint is damaged."


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Layer 0, read back: thumbnails, each seen from one of `times` (seconds from the first picture) to one of `until`."""

    width: int
    height: int
    duration_seconds: float
    information: float
    is_still: bool
    times: NDArray[np.float64]
    until: NDArray[np.float64]
    thumbnails: Thumbnails


def frame_size(width: int, height: int) -> tuple[int, int]:
    """The size at which a picture of this size is measured."""
    scale = min(1.0, FRAME_SIDE / max(width, height))
    return max(MIN_SIDE_PX, round(width * scale)), max(MIN_SIDE_PX, round(height * scale))


def outline(film: Film) -> bytes:
    """Layer 0: what settles plain copies and where they lie in time."""
    thumbnails = np.stack([stretched(thumbnail) for thumbnail in film.thumbnails])
    flags = _STILL if film.is_still else 0
    head = _OUTLINE.pack(
        VERSION, flags, film.width, film.height, film.duration_seconds, _information(thumbnails), len(thumbnails), *thumbnails.shape[:0:-1]
    )
    return head + np.array([film.times, film.until], "<f4").tobytes() + roll_up(thumbnails)


def read_outline(payload: bytes) -> Outline:
    """The outline that `outline` wrote; anything else is refused."""
    _check_version(payload)
    try:
        _, flags, width, height, duration, information, count, columns, rows = _OUTLINE.unpack_from(payload)
        if not (0 < count <= MAX_FRAMES and 0 < columns <= THUMBNAIL_SIDE and 0 < rows <= THUMBNAIL_SIDE and width and height):
            raise InvalidRequest(_DAMAGED)
        times, until = np.frombuffer(payload, "<f4", 2 * count, _OUTLINE.size).astype(np.float64).reshape(2, count)
        thumbnails = unroll(payload[_OUTLINE.size + 8 * count :], count, rows, columns)
    except (struct.error, ValueError, cv2.error) as error:
        raise InvalidRequest(_DAMAGED) from error
    is_still = flags == _STILL
    in_range = math.isfinite(duration) and 0 <= duration <= MAX_SECONDS and 0 <= information <= 1 and flags <= _STILL
    is_rising = bool((times[1:] > until[:-1]).all() and (until >= times).all() and times[0] >= 0 and until[-1] <= MAX_SECONDS)
    if not (in_range and is_rising and (not is_still or count == 1)):
        raise InvalidRequest(_DAMAGED)
    return Outline(width, height, duration, information, is_still, times, until, thumbnails)


def detail(film: Film) -> bytes:
    """Layer 1: what finds everything else."""
    return bytes([VERSION]) + stars.observe(film)


def read_detail(payload: bytes, outline: Outline) -> Stars:
    """The detail that `detail` wrote of the film of this outline; anything else is refused."""
    _check_version(payload)
    try:
        found = stars.unpack(payload[1:], outline.times.tolist())
    except (struct.error, ValueError) as error:
        raise InvalidRequest(_DAMAGED) from error
    if max(found.width, found.height) > FRAME_SIDE or min(found.width, found.height) < 1:
        raise InvalidRequest(_DAMAGED)
    return found


def terms(detail_layer: bytes, outline_layer: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Integers that a copy of the film is likely to share, mirrored or not, and their positions in milliseconds."""
    known = read_outline(outline_layer)
    return star_terms(read_detail(detail_layer, known), known.times)


def search_terms(detail_layer: bytes, outline_layer: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What an index is asked for: of every feature, as those that are large in an original are small in an inset."""
    known = read_outline(outline_layer)
    return star_terms(read_detail(detail_layer, known), known.times, stars.FEATURES_PER_STILL)


def _information(thumbnails: Thumbnails) -> float:
    """The share of the picture with structure, on average over the frames, less where there are few different ones."""
    shares = []
    for thumbnail in thumbnails:
        small = cv2.GaussianBlur(thumbnail.astype(np.float32), (0, 0), 0.8)
        windows = Windows(np.ones_like(small))
        shares.append(float(content(windows.average(windows.structure(small) ** 2)).mean()))
    # A picture that stands for minutes says little more than a still.
    moments = min(1.0, len(shares) / FULL_MOMENTS)
    return min(1.0, float(np.mean(shares)) / FULL_INFORMATION) * (STANDING_SHARE + (1 - STANDING_SHARE) * moments)


def _check_version(payload: bytes) -> None:
    if payload[:1] != bytes([VERSION]):
        raise FingerprintMismatch(f"This layer is not of {ALGORITHM} {VERSION}.")
