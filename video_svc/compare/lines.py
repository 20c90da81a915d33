"""Straight lines in the plane of two films' times: a clock that runs at `rate` and starts `offset` seconds later.

Pairs of moments that look alike vote; what stands still votes for every line alike and so for none, as a peak counts above the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_RATES_EACH_WAY: Final = 18
_RATE_STEP: Final = 1.04
RATES: Final = np.unique(_RATE_STEP ** np.arange(-_RATES_EACH_WAY, _RATES_EACH_WAY + 1.0))
"""From half to twice the speed."""
MIN_RATE: Final = 0.47
MAX_RATE: Final = 2.1
BIN_SECONDS: Final = 0.5
MIN_LEVEL_SHARE: Final = 0.4
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """What happens at t in the first film happens at rate * t + offset in the second."""

    rate: float
    offset: float

    def __call__(self, times: _Floats) -> _Floats:
        return self.rate * times + self.offset

    def back(self, times: _Floats) -> _Floats:
        return (times - self.offset) / self.rate


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Moments of the first and of the second film, and how much each pair counts."""

    first: _Floats
    second: _Floats
    weights: _Floats

    def only(self, chosen: NDArray[np.bool_]) -> Votes:
        return Votes(self.first[chosen], self.second[chosen], self.weights[chosen])


@dataclass(frozen=True, slots=True)
class Elected:
    line: Line
    strength: float
    """Standard deviations above what the other offsets get."""
    votes: float


def elect(votes: Votes, max_lines: int, rates: _Floats = RATES) -> list[Elected]:
    """The lines with the most votes above the mean of their rate; each takes its voters along before the next is sought."""
    elected: list[Elected] = []
    left = votes
    while len(elected) < max_lines and len(left.first) >= 2:
        best = _strongest(left, rates)
        if best is None:
            break
        line = _refined(left, best.line) if len(rates) > 1 else best.line
        elected.append(Elected(line, best.strength, best.votes))
        if line.rate != 1.0 and len(rates) > 1:
            # Hardly anything but films is played at another speed than its own: the best at rate 1 is worth a look as well.
            level = _strongest(left, np.ones(1))
            if level is not None and level.votes >= MIN_LEVEL_SHARE * best.votes:
                elected.append(level)
        left = left.only(np.abs(left.second - line(left.first)) > 2 * BIN_SECONDS)
    return elected


def _strongest(votes: Votes, rates: _Floats) -> Elected | None:
    # Rates move the middle of what votes least when time is measured from there.
    middle = float(np.average(votes.first, weights=votes.weights))
    from_middle = votes.first - middle

    def bins(rate: float) -> NDArray[np.int64]:
        return np.floor((votes.second - rate * from_middle) / BIN_SECONDS).astype(np.int64)

    # The outermost are those of the outermost rates. A rate at a time: films have votes by the hundred thousand.
    outermost = [bins(float(rate)) for rate in (rates.min(), rates.max())]
    low = min(int(some.min()) for some in outermost)
    width = max(int(some.max()) for some in outermost) - low + 3
    counts = np.stack([np.bincount(bins(float(rate)) - low + 1, votes.weights, width) for rate in rates])
    peaks = counts[:, :-1] + counts[:, 1:]
    spread = max(1, int(np.ceil((np.ptp(votes.first) + np.ptp(votes.second)) / BIN_SECONDS)))
    mean = 2 * votes.weights.sum() / spread
    at = int(peaks.argmax())
    row, column = divmod(at, width - 1)
    # Of equals the rate nearest to 1.
    ties = np.flatnonzero(peaks.max(axis=1) >= 0.97 * peaks.max())
    row = int(ties[np.abs(np.log(rates[ties])).argmin()])
    column = int(peaks[row].argmax())
    votes_there = float(peaks[row, column])
    offset = (low - 1 + column + 1) * BIN_SECONDS
    rate = float(rates[row])
    return Elected(Line(rate, offset - rate * middle), (votes_there - mean) / np.sqrt(mean + 1.0), votes_there)


def _refined(votes: Votes, line: Line) -> Line:
    """The least squares line through what voted for it."""
    for allowed in (1.0, 0.75, 0.6):
        near = np.abs(votes.second - line(votes.first)) <= allowed
        first, second, weights = votes.first[near], votes.second[near], votes.weights[near]
        if len(np.unique(first)) < 3:
            return line
        mean_1, mean_2 = np.average(first, weights=weights), np.average(second, weights=weights)
        spread = np.average((first - mean_1) ** 2, weights=weights)
        if spread < 1.0:
            return Line(line.rate, float(mean_2 - line.rate * mean_1))
        rate = float(np.average((first - mean_1) * (second - mean_2), weights=weights) / spread)
        # What is within the error of a rate of 1 is 1: hardly anything plays at 1.003.
        if abs(rate - 1) * np.sqrt(12 * spread) < 0.4:
            rate = 1.0
        if not MIN_RATE < rate < MAX_RATE:
            return line
        line = Line(rate, float(mean_2 - rate * mean_1))
    return line
