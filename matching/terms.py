"""Integers for an inverted index: sign bits of single local features, the same for a picture and its mirror image.

A RootSIFT code is 4 x 4 cells of 8 directions. Cosines over the cells and a Fourier series over the directions decorrelate it
without training (they stand in for its principal components), and a mirror only changes the sign of some of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.local_features import Constellation

TERM_BITS: Final = 24
"""Selective enough that a million assets leave a handful behind each term."""
FEATURE_TABLES: Final = 2
"""Each feature is filed twice, under different bits, so that one bit that flips does not lose it."""
_ROW_STEPS: Final = 100
KEPT_FEATURES: Final = 195
"""The largest: they outlive shrinking, blur and compression."""


def _basis() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of low frequency first, and which of them a mirror turns round."""
    places = np.arange(4)
    cosine = [np.cos(np.pi * (places + 0.5) * order / 4) for order in range(4)]
    directions = 2 * np.pi * np.arange(8) / 8
    waves = [(0, np.ones(8), False)]
    for order in (1, 2, 3):
        waves += [(order, np.cos(order * directions), False), (order, np.sin(order * directions), True)]
    rows, odd, frequency = [], [], []
    for across in range(4):
        for along in range(4):
            for order, wave, turns in waves:
                if across == along == order == 0:
                    continue
                row = np.einsum("i,j,k->ijk", cosine[across], cosine[along], wave).ravel()
                # Whole numbers, as the codes are: the sums are exact, so no processor disagrees on a sign.
                rows.append(np.round(row / np.abs(row).max() * _ROW_STEPS))
                odd.append((across % 2 == 1) != turns)
                frequency.append(across + along + order)
    first = np.argsort(frequency, kind="stable")[: FEATURE_TABLES * TERM_BITS]
    # Dealt out in turn: every table has its part of the low frequencies, which are the steadiest.
    dealt = first.reshape(TERM_BITS, FEATURE_TABLES).T.ravel()
    return np.array(rows, np.float32)[dealt], np.array(odd)[dealt]


_ROWS, _ODD = _basis()
# Which side of the mirror a feature is filed under: the sign of its odd components together.
_SIDE: Final = (_ROWS * _ODD[:, None])[:TERM_BITS].sum(axis=0)


def feature_terms(features: Constellation, *, max_features: int = KEPT_FEATURES) -> set[int]:
    """At most two for each of the largest features, below FEATURE_TABLES << TERM_BITS."""
    largest = np.argsort(-features.scales, kind="stable")[:max_features]
    codes = features.codes[largest].astype(np.float32)
    values = codes @ _ROWS.T
    values[np.ix_(codes @ _SIDE < 0, _ODD)] *= -1
    return _numbered((values > 0).reshape(-1, FEATURE_TABLES, TERM_BITS), first_table=0)


def code_terms(code: bytes) -> set[int]:
    """Slices of one global code, numbered after the tables of the features; a near copy shares at least one of them."""
    bits = np.unpackbits(np.frombuffer(code, np.uint8))
    slices = len(bits) // TERM_BITS
    return _numbered(bits[: slices * TERM_BITS].astype(bool).reshape(1, slices, TERM_BITS), first_table=FEATURE_TABLES)


def _numbered(bits: NDArray[np.bool_], *, first_table: int) -> set[int]:
    tables = np.arange(first_table, first_table + bits.shape[1], dtype=np.int64) << TERM_BITS
    words = bits @ (1 << np.arange(TERM_BITS, dtype=np.int64)) + tables
    return set(words.ravel().tolist())
