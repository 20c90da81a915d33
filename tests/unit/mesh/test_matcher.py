from __future__ import annotations

import math
import struct
from random import Random

from mesh.matcher import published_score, published_segments
from mesh.media import Segment


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


def test_published_segments_are_in_the_sources_order_and_to_the_millisecond() -> None:
    late, early = Segment(5.00049, 12.0, -1e-9, 7.0004, 0.969643), Segment(1.0, 2.5, 30.0, 31.5, 1.0000001)
    assert published_segments([late, early]) == (Segment(1.0, 2.5, 30.0, 31.5, 1.0), Segment(5.0, 12.0, 0.0, 7.0, 0.9696))


def test_no_segment_is_published_as_less_alike_than_the_pair_because_of_rounding() -> None:
    dice = Random(2)
    for _ in range(1000):
        score = dice.random()
        assert published_score(score) <= published_segments([Segment(0.0, 1.0, 0.0, 1.0, score)])[0].score
