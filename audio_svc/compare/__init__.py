"""Two fingerprints in, one score and its evidence out; the same whichever of the two comes first."""

from __future__ import annotations

from functools import lru_cache

from audio_svc.compare.description import describe
from audio_svc.compare.parts import shared_parts
from audio_svc.compare.track import Track
from audio_svc.fingerprint import MIN_INFORMATION, read_outline
from mesh.media import Comparison


def compare(query: bytes, reference: bytes) -> Comparison:
    """The comparison of two outlines."""
    sides = _track(query), _track(reference)
    if min(side.information for side in sides) < MIN_INFORMATION:
        return Comparison(0.0)
    swapped = (sides[0].duration_seconds, query) > (sides[1].duration_seconds, reference)
    one, two = sides[::-1] if swapped else sides
    return describe(shared_parts(one, two), one, two, swapped=swapped)


@lru_cache(maxsize=2)
def _track(outline: bytes) -> Track:
    """A search compares one query with many candidates: it is read once, as it is the one that was used last but one."""
    return Track(read_outline(outline))
