"""What a finding says in the terms of the answer: regions, transform, coverage, in the caller's order of the two pictures."""

from __future__ import annotations

from typing import Final

import numpy as np

from image_svc.compare.evidence import CURVE, Finding
from image_svc.compare.proposals import Alignment
from image_svc.fingerprint import Outline, canonical_size
from matching.alignment import Matrix, inverted, linear_part, project, rotation_degrees
from matching.windows import Floats
from mesh.media import Box, Comparison, Coverage, Region, Transform

MIN_SHOWN_SCORE: Final = 0.4
"""From here on an answer is at least of low confidence; below it there is nothing to point at."""
MIN_REGION_EVIDENCE: Final = 0.45
STRAY_SHARE: Final = 0.01
SAME_REGION: Final = 0.5


def describe(findings: list[Finding], first: Outline, second: Outline, *, swapped: bool) -> Comparison:
    """The comparison; `swapped` says that the second picture is the caller's source."""
    if not findings:
        return Comparison(0.0)
    best = findings[0]
    score = CURVE.score(best.evidence)
    if score < MIN_SHOWN_SCORE:
        return Comparison(score)
    source, target = (second, first) if swapped else (first, second)
    coverages = best.proof.query_coverage, best.proof.reference_coverage
    return Comparison(
        score,
        regions=_regions([best] + [f for f in findings[1:] if f.evidence >= MIN_REGION_EVIDENCE], swapped=swapped),
        transform=_transform(best.alignment, source, target, swapped=swapped),
        coverage=Coverage(*(coverages[::-1] if swapped else coverages)),
    )


def _regions(findings: list[Finding], *, swapped: bool) -> tuple[Region, ...]:
    """The places in both pictures, the weightiest first, each place of the target once."""
    regions: list[Region] = []
    for finding in findings:
        maps = finding.proof.query_map, finding.proof.reference_map
        source, target = (_box(found) for found in (maps[::-1] if swapped else maps))
        if all(_overlap(target, region.target) < SAME_REGION for region in regions):
            regions.append(Region(source, target, CURVE.score(finding.evidence)))
    return tuple(regions)


def _transform(alignment: Alignment, source: Outline, target: Outline, *, swapped: bool) -> Transform:
    """The alignment in pixels of the whole upright pictures."""
    matrix = inverted(alignment.matrix) if swapped else alignment.matrix
    matrix = _from_canonical(target) @ matrix @ inverted(_from_canonical(source))
    matrix = matrix / matrix[2, 2]
    linear = linear_part(matrix, source.width / 2, source.height / 2)
    upright = linear @ np.diag([-1.0, 1.0]) if alignment.mirrored else linear
    return Transform(
        mirrored=alignment.mirrored,
        rotation_degrees=rotation_degrees(upright),
        scale=float(np.sqrt(abs(np.linalg.det(linear)))),
        matrix=tuple(float(value) for value in matrix.ravel()),
        crop=_crop(matrix, source, target),
    )


def _crop(matrix: Matrix, source: Outline, target: Outline) -> Box | None:
    """The part of the source that the target shows; None where the perspective is too strong to say."""
    backward = inverted(matrix)
    corners = np.array([[0, 0], [target.width, 0], [target.width, target.height], [0, target.height]], np.float64)
    if (corners @ backward[2, :2] + backward[2, 2]).min() <= 0:
        return None
    whole = np.array([source.width, source.height], np.float64)
    seen = project(backward, corners).clip(0, whole) / whole
    (left, top), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def _box(found: Floats) -> Box:
    """Where the picture agrees, without the stray hundredth at either end."""
    edges = []
    for axis in (0, 1):
        profile = np.cumsum(found.sum(axis=axis, dtype=np.float64))
        total = max(float(profile[-1]), 1e-9)
        low = int(np.searchsorted(profile, STRAY_SHARE * total))
        high = int(np.searchsorted(profile, (1 - STRAY_SHARE) * total)) + 1
        edges.append((low / len(profile), min(high, len(profile)) / len(profile)))
    (left, right), (top, bottom) = edges
    return Box(left, top, right - left, bottom - top)


def _overlap(one: Box, two: Box) -> float:
    width = min(one.x + one.width, two.x + two.width) - max(one.x, two.x)
    height = min(one.y + one.height, two.y + two.height) - max(one.y, two.y)
    common = max(0.0, width) * max(0.0, height)
    return common / max(1e-9, min(one.width * one.height, two.width * two.height))


def _from_canonical(outline: Outline) -> Matrix:
    """Canonical to whole pixels, from the middle of one to the middle of the other."""
    columns, rows = canonical_size(outline.width, outline.height)
    across, down = outline.width / columns, outline.height / rows
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
