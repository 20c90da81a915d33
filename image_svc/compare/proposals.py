"""Which alignments are worth checking: those that local features vote for, and the whole upon the whole where both look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from image_svc.fingerprint import Detail, Outline
from matching.alignment import Matrix, refine
from matching.vote import Likeness, propose

MAX_LOCAL_PROPOSALS: Final = 3
"""A collage shows a picture two or three times; what has fewer votes than its third is hardly ever anything."""
MIN_INLIERS: Final = 4
"""As many as it takes to be elected; where refining leaves fewer the voters did not agree after all."""
MAX_GLOBAL_PROPOSALS: Final = 2
"""Pages of text look alike in all eight ways; every check costs milliseconds."""
MIN_LIKENESS: Final = 0.60
"""Correlation of two tiny versions; the plainest copies lie above 0.9, a heavily overlaid one still above this."""
_LIKENESS_SIDE: Final = 24


@dataclass(frozen=True, slots=True)
class Alignment:
    """A proposed map from the first picture's canonical pixels to the second's."""

    matrix: Matrix
    mirrored: bool = False
    inliers: int = 0
    is_plain: bool = False
    """The whole of one upon the whole of the other, upright."""


def local_alignments(likeness: Likeness, width: int, *, mirror: bool) -> list[Alignment]:
    """What the votes of the local features elect, each refined on those that voted for it; `width` is that of the first picture."""
    matches = likeness.nearest(mirrored=mirror)
    flip = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    alignments = []
    for proposal in propose(matches, max_proposals=MAX_LOCAL_PROPOSALS):
        refined = refine(proposal.matrix, matches.query_points, matches.reference_points, proposal.voters)
        if len(refined.inliers) >= MIN_INLIERS:
            alignments.append(Alignment(refined.matrix @ flip, mirror, len(refined.inliers)))
    return alignments


def global_alignments(first: Outline, second: Outline, one: Detail, two: Detail, *, mirrored_too: bool) -> list[Alignment]:
    """The whole of one laid on the whole of the other, in those of eight ways in which they look most alike."""
    ways = [(turns, mirror) for mirror in (False, True) for turns in range(4)] if mirrored_too else [(0, False)]
    small_1, small_2 = _composition(first), _composition(second)
    laid = np.stack([np.rot90(small_1[:, ::-1] if mirror else small_1, -turns) for turns, mirror in ways])
    likeness = laid.reshape(len(ways), -1) @ small_2.ravel()
    order = np.argsort(-likeness, kind="stable")[:MAX_GLOBAL_PROPOSALS]
    return [
        Alignment(lay(one.size, two.size, turns=turns, mirror=mirror), mirror, is_plain=not (turns or mirror))
        for turns, mirror in (ways[way] for way in order if likeness[way] >= MIN_LIKENESS)
    ]


def lay(one: tuple[int, int], two: tuple[int, int], *, turns: int = 0, mirror: bool = False) -> Matrix:
    """The whole of a picture on the whole of another, given their sizes: mirrored, then turned clockwise by quarters, then stretched."""
    width, height = one
    matrix = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    for _ in range(turns):
        matrix = np.array([[0.0, -1, height], [1, 0, 0], [0, 0, 1]]) @ matrix
        width, height = height, width
    to_corner = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    laid: Matrix = np.linalg.inv(to_corner) @ np.diag([two[0] / width, two[1] / height, 1.0]) @ matrix @ to_corner
    return laid


def _composition(outline: Outline) -> NDArray[np.float32]:
    small = cv2.resize(outline.thumbnail, (_LIKENESS_SIDE, _LIKENESS_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-3)
