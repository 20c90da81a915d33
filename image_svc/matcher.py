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
from image_svc import fingerprint as fingerprinting
from image_svc.fingerprint import ALGORITHM, CANONICAL_SIDE, VERSION, Canonical, canonical, detail, outline, read_outline, terms
from image_svc.pdq import pdq
from mesh.errors import InvalidRequest
from mesh.exact_hashes import exact_hashes
from mesh.media import DETAIL, OUTLINE, Box, Comparison, Coverage, Fingerprint, MatchOptions, MediaType, Region, Transform, Transforms
from stills import Picture, decode_image

_WHOLE: Final = Box(0.0, 0.0, 1.0, 1.0)
SAME_BYTES: Final = Comparison(1.0, regions=(Region(_WHOLE, _WHOLE, 1.0),), transform=Transform(crop=_WHOLE), coverage=Coverage(1.0, 1.0))
MAX_HASHED_SIDE: Final = 2048
"""PDQ moves by some 8 bits on the small picture that fingerprints are made from; who asks for hashes compares them with others' lists."""
_HASHES: Final = {"phash": imagehash.phash, "dhash": imagehash.dhash, "ahash": imagehash.average_hash, "whash": imagehash.whash}


def fingerprint(path: str, max_level: int, known: Fingerprint | None) -> tuple[Fingerprint, dict[str, float]]:
    """The file's fingerprint up to `max_level`, built on what is `known` of it, and the milliseconds that each stage took."""
    started = time.perf_counter()
    data = b"" if known and known.working else Path(path).read_bytes()
    picture = Canonical.from_bytes(known.working) if known and known.working else canonical(decode_image(data, max_side=CANONICAL_SIDE))
    decoded = time.perf_counter()
    result = known or _outlined(picture, data)
    if max_level >= DETAIL and DETAIL not in result.layers:
        result = _detailed(result, picture)
    finished = time.perf_counter()
    return result, {"decode": (decoded - started) * 1000, "fingerprint": (finished - decoded) * 1000}


def compare(query: Fingerprint, reference: Fingerprint, options: MatchOptions) -> Comparison | None:
    """What the two have in common; None where the outlines leave that open and a detail is missing."""
    if query.hashes.get("sha256", "") == reference.hashes.get("sha256"):
        return SAME_BYTES
    return pairwise.compare(query.layers, reference.layers, mirrored_too=options.transforms is Transforms.ALL)


def explicit_hashes(path: str, known: Fingerprint) -> dict[str, str]:
    """The hashes that others speak, in lower-case hexadecimal: of the bytes, and of the picture as PDQ and imagehash have them."""
    data = Path(path).read_bytes()
    pixels = np.ascontiguousarray(decode_image(data, max_side=MAX_HASHED_SIDE).pixels)
    image = Image.fromarray(pixels)
    perceptual = {name: str(make(image)) for name, make in _HASHES.items()}
    return {**known.hashes, **exact_hashes(path), "pdq": pdq(pixels)[0].hex(), **perceptual}


def search_terms(known: Fingerprint) -> Fingerprint:
    """The fingerprint with what an index is asked for: more than it keeps."""
    if not known.layers.keys() >= {OUTLINE, DETAIL}:
        raise InvalidRequest("the fingerprint lacks a layer")
    return replace(known, terms=fingerprinting.search_terms(known.layers[OUTLINE], known.layers[DETAIL]))


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
    return replace(known, layers={**known.layers, DETAIL: layer}, terms=terms(known.layers[OUTLINE], layer), working=b"")
