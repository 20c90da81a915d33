"""From what the dense check found to one number, and from that to the calibrated score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from image_svc.compare.proposals import Alignment
from image_svc.fingerprint import MIN_INFORMATION
from matching.calibration import Curve
from matching.dense_check import MIN_CRISPNESS, Proof

MAX_SUBJECT_EVIDENCE: Final = 0.70
"""A shared subject is a match of medium confidence at most: the rest of the picture is another."""
MAX_COMPOSITION_EVIDENCE: Final = 0.90
MAX_COMPOSITION_PDQ_DISTANCE: Final = 64
"""Bits of 256; from here on nothing is the same composition."""
MAX_TEMPLATE_EVIDENCE: Final = 0.735
"""Just below high confidence."""
MAX_BLURRED_EVIDENCE: Final = 0.64
"""What only a few dozen pixels say, though they say it plainly: a match of medium confidence."""
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
    evidence = _limited(max(_whole_evidence(alignment, proof), _composition_evidence(alignment, proof, pdq_distance)), proof)
    if evidence < MAX_SUBJECT_EVIDENCE:
        evidence = max(evidence, _subject_evidence(alignment, proof, pdq_distance))
    return Finding(alignment, proof, evidence * _sharpness(proof, 0.05) * _legibility(information))


def _limited(evidence: float, proof: Proof) -> float:
    """Where the shapes agree but fine print does not, and some place not at all, it is a form or template filled in differently."""
    if evidence < MAX_TEMPLATE_EVIDENCE:
        return evidence
    missing_print = proof.agreement - proof.texture_agreement
    is_printed_alike = _ramp(proof.texture_agreement, 0.80, 0.92) * _ramp(0.15 - missing_print, 0.0, 0.05)
    is_whole = max(is_printed_alike, _ramp(proof.weakest, 0.25, 0.50))
    ceiling = MAX_TEMPLATE_EVIDENCE + (1 - MAX_TEMPLATE_EVIDENCE) * is_whole
    return min(evidence, 0.9 * ceiling + 0.1 * evidence)


def weigh_uncovered(alignment: Alignment, uncovered: Proof, information: float) -> Finding:
    """What a plain patch left to be seen: a copy shows exactly the same there, over a good part of the picture and of its middle."""
    if uncovered.contradiction >= 0.08 or uncovered.agreement <= 0.85:
        return Finding(alignment, uncovered, 0.0)
    coverage = max(uncovered.query_coverage, uncovered.reference_coverage)
    evidence = (
        min(1.0, 0.30 + 0.62 * coverage)
        * _ramp(0.08 - uncovered.contradiction, 0, 0.05)
        * _ramp(uncovered.agreement, 0.85, 0.95)
        * _ramp(uncovered.texture_agreement, 0.80, 0.93)
        # What two pictures wear alike, around something plain in one of them, leaves the middle out.
        * _ramp(coverage + uncovered.centre_seen, 0.70, 0.84)
        * _ramp(coverage, 0.35, 0.45)
        * _ramp(alignment.inliers, 15, 45)
        * _ramp(uncovered.richness, 0.35, 0.55)
    )
    return Finding(alignment, uncovered, evidence * _sharpness(uncovered, 0.05) * _legibility(information))


def weigh_beside_rivals(alignment: Alignment, beside: Proof, information: float) -> Finding:
    """The same where something else, not plain, lies over a minor part: never of high confidence, for it may be what sets the two apart.

    An interface or a frame around two pictures leaves less of either and of the middle, or is less finely graded.
    """
    finding = weigh_uncovered(alignment, beside, information)
    if not finding.evidence:
        return finding
    coverage = min(beside.query_coverage, beside.reference_coverage)
    evidence = (
        min(MAX_SUBJECT_EVIDENCE, finding.evidence)
        * _ramp(beside.richness, 0.64, 0.76)
        * _ramp(coverage, 0.46, 0.56)
        * _ramp(coverage + beside.centre_seen, 0.88, 0.96)
    )
    return replace(finding, evidence=evidence)


def weigh_blurred(alignment: Alignment, proof: Proof, pdq_distance: int, coarse_agreement: float, information: float) -> Finding:
    """One composition, of which blur left no detail in one of them; `information` is that of the other."""
    evidence = MAX_BLURRED_EVIDENCE * _ramp(36 - pdq_distance, 0, 16) * _ramp(coarse_agreement, 0.80, 0.96)
    return Finding(alignment, proof, evidence * _sharpness(proof, 0.05) * _legibility(information))


def doubt_repeated(evidence: float, alignment: Alignment, repetition: float) -> float:
    """Evidence from two pictures that both repeat themselves this much, 0 to 1: any two under one tiled mark have it."""
    return evidence * (1 - 0.6 * _ramp(repetition, 0.66, 0.78) * (1 - _ramp(alignment.inliers, 25, 70)))


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


def _subject_evidence(alignment: Alignment, proof: Proof, pdq_distance: int) -> float:
    """One subject before two backgrounds: the middle agrees, finely graded and with many features, though the surroundings do not."""
    coverage = max(proof.query_coverage, proof.reference_coverage)
    linked = _ramp(proof.central_agreement, 0.20, 0.52), _ramp(alignment.inliers, 10, 40), _ramp(coverage, 0.08, 0.20)
    if not all(linked):
        return 0.0
    # Half agreement all over is no subject before another ground, but one more picture over either, or over both: then the two contradict
    # each other where neither outshines the other.
    haze = 1 - _ramp(proof.crispness, MIN_CRISPNESS - 0.10, MIN_CRISPNESS)
    haze *= _ramp(0.50 - proof.contradiction, 0, 0.15) * _ramp(pdq_distance, 50, 62) * _ramp(proof.rivalry, 0.09, 0.14)
    return MAX_SUBJECT_EVIDENCE * (
        (0.95 + 0.05 * proof.agreement) * (1 - 0.4 * haze) * linked[0] * linked[1] * linked[2] * _ramp(proof.richness, 0.40, 0.65)
    )


def _composition_evidence(alignment: Alignment, proof: Proof, pdq_distance: int) -> float:
    """Plainly the same composition, though blur, darkness or a thin overlay all over takes the detail."""
    if not alignment.is_plain or pdq_distance >= MAX_COMPOSITION_PDQ_DISTANCE:
        return 0.0
    ceiling = MAX_COMPOSITION_EVIDENCE - 0.20 * (1 - _ramp(proof.weakest, 0.1, 0.4))
    return ceiling * _ramp(MAX_COMPOSITION_PDQ_DISTANCE - pdq_distance, 0, 34) * _ramp(proof.agreement, 0.3, 0.6)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, straight between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))
