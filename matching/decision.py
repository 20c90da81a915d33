"""From a calibrated score to what the answer says: a match or not, and how sure. Pure, monotone in the score, the same for every caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Scores from which on a label or a decision holds, inclusive."""

    low: float
    medium: float
    high: float
    profiles: dict[str, float]


# The scores are calibrated to mean the same in every medium, so the labels' floors are the same too.
# stock: only what is nearly the same picture; adversarial: what deserves a look when someone hides it on purpose.
_PROFILES: Final = {"general": 0.6, "stock": 0.85, "adversarial": 0.5}
CUTOFFS: Final[dict[str, Cutoffs]] = {
    medium: Cutoffs(low=0.4, medium=0.6, high=0.85, profiles=_PROFILES) for medium in ("image", "video", "audio")
}


def is_match(medium: str, score: float, *, profile: str = "general", threshold: float | None = None) -> bool:
    """Whether the score reaches the caller's own threshold, else the profile's cutoff."""
    return score >= (CUTOFFS[medium].profiles[profile] if threshold is None else threshold)


def confidence_label(medium: str, score: float) -> str:
    """The bucket that the score falls in: none, low, medium or high."""
    cutoffs = CUTOFFS[medium]
    for label, floor in (("high", cutoffs.high), ("medium", cutoffs.medium), ("low", cutoffs.low)):
        if score >= floor:
            return label
    return "none"
