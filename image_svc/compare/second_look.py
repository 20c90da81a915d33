"""What the first look at two pictures cannot tell: what a plain patch hides, what blur leaves, what only repeats itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from image_svc.compare.evidence import (
    MAX_BLURRED_EVIDENCE,
    MAX_SUBJECT_EVIDENCE,
    Finding,
    doubt_repeated,
    weigh_beside_rivals,
    weigh_blurred,
    weigh_uncovered,
)
from image_svc.compare.proposals import Alignment
from image_svc.compare.side import Side
from image_svc.fingerprint import MIN_PDQ_QUALITY
from matching.dense_check import Proof, check, check_coarsely
from matching.repetition import repetition

MIN_UNCOVERED_INLIERS: Final = 15
MIN_CENTRAL_AGREEMENT: Final = 0.25
"""Of what the first look saw: a patch takes some of the middle, but where this little agrees two pictures wear something alike."""
MAX_UNCOVERED_EVIDENCE: Final = 0.92
SMALL_PX: Final = 128
MIN_SMALL_AGREEMENT: Final = 0.72
MAX_SMALL_CONTRADICTION: Final = 0.25
"""In a small frame; what was found to be covered had 0.77 and 0.20, two thirds of the rest less and more."""
MAX_BLURRED_PDQ_DISTANCE: Final = 36
"""Bits of 256: blur moves PDQ by less than 20."""
MIN_DOUBTED_EVIDENCE: Final = 0.35
MAX_DOUBTED_INLIERS: Final = 70
MIN_DOUBTED_PDQ_DISTANCE: Final = 50
"""Below it the whole of one looks like the whole of the other, however much it repeats itself."""


def look_again(findings: list[Finding], one: Side, two: Side, pdq_distance: int) -> list[Finding]:
    """The findings, and what else there is to be said for and against them."""
    if not findings:
        return findings
    strongest = max(finding.evidence for finding in findings)
    information = min(one.information, two.information)
    added = []
    most_linked = max(findings, key=lambda finding: finding.alignment.inliers)
    linked = most_linked.alignment
    may_be_covered = linked.inliers >= MIN_UNCOVERED_INLIERS and most_linked.proof.central_agreement >= MIN_CENTRAL_AGREEMENT
    if strongest < MAX_UNCOVERED_EVIDENCE and may_be_covered:
        uncovered = _uncovered(one, two, linked)
        if uncovered is not None:
            added.append(weigh_uncovered(linked, uncovered, information))
            strongest = max(strongest, added[-1].evidence)
    if strongest < MAX_SUBJECT_EVIDENCE and may_be_covered:
        beside = check(one.pyramid, two.pyramid, linked.matrix, uncovered=True, without_rivals=True)
        if beside is not None:
            added.append(weigh_beside_rivals(linked, beside, information))
    if strongest < MAX_BLURRED_EVIDENCE and pdq_distance < MAX_BLURRED_PDQ_DISTANCE:
        plain = next((finding for finding in findings if finding.alignment.is_plain), None)
        if plain and min(one.outline.pdq_quality, two.outline.pdq_quality) >= MIN_PDQ_QUALITY:
            coarse = check_coarsely(one.pyramid, two.pyramid, plain.alignment.matrix)
            added.append(weigh_blurred(plain.alignment, plain.proof, pdq_distance, coarse, max(one.information, two.information)))
    return [_doubted(finding, one, two, pdq_distance) for finding in findings + added]


def _doubted(finding: Finding, one: Side, two: Side, pdq_distance: int) -> Finding:
    """The finding, for less where both pictures repeat themselves and hardly any feature says which repetition it is."""
    few = finding.alignment.inliers < MAX_DOUBTED_INLIERS
    concurs = finding.alignment.is_plain and pdq_distance < MIN_DOUBTED_PDQ_DISTANCE
    if finding.evidence < MIN_DOUBTED_EVIDENCE or not few or concurs:
        return finding
    repeated = min(repetition(one.pyramid.grey), repetition(two.pyramid.grey))
    return replace(finding, evidence=doubt_repeated(finding.evidence, finding.alignment, repeated))


def _uncovered(one: Side, two: Side, alignment: Alignment) -> Proof | None:
    """What the two agree in where no plain patch hides it; None where a smaller frame shows already that too much of the rest differs."""
    small = check(one.pyramid, two.pyramid, alignment.matrix, uncovered=True, max_frame_px=SMALL_PX)
    if small is None or small.agreement < MIN_SMALL_AGREEMENT or small.contradiction > MAX_SMALL_CONTRADICTION:
        return None
    return check(one.pyramid, two.pyramid, alignment.matrix, uncovered=True)
