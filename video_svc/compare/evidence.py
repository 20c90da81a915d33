"""From what a proof found to one number, and from that to the calibrated score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.calibration import Curve
from video_svc.compare.geometry import Geometry
from video_svc.compare.proof import Proof
from video_svc.compare.side import GRID_SECONDS, Side
from video_svc.compare.spans import earned, merged

CURVE: Final = Curve(((0.0, 0.0), (0.36, 0.42), (0.46, 0.60), (0.60, 0.80), (0.70, 0.88), (0.90, 0.97), (1.0, 1.0)))
SPLIT: Final = 0.35
"""Where between out of step and in step a moment begins to count as the same."""
MIN_AGREEMENT: Final = 0.2
MIN_MOVEMENT: Final = 0.3
HALF_SUPPORT_FRAMES: Final = 2.5
FULL_STRENGTH: Final = 6.0
FRAMES_FOR_A_RATE: Final = 2
HALF_SUPPORT_INLIERS: Final = 6.0
FULL_INLIERS: Final = 30
SETTLED_EVIDENCE: Final = 0.90
WORTH_OF_COVERAGE: Final = 0.15

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Moments `start` to `stop` of a proof that belong together."""

    geometry: Geometry
    proof: Proof
    start: int
    stop: int

    @property
    def here(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def agreement(self) -> float:
        return self._mean(self.proof.agreement)

    @property
    def central_agreement(self) -> float:
        return self._mean(self.proof.central_agreement)

    @property
    def out_of_step(self) -> float:
        return self._mean(self.proof.out_of_step)

    @property
    def fidelity(self) -> float:
        return self._mean(self.proof.fidelity)

    @property
    def frames(self) -> int:
        """Different frames of the film that has fewer of them here, less those that a rate of its own takes to fit."""
        frames = min(len(np.unique(self.proof.first[self.here])), len(np.unique(self.proof.second[self.here])))
        return frames if abs(self.proof.line.rate - 1) < 0.02 else max(1, frames - FRAMES_FOR_A_RATE)

    @property
    def movement(self) -> float:
        """How much of what changes with time is explained: 1 where all is, 0 where other moments would do as well."""
        return (self.agreement - self.out_of_step) / (1.02 - self.out_of_step)

    @property
    def is_in_step(self) -> bool:
        return self.movement >= MIN_MOVEMENT

    def cut(self, start: int, stop: int) -> Stretch:
        return Stretch(self.geometry, self.proof, self.start + start, self.start + stop)

    def _mean(self, values: _Array) -> float:
        return float(np.average(values[self.here], weights=self.proof.weight[self.here] + 1e-9))


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """Stretches that together explain what two films have in common, the longest first."""

    stretches: tuple[Stretch, ...]
    evidence: float
    quality: float
    """The evidence, were one of the films covered whole."""
    first_coverage: float
    second_coverage: float
    seen: tuple[float, float] | None = None
    """From when to when a film shows a still."""

    @property
    def worth(self) -> float:
        """By which explanations of the same pair are compared: of two that are equally good the one that explains more."""
        return self.evidence + WORTH_OF_COVERAGE * self.quality * (self.first_coverage + self.second_coverage)

    @property
    def is_settled(self) -> bool:
        """Whether nothing that the details may say would change the answer."""
        return self.evidence >= SETTLED_EVIDENCE


def nothing() -> Finding:
    return Finding((), 0.0, 0.0, 0.0, 0.0)


def stretches(geometry: Geometry, proof: Proof) -> list[Stretch]:
    """The spans in which the two agree, the longest first."""
    telling = proof.weight > 0.02
    if not telling.any():
        return []
    overall = float(np.average(proof.out_of_step, weights=proof.weight))
    peak = float(np.percentile(proof.agreement[telling], 85))
    wrong = 0.5 * (overall + proof.out_of_step)
    least = np.maximum(MIN_AGREEMENT, wrong + SPLIT * (peak - wrong))
    gains = (proof.agreement - least) * np.minimum(1.0, proof.weight / 0.2)
    spans = merged(earned(gains), proof.weight)
    return sorted((Stretch(geometry, proof, *span) for span in spans), key=lambda stretch: stretch.start - stretch.stop)


def weigh(one: Side, two: Side, found: tuple[Stretch, ...]) -> Finding:
    """All stretches together."""
    if not found:
        return nothing()
    first, second = _coverage(one, two, found)
    weights = [s.stop - s.start for s in found]
    agreement, central, wrong = np.average(
        [(s.agreement, s.central_agreement, s.out_of_step) for s in found], axis=0, weights=weights
    ).tolist()
    frames = sum(s.frames for s in found)
    moving = (agreement - wrong) / (1.02 - wrong)
    few = float(np.exp(-frames / HALF_SUPPORT_FRAMES))
    # Few frames are no lucky find where they are all that either film has, one after the other in step.
    support = 1 - few * (1 - ramp(min(first, second), 0.90, 0.98) * ramp(frames, 1, 4) * ramp(moving, 0.5, 0.9))
    # What two films wear alike (a frame, a ticker, an interface) leaves the middle out.
    worn = 0.6 + 0.4 * ramp(central, 0.30, 0.65)
    strengths = [s.geometry.strength for s in found if s.geometry.inliers]
    voted = 0.7 + 0.3 * ramp(max(strengths, default=FULL_STRENGTH), 2.5, FULL_STRENGTH)
    in_step = max(ramp(moving, 0.1, 0.4), ramp(max(s.geometry.strength for s in found), 10, 30))
    quality = float(np.sqrt(agreement * central)) * support * worn * voted * (0.3 + 0.7 * in_step)
    return Finding(tuple(found), quality * reuse(max(first, second), frames * GRID_SECONDS), quality, first, second)


def weigh_still(still: Side, film: Side, stretch: Stretch, seen: tuple[float, float]) -> Finding:
    """One frame of a film and a still: features that fit take the place of moments in a row."""
    first, second = _coverage(still, film, (stretch,))
    inliers = FULL_INLIERS if stretch.geometry.is_plain else stretch.geometry.inliers
    support = 1 - float(np.exp(-inliers / HALF_SUPPORT_INLIERS))
    worn = 0.6 + 0.4 * ramp(stretch.central_agreement, 0.20, 0.50)
    quality = float(np.sqrt(stretch.agreement * stretch.central_agreement)) * support * worn
    covered = max(float(stretch.proof.first_share[0]), float(stretch.proof.second_share[0]))
    return Finding((stretch,), quality * ramp(covered, 0.1, 0.5), quality, first, second, seen)


def reuse(coverage: float, seconds: float) -> float:
    """How much of a film a match must be: a part that lasts for seconds may be a smaller one, an intro of two is none."""
    by_share = ramp(coverage, 0.12, 0.45)
    by_length = 0.85 * ramp(seconds, 2.0, 6.0) * ramp(coverage, 0.05, 0.20)
    return 1 - (1 - by_share) * (1 - by_length)


def _coverage(one: Side, two: Side, found: tuple[Stretch, ...]) -> tuple[float, float]:
    """The share of either film's content that was found in the other."""
    seen_1 = np.zeros(len(one.grid))
    seen_2 = np.zeros(len(two.grid))
    for stretch in found:
        here = slice(stretch.start, stretch.stop)
        proof = stretch.proof
        moments = proof.moments[here]
        seen_1[moments] = np.maximum(seen_1[moments], proof.first_share[here])
        # On the second film's own grid: the nearest moment of the stretch.
        known, back = one.grid[moments], proof.line.back(two.grid)
        nearest = np.searchsorted(known, back - GRID_SECONDS / 2).clip(0, len(known) - 1)
        inside = np.abs(known[nearest] - back) <= 0.51 * GRID_SECONDS
        seen_2[inside] = np.maximum(seen_2[inside], proof.second_share[here][nearest[inside]])
    return _share(one, seen_1), _share(two, seen_2)


def _share(side: Side, seen: _Array) -> float:
    weights = side.weights[side.showing]
    return float((seen * weights).sum() / max(1e-6, float(weights.sum())))


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, straight between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))
