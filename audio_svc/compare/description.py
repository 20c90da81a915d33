"""What the parts in common say in the terms of the answer: segments, transform, coverage, in the caller's order."""

from __future__ import annotations

from audio_svc.compare.evidence import coverages, part_evidence, total_evidence
from audio_svc.compare.parts import MIN_DEVIATIONS, Part
from audio_svc.compare.track import Track
from mesh.media import Comparison, Coverage, Segment


def describe(parts: list[Part], one: Track, two: Track, *, swapped: bool) -> Comparison:
    """The comparison; `swapped` says that the second track is the caller's source."""
    if not parts:
        return Comparison(0.0)
    covered = coverages(parts, one, two)
    score = total_evidence(parts, covered)
    if max(part.deviations for part in parts) < MIN_DEVIATIONS:
        return Comparison(score)
    segments = []
    for part in parts:
        source, target = (part.two, part.one) if swapped else (part.one, part.two)
        segments.append(Segment(source.start, source.end, target.start, target.end, part_evidence(part)))
    segments.sort(key=lambda s: (s.source_start, s.target_start))
    return Comparison(score, segments=tuple(segments), coverage=Coverage(*(covered[::-1] if swapped else covered)))
