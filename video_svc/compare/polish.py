"""Turns, scales and moves a geometry a little until the thumbnails agree best: few features of a small inset leave it a tenth off."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from matching.alignment import Matrix, project
from video_svc.compare.evidence import Stretch
from video_svc.compare.geometry import Geometry
from video_svc.compare.proof import Table
from video_svc.compare.side import Side
from video_svc.fingerprint import frame_size

MAX_PAIRS: Final = 10
STEPS: Final = ((0.06, 0.035, 0.02), (0.02, 0.012, 0.007))
"""Of scale, turn (radians) and place (shares of the picture's side as it lies in the second film)."""
MAX_ROUNDS: Final = 2


def polished(one: Side, two: Side, stretch: Stretch) -> Geometry:
    """The geometry nearby with the highest correlation over a few moments of the stretch."""
    here = np.unique(np.linspace(stretch.start, stretch.stop - 1, MAX_PAIRS).astype(int))
    first, second = stretch.proof.first[here], stretch.proof.second[here]

    def worth(geometry: Geometry) -> float:
        table = Table.of(one, two, geometry)
        if table is None:
            return -1.0
        found = table.compare(first, second)
        return float((found.fidelity * found.weight).sum() / max(float(found.weight.sum()), 1e-6))

    best, reached = stretch.geometry, worth(stretch.geometry)
    for scale, turn, place in STEPS:
        for _ in range(MAX_ROUNDS):
            before = reached
            for change in ((scale, 0, 0, 0), (0, turn, 0, 0), (0, 0, place, 0), (0, 0, 0, place)):
                for way in (1, -1):
                    trial = replace(best, matrix=_nudged(one, best.matrix, *(way * value for value in change)))
                    value = worth(trial)
                    if value > reached:
                        best, reached = trial, value
                        break
            if reached < before + 0.005:
                break
    return best


def _nudged(one: Side, matrix: Matrix, scale: float, turn: float, across: float, down: float) -> Matrix:
    """The map with what follows it: a change around where the middle of the first picture lies."""
    width, height = frame_size(one.outline.width, one.outline.height)
    corners = project(matrix, np.array([[width / 2, height / 2], [0, height / 2], [width, height / 2]], np.float64))
    x, y = corners[0]
    length = float(np.hypot(*(corners[2] - corners[1])))
    cosine, sine = (1 + scale) * np.cos(turn), (1 + scale) * np.sin(turn)
    there, back = (
        np.array([[1, 0, x + across * length], [0, 1, y + down * length], [0, 0, 1.0]]),
        np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]]),
    )
    nudged: Matrix = there @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]]) @ back @ matrix
    return nudged
