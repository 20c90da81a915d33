"""What two thumbnails say of an alignment before anybody decodes the pictures: nearly always, that it is none."""

from __future__ import annotations

from enum import Enum, auto
from functools import cached_property
from typing import Final

from image_svc.compare.proposals import Alignment
from image_svc.compare.side import Side
from matching.alignment import Matrix, inverted
from matching.glimpse import glimpse
from matching.pyramid import two_grounds

MANY_INLIERS: Final = 30
"""One thing before white and before black agrees in many features and hardly anywhere else, least of all at a glance."""
LINKED_INLIERS: Final = 40
"""So many features may link a copy of which most is covered, or a subject whose background is another."""
HOPELESS_AGREEMENT: Final = 0.32
"""Of all or of the middle, where fewer features link the two, or none: three of four of strangers' have less, copies 0.34 or more."""
HOPELESS_LINKED_AGREEMENT: Final = 0.40
HOPELESS_LINKED_CENTRE: Final = 0.21
"""A frame or an interface that two pictures wear links them by many features and leaves the middle out; so does a patch that covers the
middle, but then the rest agrees."""
EMPTY_CENTRE: Final = 0.13
PLAIN_AGREEMENT: Final = 0.75
MAX_FAINT_SCORE: Final = 0.02
"""For those that are never looked at again, so that these have an order, too."""


class Hope(Enum):
    NONE = auto()
    SOME = auto()
    PLENTY = auto()
    """So much that a glance would tell nothing."""


class FirstLook:
    """At one pair, alignment by alignment."""

    def __init__(self, one: Side, two: Side) -> None:
        self._one, self._two = one, two
        self.faint_score = 0.0

    def hope(self, alignment: Alignment) -> Hope:
        """Whether the thumbnails, laid upon each other like this, leave any hope that the pictures agree."""
        from_one, to_two = self._fits
        seen = glimpse(self._one.small, self._two.small, to_two @ alignment.matrix @ from_one)
        if seen is None:
            return Hope.SOME
        least = min(seen.agreement, seen.central_agreement)
        if alignment.inliers < LINKED_INLIERS:
            is_hopeless = least < HOPELESS_AGREEMENT
        else:
            is_empty = seen.central_agreement < EMPTY_CENTRE
            is_hopeless = is_empty or (seen.agreement < HOPELESS_LINKED_AGREEMENT and seen.central_agreement < HOPELESS_LINKED_CENTRE)
        if is_hopeless and (alignment.inliers < MANY_INLIERS or not two_grounds(self._one.thumbnail, self._two.thumbnail)):
            self.faint_score = max(self.faint_score, MAX_FAINT_SCORE * seen.agreement * seen.central_agreement)
            return Hope.NONE
        return Hope.PLENTY if least >= PLAIN_AGREEMENT else Hope.SOME

    def is_hopeless(self, alignment: Alignment) -> bool:
        return self.hope(alignment) is Hope.NONE

    @cached_property
    def _fits(self) -> tuple[Matrix, Matrix]:
        """From the frame of the first picture's thumbnail, and to that of the second's."""
        return inverted(self._one.small.fit(self._one.size)), self._two.small.fit(self._two.size)
