"""Local codes in a fifth of the space, for films: the components that carry most of a RootSIFT code, in steps of 4 bits.

The basis is fixed, cosines over the cells and a Fourier series over the directions, so nothing is trained; a mirror only changes signs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

COMPONENTS: Final = 48
CODE_BYTES: Final = COMPONENTS // 2
_ROW_STEPS: Final = 100
_LARGEST: Final = 7
# A component of a code of length 1 is seldom larger than this.
_CEILING: Final = 0.26

_Floats = NDArray[np.float32]
ShortCodes = NDArray[np.int8]


def _basis() -> tuple[_Floats, NDArray[np.bool_]]:
    """Rows of low frequency first, and which of them a mirror turns round."""
    places = np.arange(4)
    cosines = [np.cos(np.pi * (places + 0.5) * order / 4) for order in range(4)]
    directions = 2 * np.pi * np.arange(8) / 8
    waves = [(0, np.ones(8), False)]
    for order in (1, 2, 3):
        waves += [(order, np.cos(order * directions), False), (order, np.sin(order * directions), True)]
    found = []
    for across in range(4):
        for along in range(4):
            for order, wave, turns in waves:
                if across == along == order == 0:
                    continue
                row = np.einsum("i,j,k->ijk", cosines[across], cosines[along], wave).ravel()
                # Whole numbers, as the codes are: the sums are exact, so no processor disagrees on a step. Rounded twice, as a half
                # must be a half on either side of the mirror.
                steps = np.round(np.round(row / np.linalg.norm(row) * _ROW_STEPS, 6))
                found.append((across + along + order, steps, (across % 2 == 1) != turns))
    found.sort(key=lambda entry: entry[0])
    rows = np.array([row for _, row, _ in found[:COMPONENTS]], np.float32)
    return rows, np.array([odd for _, _, odd in found[:COMPONENTS]])


_ROWS, ODD = _basis()
"""The second says which components a mirror turns round."""
_MIRROR: Final = np.where(ODD, -1, 1).astype(np.int8)


def shorten(codes: NDArray[np.uint8]) -> ShortCodes:
    """128 steps of each RootSIFT code to COMPONENTS, -7 to 7."""
    values = codes.astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
    shares = values @ _ROWS.T / (np.maximum(lengths, 1.0)[:, None] * _ROW_STEPS)
    steps: ShortCodes = np.rint(shares * (_LARGEST / _CEILING)).clip(-_LARGEST, _LARGEST).astype(np.int8)
    return steps


def mirrored_codes(codes: ShortCodes) -> ShortCodes:
    """The codes of the same features seen in a mirror."""
    return codes * _MIRROR


def pack_codes(codes: ShortCodes) -> bytes:
    """Two components a byte."""
    steps = (codes + (_LARGEST + 1)).astype(np.uint8)
    return (steps[:, 0::2] | (steps[:, 1::2] << 4)).tobytes()


def unpack_codes(payload: bytes, count: int, offset: int = 0) -> ShortCodes:
    """What `pack_codes` wrote."""
    pairs = np.frombuffer(payload, np.uint8, CODE_BYTES * count, offset).reshape(-1, CODE_BYTES)
    codes = np.empty((count, COMPONENTS), np.int8)
    codes[:, 0::2], codes[:, 1::2] = (pairs & 15).astype(np.int8), (pairs >> 4).astype(np.int8)
    return codes - np.int8(_LARGEST + 1)
