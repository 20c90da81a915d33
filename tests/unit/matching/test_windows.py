"""Windows over a stack of pictures say of each what they say of it alone."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from matching.windows import Floats, Windows, correlate
from tests.pictures import photo

PICTURES: Final = [photo(seed, 64, 48)[..., 0].astype(np.float32) for seed in range(4)]


def half_shown() -> Floats:
    mask = np.ones((48, 64), np.float32)
    mask[:, 40:] = 0
    return mask


@pytest.mark.parametrize("mask", [np.ones((48, 64), np.float32), half_shown()], ids=["whole", "half shown"])
def test_stack_is_correlated_picture_by_picture(mask: Floats) -> None:
    alone, stacked = Windows(mask), Windows(mask, stacked=True)
    stack = stacked.structure(np.stack(PICTURES, axis=2))
    together = correlate(stack, np.roll(stack, 1, axis=2), stacked)
    for number, picture in enumerate(PICTURES):
        pair = correlate(alone.structure(picture), alone.structure(PICTURES[number - 1]), alone)
        assert np.allclose(together.values[..., number], pair.values, atol=1e-4)
        assert np.allclose(together.weight[..., number], pair.weight, atol=1e-4)


def test_stack_of_one_is_a_stack() -> None:
    windows = Windows(half_shown(), stacked=True)
    assert windows.structure(PICTURES[0][..., None]).shape == (48, 64, 1)
