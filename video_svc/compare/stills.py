"""A still against a film: the moment at which the film shows it. One frame is all there is, so it has to agree as pictures do."""

from __future__ import annotations

from typing import Final

import numpy as np

from video_svc.compare.encounters import propose_moments
from video_svc.compare.evidence import Finding, Stretch, nothing, weigh_still
from video_svc.compare.geometry import Geometry, lay
from video_svc.compare.lines import Line
from video_svc.compare.proof import Table, prove
from video_svc.compare.side import Side
from video_svc.fingerprint.stars import mirrored

MIN_LIKENESS: Final = 0.80
MAX_PLAIN: Final = 2
SAME_SHOT: Final = 0.75
"""Of the agreement at the best moment: as long as it stays above this the film still shows the picture."""


def find_still(still: Side, film: Side, *, mirrored_too: bool) -> Finding:
    """The best moment of the film; `still` has one frame."""
    assert still.stars is not None and film.stars is not None
    best = nothing()
    for mirror in (False, True) if mirrored_too else (False,):
        stars = mirrored(still.stars) if mirror else still.stars
        candidates = [(p.geometry, p.elected.line) for p in propose_moments(film, stars, film.stars, mirror=mirror)]
        for geometry, line in candidates + _plain(still, film, mirror=mirror):
            found = _at(still, film, geometry, line)
            best = max(best, found, key=lambda finding: finding.evidence)
    return best


def _plain(still: Side, film: Side, *, mirror: bool) -> list[tuple[Geometry, Line]]:
    likeness = ((still.tiny_mirrored if mirror else still.tiny) @ film.tiny.T)[0]
    geometry = lay(still, film, mirror=mirror)
    order = np.argsort(-likeness, kind="stable")[:MAX_PLAIN]
    return [(geometry, Line(1.0, float(film.times[frame]))) for frame in order if likeness[frame] >= MIN_LIKENESS]


def _at(still: Side, film: Side, geometry: Geometry, line: Line) -> Finding:
    table = Table.of(still, film, geometry)
    proof = prove(table, line) if table else None
    if table is None or proof is None:
        return nothing()
    frame = int(proof.second[0])
    frames = np.arange(len(film))
    agrees = table.compare(np.zeros(len(film), np.intp), frames).overall >= SAME_SHOT * proof.agreement[0]
    before, after = np.flatnonzero(~agrees[:frame]), np.flatnonzero(~agrees[frame:])
    first = int(before[-1]) + 1 if len(before) else 0
    last = frame + int(after[0]) - 1 if len(after) else len(film) - 1
    seen = float(film.times[first]), float(film.times[last + 1]) if last + 1 < len(film) else film.duration
    return weigh_still(still, film, Stretch(geometry, proof, 0, 1), seen)
