"""What the parts in common say in the terms of the answer: segments, transform, coverage, in the caller's order."""

from __future__ import annotations

from typing import Final

from audio_svc.compare.evidence import BANDS_PER_SEMITONE, coverages, part_evidence, total_evidence
from audio_svc.compare.parts import Part
from audio_svc.compare.track import Track
from mesh.media import Comparison, Coverage, Segment, SoundTransform

MIN_SHOWN_EVIDENCE: Final = 0.4
"""A stretch that is less sure is not pointed at; one that is may be shown though it covers too little for a match."""


def describe(parts: list[Part], one: Track, two: Track, *, swapped: bool) -> Comparison:
    """The comparison; `swapped` says that the second track is the caller's source."""
    if not parts:
        return Comparison(0.0)
    sure = [part for part in parts if part_evidence(part) >= MIN_SHOWN_EVIDENCE]
    counted = sure or parts
    covered = coverages(counted, one, two)
    score = total_evidence(counted, covered)
    if not sure:
        return Comparison(score)
    segments = [_segment(part, swapped=swapped) for part in sure]
    segments.sort(key=lambda segment: (segment.source_start, segment.target_start))
    return Comparison(
        score,
        segments=tuple(segments),
        sound_transform=_transform(sure[0], swapped=swapped),
        coverage=Coverage(*(covered[::-1] if swapped else covered)),
    )


def _segment(part: Part, *, swapped: bool) -> Segment:
    source, target = (part.two, part.one) if swapped else (part.one, part.two)
    return Segment(source.start, source.end, target.start, target.end, part_evidence(part))


def _transform(part: Part, *, swapped: bool) -> SoundTransform:
    """From source to target, as the surest part has it."""
    semitones, tempo = -part.pitch / BANDS_PER_SEMITONE, part.line.tempo
    return SoundTransform(-semitones, 1 / tempo) if swapped else SoundTransform(semitones, tempo)
