"""Local codes in a fifth of the space: they keep what is alike alike, a mirror changes signs only, and their bytes come back."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.local_features import extract, mirrored
from matching.short_codes import CODE_BYTES, COMPONENTS, ShortCodes, mirrored_codes, pack_codes, shorten, unpack_codes
from tests.pictures import photo

FEATURES: Final = extract(np.ascontiguousarray(photo(1, 320, 240)[..., 1]), max_features=200)


def cosines(one: ShortCodes | NDArray[np.uint8], two: ShortCodes | NDArray[np.uint8]) -> NDArray[np.float32]:
    first, second = one.astype(np.float32), two.astype(np.float32)
    lengths = np.outer(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)).astype(np.float32)
    alike: NDArray[np.float32] = first @ second.T / lengths
    return alike


def test_packed_codes_come_back() -> None:
    codes = shorten(FEATURES.codes)
    packed = pack_codes(codes)
    assert codes.shape == (len(FEATURES), COMPONENTS)
    assert len(packed) == CODE_BYTES * len(FEATURES)
    assert (unpack_codes(packed, len(FEATURES)) == codes).all()


def test_codes_of_the_mirrored_picture_are_the_mirrored_codes() -> None:
    short, seen_in_the_mirror = shorten(FEATURES.codes), shorten(mirrored(FEATURES).codes)
    assert (mirrored_codes(short) == seen_in_the_mirror).all()
    assert (mirrored_codes(mirrored_codes(short)) == short).all()


def test_what_is_nearest_stays_nearest_in_short() -> None:
    noise = np.random.default_rng(1).integers(-1, 2, FEATURES.codes.shape)
    copies = (FEATURES.codes.astype(int) + noise).clip(0, 15).astype(np.uint8)
    alike = cosines(shorten(FEATURES.codes), shorten(copies))
    assert (alike.argmax(axis=1) == np.arange(len(FEATURES))).mean() > 0.97
