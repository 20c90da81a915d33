"""What is measured on: pictures drawn from seeds or read from a folder, copies made of them, strangers found among them.

The same folder or the same seeds give the same material.
"""

from __future__ import annotations

import argparse
import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from PIL import Image

from image_svc import matcher
from mesh.errors import MeshError
from mesh.media import DETAIL, Comparison, Fingerprint, MatchOptions
from mesh.media_file import MediaFile
from mesh.media_type import SNIFF_BYTES, sniff
from stills import decode_image
from tests import edits
from tests.edits import Edit, as_file
from tests.pictures import encoded, photo

MAX_SIDE: Final = 1600
"""Pictures of a folder are reduced to this before they are edited: editing 50 megapixels would only take time."""
MIN_SIDE: Final = 120
MAX_ASPECT: Final = 3.0
"""Icons and banners are left out: captions and stickers do not fit on them."""
SIZES: Final = ((800, 600), (600, 800), (960, 540), (640, 640))
FAMILIES: Final[dict[str, dict[str, Edit]]] = {
    "re-encoded": edits.RE_ENCODED,
    "resized": edits.RESIZED,
    "watermarked": edits.WATERMARKED,
    "cropped": edits.CROPPED,
    "coloured": edits.COLOURED,
    "minor": edits.MINOR,
    "mirrored": edits.MIRRORED,
    "pasted": edits.PASTED,
}


@dataclass(frozen=True, slots=True)
class Material:
    """Pictures, and in words what they are."""

    pictures: list[Image.Image]
    description: str


def add_arguments(parser: argparse.ArgumentParser, *, pictures: int, sounds: int = 0, films: int = 0) -> None:
    """With `sounds` or `films`, the command knows them, too (benchmarks/sound_material.py, benchmarks/film_material.py)."""
    known = ["images", *(["sounds"] if sounds else []), *(["films"] if films else [])]
    what = " or of ".join(known)
    parser.add_argument("--media", type=Path, metavar="FOLDER", action="append", help=f"a folder of {what}; without it they are drawn")
    parser.add_argument("--called", metavar="TEXT", help="what the folder holds, for the record")
    parser.add_argument("--pictures", type=int, default=pictures, help=f"how many of them at most ({pictures})")
    if sounds or films:
        choices = ("image", *(["audio"] if sounds else []), *(["video"] if films else []))
        parser.add_argument("--medium", choices=choices, help="without it, what there is most of in the folder, else image")
    if sounds:
        parser.add_argument("--sounds", type=int, default=sounds, help=f"how many of them at most ({sounds})")
    if films:
        parser.add_argument("--films", type=int, default=films, help=f"how many of them at most ({films})")


def medium(arguments: argparse.Namespace) -> str:
    """Which the command line asks for, or else the folder holds most of, of those that the command knows."""
    if arguments.medium or not arguments.media:
        return str(arguments.medium or "image")
    found: Counter[str] = Counter()
    for file in (path for folder in arguments.media for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as opened:
            content_type = sniff(opened.read(SNIFF_BYTES))
        found[(content_type or "").split("/")[0]] += 1
    known = [
        medium for medium in ("image", "audio", "video") if medium == "image" or {"audio": "sounds", "video": "films"}[medium] in arguments
    ]
    return max(known, key=lambda medium: found[medium])


def chosen(arguments: argparse.Namespace) -> Material:
    """What the command line asks for."""
    count: int = arguments.pictures
    if not arguments.media:
        drawn = [Image.fromarray(photo(seed, *SIZES[seed % len(SIZES)])) for seed in range(count)]
        return Material(drawn, f"{count} pictures drawn by tests/pictures.py")
    files = sorted(path for folder in arguments.media for path in folder.rglob("*") if path.is_file())
    Random(0).shuffle(files)
    found: list[Image.Image] = []
    for file in files:
        if len(found) == count:
            break
        try:
            pixels = decode_image(file.read_bytes(), max_side=MAX_SIDE).pixels
        except MeshError:
            continue  # a folder holds other things, too
        short, long = sorted(pixels.shape[:2])
        if short >= MIN_SIDE and long <= MAX_ASPECT * short:
            found.append(Image.fromarray(pixels))
    if len(found) < 2:
        raise SystemExit("There are fewer than two images in this folder.")
    return Material(found, f"{len(found)} {arguments.called or 'images of a folder'}")


def original(picture: Image.Image) -> bytes:
    """The file that copies are compared with."""
    return encoded(picture, "JPEG", quality=90)


def copies(picture: Image.Image, number: int) -> Iterator[tuple[str, str, bytes]]:
    """Family, edit and file of every copy that tests/edits.py makes of the picture with this number."""
    for family, members in FAMILIES.items():
        for name, edit in members.items():
            yield family, name, as_file(edit(picture, Random(f"{name} {number}")))


def fingerprint(content: bytes) -> Fingerprint:
    """The whole fingerprint, as the index keeps it."""
    with MediaFile.of(content) as media:
        return matcher.fingerprint(media.path, DETAIL, None)[0]


def compare(one: Fingerprint, two: Fingerprint) -> Comparison:
    comparison = matcher.compare(one, two, MatchOptions())
    assert comparison is not None
    return comparison


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
