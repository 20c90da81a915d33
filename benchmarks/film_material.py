"""What is measured on: films drawn from seeds or read from a folder, copies made of them, strangers found among them.

The same folder or the same seeds give the same material. What benchmarks/material.py is for images.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

import av

from benchmarks import film_edits as edits
from benchmarks.film_edits import Copy, seen
from benchmarks.video import filmed
from mesh.errors import MeshError
from mesh.media import DETAIL, OUTLINE
from mesh.media_type import FILMS, SNIFF_BYTES, sniff
from tests.films import Film
from tests.pictures import Pixels
from tests.reels import Layers, moments, recorded
from video_svc import compare as pairwise
from video_svc.decode import Video
from video_svc.fingerprint import Film as Recorded
from video_svc.fingerprint import detail, frame_size, outline

SECONDS: Final = 12.0
"""Of each film, from its beginning."""
MIN_SECONDS: Final = 10.0
RATE: Final = Fraction(12)
"""Pictures a second; three times as many as are looked at."""


@dataclass(frozen=True)
class Footage(Film):
    """What a file shows."""

    frames: tuple[Pixels, ...] = field(default=(), repr=False, compare=False)

    def picture(self, moment: float) -> Pixels:
        return self.frames[min(round(moment * self.rate), len(self.frames) - 1)]


@dataclass(frozen=True, slots=True)
class FilmMaterial:
    """Films, and in words what they are."""

    films: list[Film]
    description: str


def drawn(seed: int) -> Film:
    return Film(seed, SECONDS, rate=RATE, scene_seconds=1.7)


def chosen(arguments: argparse.Namespace) -> FilmMaterial:
    """What the command line asks for."""
    count: int = arguments.films
    if not arguments.media:
        return FilmMaterial([drawn(seed) for seed in range(count)], f"{count} films drawn by tests/films.py")
    files = sorted(path for folder in arguments.media for path in folder.rglob("*") if path.is_file())
    Random(0).shuffle(files)
    found: list[Film] = []
    for file in files:
        if len(found) == count:
            break
        footage = read(file, len(found))
        if footage is not None and footage.seconds >= MIN_SECONDS:
            found.append(footage)
    if len(found) < 2:
        raise SystemExit("There are fewer than two films in this folder.")
    return FilmMaterial(found, f"{len(found)} {arguments.called or 'films of a folder'}")


def read(file: Path, number: int) -> Footage | None:
    """The beginning of the film, at the size at which films are looked at; None where it is none that can be read."""
    content = file.read_bytes()
    if sniff(content[:SNIFF_BYTES]) not in FILMS:
        return None
    try:
        video = Video(content)
        width, height = (length // 2 * 2 for length in frame_size(video.width, video.height))
        wanted = Film(number, SECONDS, width, height, RATE).moments()
        frames = tuple(picture for _, picture in filmed(file, wanted, width, height))
    except (MeshError, av.error.FFmpegError):
        return None
    return Footage(number, len(frames) / float(RATE), width, height, RATE, frames=frames)


def original(film: Film) -> Recorded:
    return recorded(moments(film))


def copies(film: Film) -> Iterator[tuple[str, str, Recorded]]:
    """Family, edit and recording of every copy of the film."""
    for family, members in FAMILIES.items():
        for name, copy in members.items():
            yield family, name, copy(film)


def fingerprint(film: Recorded) -> Layers:
    """All that is compared."""
    return {OUTLINE: outline(film), DETAIL: detail(film)}


def compare(one: Layers, two: Layers) -> float:
    """The score of the pair."""
    comparison = pairwise.compare(one, two, mirrored_too=True)
    assert comparison is not None  # both have their details
    return comparison.score


FAMILIES: Final[dict[str, dict[str, Copy]]] = {
    "re-encoded": {
        "H.264, crf 34": edits.re_encoded(crf="34"),
        "H.265": edits.re_encoded("mp4-hevc", crf="34"),
        "VP9": edits.re_encoded("webm-vp9", crf="45"),
        "MPEG-4": edits.re_encoded("avi-mpeg4", qmin="8", qmax="12"),
    },
    "resized": {"half": edits.shrunk(0.5)},
    "coloured": {
        "warm": edits.recoloured((1.1, 1.0, 0.7)),
        "pale": edits.recoloured((0.5, 0.5, 0.5), 90),
        "dark": edits.recoloured((0.5, 0.5, 0.5)),
    },
    "worn": {"blur": edits.blurred(0.01), "noise": edits.noisy(25)},
    "overlaid": {"caption": edits.captioned(0.2), "mark": seen(edits.marked)},
    "geometry": {
        "crop to 60 %": edits.cropped(0.6),
        "mirrored": seen(edits.mirrored),
        "border": seen(edits.bordered),
        "letterbox": seen(edits.letterboxed),
        "blurred sides": seen(edits.on_blurred_sides),
        "turned": edits.turned(5),
        "recaptured": seen(edits.recaptured),
    },
    "set in": {"inset of a third": edits.inset(0.33), "beside another": seen(edits.beside), "in an interface": seen(edits.framed)},
    "retimed": {"speed 1.25": edits.played(1.25), "speed 0.8": edits.played(0.8), "speed 1.5": edits.played(1.5)},
    "cut": {"clip of 5 s": edits.clip(5.0, 0.7), "among others": edits.embedded(6.0), "halves swapped": edits.swapped},
}
WORN: Final[dict[str, Copy]] = {
    "caption": edits.captioned(0.2),
    "mark": seen(edits.marked),
    "border": seen(edits.bordered),
    "blurred sides": seen(edits.on_blurred_sides),
    "recaptured": seen(edits.recaptured),
    "interface": seen(edits.framed),
    "title": edits.titled,
}
"""Put on strangers alike: the strangers that are hardest to tell."""
