"""What a finding says in the terms of the answer, in the caller's order of the two films: segments, region, transform, coverage."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from matching.alignment import Matrix, linear_part, project, rotation_degrees
from mesh.media import Box, Comparison, Coverage, Region, Segment, Transform
from video_svc.compare.evidence import CURVE, Finding, Stretch
from video_svc.compare.geometry import Geometry
from video_svc.compare.side import GRID_SECONDS, Side
from video_svc.fingerprint import Outline, frame_size

MIN_SHOWN_SCORE: Final = 0.4
"""From here on an answer is at least of low confidence; below it there is nothing to point at."""
MAX_OVERLAP_SECONDS: Final = 1.0
"""By which neighbours may overlap because the grid is coarse."""
SNAP_SECONDS: Final = 0.6
"""How near a stretch must come to where a film ends to reach it."""

_Span = tuple[float, float, float, float]


def describe(finding: Finding, one: Side, two: Side, *, swapped: bool) -> Comparison:
    """The comparison; `swapped` says that the second film is the caller's source."""
    score = CURVE.score(finding.evidence)
    if score < MIN_SHOWN_SCORE:
        return Comparison(score)
    # Each segment as if it were the whole: what is shared is as alike as this, however little it covers.
    best = max(score, CURVE.score(finding.quality))
    segments = [Segment(*(span[2:] + span[:2] if swapped else span), score=best) for span in _spans(finding, one, two)]
    first, second = one.outline, two.outline
    geometry, rate = finding.stretches[0].geometry, finding.stretches[0].proof.line.rate
    matrix = _in_pixels(geometry, first, second)
    boxes = _visible(np.linalg.inv(matrix), second, first), _visible(matrix, first, second)
    seen, lies = boxes[::-1] if swapped else boxes
    coverage = (finding.second_coverage, finding.first_coverage) if swapped else (finding.first_coverage, finding.second_coverage)
    return Comparison(
        score,
        segments=tuple(sorted(segments, key=lambda segment: segment.source_start)),
        regions=(Region(seen, lies, best),) if seen and lies else (),
        transform=replace(
            _transform(geometry, np.linalg.inv(matrix) if swapped else matrix, second if swapped else first, seen),
            speed=None if finding.seen is not None else rate if swapped else 1 / rate,
        ),
        coverage=Coverage(*coverage),
    )


def _spans(finding: Finding, one: Side, two: Side) -> list[_Span]:
    if finding.seen is not None:
        return [] if two.outline.is_still else [(0.0, 0.0, *finding.seen)]
    spans = _apart(_apart([_span(stretch, one, two) for stretch in finding.stretches], axis=0), axis=2)
    return [span for span in spans if span[1] > span[0] and span[3] > span[2]]


def _span(stretch: Stretch, one: Side, two: Side) -> _Span:
    """Start and end in the first film, then in the second, up to the ends of either where it comes near them."""
    line, moments = stretch.proof.line, stretch.proof.moments
    start = float(one.grid[moments[stretch.start]]) - GRID_SECONDS / 2
    stop = float(one.grid[moments[stretch.stop - 1]]) + GRID_SECONDS / 2
    low, high = max(0.0, -line.offset / line.rate), min(one.duration, (two.duration - line.offset) / line.rate)
    start = low if start - low < SNAP_SECONDS else start
    stop = high if high - stop < SNAP_SECONDS else stop
    return start, stop, max(0.0, line.rate * start + line.offset), min(two.duration, line.rate * stop + line.offset)


def _apart(spans: list[_Span], *, axis: int) -> list[_Span]:
    """Spans that overlap a little on one film's axis end where the next begins."""
    apart = sorted(spans, key=lambda span: span[axis])
    for index, (span, following) in enumerate(pairwise(apart)):
        overlap = span[axis + 1] - following[axis]
        if 0 < overlap < MAX_OVERLAP_SECONDS:
            rate = (span[3 - axis] - span[2 - axis]) / (span[axis + 1] - span[axis])
            cut = list(span)
            cut[axis + 1] -= overlap
            cut[3 - axis] -= rate * overlap
            apart[index] = cut[0], cut[1], cut[2], cut[3]
    return apart


def _transform(geometry: Geometry, matrix: Matrix, source: Outline, crop: Box | None) -> Transform:
    linear = linear_part(matrix, source.width / 2, source.height / 2)
    upright = linear @ np.diag([-1.0, 1.0]) if geometry.mirrored else linear
    return Transform(
        mirrored=geometry.mirrored,
        rotation_degrees=rotation_degrees(upright),
        scale=float(np.sqrt(abs(np.linalg.det(linear)))),
        matrix=tuple(float(value) for value in (matrix / matrix[2, 2]).ravel()),
        crop=crop,
    )


def _in_pixels(geometry: Geometry, first: Outline, second: Outline) -> Matrix:
    """The map in pixels of the whole upright pictures."""
    in_pixels: Matrix = _from_frame(second) @ geometry.matrix @ np.linalg.inv(_from_frame(first))
    return in_pixels


def _from_frame(outline: Outline) -> Matrix:
    """From the size at which films are measured to whole pixels, middle to middle."""
    columns, rows = frame_size(outline.width, outline.height)
    across, down = outline.width / columns, outline.height / rows
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _visible(matrix: Matrix, shown: Outline, within: Outline) -> Box | None:
    """The part of the second picture where the first lies; None where the perspective is too strong to say."""
    corners = np.array([[0, 0], [shown.width, 0], [shown.width, shown.height], [0, shown.height]], np.float64)
    if (corners @ matrix[2, :2] + matrix[2, 2]).min() * np.sign(matrix[2, 2]) <= 0:
        return None
    whole = np.array([within.width, within.height], np.float64)
    seen = project(matrix, corners).clip(0, whole) / whole
    (left, top), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top)) if right > left and bottom > top else None
