"""Floors of recall, an edit each, and no false match, on films that the tests draw. Real films are harder, and measured apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import pytest

from matching.decision import is_match
from mesh.media import Comparison
from tests.films import Film
from tests.pictures import Pixels, photo
from tests.reels import Layers, layers, moments
from video_svc.compare import compare

SEEDS: Final = range(3)
SECONDS: Final = 7.0
Copy = Callable[[int], Layers]


def film(seed: int, seconds: float = SECONDS) -> Film:
    return Film(seed, seconds, scene_seconds=1.7)


@functools.cache
def original(seed: int) -> Layers:
    return layers(moments(film(seed)))


def score(one: Layers, two: Layers) -> float:
    comparison = compare(one, two, mirrored_too=True)
    assert isinstance(comparison, Comparison)
    return comparison.score


def seen(edit: Callable[[Pixels], Pixels]) -> Copy:
    return lambda seed: layers(moments(film(seed)), edit)


def played(start: float = 0.0, seconds: float | None = None, speed: float = 1.0) -> Copy:
    return lambda seed: layers(moments(film(seed), start, seconds, speed))


def embedded(seed: int) -> Layers:
    return layers(moments(film(seed + 500, 5.0)) + moments(film(seed), 1.5, 4.5) + moments(film(seed + 600, 5.0)))


def re_encoded(quality: int) -> Callable[[Pixels], Pixels]:
    def edit(picture: Pixels) -> Pixels:
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)

    return edit


def bordered(picture: Pixels) -> Pixels:
    return np.pad(picture, ((24, 24), (24, 24), (0, 0)), constant_values=200)


def on_blurred_sides(picture: Pixels) -> Pixels:
    ground = np.asarray(cv2.GaussianBlur(cv2.resize(picture, (240, 426)), (0, 0), 12), np.uint8)
    ground[123:303] = cv2.resize(picture, (240, 180), interpolation=cv2.INTER_AREA)
    return ground


def inset(picture: Pixels) -> Pixels:
    page = photo(91_000, 480, 270)
    page[20:128, 320:464] = cv2.resize(picture, (144, 108), interpolation=cv2.INTER_AREA)
    return page


def beside(picture: Pixels) -> Pixels:
    return np.concatenate([picture, photo(92_000, 320, 240)], axis=1)


def turned(picture: Pixels) -> Pixels:
    return np.asarray(cv2.warpAffine(picture, cv2.getRotationMatrix2D((160, 120), -5, 1.0), (320, 240)), np.uint8)


def recaptured(picture: Pixels) -> Pixels:
    corners = np.array([[0, 0], [320, 0], [320, 240], [0, 240]], np.float32)
    seen_at = np.array([[22, 14], [300, 24], [306, 226], [14, 218]], np.float32)
    warped = cv2.warpPerspective(picture, cv2.getPerspectiveTransform(corners, seen_at), (320, 240), borderValue=(20, 18, 16))
    return (0.8 * cv2.GaussianBlur(warped, (0, 0), 0.8) + 24).astype(np.uint8)


CASES: Final[dict[str, tuple[Copy, float, float]]] = {
    "low quality": (seen(re_encoded(12)), 1.0, 0.95),
    "half size": (seen(lambda picture: np.asarray(cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA), np.uint8)), 1.0, 0.97),
    "pale": (seen(lambda picture: (0.5 * picture + 100).astype(np.uint8)), 1.0, 0.95),
    "soft": (seen(lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.5), np.uint8)), 1.0, 0.90),
    "mirrored": (seen(lambda picture: picture[:, ::-1]), 1.0, 0.85),
    "cropped to 60 %": (seen(lambda picture: picture[20:206, 50:298]), 1.0, 0.85),
    "bordered": (seen(bordered), 1.0, 0.85),
    "on blurred sides": (seen(on_blurred_sides), 1.0, 0.85),
    "inset": (seen(inset), 0.8, 0.60),
    "beside another": (seen(beside), 1.0, 0.60),
    "turned": (seen(turned), 1.0, 0.80),
    "recaptured": (seen(recaptured), 1.0, 0.75),
    "clip": (played(1.3, 4.0), 1.0, 0.85),
    "slower": (played(speed=0.8), 1.0, 0.85),
    "faster": (played(speed=1.25), 1.0, 0.85),
    "much faster": (played(speed=1.5), 1.0, 0.75),
    "embedded": (embedded, 1.0, 0.60),
}
"""A copy, the share that is to be found, and the score that all but one of them reach."""


@pytest.mark.parametrize("name", CASES)
def test_copies_are_found_through_the_edit(name: str) -> None:
    copy, recall_floor, score_floor = CASES[name]
    found = [score(original(seed), copy(seed)) for seed in SEEDS]
    assert sum(is_match("video", value) for value in found) >= recall_floor * len(found), found
    assert sorted(found)[1] >= score_floor, found


def test_different_films_never_match() -> None:
    assert max(score(original(one), original(two)) for one, two in itertools.combinations(SEEDS, 2)) < 0.5


@pytest.mark.parametrize("name", ["bordered", "on blurred sides", "inset", "beside another", "recaptured"])
def test_what_two_films_wear_alike_makes_them_no_copies(name: str) -> None:
    copy = CASES[name][0]
    worn = [copy(seed) for seed in (1, 2)]
    if name in ("inset", "beside another"):
        # The page and the neighbour are pictures that stand still, and really in both: half of the picture at most.
        assert score(*worn) < 0.6
    else:
        assert score(*worn) < 0.4


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_shared_title_is_no_match(seconds: float) -> None:
    title = moments(film(900, seconds))
    one, two = (layers(title + moments(film(seed, 10.0))) for seed in (1, 2))
    assert score(one, two) < 0.5


def test_score_falls_step_by_step_as_less_is_shared() -> None:
    """Nearer and nearer to an intro: the same clip in ever longer films of others."""
    clip = moments(film(1), 1.0, 3.0)
    ladder = [
        score(original(1), layers(moments(film(700, seconds)) + clip + moments(film(800, seconds)))) for seconds in (1.0, 3.0, 6.0, 12.0)
    ]
    assert all(later <= earlier + 0.01 for earlier, later in itertools.pairwise(ladder)), ladder
