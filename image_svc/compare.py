"""Two fingerprints in, one score and its evidence out; the same whichever of the two comes first.

Local features and global codes only propose alignments; what the dense check finds decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from image_svc.fingerprint import CANONICAL_SIDE, MIN_INFORMATION, Detail, Outline, read_detail, read_outline
from matching.alignment import project, refine
from matching.calibration import Curve
from matching.dense_check import Proof, Pyramid, check
from matching.local_features import mirrored
from matching.vote import nearest_matches, propose
from mesh.media import DETAIL, OUTLINE, Box, Comparison, Coverage, Region, Transform

_Matrix = NDArray[np.float64]

MAX_SETTLED_PDQ_DISTANCE: Final = 24
"""Bits of 256; PDQ's own rule says 31 for "the same picture", and a re-encoded or resized one moves by less than 20."""
MIN_SETTLED_PDQ_QUALITY: Final = 50
MAX_SETTLED_STRETCH: Final = 1.03
MIN_SETTLED_AGREEMENT: Final = 0.985
MIN_SETTLED_CELL: Final = 0.85
MIN_PROPOSED_LIKENESS: Final = 0.60
_LIKENESS_SIDE: Final = 24
_MAX_PROPOSALS: Final = 3
_MAX_GLOBAL_PROPOSALS: Final = 2
_SURE: Final = 0.85
MAX_SUBJECT_EVIDENCE: Final = 0.70
"""A shared subject is a match of medium confidence at most: the rest of the picture is another."""
MAX_COMPOSITION_EVIDENCE: Final = 0.90
MAX_TEMPLATE_EVIDENCE: Final = 0.775
"""Just below high confidence."""
_UPRIGHT_DEGREES: Final = 20.0
_MIN_REGION_EVIDENCE: Final = 0.45
_SHOWN_FROM: Final = 0.4

# Evidence to score: two pictures in one frame, or under one interface, stay below 0.4; a subject on another background begins at 0.5;
# untouched copies lie above 0.93. Between the points the score only rises.
CURVE: Final = Curve(((0.0, 0.0), (0.40, 0.40), (0.50, 0.60), (0.78, 0.85), (0.95, 0.97), (1.0, 1.0)))


@dataclass(frozen=True, slots=True)
class _Alignment:
    """A proposed map from the first picture's canonical pixels to the second's."""

    matrix: _Matrix
    mirrored: bool
    inliers: int = 0
    is_plain: bool = False
    """The whole of one upon the whole of the other, upright."""


@dataclass(frozen=True, slots=True)
class _Finding:
    alignment: _Alignment
    proof: Proof
    evidence: float


def compare(query_layers: Mapping[int, bytes], reference_layers: Mapping[int, bytes], *, mirrored_too: bool) -> Comparison | None:
    """The comparison, or None where the outlines leave it open and a detail is missing. `mirrored_too`: look through turns as well."""
    swapped = reference_layers[OUTLINE] < query_layers[OUTLINE]
    one, two = (reference_layers, query_layers) if swapped else (query_layers, reference_layers)
    first, second = read_outline(one[OUTLINE]), read_outline(two[OUTLINE])
    if min(first.information, second.information) < MIN_INFORMATION:
        return Comparison(0.0)
    findings = _settle(first, second)
    if findings and one[OUTLINE] == two[OUTLINE]:
        findings = [replace(findings[0], evidence=1.0)]
    if not findings:
        if DETAIL not in one or DETAIL not in two:
            return None
        findings = _find(read_detail(one[DETAIL]), read_detail(two[DETAIL]), _distance(first.pdq, second.pdq), mirrored_too)
    return _describe(findings, first, second, swapped)


def _settle(first: Outline, second: Outline) -> list[_Finding]:
    """The one finding that the outlines suffice for: a plain copy, the same all over."""
    if _distance(first.pdq, second.pdq) > MAX_SETTLED_PDQ_DISTANCE:
        return []
    if min(first.pdq_quality, second.pdq_quality) < MIN_SETTLED_PDQ_QUALITY:
        return []
    stretch = (first.width * second.height) / (first.height * second.width)
    if max(stretch, 1 / stretch) > MAX_SETTLED_STRETCH:
        return []
    one, two = Pyramid(first.thumbnail), Pyramid(second.thumbnail)
    matrix = _lay(one, two, turns=0, mirror=False)
    proof = check(one, two, matrix)
    if proof is None or proof.agreement < MIN_SETTLED_AGREEMENT or proof.weakest < MIN_SETTLED_CELL:
        return []
    evidence = 0.93 + 0.07 * max(0.0, min(1.0, proof.fidelity))
    size_1, size_2 = _canonical_size(first), _canonical_size(second)
    scale_up = np.diag([size_2[0] / two.width, size_2[1] / two.height, 1.0])
    scale_down = np.diag([one.width / size_1[0], one.height / size_1[1], 1.0])
    return [_Finding(_Alignment(scale_up @ matrix @ scale_down, False, is_plain=True), proof, evidence)]


def _find(first: Detail, second: Detail, pdq_distance: int, mirrored_too: bool) -> list[_Finding]:
    """What the two have in common, strongest first."""
    one, two = Pyramid(first.grey), Pyramid(second.grey)
    findings = _prove(_local_alignments(first, second, False), one, two, pdq_distance)
    if mirrored_too and (not findings or findings[0].evidence < _SURE):
        findings += _prove(_local_alignments(first, second, True), one, two, pdq_distance)
    findings += _prove(_global_alignments(one, two, mirrored_too), one, two, pdq_distance)
    if not mirrored_too:
        findings = [f for f in findings if abs(_rotation(f.alignment.matrix)) <= _UPRIGHT_DEGREES]
    return sorted(findings, key=lambda finding: -finding.evidence)


def _local_alignments(first: Detail, second: Detail, mirror: bool) -> list[_Alignment]:
    features = mirrored(first.features) if mirror else first.features
    matches = nearest_matches(features, second.features)
    flip = np.array([[-1.0, 0, features.width - 1], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    alignments = []
    for proposal in propose(matches, max_proposals=_MAX_PROPOSALS):
        refined = refine(proposal.matrix, matches.query_points, matches.reference_points, proposal.voters)
        alignments.append(_Alignment(refined.matrix @ flip, mirror, len(refined.inliers)))
    return alignments


def _global_alignments(one: Pyramid, two: Pyramid, mirrored_too: bool) -> list[_Alignment]:
    """The whole of one laid on the whole of the other, in those of eight ways in which they look most alike."""
    small_1, small_2 = _composition(one), _composition(two)
    ways = [(turns, mirror) for mirror in (False, True) for turns in range(4)] if mirrored_too else [(0, False)]
    likeness = [float((np.rot90(small_1[:, ::-1] if mirror else small_1, -turns) * small_2).sum()) for turns, mirror in ways]
    order = sorted(range(len(ways)), key=lambda way: -likeness[way])[:_MAX_GLOBAL_PROPOSALS]
    return [
        _Alignment(_lay(one, two, turns=turns, mirror=mirror), mirror, is_plain=not (turns or mirror))
        for turns, mirror in (ways[way] for way in order if likeness[way] >= MIN_PROPOSED_LIKENESS)
    ]


def _prove(alignments: list[_Alignment], one: Pyramid, two: Pyramid, pdq_distance: int) -> list[_Finding]:
    findings = []
    for alignment in alignments:
        proof = check(one, two, alignment.matrix)
        if proof is not None:
            findings.append(_Finding(alignment, proof, _evidence(alignment, proof, pdq_distance)))
    return findings


def _evidence(alignment: _Alignment, proof: Proof, pdq_distance: int) -> float:
    """0 to 1: the strongest of three witnesses, each of which may be silent."""
    plain = max(_whole_evidence(alignment, proof), _composition_evidence(alignment, proof, pdq_distance))
    # Where the shapes agree but the fine print does not, it is one form or template filled in differently.
    ceiling = MAX_TEMPLATE_EVIDENCE + (1 - MAX_TEMPLATE_EVIDENCE) * _ramp(proof.texture_agreement, 0.80, 0.92)
    return max(min(plain, ceiling), _subject_evidence(alignment, proof))


def _whole_evidence(alignment: _Alignment, proof: Proof) -> float:
    """Agreement in the overlap (in all, without lines, and in the middle), times the better coverage, times how much carries it."""
    coverage = max(proof.query_coverage, proof.reference_coverage)
    support = 1 - np.exp(-(alignment.inliers / 6 + proof.windows / 8))
    agreement = np.cbrt(proof.agreement * proof.texture_agreement * proof.central_agreement)
    # What two pictures wear alike (a frame, an interface, a background) leaves the middle out.
    worn = 0.6 + 0.4 * _ramp(proof.central_agreement, 0.25, 0.55)
    return float(agreement * min(1.0, 1.2 * coverage) * support * worn)


def _subject_evidence(alignment: _Alignment, proof: Proof) -> float:
    """One subject before two backgrounds: the middle agrees, finely graded and with many features, though the surroundings do not."""
    coverage = max(proof.query_coverage, proof.reference_coverage)
    return MAX_SUBJECT_EVIDENCE * (
        (0.95 + 0.05 * proof.agreement)
        * _ramp(proof.central_agreement, 0.20, 0.52)
        * _ramp(alignment.inliers, 10, 40)
        * _ramp(coverage, 0.08, 0.20)
        * _ramp(proof.richness, 0.40, 0.65)
    )


def _composition_evidence(alignment: _Alignment, proof: Proof, pdq_distance: int) -> float:
    """Plainly the same composition, though blur, darkness or a thin overlay all over takes the detail."""
    if not alignment.is_plain:
        return 0.0
    ceiling = MAX_COMPOSITION_EVIDENCE - 0.20 * (1 - _ramp(proof.weakest, 0.1, 0.4))
    return ceiling * _ramp(64 - pdq_distance, 0, 34) * _ramp(proof.agreement, 0.3, 0.6)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, straight between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))


def _describe(findings: list[_Finding], first: Outline, second: Outline, swapped: bool) -> Comparison:
    if not findings:
        return Comparison(0.0)
    best = findings[0]
    score = CURVE.score(best.evidence)
    if score < _SHOWN_FROM:
        return Comparison(score)
    shown = [best] + [f for f in findings[1:] if f.evidence >= _MIN_REGION_EVIDENCE]
    regions = []
    for finding in shown:
        boxes = _box(finding.proof.query_map), _box(finding.proof.reference_map)
        if swapped:
            boxes = boxes[1], boxes[0]
        if all(_overlap(boxes[1], region.target) < 0.5 for region in regions):
            regions.append(Region(boxes[0], boxes[1], CURVE.score(finding.evidence)))
    coverages = best.proof.query_coverage, best.proof.reference_coverage
    source, target = (second, first) if swapped else (first, second)
    return Comparison(
        score,
        regions=tuple(regions),
        transform=_transform(best.alignment, source, target, swapped),
        coverage=Coverage(*(min(1.0, c) for c in (reversed(coverages) if swapped else coverages))),
    )


def _transform(alignment: _Alignment, source: Outline, target: Outline, swapped: bool) -> Transform:
    """The alignment in pixels of the whole upright pictures."""
    matrix = np.linalg.inv(alignment.matrix) if swapped else alignment.matrix
    matrix = _from_canonical(target) @ matrix @ np.linalg.inv(_from_canonical(source))
    matrix = matrix / matrix[2, 2]
    linear = _at(matrix, source.width / 2, source.height / 2)
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    upright = linear @ np.diag([-1.0, 1.0]) if alignment.mirrored else linear
    angle = float(np.degrees(np.arctan2(upright[1, 0] - upright[0, 1], upright[0, 0] + upright[1, 1])))
    corners = np.array([[0, 0], [target.width, 0], [target.width, target.height], [0, target.height]], np.float64)
    seen = project(np.linalg.inv(matrix), corners).clip(0, [source.width, source.height])
    low, high = seen.min(axis=0) / [source.width, source.height], seen.max(axis=0) / [source.width, source.height]
    crop = Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return Transform(alignment.mirrored, round(angle, 2) + 0.0, scale, tuple(float(v) for v in matrix.ravel()), crop)


def _at(matrix: _Matrix, x: float, y: float) -> _Matrix:
    """The linear part of the matrix around a place."""
    u, v, depth = matrix @ np.array([x, y, 1.0])
    linear: _Matrix = (matrix[:2, :2] * depth - np.outer([u, v], matrix[2, :2])) / depth**2
    return linear


def _rotation(matrix: _Matrix) -> float:
    return float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))


def _box(found: NDArray[np.float32]) -> Box:
    """Where the picture agrees, without the stray hundredth at either end."""
    edges = []
    for axis in (0, 1):
        profile = np.cumsum(found.sum(axis=axis, dtype=np.float64))
        total = max(float(profile[-1]), 1e-9)
        low = int(np.searchsorted(profile, 0.01 * total))
        high = int(np.searchsorted(profile, 0.99 * total)) + 1
        edges.append((low / len(profile), min(high, len(profile)) / len(profile)))
    (left, right), (top, bottom) = edges
    return Box(left, top, right - left, bottom - top)


def _overlap(one: Box, two: Box) -> float:
    width = min(one.x + one.width, two.x + two.width) - max(one.x, two.x)
    height = min(one.y + one.height, two.y + two.height) - max(one.y, two.y)
    common = max(0.0, width) * max(0.0, height)
    return common / max(1e-9, min(one.width * one.height, two.width * two.height))


def _composition(picture: Pyramid) -> NDArray[np.float32]:
    small = cv2.resize(picture.levels[0], (_LIKENESS_SIDE, _LIKENESS_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-3)


def _lay(one: Pyramid, two: Pyramid, *, turns: int, mirror: bool) -> _Matrix:
    """The whole of one on the whole of the other: mirrored, then turned clockwise by quarter turns, then stretched."""
    width, height = one.width, one.height
    matrix = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    for _ in range(turns):
        matrix = np.array([[0.0, -1, height], [1, 0, 0], [0, 0, 1]]) @ matrix
        width, height = height, width
    centred = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return centred @ np.diag([two.width / width, two.height / height, 1.0]) @ matrix @ np.linalg.inv(centred)


def _canonical_size(outline: Outline) -> tuple[float, float]:
    scale = min(CANONICAL_SIDE / max(outline.width, outline.height), 2.0)
    return outline.width * scale, outline.height * scale


def _from_canonical(outline: Outline) -> _Matrix:
    width, height = _canonical_size(outline)
    return np.diag([outline.width / width, outline.height / height, 1.0])


def _distance(one: bytes, two: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(two, "big")).bit_count()
