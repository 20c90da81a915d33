"""Proposals from whole pictures: the lines on which the films' compositions are alike."""

from __future__ import annotations

from typing import Final

import numpy as np

from video_svc.compare.lines import Elected, Line, Votes, elect
from video_svc.compare.side import Side

MIN_LIKENESS: Final = 0.80
_NEAREST: Final = 3
_MAX_LINES: Final = 2
_MIN_ALIKE: Final = 0.3


def whole_lines(one: Side, two: Side, *, mirror: bool) -> tuple[list[Elected], Votes | None]:
    """The strongest lines, and that from beginning to beginning where much is alike."""
    likeness = (one.tiny_mirrored if mirror else one.tiny) @ two.tiny.T
    nearest = min(_NEAREST, likeness.shape[1])
    best = likeness >= np.maximum(MIN_LIKENESS, np.partition(likeness, -nearest, axis=1)[:, -nearest:][:, :1])
    rows, columns = np.nonzero(best)
    if not len(rows):
        return [], None
    # What is alike to many says little about any.
    crowd = np.maximum(best.sum(axis=1)[rows], best.sum(axis=0)[columns])
    votes = Votes(one.times[rows], two.times[columns], 1.0 / crowd)
    found = elect(votes, _MAX_LINES)
    if len(np.unique(rows)) >= _MIN_ALIKE * len(one):
        found.append(Elected(Line(1.0, 0.0), 0.0, 0.0))
    return found, votes
