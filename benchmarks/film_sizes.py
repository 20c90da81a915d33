"""What is still found of films, and how far strangers stay away, when their fingerprints may hold less; for docs/accuracy.md.

make sizes MEDIUM=video, or with MEDIA=folder
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations, islice
from random import Random
from typing import Final

import numpy as np

from benchmarks import material
from benchmarks.film_material import WORN, FilmMaterial, copies, fingerprint, original
from matching.decision import is_match
from mesh.media import OUTLINE
from tests.reels import Layers
from video_svc.compare import compare
from video_svc.fingerprint import ALGORITHM, VERSION, Film, film, stars
from video_svc.fingerprint.film import FEATURE_SECONDS, THUMBNAIL_SIDE, reduced
from video_svc.fingerprint.stars import FEATURES_PER_FRAME

HEAD: Final = """\
| fingerprint | features a frame | every, s | thumbnail, px | bytes a second | copies found | above every stranger | median score | \
strangers matched | highest stranger |
|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a fingerprint may hold; without features, what the outline alone settles."""

    name: str
    features: int = FEATURES_PER_FRAME
    seconds: float = FEATURE_SECONDS
    side: int = THUMBNAIL_SIDE

    def spent_on(self, recorded: Film) -> Layers:
        """Layers of a film that was recorded in full; to be called, and compared, within `spending`."""
        layers = fingerprint(replace(recorded, thumbnails=np.stack([reduced(thumbnail, self.side) for thumbnail in recorded.thumbnails])))
        return layers if self.features else {OUTLINE: layers[OUTLINE]}


WHOLE: Final = Budget("as it is")
BUDGETS: Final = (
    WHOLE,
    *(Budget(f"1/{part} of the features", features=FEATURES_PER_FRAME // part) for part in (2, 4, 8)),
    *(Budget(f"features every {seconds:g} s", seconds=seconds) for seconds in (1.0, 2.0)),
    *(Budget(f"thumbnails of {side} px", side=side) for side in (48, 32, 24)),
    Budget("1/4 of the features, every second, 48 px", FEATURES_PER_FRAME // 4, 1.0, 48),
    Budget("the outline alone", features=0),
)


@contextmanager
def spending(budget: Budget) -> Iterator[None]:
    """Features within this budget, written and read; the constants belong to the version, so nothing but this table changes them."""
    try:
        _set(budget.features or FEATURES_PER_FRAME, budget.seconds)
        yield
    finally:
        _set(FEATURES_PER_FRAME, FEATURE_SECONDS)


def _set(features: int, seconds: float) -> None:
    vars(stars).update(FEATURES_PER_FRAME=features)
    vars(film).update(FEATURE_SECONDS=seconds)


def show(chosen: FilmMaterial, count: int) -> None:
    """The table, on so many copies of each film."""
    pairs: list[tuple[Film, Film]] = []
    originals = [original(each) for each in chosen.films]
    for number, (each, recorded) in enumerate(zip(chosen.films, originals, strict=True)):
        made = [copy for _, _, copy in copies(each)]
        Random(number).shuffle(made)
        pairs += [(recorded, copy) for copy in islice(made, count)]
    strangers = list(combinations(originals, 2))
    for worn in WORN.values():
        strangers += combinations([worn(each) for each in chosen.films], 2)
    print(f"On {chosen.description}. {material.today()}, {ALGORITHM} {VERSION}.\n\n{HEAD}", flush=True)
    for budget in BUDGETS:
        print(row(budget, pairs, strangers), flush=True)


def row(budget: Budget, pairs: list[tuple[Film, Film]], strangers: list[tuple[Film, Film]]) -> str:
    known: dict[int, Layers] = {}
    with spending(budget):

        def layers(recorded: Film) -> Layers:
            if id(recorded) not in known:
                known[id(recorded)] = budget.spent_on(recorded)
            return known[id(recorded)]

        found, others = (np.array([_score(layers(one), layers(two)) for one, two in some]) for some in (pairs, strangers))
    whole = {id(recorded): recorded for pair in pairs + strangers for recorded in pair}
    seconds = sum(recorded.duration_seconds for recorded in whole.values())
    size = sum(len(layer) for each in known.values() for layer in each.values()) / seconds
    matched = [sum(is_match("video", score) for score in some) for some in (found, others)]
    cells = (
        budget.name,
        budget.features,
        f"{budget.seconds:g}",
        budget.side,
        f"{size:,.0f}",
        f"{matched[0] / len(found):.3f} of {len(found)}",
        f"{np.mean(found > others.max()):.3f}",
        f"{np.median(found):.3f}",
        f"{matched[1]} of {len(others)}",
        f"{others.max():.3f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _score(one: Layers, two: Layers) -> float:
    """What the outlines leave open is not found by them."""
    comparison = compare(one, two, mirrored_too=True)
    return comparison.score if comparison else 0.0
