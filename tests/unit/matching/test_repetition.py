"""What repeats itself is told from what does not."""

from __future__ import annotations

import numpy as np

from matching.repetition import repetition
from tests.unit.matching.test_local_features import grey


def test_tiles_repeat_themselves() -> None:
    tile = np.asarray(grey(1)[:60, :60])
    assert repetition(np.tile(tile, (5, 6))) > 0.8


def test_picture_does_not() -> None:
    assert repetition(grey(1)) < 0.6


def test_blank_picture_has_nothing_to_repeat() -> None:
    assert repetition(np.full((200, 300), 127, np.uint8)) == 0.0
