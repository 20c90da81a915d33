"""Accuracy against the size of a fingerprint: what is still found, and how far strangers stay away, with less in it.

make sizes MEDIA=folder, or: python -m benchmarks.sizes; MEDIUM=video for films (benchmarks/film_sizes.py)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, islice
from random import Random
from typing import Final

import numpy as np

from benchmarks import film_material, film_sizes, material
from benchmarks.material import Material, compare
from image_svc import fingerprint as room
from image_svc import matcher
from matching.decision import is_match
from mesh.media import DETAIL, Fingerprint
from mesh.media_file import MediaFile


@dataclass(frozen=True, slots=True)
class Budget:
    """What a fingerprint may spend; the picture's side is the number of pixels that everything is measured in."""

    name: str
    max_features: int
    side: int


WHOLE: Final = Budget("as it is", room.MAX_FEATURES, room.CANONICAL_SIDE)
BUDGETS: Final = (
    WHOLE,
    *(Budget(f"1/{part} of the features", room.MAX_FEATURES // part, room.CANONICAL_SIDE) for part in (2, 4, 8)),
    *(Budget(f"1/{part} of the side", room.MAX_FEATURES, room.CANONICAL_SIDE // part) for part in (2, 4, 8)),
    *(Budget(f"1/{part} of both", room.MAX_FEATURES // part, room.CANONICAL_SIDE // part) for part in (2, 4, 8)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_arguments(parser, pictures=12, films=4)
    parser.add_argument("--copies", type=int, default=10, help="of each picture or film (10)")
    arguments = parser.parse_args()
    if material.medium(arguments) == "video":
        film_sizes.show(film_material.chosen(arguments), arguments.copies)
        return
    chosen = material.chosen(arguments)
    print(f"On {chosen.description}. {material.today()}, {room.ALGORITHM} {room.VERSION}.\n", flush=True)
    print("| fingerprint | features, at most | side, px | bytes | copies found | median score | strangers matched | highest stranger |")
    print("|---|---|---|---|---|---|---|---|")
    for budget in BUDGETS:
        with spending(budget):
            print(row(budget, chosen, arguments.copies), flush=True)


@contextmanager
def spending(budget: Budget) -> Iterator[None]:
    """Fingerprints within this budget; the constants belong to the version, so nothing but this table changes them."""
    try:
        set_budget(budget)
        yield
    finally:
        set_budget(WHOLE)


def set_budget(budget: Budget) -> None:
    for module in (room, matcher):
        vars(module).update(MAX_FEATURES=budget.max_features, CANONICAL_SIDE=budget.side)


def row(budget: Budget, chosen: Material, count: int) -> str:
    originals = [fingerprint(material.original(picture)) for picture in chosen.pictures]
    copies, sizes = [], [size(original) for original in originals]
    for number, (picture, original) in enumerate(zip(chosen.pictures, originals, strict=True)):
        made = list(material.copies(picture, number))
        Random(number).shuffle(made)
        for _, _, content in islice(made, count):
            copy = fingerprint(content)
            copies.append(compare(original, copy).score)
            sizes.append(size(copy))
    strangers = [compare(one, two).score for one, two in combinations(originals, 2)]
    found = np.mean([is_match("image", score) for score in copies])
    return (
        f"| {budget.name} | {budget.max_features} | {budget.side} | {np.mean(sizes):,.0f} | {found:.3f} of {len(copies)} |"
        f" {np.median(copies):.3f} | {sum(is_match('image', score) for score in strangers)} of {len(strangers)} | {max(strangers):.3f} |"
    )


def fingerprint(content: bytes) -> Fingerprint:
    with MediaFile.of(content) as media:
        return matcher.fingerprint(media.path, DETAIL, None)[0]


def size(fingerprint: Fingerprint) -> int:
    """What an index would keep of it, without its terms."""
    return sum(map(len, fingerprint.layers.values()))


if __name__ == "__main__":
    main()
