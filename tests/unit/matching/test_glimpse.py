"""The first look at an alignment."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.glimpse import Small, glimpse
from tests.pictures import photo


def grey(seed: int) -> NDArray[np.uint8]:
    picture = cv2.cvtColor(photo(seed, 640, 480), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(picture, (96, 72), interpolation=cv2.INTER_AREA), np.uint8)


def test_copy_agrees_in_all_and_in_the_middle() -> None:
    seen = glimpse(Small(grey(1)), Small(grey(1)), np.eye(3))
    assert seen is not None
    assert min(seen.agreement, seen.central_agreement) > 0.95


def test_stranger_does_not() -> None:
    seen = glimpse(Small(grey(1)), Small(grey(2)), np.eye(3))
    assert seen is not None
    assert max(seen.agreement, seen.central_agreement) < 0.5


def test_shared_frame_agrees_but_not_in_the_middle() -> None:
    one, two = grey(1), grey(2)
    two[:18], two[-18:], two[:, :18], two[:, -18:] = one[:18], one[-18:], one[:, :18], one[:, -18:]
    seen = glimpse(Small(one), Small(two), np.eye(3))
    assert seen is not None
    assert seen.central_agreement < seen.agreement - 0.1


def test_part_is_seen_in_the_whole_whichever_of_the_two_comes_first() -> None:
    whole, part = grey(1), grey(1)[18:54, 24:72]
    one, two = Small(part), Small(whole)
    # From the frame of the part, 48 x 36, to that of the whole, 48 x 36 for twice as much.
    matrix = np.array([[0.5, 0, 11.75], [0, 0.5, 8.75], [0, 0, 1]])
    forward, backward = glimpse(one, two, matrix), glimpse(two, one, np.linalg.inv(matrix))
    assert forward is not None
    assert forward == backward
    assert min(forward.agreement, forward.central_agreement) > 0.8


def test_too_little_to_see_says_nothing() -> None:
    one = Small(grey(1))
    assert glimpse(one, one, np.array([[1, 0, 45.0], [0, 1, 0], [0, 0, 1]])) is None
    assert glimpse(Small(np.full((72, 96), 90, np.uint8)), Small(np.full((72, 96), 120, np.uint8)), np.eye(3)) is None
