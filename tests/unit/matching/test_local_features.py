"""The constellation: the same on every run, spread over the picture, and mirrored without a second look."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from matching.likeness import Likeness, cosine_similarities
from matching.local_features import Constellation, extract, mirrored, pack, unpack
from tests.pictures import photo


def grey(seed: int) -> npt.NDArray[np.uint8]:
    return np.asarray(photo(seed, 400, 300).mean(axis=2), np.uint8)


@pytest.fixture(scope="module")
def features() -> Constellation:
    return extract(grey(1), max_features=500)


def test_permuted_features_are_those_of_the_mirrored_picture(features: Constellation) -> None:
    permuted, seen = mirrored(features), extract(np.ascontiguousarray(grey(1)[:, ::-1]), max_features=500)
    cosines = cosine_similarities(permuted, seen)
    nearest = cosines.argmax(axis=1)
    here = np.linalg.norm(permuted.points - seen.points[nearest], axis=1) < 1.5
    assert here.mean() > 0.8
    assert np.median(cosines.max(axis=1)[here]) > 0.99
    turn = np.angle(np.exp(1j * (permuted.angles - seen.angles[nearest])))[here]
    assert np.median(np.abs(turn)) < 0.05
    assert np.median(cosine_similarities(features, seen).max(axis=1)) < 0.95, "unpermuted codes must not do as well"


def test_one_product_of_halves_gives_the_cosines_of_both_sides_of_the_mirror_to_the_bit(features: Constellation) -> None:
    other = extract(grey(2), max_features=500)
    likeness = Likeness(features, other)
    assert np.array_equal(likeness.cosines(mirrored=True), cosine_similarities(mirrored(features), other))
    codes = features.codes.astype(np.int64), other.codes.astype(np.int64)
    exact = (codes[0] @ codes[1].T) / np.multiply.outer(*(np.sqrt((code * code).sum(axis=1)) for code in codes))
    assert np.abs(likeness.cosines() - exact).max() < 1e-6


def test_mirroring_twice_changes_nothing(features: Constellation) -> None:
    again = mirrored(mirrored(features))
    assert np.array_equal(again.codes, features.codes)
    assert np.allclose(again.points, features.points, atol=1e-3)


def test_packed_features_come_back(features: Constellation) -> None:
    back = unpack(pack(features))
    assert (back.width, back.height, len(back)) == (400, 300, len(features))
    assert np.array_equal(back.codes, features.codes)
    assert np.abs(back.points - features.points).max() < 0.02
    assert np.abs(np.log2(back.scales / features.scales)).max() < 0.03
    assert np.abs(np.angle(np.exp(1j * (back.angles - features.angles)))).max() < 0.02


def test_extraction_is_the_same_to_the_bit_every_time(features: Constellation) -> None:
    assert pack(extract(grey(1), max_features=500)) == pack(features)


def test_one_busy_corner_does_not_take_all_features() -> None:
    quiet = (grey(2) // 2 + 60).astype(np.uint8)
    quiet[:80, :80] = np.random.default_rng(3).integers(0, 256, (80, 80), np.uint8)
    found = extract(quiet, max_features=100)
    in_corner = (found.points < 80).all(axis=1).mean()
    assert len(found) == 100
    assert in_corner < 0.4


def test_plain_picture_has_no_features() -> None:
    empty = extract(np.full((300, 400), 128, np.uint8), max_features=500)
    assert len(empty) == 0
    assert len(unpack(pack(empty))) == 0
