"""What the evidence of pairs is worth as a score: fits the curve's points on pictures, sounds or films, beside the points that are shipped.

A score is a promise (README has the bands), so each point lies where the evidence of copies and strangers puts it. Prints the points, the
ROC and what either curve keeps of the promises; draws both over the evidence that was found.

make calibrate, or: make calibrate MEDIA=folder; MEDIUM=audio for drawn sounds, MEDIUM=video for drawn films
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks import calibration_picture, film_material, material, sound_material
from image_svc.compare.evidence import CURVE
from matching.calibration import Curve
from tests import edits
from tests.edits import as_file
from video_svc.compare.evidence import CURVE as FILM_CURVE

FOLDER: Final = Path(__file__).parent.parent / "docs"
PLAIN: Final = {"re-encoded", "resized"}
WORN: Final = {"border": edits.MINOR["border"], "sticker": edits.MINOR["sticker"], **edits.WATERMARKED}
"""Put on strangers alike: the strangers that are hardest to tell."""
PLAIN_SHARE: Final = 0.95
"""Of plain copies (re-encoded, resized, otherwise loud), to score 0.97 or more."""
EDITED_SHARE: Final = 0.90
"""Of other edits, to score 0.85 or more."""
FOUND_SHARE: Final = 0.99
"""Of all copies, to be found where that costs no false match."""
MIN_RISE: Final = 0.01
"""Between two points' evidence, so that the curve keeps rising."""
FALSE_MATCH_RATES: Final = (0.0, 0.001, 0.01)

Evidence = NDArray[np.float64]
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Found:
    """The evidence of every pair that was compared."""

    plain: Evidence
    edited: Evidence
    strangers: Evidence

    @property
    def copies(self) -> Evidence:
        return np.concatenate([self.plain, self.edited])


@dataclass(frozen=True, slots=True)
class Medium:
    """What is calibrated: its shipped curve, where that is drawn, and the evidence of pairs with words on what they are."""

    name: str
    plain: str
    file: str
    curve: Curve
    gather: Callable[[argparse.Namespace], tuple[str, Found]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_arguments(parser, pictures=24, sounds=10, films=10)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    medium = MEDIA[material.medium(arguments)]
    description, found = medium.gather(arguments)
    fitted = fit(found)
    print(f"{description}: {len(found.plain)} plain copies, {len(found.edited)} edited ones, {len(found.strangers)} pairs of strangers")
    for name, curve in (("shipped", medium.curve), ("fitted", fitted)):
        print(f"{name:8}", "  ".join(f"{evidence:.3f} -> {score:.2f}" for evidence, score in curve.points))
        print(f"{'':8}", promises(curve, found))
    print("ROC:", "; ".join(f"recall {recall_at(found, rate):.4f} at a false-match rate of {rate:g}" for rate in FALSE_MATCH_RATES))
    output: Path = arguments.output or FOLDER / medium.file
    output.parent.mkdir(exist_ok=True)
    groups = {medium.plain: found.plain, "otherwise edited": found.edited, "strangers": found.strangers}
    output.write_text(calibration_picture.draw(medium.curve, fitted, groups, medium.name, description, material.today()))
    print(f"wrote {output}")


def gather_pictures(arguments: argparse.Namespace) -> tuple[str, Found]:
    chosen = material.chosen(arguments)
    pictures = list(enumerate(chosen.pictures))
    originals = [material.fingerprint(material.original(picture)) for _, picture in pictures]
    copies = (
        (family, number, material.fingerprint(copy)) for number, picture in pictures for family, _, copy in material.copies(picture, number)
    )
    worn = ([material.fingerprint(as_file(edit(picture, Random(name)))) for _, picture in pictures] for name, edit in WORN.items())
    return chosen.description, compared(originals, copies, worn, lambda one, two: material.compare(one, two).score, CURVE)


def gather_sounds(arguments: argparse.Namespace) -> tuple[str, Found]:
    chosen = sound_material.chosen(arguments)
    sounds, fingerprint = list(enumerate(chosen.sounds)), sound_material.fingerprint
    originals = [fingerprint(sound) for _, sound in sounds]
    copies = ((family, number, fingerprint(copy)) for number, sound in sounds for family, _, copy in sound_material.copies(sound, number))
    worn = ([fingerprint(edit(sound, Random(name))) for _, sound in sounds] for name, edit in sound_material.WORN.items())
    return chosen.description, compared(originals, copies, worn, sound_material.compare, sound_material.CURVE)


def gather_films(arguments: argparse.Namespace) -> tuple[str, Found]:
    chosen = film_material.chosen(arguments)
    films, fingerprint = list(enumerate(chosen.films)), film_material.fingerprint
    originals = [fingerprint(film_material.original(film)) for _, film in films]
    copies = ((family, number, fingerprint(copy)) for number, film in films for family, _, copy in film_material.copies(film))
    worn = ([fingerprint(copy(film)) for _, film in films] for copy in film_material.WORN.values())
    return chosen.description, compared(originals, copies, worn, film_material.compare, FILM_CURVE)


def compared(
    originals: list[Kept],
    copies: Iterable[tuple[str, int, Kept]],
    worn: Iterable[list[Kept]],
    score: Callable[[Kept, Kept], float],
    curve: Curve,
) -> Found:
    """Each copy with its original; strangers as they are, and alike in what they wear."""
    plain: list[float] = []
    edited: list[float] = []
    for family, number, copy in copies:
        (plain if family in PLAIN else edited).append(score(originals[number], copy))
    strangers = [score(one, two) for group in (originals, *worn) for one, two in combinations(group, 2)]
    return Found(*(evidence(scores, curve) for scores in (plain, edited, strangers)))


def evidence(scores: Sequence[float], curve: Curve) -> Evidence:
    """What the shipped curve made the scores from."""
    back = Curve(tuple((score, evidence) for evidence, score in curve.points))
    return np.sort([back.score(score) for score in scores])


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


MEDIA: Final = {
    "image": Medium("images", "re-encoded and resized", "calibration.svg", CURVE, gather_pictures),
    "audio": Medium("sounds", "re-encoded or softer", "calibration-audio.svg", sound_material.CURVE, gather_sounds),
    "video": Medium("films", "re-encoded and resized", "calibration-video.svg", FILM_CURVE, gather_films),
}


if __name__ == "__main__":
    main()
