"""How early terms alone put the original of a copy: the rank among all originals and strangers, by the vote that a search takes.

make terms MEDIA=folder, or: python -m benchmarks.terms
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from random import Random
from typing import Final

import numpy as np

from benchmarks import material
from benchmarks.material import FAMILIES, compare, fingerprint
from image_svc.matcher import search_terms
from index_svc.blocks import Postings, of_asset
from index_svc.voting import vote
from matching.decision import is_match
from mesh.media import Fingerprint
from tests.edits import as_file
from tests.pictures import encoded, photo

RANKS: Final = (1, 10, 50)
LAST: Final = 1_000_000
STRANGER_SEEDS: Final = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_arguments(parser, pictures=40)
    parser.add_argument("--strangers", type=int, default=400, help="drawn pictures that fill the index beside the originals (400)")
    arguments = parser.parse_args()
    chosen = material.chosen(arguments)
    index = Index()
    originals = [fingerprint(material.original(picture)) for picture in chosen.pictures]
    for number in range(arguments.strangers):
        index.add(fingerprint(encoded(photo(STRANGER_SEEDS + number, *material.SIZES[number % len(material.SIZES)]), "JPEG", quality=90)))
    places = [index.add(original) for original in originals]
    print(f"\nterms: {chosen.description}, and {arguments.strangers} drawn strangers in the index; copies that are matches, by family\n")
    print("| family | copies | " + " | ".join(f"original among the first {rank}" for rank in RANKS) + " |")
    print("|---|---|" + "---|" * len(RANKS))
    whole: list[int] = []
    for family, members in FAMILIES.items():
        ranks = []
        for name, edit in members.items():
            for number, (picture, original, place) in enumerate(zip(chosen.pictures, originals, places, strict=True)):
                copy = fingerprint(as_file(edit(picture, Random(f"{name} {number}"))))
                if is_match("image", compare(original, copy).score):
                    ranks.append(index.rank(search_terms(copy), place))
        show(family, ranks)
        whole += ranks
    show("all", whole)


def show(name: str, ranks: list[int]) -> None:
    shares = (f"{np.mean([rank <= limit for rank in ranks]):.3f}" for limit in RANKS)
    print(f"| {name} | {len(ranks)} | " + " | ".join(shares) + " |", flush=True)


class Index:
    """Terms to assets, in memory."""

    def __init__(self) -> None:
        self._size = 0
        self._holders: dict[int, list[int]] = defaultdict(list)

    def add(self, fingerprint: Fingerprint) -> int:
        """Its place."""
        place, self._size = self._size, self._size + 1
        for term in fingerprint.terms:
            self._holders[term].append(place)
        return place

    def rank(self, query: Fingerprint, place: int) -> int:
        """The rank of the asset at this place, the last among those with as many votes."""
        shared = [(term, holder) for term in query.terms for holder in self._holders.get(term, ())]
        terms, holders = np.array(shared, np.int64).reshape(-1, 2).T
        places, votes = vote(of_asset(0, query.terms, None), Postings(terms, holders, np.zeros_like(terms)))
        own = votes[places == place]
        return int((votes >= own[0]).sum()) if len(own) else LAST


if __name__ == "__main__":
    main()
