"""The image matcher's two steps, run in a worker process: a file to its fingerprint, two fingerprints to a comparison."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
from PIL import Image

from image_svc import compare as pairwise
from image_svc.decode import Picture, decode_image
from image_svc.fingerprint import ALGORITHM, CANONICAL_SIDE, VERSION, Canonical, canonical, detail, outline, read_outline, terms
from mesh.media import DETAIL, OUTLINE, Comparison, Coverage, Fingerprint, MatchOptions, MediaType, Transform, Transforms

_HASHES: Final = {"phash": imagehash.phash, "dhash": imagehash.dhash, "ahash": imagehash.average_hash, "whash": imagehash.whash}


def fingerprint(path: str, max_level: int, known: Fingerprint | None) -> tuple[Fingerprint, dict[str, float]]:
    """The file's fingerprint up to `max_level`, built on what is `known` of it, and the milliseconds that each stage took."""
    started = time.perf_counter()
    if known is None:
        data = Path(path).read_bytes()
        picture = canonical(decode_image(data, max_side=CANONICAL_SIDE))
        decoded = time.perf_counter()
        result = _outlined(picture, data)
    else:
        picture = Canonical.from_bytes(known.working) if known.working else None
        decoded, result = started, known
    if max_level >= DETAIL and DETAIL not in result.layers:
        result = _detailed(result, picture or canonical(decode_image(Path(path).read_bytes(), max_side=CANONICAL_SIDE)))
    finished = time.perf_counter()
    return result, {"decode": (decoded - started) * 1000, "fingerprint": (finished - decoded) * 1000}


def compare(query: Fingerprint, reference: Fingerprint, options: MatchOptions) -> Comparison | None:
    """What the two have in common; None where the outlines leave that open and a detail is missing."""
    if query.hashes.get("sha256") == reference.hashes.get("sha256"):
        return Comparison(1.0, transform=Transform(), coverage=Coverage(1.0, 1.0))
    return pairwise.compare(query.layers, reference.layers, mirrored_too=options.transforms is Transforms.ALL)


def explicit_hashes(path: str, known: Fingerprint) -> dict[str, str]:
    """The hashes that others speak, in lower-case hexadecimal: of the bytes, and of the picture as imagehash has them."""
    data = Path(path).read_bytes()
    image = Image.fromarray(decode_image(data, max_side=CANONICAL_SIDE).pixels)
    return {**known.hashes, "md5": hashlib.md5(data, usedforsecurity=False).hexdigest()} | {name: str(make(image)) for name, make in _HASHES.items()}


def warm_up() -> None:
    """Runs every step once, so that the first request finds nothing left to load."""
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize((320, 240)).save(file, "JPEG")
    picture = canonical(decode_image(file.getvalue(), max_side=CANONICAL_SIDE))
    turned = canonical(Picture(np.ascontiguousarray(np.rot90(noise)), 120, 160))
    layers = [{OUTLINE: outline(p), DETAIL: detail(p)} for p in (picture, turned)]
    pairwise.compare(layers[0], layers[1], mirrored_too=True)
    for make in _HASHES.values():
        make(Image.fromarray(noise))


def _outlined(picture: Canonical, data: bytes) -> Fingerprint:
    layer = outline(picture)
    known = read_outline(layer)
    return Fingerprint(
        MediaType.IMAGE,
        ALGORITHM,
        VERSION,
        {OUTLINE: layer},
        known.information,
        hashes={"sha256": hashlib.sha256(data).hexdigest(), "pdq": known.pdq.hex()},
        working=picture.to_bytes(),
    )


def _detailed(known: Fingerprint, picture: Canonical) -> Fingerprint:
    layer = detail(picture)
    return replace(known, layers={**known.layers, DETAIL: layer}, terms=terms(layer), working=b"")
