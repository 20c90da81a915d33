"""Integers for an inverted index: sign bits of single local features, the same for a picture and its mirror image.

A RootSIFT code is 4 x 4 cells of 8 directions. Cosines over the cells and a Fourier series over the directions decorrelate it
without training (they stand in for its principal components), and a mirror only changes the sign of some of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.local_features import Constellation

MAX_TERMS: Final = 400
_TABLES: Final = 2
_BITS: Final = 24
_FEATURES: Final = 150


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
                rows.append(row / np.linalg.norm(row))
                odd.append((across % 2 == 1) != turns)
                frequency.append(across + along + order)
    first = np.argsort(frequency, kind="stable")[: _TABLES * _BITS]
    return np.array(rows, np.float32)[first], np.array(odd)[first]


_ROWS, _ODD = _basis()
# Which side of the mirror a feature is filed under: the sign of its strongest odd components together.
_SIDE: Final = (_ROWS * _ODD[:, None])[:16].sum(axis=0)


def terms_of(features: Constellation) -> tuple[int, ...]:
    """At most MAX_TERMS distinct integers below 2 ** 32, rising."""
    if not len(features):
        return ()
    largest = np.argsort(-features.scales, kind="stable")[:_FEATURES]
    codes = features.codes[largest].astype(np.float32)
    values = codes @ _ROWS.T
    values[np.ix_(codes @ _SIDE < 0, _ODD)] *= -1
    bits = (values > 0).reshape(len(codes), _TABLES, _BITS)
    words = bits @ (1 << np.arange(_BITS, dtype=np.int64)) + (np.arange(_TABLES, dtype=np.int64) << _BITS)
    return tuple(int(word) for word in np.unique(words)[:MAX_TERMS])
