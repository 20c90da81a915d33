"""Hashes that others speak: what is one, how alike two of them are, and how near ones are looked up; pure.

Those of a picture are compared bit by bit. Up to `max_distance` they are cut into bands of 16 bits so many that, of two hashes no
further apart than that, at least one band differs in at most one bit (the pigeonhole principle): whoever looks up each band of the
query and its 16 neighbours misses none.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mesh.errors import InvalidRequest


class HashKind(StrEnum):
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    PDQ = "pdq"
    PHASH = "phash"
    DHASH = "dhash"
    AHASH = "ahash"
    WHASH = "whash"


BITS: Final = {
    HashKind.MD5: 128,
    HashKind.SHA1: 160,
    HashKind.SHA256: 256,
    HashKind.PDQ: 256,
    HashKind.PHASH: 64,
    HashKind.DHASH: 64,
    HashKind.AHASH: 64,
    HashKind.WHASH: 64,
}
EXACT: Final = (HashKind.MD5, HashKind.SHA1, HashKind.SHA256)
"""Of bytes, whatever they hold: the same one or another."""
NEAR: Final = (HashKind.PDQ, HashKind.PHASH, HashKind.DHASH, HashKind.AHASH, HashKind.WHASH)
"""Of pictures. Their order is in the database: new ones come last."""
LISTED: Final = (*EXACT, HashKind.PDQ)
"""Those that lists are exchanged in."""

_BAND_BITS: Final = 16
_LIKE: Final = 0.85
"""What the furthest that still counts is worth: 31 bits of PDQ, which its authors recommend, at the default threshold of images."""
_PDQ_DISTANCE: Final = 31
_PDQ_BITS: Final = 256


def checked_hash(kind: HashKind, text: str) -> str:
    """The hash in lower-case hexadecimal, where it has as many digits as its kind has."""
    digits = BITS[kind] // 4
    value = text.strip().lower()
    if len(value) != digits or not set(value) <= set("0123456789abcdef"):
        raise InvalidRequest(f"hash: a {kind} has {digits} hexadecimal digits", field="hash")
    return value


def max_distance(kind: HashKind) -> int:
    """Bits in which two hashes of one thing may differ: 31 of 256, 7 of 64, none of what is exact."""
    return 0 if kind in EXACT else _PDQ_DISTANCE * BITS[kind] // _PDQ_BITS


def similarity(kind: HashKind, distance: int) -> float:
    """1 at no distance, and from there on a straight line that passes .85 at 31 of 256 bits."""
    return round(max(0.0, 1.0 - (1.0 - _LIKE) * (distance * _PDQ_BITS) / (BITS[kind] * _PDQ_DISTANCE)), 4)


def bands(kind: HashKind, value: str) -> list[int]:
    """What the hash is found by: kind, place and bits of each band in one number of 23 bits."""
    digits = _BAND_BITS // 4
    first = NEAR.index(kind) << 20
    return [first | at << 16 | int(value[digits * at : digits * (at + 1)], 16) for at in range(len(value) // digits)]


def probes(kind: HashKind, value: str) -> list[int]:
    """The bands of every hash that may lie within the distance."""
    return [band ^ flip for band in bands(kind, value) for flip in (0, *(1 << bit for bit in range(_BAND_BITS)))]
