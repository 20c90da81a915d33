"""PDQ's bits are those of its authors' code: the expected ones were made by pdqhash 0.2.8, which is that code."""

from __future__ import annotations

import numpy as np
import pytest

from image_svc.pdq import pdq
from tests.pictures import Pixels


def drawn(shape: tuple[int, ...], step: int) -> Pixels:
    """Tiles of a hundred shades and a slope, in whole numbers, which are the same everywhere."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    grey = (x // step * 37 + y // (step + 4) * 101 + x * y // 97) % 256
    return (grey if len(shape) == 2 else np.stack([grey, (grey * 3 + x) % 256, (255 - grey + y) % 256], -1)).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "step", "bits", "quality"),
    [
        ((300, 400), 9, "b43db554f50fe1d4f143f414f01aa78cb7c3f14ca5f83049f119e4d1f140b333", 100),
        ((400, 300, 3), 31, "edb7cb2d866179c1c7cd3c3ca53c0fb87d40be0bbf28fea9ee00de003c80e8c0", 100),
        ((129, 513, 3), 40, "775545524567446b5d647de5f932e9a9c8c9d4a6f549ccc3dd38b26be1c2c800", 100),
        ((64, 64), 3, "f4be6ecd4ebfeecd4a3d9a955f4aaa958037e56ab5c24168f0c05bea0a415480", 100),
        ((480, 640), 55, "31cee3aac79e1f1bbd1afc5be01b0058d7dbffdb2fd005d0d1b011303820ee30", 100),
        ((7, 1000), 60, "b5294ad64ad6b5294ad64ad6b529b5294ad64ad6b5294ad64ad6b529b5294ad6", 100),
        ((5, 9, 3), 2, "e1f0e1f01e0f1e0f1e0f1e0f1e0fe1f0e1f0e1f0e1f0e1f01e0f1e0f1e0f1e0f", 89),
        ((4, 400), 9, "00" * 32, 0),
        ((96, 96), 1000, "5baa96051893ea45be044a67df3182dfa19a1555861603ff81925d75a5b97757", 0),
    ],
    ids=str,
)
def test_bits_and_quality_are_those_of_its_authors(shape: tuple[int, ...], step: int, bits: str, quality: int) -> None:
    code, found = pdq(drawn(shape, step))
    assert (code.hex(), found) == (bits, quality)


def test_grey_picture_is_what_it_is_in_three_channels() -> None:
    grey = drawn((90, 200), 7)
    assert pdq(grey) == pdq(np.repeat(grey[..., None], 3, axis=2))
