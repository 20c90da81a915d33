"""Integers for an inverted index: sign bits of single features and when they appear, the same for a film and its mirror image."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.short_codes import COMPONENTS, ODD, ShortCodes
from video_svc.fingerprint.stars import Stars

TERM_BITS: Final = 24
TABLES: Final = COMPONENTS // TERM_BITS
"""Each feature is filed under all of its bits, dealt out to tables, so that one bit that flips does not lose it."""
FEATURES_PER_MOMENT: Final = 20
"""That an index keeps. The largest: they outlive shrinking, blur and compression."""
EVERY_SECONDS: Final = 1.0
MAX_TERMS: Final = 20_000

_SIDE: Final = ODD.astype(np.float32)


def star_terms(
    stars: Stars, times: NDArray[np.float64], features_per_moment: int = FEATURES_PER_MOMENT
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Terms and their positions in milliseconds, rising by position; a term that stays is filed when it appears."""
    found: list[tuple[int, int]] = []
    last: set[int] = set()
    taken = -EVERY_SECONDS
    for frame in np.unique(stars.frames):
        time = float(times[frame])
        if time - taken < EVERY_SECONDS - 0.2:
            continue
        taken = time
        here = np.flatnonzero(stars.frames == frame)
        largest = here[np.argsort(-stars.scales[here], kind="stable")[:features_per_moment]]
        now = set(_words(stars.codes[largest]).ravel().tolist())
        position = round(time * 1000)
        found += [(position, term) for term in sorted(now - last)]
        last = now
    found = found[:MAX_TERMS]
    return tuple(term for _, term in found), tuple(position for position, _ in found)


def _words(codes: ShortCodes) -> NDArray[np.int64]:
    values = codes.astype(np.float32)
    values[np.ix_(values @ _SIDE < 0, ODD)] *= -1
    bits = (values > 0).reshape(-1, TERM_BITS, TABLES).transpose(0, 2, 1)
    words: NDArray[np.int64] = bits @ (1 << np.arange(TERM_BITS, dtype=np.int64)) + (np.arange(TABLES, dtype=np.int64) << TERM_BITS)
    return words
