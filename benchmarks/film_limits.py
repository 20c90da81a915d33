"""How far edits of films may go before a copy is no longer found: recall and median score per strength, for docs/limits.md.

make limits MEDIUM=video; on drawn films only
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import combinations
from typing import Final

import cv2
import numpy as np

from benchmarks import material
from matching.decision import CUTOFFS, is_match
from tests.films import Film, encoded
from tests.pictures import Pixels, photo
from tests.reels import Layers, layers, moments
from video_svc.compare import compare
from video_svc.decode import Video
from video_svc.fingerprint import ALGORITHM, VERSION, detail, outline, record
from video_svc.fingerprint.film import FRAME_SIDE, SAMPLE_SECONDS

SECONDS: Final = 12.0
TITLE: Final = "# What films are found through, and what not"
WORDS: Final = f"""{TITLE}

Written by `make limits MEDIUM=video`. Every film is {SECONDS:g} s long, 320 x 240, with a cut every 1.7 s and a moving camera between.

Each cell: the strength; **recall**, the share of copies whose score reaches the default decision
({CUTOFFS["video"].profiles["general"]}); their median score.

## Not handled

- **The same scene, not the same film.** Another take, another camera, the next minute of the same talk: no match, by design.
- **A small part of both**: what is scored is the share of the side that is better covered. A clip is found in a longer film; two films that
  share an opening, a title or an advertisement are no match.
- **Nothing moves**: a film of one still picture says little more than that picture.
- **Nothing to see**: black, fog, one colour never match anything but their own bytes.
- **Film is looked at four times a second**, at {FRAME_SIDE} pixels on the longer side: a copy that is a fifth of a page wide is some 60
  pixels wide there, and a clip of a second is four pictures. Where decoding would be much work (180 s of 1080p at 30 pictures a second),
  only the beginning of each group of pictures is looked at.
"""
Copy = Callable[[Film], Layers]


def drawn(seed: int) -> Film:
    return Film(seed, SECONDS, scene_seconds=1.7)


def seen(edit: Callable[[Pixels], Pixels]) -> Copy:
    return lambda film: layers(moments(film), edit)


def cropped(share: float) -> Copy:
    side = share**0.5

    def edit(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        rows, columns = round(height * side), round(width * side)
        top, left = (height - rows) // 3, (width - columns) // 3
        return np.ascontiguousarray(picture[top : top + rows, left : left + columns])

    return seen(edit)


def inset(share: float) -> Copy:
    """On a page of 480 x 360 of another picture."""
    width, height = round(480 * share), round(360 * share)

    def edit(picture: Pixels) -> Pixels:
        page = photo(91_000, 480, 360)
        top, left = (360 - height) // 4, (480 - width) * 3 // 4
        page[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return page

    return seen(edit)


def captioned(share: float) -> Copy:
    def edit(picture: Pixels) -> Pixels:
        bar = picture.copy()
        top = round(len(picture) * (1 - share))
        bar[top:] = 20
        for line in range(top + 18, len(picture), 22):
            cv2.putText(bar, "the words of a caption", (8, line), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (240, 240, 240), 2, cv2.LINE_AA)
        return bar

    return seen(edit)


def blurred(share: float) -> Copy:
    return seen(lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), share * max(picture.shape)), np.uint8))


def noisy(deviation: float) -> Copy:
    dice = np.random.default_rng(5)
    return seen(lambda picture: (picture + dice.normal(0, deviation, picture.shape)).clip(0, 255).astype(np.uint8))


def turned(degrees: float) -> Copy:
    def edit(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        return np.asarray(
            cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (width, height)), np.uint8
        )

    return seen(edit)


def re_encoded(crf: int) -> Copy:
    def copy(film: Film) -> Layers:
        video = Video(encoded(film, options={"crf": str(crf)}))
        frames = video.frames(1 / SAMPLE_SECONDS, max_side=FRAME_SIDE)
        found = record(frames, video.width, video.height, video.duration_seconds, is_still=False)
        return {0: outline(found), 1: detail(found)}

    return copy


def played(speed: float) -> Copy:
    return lambda film: layers(moments(film, speed=speed))


def clip(seconds: float) -> Copy:
    return lambda film: layers(moments(film, 3.3, seconds))


LADDERS: Final[dict[str, dict[str, Copy]]] = {
    "cropped to this share of the area": {f"{100 * s:g} %": cropped(s) for s in (0.7, 0.5, 0.35, 0.25, 0.15, 0.1)},
    "inset, share of the page's width": {f"{100 * s:g} %": inset(s) for s in (0.6, 0.5, 0.4, 0.3, 0.25, 0.2)},
    "a caption over this share of the height": {f"{100 * s:g} %": captioned(s) for s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)},
    "blur, deviation as a share of the longer side": {f"{100 * s:g} %": blurred(s) for s in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)},
    "noise, deviation in grey levels of 255": {f"{s:g}": noisy(s) for s in (10, 20, 40, 60, 90, 130)},
    "turned, degrees": {f"{s:g}": turned(s) for s in (3, 7, 15, 30, 45, 75)},
    "H.264, crf": {f"{s}": re_encoded(s) for s in (30, 36, 42, 46, 49, 51)},
    "played faster": {f"{s:g}": played(s) for s in (1.1, 1.25, 1.5, 1.75, 2.0, 2.3)},
    "played slower": {f"{s:g}": played(s) for s in (0.95, 0.9, 0.8, 0.67, 0.5, 0.4)},
    "a clip": {f"{s:g} s": clip(s) for s in (6, 4, 3, 2, 1.5, 1)},
}


def score(one: Layers, two: Layers) -> float:
    comparison = compare(one, two, mirrored_too=True)
    assert comparison is not None
    return comparison.score


def measured(count: int) -> str:
    """The section on this many drawn films."""
    films = [drawn(seed) for seed in range(count)]
    originals = [layers(moments(film)) for film in films]
    strangers = [score(one, two) for one, two in combinations(originals, 2)]
    lines = [
        f"## On {count} films drawn by tests/films.py",
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
        scores = [score(one, copy(film)) for one, film in zip(originals, films, strict=True)]
        recall = sum(is_match("video", found) for found in scores) / len(scores)
        cells.append(f"{strength}<br>**{recall:.2f}** {statistics.median(scores):.2f}")
    print(name, *(cell.replace("<br>", " ") for cell in cells), sep=" | ", flush=True)
    return "| " + " | ".join([name, *cells]) + " |"
