from __future__ import annotations

import math
import struct
from random import Random

from mesh.matcher import published_score


def test_published_score_is_a_number_from_zero_to_one_whatever_goes_in() -> None:
    dice = Random(1)
    raw = [struct.unpack("<d", dice.randbytes(8))[0] for _ in range(100_000)]
    for score in (*raw, math.nan, math.inf, -math.inf, -0.0, 1.0 + 1e-16):
        published = published_score(score)
        assert 0.0 <= published <= 1.0
        assert not str(published).startswith("-")


def test_published_score_keeps_what_a_threshold_may_tell_apart() -> None:
    assert published_score(0.85004) == 0.85
    assert published_score(0.8501) == 0.8501
