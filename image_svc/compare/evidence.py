"""From what the dense check found to one number, and from that to the calibrated score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from image_svc.compare.proposals import Alignment
from image_svc.fingerprint import MIN_INFORMATION
from matching.calibration import Curve
from matching.dense_check import Proof

MAX_SUBJECT_EVIDENCE: Final = 0.70
"""A shared subject is a match of medium confidence at most: the rest of the picture is another."""
MAX_COMPOSITION_EVIDENCE: Final = 0.90
MAX_TEMPLATE_EVIDENCE: Final = 0.735
"""Just below high confidence."""
LEGIBLE_INFORMATION: Final = 0.12
"""A picture blurred beyond this fades out of what can be told, rather than dropping out of it."""

# Evidence to score: two pictures in one frame, or under one interface, stay below 0.4; a subject on another background begins at 0.5;
# untouched copies lie above 0.93. Between the points the score only rises.
CURVE: Final = Curve(((0.0, 0.0), (0.40, 0.40), (0.50, 0.60), (0.755, 0.85), (0.95, 0.97), (1.0, 1.0)))


@dataclass(frozen=True, slots=True)
class Finding:
    """An alignment, what the dense check says of it, and how much that weighs, 0 to 1."""

    alignment: Alignment
    proof: Proof
    evidence: float


def weigh(alignment: Alignment, proof: Proof, pdq_distance: int, information: float) -> Finding:
    """The strongest of three witnesses, each of which may be silent, as far as there is anything to see at all."""
    plain = max(_whole_evidence(alignment, proof), _composition_evidence(alignment, proof, pdq_distance))
    # Where the shapes agree but fine print does not, and some place not at all, it is a form or template filled in differently.
    is_whole = max(_ramp(proof.texture_agreement, 0.80, 0.92), _ramp(proof.weakest, 0.25, 0.50))
    ceiling = MAX_TEMPLATE_EVIDENCE + (1 - MAX_TEMPLATE_EVIDENCE) * is_whole
    evidence = max(min(plain, 0.9 * ceiling + 0.1 * plain), _subject_evidence(alignment, proof))
    return Finding(alignment, proof, evidence * _sharpness(proof, 0.05) * _legibility(information))


def weigh_settled(alignment: Alignment, proof: Proof, information: float) -> Finding:
    """A plain copy that agrees all over: only how exactly is left to say."""
    return Finding(alignment, proof, _sharpness(proof, 0.25) * _legibility(information))


def _sharpness(proof: Proof, most: float) -> float:
    """1 less up to `most`; the root, because correlations of good copies crowd just below 1."""
    return 1 - most * float(np.sqrt(min(1.0, max(0.0, 1 - proof.fidelity))))


def _legibility(information: float) -> float:
    return _ramp(information, MIN_INFORMATION, LEGIBLE_INFORMATION)


def _whole_evidence(alignment: Alignment, proof: Proof) -> float:
    """Agreement in the overlap (in all, without lines, and in the middle), times the better coverage, times how much carries it."""
    coverage = max(proof.query_coverage, proof.reference_coverage)
    support = 1 - np.exp(-(alignment.inliers / 6 + proof.windows / 8))
    agreement = np.cbrt(proof.agreement * proof.texture_agreement * proof.central_agreement)
    # What two pictures wear alike (a frame, an interface, a background) leaves the middle out.
    worn = 0.6 + 0.4 * _ramp(proof.central_agreement, 0.25, 0.55)
    # A part of the whole is as much a copy, by a hair less.
    part = 1 - 0.03 * (1 - min(proof.query_coverage, proof.reference_coverage))
    return float(agreement * min(1.0, 1.2 * coverage) * support * worn * part)


def _subject_evidence(alignment: Alignment, proof: Proof) -> float:
    """One subject before two backgrounds: the middle agrees, finely graded and with many features, though the surroundings do not."""
    coverage = max(proof.query_coverage, proof.reference_coverage)
    return MAX_SUBJECT_EVIDENCE * (
        (0.95 + 0.05 * proof.agreement)
        * _ramp(proof.central_agreement, 0.20, 0.52)
        * _ramp(alignment.inliers, 10, 40)
        * _ramp(coverage, 0.08, 0.20)
        * _ramp(proof.richness, 0.40, 0.65)
    )


def _composition_evidence(alignment: Alignment, proof: Proof, pdq_distance: int) -> float:
    """Plainly the same composition, though blur, darkness or a thin overlay all over takes the detail."""
    if not alignment.is_plain:
        return 0.0
    ceiling = MAX_COMPOSITION_EVIDENCE - 0.20 * (1 - _ramp(proof.weakest, 0.1, 0.4))
    return ceiling * _ramp(64 - pdq_distance, 0, 34) * _ramp(proof.agreement, 0.3, 0.6)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, straight between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))
