"""The video matcher's two steps, run in a worker process: a file to its fingerprint, two fingerprints to a comparison."""

from __future__ import annotations

import hashlib
import mmap
import time
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from mesh.container import map_file
from mesh.errors import FileTooLarge, InvalidRequest
from mesh.exact_hashes import exact_hashes
from mesh.media import (
    DETAIL,
    OUTLINE,
    Box,
    Comparison,
    Coverage,
    Fingerprint,
    MatchOptions,
    MediaType,
    Region,
    Segment,
    Transform,
    Transforms,
)
from mesh.media_type import IMAGES, LIMITS, SNIFF_BYTES, sniff
from stills import decode_image
from video_svc import compare as pairwise
from video_svc import fingerprint as fingerprinting
from video_svc.decode import Frame, Video
from video_svc.fingerprint import ALGORITHM, VERSION, Film, detail, outline, read_outline, record, terms
from video_svc.fingerprint.film import FRAME_SIDE, SAMPLE_SECONDS

MAX_SEARCH_TERMS: Final = 6000
"""What an index answers in a fifth of a second; of a longer film every so many a term is asked for."""
FRAMES_PER_SECOND: Final = 1 / SAMPLE_SECONDS
_WHOLE: Final = Box(0.0, 0.0, 1.0, 1.0)


def fingerprint(path: str, max_level: int, known: Fingerprint | None) -> tuple[Fingerprint, dict[str, float]]:
    """The file's fingerprint up to `max_level`, built on what is `known` of it, and the milliseconds that each stage took."""
    started = time.perf_counter()
    film = Film.from_bytes(known.working) if known and known.working else None
    sha256 = ""
    if film is None:
        with map_file(path) as content:
            film = _still(content) if sniff(content[:SNIFF_BYTES]) in IMAGES else _moving(content)
            sha256 = hashlib.sha256(content).hexdigest()
    decoded = time.perf_counter()
    result = known or _outlined(film, sha256)
    if max_level >= DETAIL and DETAIL not in result.layers:
        result = _detailed(result, film)
    finished = time.perf_counter()
    return result, {"decode": (decoded - started) * 1000, "fingerprint": (finished - decoded) * 1000}


def compare(query: Fingerprint, reference: Fingerprint, options: MatchOptions) -> Comparison | None:
    """What the two have in common; None where the outlines leave that open and a detail is missing."""
    if query.hashes.get("sha256", "") == reference.hashes.get("sha256"):
        return _same_bytes(query.duration_seconds)
    return pairwise.compare(query.layers, reference.layers, mirrored_too=options.transforms is Transforms.ALL)


def explicit_hashes(path: str, known: Fingerprint) -> dict[str, str]:
    """The hashes that others speak, in lower-case hexadecimal: of the bytes."""
    return {**known.hashes, **exact_hashes(path)}


def search_terms(known: Fingerprint) -> Fingerprint:
    """The fingerprint with what an index is asked for: more than it keeps, as far as that is answered fast."""
    if not known.layers.keys() >= {OUTLINE, DETAIL}:
        raise InvalidRequest("the fingerprint lacks a layer")
    found, positions = fingerprinting.search_terms(known.layers[DETAIL], known.layers[OUTLINE])
    step = -(-len(found) // MAX_SEARCH_TERMS) or 1
    return replace(known, terms=found[::step], term_positions=positions[::step])


def warm_up() -> None:
    """Runs every step once, so that the first request finds nothing left to load."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 90, 160), np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    films = [
        record([Frame(k / FRAMES_PER_SECOND, np.ascontiguousarray(grey)) for k, grey in enumerate(shown)], 320, 180, 6.0, is_still=False)
        for shown in (noise, noise[:, :, ::-1])
    ]
    layers = [{OUTLINE: outline(film), DETAIL: detail(film)} for film in films]
    pairwise.compare(layers[0], layers[1], mirrored_too=True)


def _moving(content: mmap.mmap) -> Film:
    video = Video(content)
    frames = video.frames(FRAMES_PER_SECOND, max_side=FRAME_SIDE)
    return record(frames, video.width, video.height, video.duration_seconds, is_still=False)


def _still(content: mmap.mmap) -> Film:
    """A picture as a film of one frame."""
    if len(content) > LIMITS[MediaType.IMAGE].max_bytes:
        raise FileTooLarge(f"is {len(content):,} bytes large; one image may have {LIMITS[MediaType.IMAGE].max_bytes:,} bytes")
    picture = decode_image(content[:], max_side=FRAME_SIDE)
    grey = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return record([Frame(0.0, grey)], picture.width, picture.height, 0.0, is_still=True)


def _same_bytes(duration_seconds: float) -> Comparison:
    segments = (Segment(0.0, duration_seconds, 0.0, duration_seconds, 1.0),) if duration_seconds > 0 else ()
    transform = Transform(crop=_WHOLE, speed=1.0 if duration_seconds > 0 else None)
    return Comparison(1.0, segments, (Region(_WHOLE, _WHOLE, 1.0),), transform, coverage=Coverage(1.0, 1.0))


def _outlined(film: Film, sha256: str) -> Fingerprint:
    layer = outline(film)
    return Fingerprint(
        MediaType.VIDEO,
        ALGORITHM,
        VERSION,
        {OUTLINE: layer},
        read_outline(layer).information,
        hashes={"sha256": sha256},
        duration_seconds=film.duration_seconds,
        working=film.to_bytes(),
    )


def _detailed(known: Fingerprint, film: Film) -> Fingerprint:
    layer = detail(film)
    found, positions = terms(layer, known.layers[OUTLINE])
    return replace(known, layers={**known.layers, DETAIL: layer}, terms=found, term_positions=positions, working=b"")
