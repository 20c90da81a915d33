"""From the stretches in common to one number, and from that to the calibrated score."""

from __future__ import annotations

from typing import Final

import numpy as np

from audio_svc.compare.parts import Part
from audio_svc.compare.track import Track
from audio_svc.fingerprint.spectrum import FRAME_SECONDS
from matching.calibration import Curve

AGREEMENT: Final = Curve(((0.0, 0.0), (0.1, 0.35), (0.2, 0.68), (0.3, 0.85), (0.45, 0.96), (1.0, 1.0)))
COVERAGE: Final = Curve(((0.0, 0.0), (0.08, 0.3), (0.16, 0.52), (0.3, 0.78), (0.5, 0.9), (1.0, 1.0)))
SURENESS: Final = Curve(((5.0, 0.0), (8.0, 0.25), (11.0, 0.55), (15.0, 0.8), (25.0, 0.96), (60.0, 1.0)))


def part_evidence(part: Part) -> float:
    return AGREEMENT.score(part.share) * SURENESS.score(part.deviations)


def total_evidence(parts: list[Part], coverages: tuple[float, float]) -> float:
    lengths = [part.one.length for part in parts]
    together = float(np.sqrt(sum(part.deviations**2 for part in parts)))
    share = sum(part.share * length for part, length in zip(parts, lengths, strict=True)) / max(sum(lengths), 1e-9)
    best = max(part_evidence(part) for part in parts)
    return min(best, AGREEMENT.score(share) * SURENESS.score(together)) * COVERAGE.score(max(coverages))


def coverages(parts: list[Part], one: Track, two: Track) -> tuple[float, float]:
    """The share of what is to be heard in either that the parts cover."""
    shares = []
    for track, spans in ((one, [part.one for part in parts]), (two, [part.two for part in parts])):
        covered = np.zeros(track.frame_count, bool)
        for span in spans:
            covered[round(span.start / FRAME_SECONDS) : round(span.end / FRAME_SECONDS) + 1] = True
        shares.append(float((covered & track.active).sum() / max(int(track.active.sum()), 1)))
    return shares[0], shares[1]
