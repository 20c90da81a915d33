"""Which alignments are worth checking: those that local features vote for, and the whole upon the whole where both look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from image_svc.compare.side import COMPOSITION_SIDE, Side
from matching.alignment import Matrix, inverted, refine
from matching.likeness import Likeness, Matches
from matching.vote import MIN_VOTES, propose

MAX_LOCAL_PROPOSALS: Final = 3
"""A collage shows a picture two or three times; what has fewer votes than its third is hardly ever anything."""
MIN_INLIERS: Final = 4
"""As many as it takes to be elected; where refining leaves fewer the voters did not agree after all."""
MIN_VOTES_OF_HALF: Final = 3.0
"""Of every second feature: what all of them elect with 10 votes gets that many 19 times of 20, any transform of two strangers 4 times in
1,000."""
MAX_GLOBAL_PROPOSALS: Final = 2
"""Pages of text look alike in all eight ways; every check costs milliseconds."""
MIN_LIKENESS: Final = 0.60
"""Correlation of two tiny versions; the plainest copies lie above 0.9, a heavily overlaid one still above this."""
_WAYS: Final = [(turns, mirror) for mirror in (False, True) for turns in range(4)]
_PLACES: Final = np.arange(COMPOSITION_SIDE**2).reshape(COMPOSITION_SIDE, COMPOSITION_SIDE)
# Where each pixel of the tiny version comes from when it is laid in each of the ways.
_TURNED: Final = np.stack([np.rot90(_PLACES[:, ::-1] if mirror else _PLACES, -turns).ravel() for turns, mirror in _WAYS])


@dataclass(frozen=True, slots=True)
class Alignment:
    """A proposed map from the first picture's canonical pixels to the second's."""

    matrix: Matrix
    mirrored: bool = False
    inliers: int = 0
    is_plain: bool = False
    """The whole of one upon the whole of the other, upright."""


def local_alignments(likeness: Likeness, width: int, *, mirror: bool, is_hopeless: Callable[[Alignment], bool]) -> list[Alignment]:
    """What the votes of the local features elect, each refined on those that voted for it; `width` is that of the first picture.

    Half of the features first: where they elect nothing that leaves any hope, the others do not either."""
    flip = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    if likeness.is_large:
        sketched = _elected(likeness.nearest(mirrored=mirror, of_half=True), flip, mirror=mirror, share=2)
        if all(is_hopeless(alignment) for alignment in sketched):
            return []
    return _elected(likeness.nearest(mirrored=mirror), flip, mirror=mirror, share=1)


def _elected(matches: Matches, flip: Matrix, *, mirror: bool, share: int) -> list[Alignment]:
    """One feature in `share` was asked."""
    alignments = []
    for proposal in propose(matches, max_proposals=MAX_LOCAL_PROPOSALS, min_votes=MIN_VOTES_OF_HALF if share > 1 else MIN_VOTES):
        refined = refine(proposal.matrix, matches.query_points, matches.reference_points, proposal.voters, roughly=share > 1)
        inliers = share * len(refined.inliers)
        if inliers >= MIN_INLIERS:
            alignments.append(Alignment(refined.matrix @ flip, mirror, inliers))
    return alignments


def global_alignments(one: Side, two: Side, *, mirrored_too: bool) -> list[Alignment]:
    """The whole of one laid on the whole of the other, in those of eight ways in which they look most alike."""
    ways = _WAYS if mirrored_too else _WAYS[:1]
    likeness = one.composition.ravel()[_TURNED[: len(ways)]] @ two.composition.ravel()
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
    laid: Matrix = inverted(to_corner) @ np.diag([two[0] / width, two[1] / height, 1.0]) @ matrix @ to_corner
    return laid
