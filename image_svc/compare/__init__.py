"""Two fingerprints in, one score and its evidence out; the same whichever of the two comes first.

Local features and global codes only propose alignments; what the dense check finds decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from image_svc.compare.description import describe
from image_svc.compare.evidence import Finding, weigh, weigh_settled
from image_svc.compare.first_look import MANY_INLIERS, FirstLook, Hope
from image_svc.compare.proposals import Alignment, global_alignments, lay, local_alignments
from image_svc.compare.second_look import MAX_BLURRED_PDQ_DISTANCE, look_again
from image_svc.compare.side import Side, side_of_query
from image_svc.fingerprint import MIN_INFORMATION, MIN_PDQ_QUALITY, Outline, canonical_size
from matching.alignment import rotation_degrees
from matching.dense_check import check
from matching.likeness import Likeness
from matching.pyramid import Pyramid, two_grounds
from mesh.media import OUTLINE, Comparison

MAX_SETTLED_PDQ_DISTANCE: Final = 24
"""Bits of 256; PDQ's own rule says 31 for "the same picture", and a re-encoded or resized one moves by less than 20."""
MAX_SETTLED_STRETCH: Final = 1.03
"""Rounding when a picture is made small, not a change of shape."""
MIN_SETTLED_AGREEMENT: Final = 0.985
MIN_SETTLED_CELL: Final = 0.85
"""Everywhere: a caption in one corner leaves the mean nearly as it was."""
SURE_EVIDENCE: Final = 0.85
"""With this much found unmirrored, nobody looks into the mirror."""
HOPELESS_EVIDENCE: Final = 0.20
"""Nothing that began with so little was ever found to be one thing before two grounds."""
GLANCE_PX: Final = 80
HOPELESS_AT_A_GLANCE: Final = 0.16
"""What turned out to be worth 0.4 began with 0.28 or more at a glance; nineteen of twenty of strangers' alignments with less than this."""
MIN_CUT_OUT_COVERAGE: Final = 0.75
"""Of either: without the grounds only a shared silhouette tells the same thing from two things with the same sticker."""
MAX_UPRIGHT_DEGREES: Final = 20.0
"""A crooked scan or photo is no disguise; more than this is, and is looked through only where the caller wants that."""


def compare(query_layers: Mapping[int, bytes], reference_layers: Mapping[int, bytes], *, mirrored_too: bool) -> Comparison | None:
    """The comparison, or None where the outlines leave it open and a detail is missing. `mirrored_too`: look through turns as well."""
    query, reference = side_of_query(query_layers), Side(reference_layers)
    swapped = reference_layers[OUTLINE] < query_layers[OUTLINE]
    one, two = (reference, query) if swapped else (query, reference)
    if _says_nothing(one.outline, two.outline):
        return Comparison(0.0)
    findings = _settle(one, two, is_same=reference_layers[OUTLINE] == query_layers[OUTLINE])
    if not findings:
        if not (one.has_detail and two.has_detail):
            return None
        first_look = FirstLook(one, two)
        findings = _find(one, two, first_look, mirrored_too=mirrored_too)
        if not findings:
            return Comparison(first_look.faint_score)
    return describe(findings, one.outline, two.outline, swapped=swapped)


def _says_nothing(first: Outline, second: Outline) -> bool:
    """Whether there is nothing to see in one of them, unless it may be the other one blurred."""
    least, most = sorted((first.information, second.information))
    return most < MIN_INFORMATION or (least < MIN_INFORMATION and _bits_apart(first.pdq, second.pdq) >= MAX_BLURRED_PDQ_DISTANCE)


def _settle(one: Side, two: Side, *, is_same: bool) -> list[Finding]:
    """The one finding that the outlines suffice for, a plain copy, the same all over; else nothing."""
    first, second = one.outline, two.outline
    if not is_same:
        if _bits_apart(first.pdq, second.pdq) > MAX_SETTLED_PDQ_DISTANCE:
            return []
        if min(first.pdq_quality, second.pdq_quality) < MIN_PDQ_QUALITY:
            return []
        stretch = (first.width * second.height) / (first.height * second.width)
        if max(stretch, 1 / stretch) > MAX_SETTLED_STRETCH:
            return []
    proof = check(one.thumbnail, two.thumbnail, lay(one.thumbnail.size, two.thumbnail.size))
    if proof is None or not (is_same or (proof.agreement >= MIN_SETTLED_AGREEMENT and proof.weakest >= MIN_SETTLED_CELL)):
        return []
    whole = Alignment(lay(canonical_size(first.width, first.height), canonical_size(second.width, second.height)), is_plain=True)
    return [Finding(whole, proof, 1.0) if is_same else weigh_settled(whole, proof, min(first.information, second.information))]


def _find(one: Side, two: Side, first_look: FirstLook, *, mirrored_too: bool) -> list[Finding]:
    """What the two have in common, the weightiest first."""
    pdq_distance, information = _bits_apart(one.outline.pdq, two.outline.pdq), min(one.information, two.information)

    def prove(alignments: list[Alignment]) -> list[Finding]:
        if not mirrored_too:
            alignments = [a for a in alignments if abs(rotation_degrees(a.matrix)) <= MAX_UPRIGHT_DEGREES]
        return [
            finding
            for alignment in alignments
            if (hope := first_look.hope(alignment)) is not Hope.NONE and (finding := look(alignment, hope))
        ]

    def look(alignment: Alignment, hope: Hope) -> Finding | None:
        """In full only where a glance leaves hope, as it does for few of strangers' alignments, or many features link two cut-outs."""
        if hope is Hope.SOME and (alignment.inliers < MANY_INLIERS or not two_grounds(one.pyramid, two.pyramid)):
            proof = check(one.pyramid, two.pyramid, alignment.matrix, max_frame_px=GLANCE_PX)
            finding = weigh(alignment, proof, pdq_distance, information) if proof else None
            if finding is None or finding.evidence < HOPELESS_AT_A_GLANCE:
                return finding
        return look_closely(alignment, one.pyramid, two.pyramid)

    def look_closely(alignment: Alignment, one: Pyramid, two: Pyramid) -> Finding | None:
        proof = check(one, two, alignment.matrix)
        return weigh(alignment, proof, pdq_distance, information) if proof else None

    likeness = Likeness(one.features, two.features)
    findings = prove(local_alignments(likeness, one.features.width, mirror=False, is_hopeless=first_look.is_hopeless))
    if mirrored_too and all(finding.evidence < SURE_EVIDENCE for finding in findings):
        findings += prove(local_alignments(likeness, one.features.width, mirror=True, is_hopeless=first_look.is_hopeless))
    findings += prove(global_alignments(one, two, mirrored_too=mirrored_too))
    findings = look_again(findings, one, two, pdq_distance)
    findings.sort(key=_by_weight)
    if findings and HOPELESS_EVIDENCE < findings[0].evidence < SURE_EVIDENCE and (grounds := two_grounds(one.pyramid, two.pyramid)):
        cut_outs = one.pyramid.without_ground(grounds[0]), two.pyramid.without_ground(grounds[1])
        bare = look_closely(findings[0].alignment, *cut_outs)
        if bare and min(bare.proof.query_coverage, bare.proof.reference_coverage) >= MIN_CUT_OUT_COVERAGE:
            findings.append(bare)
            findings.sort(key=_by_weight)
    return findings


def _by_weight(finding: Finding) -> float:
    return -finding.evidence


def _bits_apart(one: bytes, two: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(two, "big")).bit_count()
