"""How far edits of films may go before a copy is no longer found: recall and median score per strength, for docs/limits.md.

make limits MEDIUM=video, with MEDIA=folder on films of your own as well
"""

from __future__ import annotations

import statistics
from itertools import combinations
from typing import Final

from benchmarks import material
from benchmarks.film_edits import Copy, blurred, captioned, clip, cropped, inset, noisy, played, re_encoded, turned
from benchmarks.film_material import SECONDS, FilmMaterial, compare, fingerprint, original
from matching.decision import CUTOFFS, is_match
from tests.films import Film
from tests.reels import Layers
from video_svc.fingerprint import ALGORITHM, VERSION
from video_svc.fingerprint.film import FRAME_SIDE

TITLE: Final = "# What films are found through, and what not"
WORDS: Final = f"""{TITLE}

Written by `make limits MEDIUM=video`, with `MEDIA=folder` on any folder of films as well. Every film is {SECONDS:g} s long at most; those
that are drawn are 320 x 240, with a cut every 1.7 s and a moving camera between.

Each cell: the strength; **recall**, the share of copies whose score reaches the default decision
({CUTOFFS["video"].profiles["general"]}); their median score.

## Not handled

- **The same scene, not the same film.** Another take, another camera, the next minute of the same talk: no match, by design.
- **A small part of both**: what is scored is the share of the side that is better covered. A clip is found in a longer film; two films that
  share an opening, a title or an advertisement are no match.
- **Nothing moves**: a film of one still picture says little more than that picture.
- **A copy that wanders**: where an editor has added a slow zoom or a pan, the film is found, but one geometry holds for a part of it only,
  and that is the part that the segments name.
- **A camera that stands, on a screen filmed by hand**, or with captions over a third of it: what moves is too small to tell the moments
  apart, and what stands has no time; such copies may be lost, and two films of one such camera may match.
- **Nothing to see**: black, fog, one colour never match anything but their own bytes.
- **Film is looked at four times a second**, at {FRAME_SIDE} pixels on the longer side: a copy that is a fifth of a page wide is some 60
  pixels wide there, and a clip of a second is four pictures. Where decoding would be much work (180 s of 1080p at 30 pictures a second),
  only the beginning of each group of pictures is looked at.
"""
LADDERS: Final[dict[str, dict[str, Copy]]] = {
    "cropped to this share of the area": {f"{100 * s:g} %": cropped(s) for s in (0.7, 0.5, 0.35, 0.25, 0.15, 0.1)},
    "inset, share of the page's width": {f"{100 * s:g} %": inset(s) for s in (0.6, 0.5, 0.4, 0.3, 0.25, 0.2)},
    "a caption over this share of the height": {f"{100 * s:g} %": captioned(s) for s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)},
    "blur, deviation as a share of the longer side": {f"{100 * s:g} %": blurred(s) for s in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)},
    "noise, deviation in grey levels of 255": {f"{s:g}": noisy(s) for s in (10, 20, 40, 60, 90, 130)},
    "turned, degrees": {f"{s:g}": turned(s) for s in (3, 7, 15, 30, 45, 75)},
    "H.264, crf": {f"{s}": re_encoded(crf=f"{s}") for s in (30, 36, 42, 46, 49, 51)},
    "played faster": {f"{s:g}": played(s) for s in (1.1, 1.25, 1.5, 1.75, 2.0, 2.3)},
    "played slower": {f"{s:g}": played(s) for s in (0.95, 0.9, 0.8, 0.67, 0.5, 0.4)},
    "a clip": {f"{s:g} s": clip(s) for s in (6, 4, 3, 2, 1.5, 1)},
}


def measured(chosen: FilmMaterial) -> str:
    """The section on this material."""
    films = chosen.films
    originals = [fingerprint(original(film)) for film in films]
    strangers = [compare(one, two) for one, two in combinations(originals, 2)]
    lines = [
        f"## On {chosen.description}",
        "",
        f"{material.today()}, {ALGORITHM} {VERSION}. {len(strangers)} pairs of strangers: "
        f"{sum(is_match('video', found) for found in strangers)} matches, highest score {max(strangers):.3f}.",
        "",
        "| edit | from weak | | | | | to strong |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row(name, steps, films, originals) for name, steps in LADDERS.items()]
    return "\n".join(lines) + "\n"


def row(name: str, steps: dict[str, Copy], films: list[Film], originals: list[Layers]) -> str:
    cells = []
    for strength, copy in steps.items():
        scores = [compare(one, fingerprint(copy(film))) for one, film in zip(originals, films, strict=True)]
        recall = sum(is_match("video", found) for found in scores) / len(scores)
        cells.append(f"{strength}<br>**{recall:.2f}** {statistics.median(scores):.2f}")
    print(name, *(cell.replace("<br>", " ") for cell in cells), sep=" | ", flush=True)
    return "| " + " | ".join([name, *cells]) + " |"
