"""The audio matcher's two steps, run in a worker process: a file to its fingerprint, two fingerprints to a comparison."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import cv2
import numpy as np

from audio_svc import compare as pairwise
from audio_svc.decode import SAMPLE_RATE, Sound, decode_audio
from audio_svc.fingerprint import ALGORITHM, VERSION, detail, outline, read_outline, terms, terms_to_ask_for
from mesh.container import map_file
from mesh.errors import InvalidRequest
from mesh.exact_hashes import exact_hashes
from mesh.media import DETAIL, OUTLINE, Comparison, Coverage, Fingerprint, MatchOptions, MediaType, Segment, SoundTransform


def fingerprint(path: str, max_level: int, known: Fingerprint | None) -> tuple[Fingerprint, dict[str, float]]:
    """The file's fingerprint up to `max_level`, built on what is `known` of it, and the milliseconds that each stage took."""
    started = decoded = time.perf_counter()
    if known is None:
        with map_file(path) as data:
            sound = decode_audio(data)
            sha256 = hashlib.sha256(data).hexdigest()
        decoded = time.perf_counter()
        known = _outlined(sound, sha256)
    if max_level >= DETAIL and DETAIL not in known.layers:
        known = _detailed(known)
    finished = time.perf_counter()
    return known, {"decode": (decoded - started) * 1000, "fingerprint": (finished - decoded) * 1000}


def compare(query: Fingerprint, reference: Fingerprint, options: MatchOptions) -> Comparison:
    """What the two have in common; the outlines suffice for every pair."""
    if OUTLINE not in query.layers or OUTLINE not in reference.layers:
        raise InvalidRequest("The fingerprint lacks its outline.")
    if query.hashes.get("sha256", "") == reference.hashes.get("sha256"):
        return _same_bytes(query)
    return pairwise.compare(query.layers[OUTLINE], reference.layers[OUTLINE])


def explicit_hashes(path: str, known: Fingerprint) -> dict[str, str]:
    """The hashes that others speak, in lower-case hexadecimal: of the bytes."""
    return {**known.hashes, **exact_hashes(path)}


def search_terms(known: Fingerprint) -> Fingerprint:
    """The fingerprint with what an index is asked for: more than it keeps."""
    if OUTLINE not in known.layers:
        raise InvalidRequest("the fingerprint lacks its outline")
    found = terms_to_ask_for(known.layers[OUTLINE])
    return replace(known, terms=found.values, term_positions=found.positions)


def warm_up() -> None:
    """Runs every step once, so that the first request finds nothing left to load."""
    cv2.setNumThreads(1)
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    layers = [outline(Sound(part)) for part in (noise, noise[SAMPLE_RATE // 2 :])]
    terms(layers[0])
    pairwise.compare(layers[0], layers[1])


def _same_bytes(one: Fingerprint) -> Comparison:
    """A sound is its own copy, even where there is nothing to hear."""
    end = one.duration_seconds
    segments = (Segment(0.0, end, 0.0, end, 1.0),) if end > 0 else ()
    return Comparison(1.0, segments=segments, sound_transform=SoundTransform(), coverage=Coverage(1.0, 1.0))


def _outlined(sound: Sound, sha256: str) -> Fingerprint:
    layer = outline(sound)
    return Fingerprint(
        MediaType.AUDIO,
        ALGORITHM,
        VERSION,
        {OUTLINE: layer},
        read_outline(layer).information,
        hashes={"sha256": sha256},
        duration_seconds=sound.duration_seconds,
    )


def _detailed(known: Fingerprint) -> Fingerprint:
    """What only an index needs: terms."""
    found = terms(known.layers[OUTLINE])
    return replace(known, layers={**known.layers, DETAIL: detail()}, terms=found.values, term_positions=found.positions)
