"""What films cost, beside a full decode of the same two files by PyAV: CPU time, one core, from the files' bytes.

make benchmark, or: python -m benchmarks.video --media FOLDER; python -m benchmarks.video --pair FILE FILE
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, product
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from benchmarks.audio import peak_mb
from mesh.media import DETAIL, OUTLINE, Fingerprint, MatchOptions
from mesh.media_type import FILMS, SNIFF_BYTES, sniff
from mesh.worker import KEPT_MEMORY
from tests.films import Film, encoded
from tests.pictures import Pixels, photo
from video_svc import matcher

WIDTH, HEIGHT, RATE = 1280, 720, Fraction(30)
MAX_PLAIN, MAX_HARD = 1.0, 3.0
MAX_COMPARED: Final = 40
"""Pairs of either kind, from stored fingerprints."""


@dataclass(frozen=True)
class Reel(Film):
    """A drawn film, or what a file shows, at a speed."""

    file: Path | None = None
    speed: float = 1.0

    def pictures(self, moments: Iterable[float] | None = None) -> Iterator[tuple[float, Pixels]]:
        shown = super().pictures(moments) if self.file is None else filmed(self.file, self.moments(), self.width, self.height)
        return ((moment / self.speed, picture) for moment, picture in shown)


@dataclass(frozen=True)
class Edit:
    """What makes a copy of a reel: in which format, by what change of each picture or of the whole."""

    file_format: str = "mp4"
    crf: int | None = None
    of_picture: Callable[[Pixels], Pixels] | None = None
    of_reel: Callable[[Reel], Reel] = lambda reel: reel

    def made(self, reel: Reel) -> bytes:
        options = {} if self.crf is None else {"crf": str(self.crf)}
        return encoded(self.of_reel(reel), self.file_format, edit=self.of_picture, options=options)


def resized(picture: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def recoloured(picture: Pixels) -> Pixels:
    return (picture * (0.8, 0.9, 0.7) + (20, 10, 30)).astype(np.uint8)


def inset(picture: Pixels) -> Pixels:
    page = _page()
    page[80 : 80 + 360, 560 : 560 + 640] = resized(picture, 640, 360)
    return page


def _page() -> Pixels:
    return resized(photo(91_000, 640, 360), WIDTH, HEIGHT).copy()


def bordered(picture: Pixels) -> Pixels:
    return np.pad(resized(picture, 1120, 630), ((46, 44), (80, 80), (0, 0)), constant_values=200)


def letterboxed(picture: Pixels) -> Pixels:
    return np.pad(resized(picture, 1280, 540), ((90, 90), (0, 0), (0, 0)))


PLAIN: Final = {
    "H.264 again, crf 32": Edit(crf=32),
    "H.265": Edit("mp4-hevc", crf=28),
    "VP9 in WebM": Edit("webm-vp9", crf=36),
    "15 pictures a second": Edit(of_reel=lambda reel: replace(reel, rate=Fraction(15))),
    "640 x 360": Edit(of_picture=lambda picture: resized(picture, 640, 360)),
    "other colours": Edit(of_picture=recoloured),
}
HARD: Final = {
    "cropped to 70 % of each side": Edit(of_picture=lambda picture: resized(picture[72:576, 256:1152], WIDTH, HEIGHT)),
    "bordered": Edit(of_picture=bordered),
    "inset of half the width": Edit(of_picture=inset),
    "mirrored": Edit(of_picture=lambda picture: np.ascontiguousarray(picture[:, ::-1])),
    "letterboxed, squeezed": Edit(of_picture=letterboxed),
    "1.25 times as fast": Edit(of_reel=lambda reel: replace(reel, speed=1.25)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, metavar="FOLDER", help="a folder of films; without it films are drawn")
    parser.add_argument("--films", type=int, default=2, help="how many of them at most (2)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each (8)")
    parser.add_argument("--pair", nargs=2, metavar="FILE", help="only this pair: CPU time of each step, and the peak of the process")
    arguments = parser.parse_args()
    if not KEPT_MEMORY.keys() <= os.environ.keys():
        # As the workers have it; malloc reads it when a process starts.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.video", *sys.argv[1:]], {**os.environ, **KEPT_MEMORY})
    matcher.warm_up()
    if arguments.pair:
        print(json.dumps({**Spent.on(*arguments.pair).in_words(), "peak_mb": round(peak_mb())}))
        return
    with tempfile.TemporaryDirectory() as folder:
        show(reels(arguments), Path(folder))


def reels(arguments: argparse.Namespace) -> list[Reel]:
    if not arguments.media:
        return [Reel(seed, arguments.seconds, WIDTH, HEIGHT, RATE) for seed in range(arguments.films)]
    files = (file for file in sorted(arguments.media.rglob("*")) if file.is_file() and sniff(file.open("rb").read(SNIFF_BYTES)) in FILMS)
    return [Reel(0, arguments.seconds, WIDTH, HEIGHT, RATE, file=file) for file in islice(files, arguments.films)]


def filmed(file: Path, moments: list[float], width: int, height: int) -> Iterator[tuple[float, Pixels]]:
    """What the file shows at these moments, as far as it runs."""
    with av.open(str(file)) as container:
        start: float | None = None
        left = iter(moments)
        moment = next(left, None)
        for frame in container.decode(video=0):
            start = float(frame.time or 0) if start is None else start
            while moment is not None and float(frame.time or 0) - start >= moment - 1e-6:
                yield moment, np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
                moment = next(left, None)
            if moment is None:
                return


@dataclass(frozen=True)
class Spent:
    """CPU seconds on a pair, both sides from their files."""

    outlines: float
    details: float
    compare: float
    score: float
    films: tuple[Fingerprint, Fingerprint]

    @staticmethod
    def on(*files: str) -> Spent:
        started = time.process_time()
        one, two = (matcher.fingerprint(file, OUTLINE, None)[0] for file in files)
        outlined = time.process_time()
        comparison = matcher.compare(one, two, MatchOptions())
        compared = time.process_time()
        if comparison is not None:
            return Spent(outlined - started, 0.0, compared - outlined, comparison.score, (one, two))
        one, two = (matcher.fingerprint(file, DETAIL, known)[0] for file, known in zip(files, (one, two), strict=True))
        detailed = time.process_time()
        comparison = matcher.compare(one, two, MatchOptions())
        assert comparison is not None
        finished = time.process_time()
        return Spent(outlined - started, detailed - compared, finished - detailed + compared - outlined, comparison.score, (one, two))

    @property
    def seconds(self) -> float:
        return self.outlines + self.details + self.compare

    def in_words(self) -> dict[str, float]:
        return {name: round(getattr(self, name), 3) for name in ("outlines", "details", "compare", "seconds", "score")}


def show(originals: list[Reel], folder: Path) -> None:
    if not originals:
        raise SystemExit("There is no film in this folder.")
    what = "drawn by tests/films.py" if originals[0].file is None else "of a folder"
    print(f"\nfilms: {len(originals)} of {originals[0].seconds:g} s, {what}, H.264 at {WIDTH} x {HEIGHT}, {RATE} pictures a second\n")
    print("| edit | PyAV decodes both, s CPU | the pair, s CPU | of a decode | of it features | of it compare | score |")
    print("|---|---|---|---|---|---|---|")
    families: list[list[Fingerprint]] = []
    sides: list[Path] = []
    for number, reel in enumerate(originals):
        sides.append(folder / f"{number}.mp4")
        sides[-1].write_bytes(Edit().made(reel))
        families.append([])
    for edits, name, limit in ((PLAIN, "plain", MAX_PLAIN), (HARD, "hard", MAX_HARD)):
        ratios = [show_edit(label, edit, originals, sides, families, folder) for label, edit in edits.items()]
        print(f"| **{name}: mean, worst** | | | **{np.mean(ratios):.2f}, {max(ratios):.2f}** (limit {limit:g}) | | | |")
    show_stored(families)


def show_edit(label: str, edit: Edit, originals: list[Reel], sides: list[Path], families: list[list[Fingerprint]], folder: Path) -> float:
    """One row; the ratio."""
    bare, spent = 0.0, []
    copy = folder / "copy"
    for reel, side, family in zip(originals, sides, families, strict=True):
        copy.write_bytes(edit.made(reel))
        bare += decode_whole(side) + decode_whole(copy)
        spent.append(Spent.on(str(side), str(copy)))
        for file in (side, copy) if not family else (copy,):
            family.append(matcher.fingerprint(str(file), DETAIL, None)[0])
    took, features, compare = sum(each.seconds for each in spent), sum(each.details for each in spent), sum(each.compare for each in spent)
    worst = min(each.score for each in spent)
    print(f"| {label} | {bare:.2f} | {took:.2f} | {took / bare:.2f} | {features:.2f} | {compare:.2f} | {worst:.2f} |", flush=True)
    return took / bare


def decode_whole(file: Path) -> float:
    """CPU seconds for every picture, as they come, one thread."""
    started = time.process_time()
    with av.open(str(file)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass
    return time.process_time() - started


def show_stored(families: list[list[Fingerprint]]) -> None:
    """What is kept of a film, and what two stored fingerprints cost to compare, their details at hand."""
    films = [film for family in families for film in family]
    seconds = sum(film.duration_seconds for film in films)
    per_second = {level: sum(len(film.layers[level]) for film in films) / seconds for level in (OUTLINE, DETAIL)}
    print(f"\nKept of a second of film: outline {per_second[OUTLINE]:.0f} bytes, detail {per_second[DETAIL]:.0f} bytes.")
    copies = [(family[0], copy) for family in families for copy in family[1:]]
    strangers = [pair for k, one in enumerate(families) for two in families[k + 1 :] for pair in product(one, two)]
    for kind, pairs in (("copies", copies), ("strangers", strangers)):
        times = []
        for one, two in pairs[:: -(-len(pairs) // MAX_COMPARED) or 1]:
            started = time.process_time()
            matcher.compare(one, two, MatchOptions())
            times.append(1000 * (time.process_time() - started))
        if times:
            print(
                f"Compare of stored fingerprints, {kind:9}: {len(times):3} pairs, mean {np.mean(times):5.0f} ms CPU,"
                f" p95 {np.percentile(times, 95):5.0f} ms"
            )


if __name__ == "__main__":
    main()
