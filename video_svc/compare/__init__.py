"""Two films in, one score and its evidence out; the same whichever of the two comes first.

Votes of features and of whole pictures only propose a geometry and a time line; what agrees along that line decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mesh.media import DETAIL, OUTLINE, Comparison
from video_svc.compare.description import describe
from video_svc.compare.encounters import propose
from video_svc.compare.evidence import Finding, nothing
from video_svc.compare.geometry import lay
from video_svc.compare.outlines import whole_lines
from video_svc.compare.search import Candidate, explain
from video_svc.compare.side import Side
from video_svc.compare.stills import find_still
from video_svc.fingerprint import MIN_INFORMATION, read_detail, read_outline
from video_svc.fingerprint.stars import mirrored

SURE_EVIDENCE: Final = 0.9
"""With this much found unmirrored, nobody looks into the mirror."""


def compare(query_layers: Mapping[int, bytes], reference_layers: Mapping[int, bytes], *, mirrored_too: bool) -> Comparison | None:
    """The comparison, or None where the outlines leave it open and a detail is missing."""
    outlines = read_outline(query_layers[OUTLINE]), read_outline(reference_layers[OUTLINE])
    # A still comes first; otherwise any order will do that does not depend on who asks.
    swapped = (not outlines[1].is_still, reference_layers[OUTLINE]) < (not outlines[0].is_still, query_layers[OUTLINE])
    first, second = (reference_layers, query_layers) if swapped else (query_layers, reference_layers)
    one, two = (Side(outline) for outline in (outlines[::-1] if swapped else outlines))
    if min(one.outline.information, two.outline.information) < MIN_INFORMATION:
        return Comparison(0.0)
    finding = nothing() if one.outline.is_still else explain(one, two, _plain_candidates(one, two, mirror=False))
    if first[OUTLINE] == second[OUTLINE] and finding.stretches:
        finding = replace(finding, evidence=1.0, quality=1.0)
    if not finding.is_settled:
        if DETAIL not in first or DETAIL not in second:
            return None
        one.stars, two.stars = read_detail(first[DETAIL], one.outline), read_detail(second[DETAIL], two.outline)
        find = find_still if one.outline.is_still else _find
        finding = max(finding, find(one, two, mirrored_too=mirrored_too), key=_by_weight)
    return describe(finding, one, two, swapped=swapped)


def _find(one: Side, two: Side, *, mirrored_too: bool) -> Finding:
    """What the features find, unmirrored first."""
    finding = nothing()
    for mirror in (False, True) if mirrored_too else (False,):
        candidates = _star_candidates(one, two, mirror=mirror)
        if mirror:
            candidates += _plain_candidates(one, two, mirror=True)
        candidates.sort(key=lambda candidate: -candidate.strength)
        finding = max(finding, explain(one, two, candidates), key=_by_weight)
        if finding.evidence >= SURE_EVIDENCE:
            break
    return finding


def _star_candidates(one: Side, two: Side, *, mirror: bool) -> list[Candidate]:
    assert one.stars is not None and two.stars is not None
    proposals = propose(one, two, mirrored(one.stars) if mirror else one.stars, two.stars, mirror=mirror)
    return [Candidate(p.geometry, p.elected.line, p.elected.strength, p.votes) for p in proposals]


def _plain_candidates(one: Side, two: Side, *, mirror: bool) -> list[Candidate]:
    geometry = lay(one, two, mirror=mirror)
    found, votes = whole_lines(one, two, mirror=mirror)
    return [Candidate(geometry, elected.line, elected.strength, votes) for elected in found]


def _by_weight(finding: Finding) -> float:
    return finding.evidence
