"""Real files with their bytes changed: the same seeds and number, the same mutant, so that what it did can be done again."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xFF)
_LONG: Final = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\1", b"\1\0\0\0")
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Mutants:
    """Of these files; `tokens` are what else may turn up in one."""

    seeds: Sequence[bytes]
    tokens: Sequence[bytes] = ()

    def __getitem__(self, number: int) -> bytes:
        dice = random.Random(number)
        mutant = mutated(dice, self.seeds[number % len(self.seeds)], [*self.seeds, *self.tokens])
        return _with_checksums(mutant) if dice.random() < 0.5 else mutant


def mutated(dice: random.Random, whole: bytes, others: Sequence[bytes]) -> bytes:
    """Bytes flipped, cut, doubled, moved, another file's, numbers changed by a little: mostly near an end, where headers and tables are."""
    mutant = bytearray(whole)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        reach = max(1, min(len(mutant), dice.choice((32, 128, 512, len(mutant)))))
        at = dice.randrange(reach) if dice.random() < 0.7 else max(0, len(mutant) - 1 - dice.randrange(reach))
        length = dice.choice((1, 2, 4, 16, 300))
        match dice.randrange(8):
            case 0 if mutant:
                mutant[at % len(mutant)] ^= 1 << dice.randrange(8)
            case 1:
                mutant[at : at + 1] = bytes([dice.choice((*INTERESTING, dice.randrange(256)))])
            case 2:
                mutant[at : at + 4] = dice.choice((*_LONG, dice.randbytes(4)))
            case 3:
                del mutant[at : at + length]
            case 4:
                mutant[at:at] = mutant[at : at + length]
            case 5:
                other = dice.choice(others)
                start = dice.randrange(len(other))
                mutant[at : at + length] = other[start : start + length]
            case 6:
                del mutant[max(1, dice.randrange(len(mutant) + 1)) :]
            case 7:
                number = mutant[at : at + dice.choice((1, 2, 4))]
                order = dice.choice(("big", "little"))
                near = int.from_bytes(number, order) + dice.choice((-16, -1, 1, 2, 16))  # type: ignore[arg-type]
                mutant[at : at + len(number)] = (near % (1 << 8 * len(number))).to_bytes(len(number), order)  # type: ignore[arg-type]
    return bytes(mutant)


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks all say that they are whole: otherwise most of its readers look no further."""
    if not content.startswith(_PNG):
        return content
    mended, at = bytearray(content), len(_PNG)
    while at + 12 <= len(mended):
        (length,) = struct.unpack_from(">I", mended, at)
        end = at + 8 + length
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)
