"""What the evidence of image pairs is worth as a score: fits the curve's points on pictures, beside the points that are shipped.

A score is a promise (README has the bands), so each point lies where the evidence of copies and strangers puts it. Prints the points, the
ROC and what either curve keeps of the promises; draws both over the evidence that was found.

make calibrate, or: make calibrate MEDIA=folder
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import calibration_picture, material
from benchmarks.material import Material, compare, fingerprint
from image_svc.compare.evidence import CURVE
from matching.calibration import Curve
from tests import edits
from tests.edits import as_file

FILE: Final = Path(__file__).parent.parent / "docs" / "calibration.svg"
PLAIN: Final = {"re-encoded", "resized"}
WORN: Final = {"border": edits.MINOR["border"], "sticker": edits.MINOR["sticker"], **edits.WATERMARKED}
"""Put on strangers alike: the strangers that are hardest to tell."""
PLAIN_SHARE: Final = 0.95
"""Of re-encoded and resized copies, to score 0.97 or more."""
EDITED_SHARE: Final = 0.90
"""Of other edits, to score 0.85 or more."""
FOUND_SHARE: Final = 0.99
"""Of all copies, to be found where that costs no false match."""
MIN_RISE: Final = 0.01
"""Between two points' evidence, so that the curve keeps rising."""
FALSE_MATCH_RATES: Final = (0.0, 0.001, 0.01)

Evidence = NDArray[np.float64]
_BACK: Final = Curve(tuple((score, evidence) for evidence, score in CURVE.points))


@dataclass(frozen=True, slots=True)
class Found:
    """The evidence of every pair that was compared."""

    plain: Evidence
    edited: Evidence
    strangers: Evidence

    @property
    def copies(self) -> Evidence:
        return np.concatenate([self.plain, self.edited])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_arguments(parser, pictures=24)
    parser.add_argument("--output", type=Path, default=FILE)
    arguments = parser.parse_args()
    chosen = material.chosen(arguments)
    found = gather(chosen)
    fitted = fit(found)
    print(
        f"{chosen.description}: {len(found.plain)} plain copies, {len(found.edited)} edited ones, {len(found.strangers)} pairs of strangers"
    )
    for name, curve in (("shipped", CURVE), ("fitted", fitted)):
        print(f"{name:8}", "  ".join(f"{evidence:.3f} -> {score:.2f}" for evidence, score in curve.points))
        print(f"{'':8}", promises(curve, found))
    print("ROC:", "; ".join(f"recall {recall_at(found, rate):.4f} at a false-match rate of {rate:g}" for rate in FALSE_MATCH_RATES))
    output: Path = arguments.output
    output.parent.mkdir(exist_ok=True)
    groups = {"re-encoded and resized": found.plain, "otherwise edited": found.edited, "strangers": found.strangers}
    output.write_text(calibration_picture.draw(CURVE, fitted, groups, chosen.description, material.today()))
    print(f"wrote {output}")


def gather(chosen: Material) -> Found:
    originals = [fingerprint(material.original(picture)) for picture in chosen.pictures]
    plain: list[float] = []
    edited: list[float] = []
    for number, picture in enumerate(chosen.pictures):
        for family, _, copy in material.copies(picture, number):
            (plain if family in PLAIN else edited).append(compare(originals[number], fingerprint(copy)).score)
    strangers = [compare(one, two).score for one, two in combinations(originals, 2)]
    for name, edit in WORN.items():
        worn = [fingerprint(as_file(edit(picture, Random(name)))) for picture in chosen.pictures]
        strangers += [compare(one, two).score for one, two in combinations(worn, 2)]
    return Found(evidence(plain), evidence(edited), evidence(strangers))


def evidence(scores: Sequence[float]) -> Evidence:
    """What the shipped curve made the scores from."""
    return np.sort([_BACK.score(score) for score in scores])


def fit(found: Found) -> Curve:
    """Strangers end at 0.40, the decision at 0.60 lies in the middle of the gap, and the upper bands hold what they promise."""
    highest = float(found.strangers[-1])
    decision = max(highest + MIN_RISE, (highest + reached_by(found.copies, FOUND_SHARE)) / 2)
    places = [0.0, highest, decision, reached_by(found.edited, EDITED_SHARE), reached_by(found.plain, PLAIN_SHARE), 1.0]
    # From the top: the promise on what is nearly identical binds first.
    for index in range(len(places) - 2, 0, -1):
        places[index] = min(places[index], places[index + 1] - MIN_RISE)
    for index in range(1, len(places) - 1):
        places[index] = max(places[index], places[index - 1] + MIN_RISE)
    assert all(later > earlier for earlier, later in pairwise(places))
    return Curve(tuple(zip(places, (0.0, 0.40, 0.60, 0.85, 0.97, 1.0), strict=True)))


def reached_by(values: Evidence, share: float) -> float:
    """The evidence that this share of the pairs has, or more."""
    return float(np.quantile(values, 1 - share))


def promises(curve: Curve, found: Found) -> str:
    plain, edited, strangers = (np.array([curve.score(v) for v in values]) for values in (found.plain, found.edited, found.strangers))
    copies = np.concatenate([plain, edited])
    shares = {
        "plain >= 0.97": plain >= 0.97,
        "edited >= 0.85": edited >= 0.85,
        "copies found": copies >= 0.6,
        "false matches": strangers >= 0.6,
    }
    return "   ".join(f"{name} {share.mean():.4f}" for name, share in shares.items()) + f"   highest stranger {strangers.max():.3f}"


def recall_at(found: Found, false_match_rate: float) -> float:
    """The share of copies above the evidence that so few strangers pass."""
    allowed = int(false_match_rate * len(found.strangers))
    return float((found.copies > found.strangers[-1 - allowed]).mean())


if __name__ == "__main__":
    main()
