"""What a proposed line explains: which peaks of either side lie on it, from when to when, and how far above chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audio_svc.compare.track import EIGHTHS, Track
from audio_svc.compare.votes import Line
from matching.segments import Span, heaviest_span
from matching.significance import Excess, excess

COARSE: Final = 4.0
FINE: Final = 1.25
SHARP: Final = 0.5
"""Frames that a peak may be off: while the line is rough, once it is fitted, and to tell a copy from another take."""
HOPELESS_DEVIATIONS: Final = 4.5
_FIRST_SHARE: Final = 0.4
_SHARE_OF_TRUE: Final = 0.75
_LEAST_SHARE: Final = 0.3
_MOST_SHARE: Final = 0.5
"""Of the peaks near a cut fewer agree, as what lies beyond it is heard in them as well."""
_LEAST_ABOVE_CHANCE: Final = 0.05
_FIT_TOLERANCES: Final = (5, 4, 2, 1.5)
_LEAST_HITS: Final = 6
_LEAST_FRAMES_FOR_TEMPO: Final = 150
_STRAY_FRAMES: Final = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Each peak of both sides where the two overlap: when (frames of one), whether the other side has it, by what chance."""

    times: NDArray[np.float64]
    agrees: NDArray[np.bool_]
    chance: NDArray[np.float64]

    def within(self, span: Span) -> Excess:
        inside = (self.times >= span.start) & (self.times <= span.end)
        return excess(self.agrees[inside], self.chance[inside])

    def weights(self, share: float) -> NDArray[np.float64]:
        """Log likelihood of each outcome where `share` of the peaks are common, against chance."""
        expected = np.clip(share, self.chance + _LEAST_ABOVE_CHANCE, 0.95)
        weights: NDArray[np.float64] = np.where(self.agrees, np.log(expected / self.chance), np.log((1 - expected) / (1 - self.chance)))
        return weights


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A fitted line, where it holds (frames of one), and how far above chance."""

    line: Line
    span: Span
    excess: Excess
    trial: Trial


def examine(one: Track, two: Track, line: Line) -> Finding | None:
    """The line fitted to its peaks, and the stretch that it holds for; None where nothing speaks for it."""
    trial = test(one, two, line, COARSE)
    span = heaviest_span(trial.times, trial.weights(_FIRST_SHARE))
    if span is None or trial.within(span).deviations < HOPELESS_DEVIATIONS:
        return None
    for tolerance in _FIT_TOLERANCES:
        line = _fit(one, two, line, span, tolerance)
        trial = test(one, two, line, COARSE if tolerance > 2 else 2)
        wider = heaviest_span(trial.times, trial.weights(_FIRST_SHARE))
        if wider is None:
            return None
        span = wider
    trial = test(one, two, line, FINE)
    span = heaviest_span(trial.times, trial.weights(_LEAST_SHARE)) or span
    share = min(max(_LEAST_SHARE, _SHARE_OF_TRUE * trial.within(span).share), _MOST_SHARE)
    span = heaviest_span(trial.times, trial.weights(share)) or span
    return Finding(line, span, trial.within(span), trial)


def test(one: Track, two: Track, line: Line, tolerance: float) -> Trial:
    """Both sides' peaks looked up in the other; a peak may be off by `tolerance` frames."""
    times, agrees, chance = [], [], []
    for there, here, exact, bands in _landings(one, two, line):
        frames = np.rint(exact / EIGHTHS).astype(np.int64)
        inside = there.contains(frames, bands)
        frames, bands, exact = frames[inside], bands[inside], exact[inside]
        misses = there.distances(frames, bands) - (exact - EIGHTHS * frames)
        times.append((frames if here is two else here.peaks.frames[inside]).astype(np.float64))
        agrees.append(np.abs(misses) <= tolerance * EIGHTHS)
        chance.append(there.chance(frames, bands, tolerance))
    return Trial(np.concatenate(times), np.concatenate(agrees), np.concatenate(chance))


def bend(one: Track, two: Track, line: Line, span: Span) -> float:
    """By what part of a band the pitch lies beside the line's, from how many peaks meet a band lower, at it, and a band higher."""
    _, _, exact, bands = _landings(one, two, line)[0]
    frames = np.rint(exact / EIGHTHS).astype(np.int64)
    inside = one.contains(frames, bands) & (frames >= span.start) & (frames <= span.end)
    frames, bands = frames[inside], bands[inside]
    lower, level, higher = (sum(int(one.has_peaks(frames + early, bands + aside).sum()) for early in (-1, 0, 1)) for aside in (-1, 0, 1))
    return (higher - lower) / max(lower + level + higher, 1)


def _landings(one: Track, two: Track, line: Line) -> list[tuple[Track, Track, NDArray[np.floating[Any]], NDArray[np.int64]]]:
    """Where the peaks of each side land in the other, in eighths of a frame and in bands."""
    forth: NDArray[np.floating[Any]] = two.eighths * line.tempo + EIGHTHS * line.offset
    back: NDArray[np.floating[Any]] = (one.eighths - EIGHTHS * line.offset) / line.tempo
    return [(one, two, forth, two.peaks.bands + line.pitch), (two, one, back, one.peaks.bands - line.pitch)]


def _fit(one: Track, two: Track, line: Line, span: Span, tolerance: float) -> Line:
    """Least squares through the pairs of peaks near the line, strays dropped; a short stretch only moves the offset."""
    _, _, exact, bands = _landings(one, two, line)[0]
    frames = np.rint(exact / EIGHTHS).astype(np.int64)
    inside = np.flatnonzero(one.contains(frames, bands) & (frames >= span.start) & (frames <= span.end))
    misses = (one.distances(frames[inside], bands[inside]) - (exact[inside] - EIGHTHS * frames[inside])) / EIGHTHS
    near = np.abs(misses) <= tolerance
    if near.sum() < _LEAST_HITS:
        return line
    x, misses = two.eighths[inside[near]] / EIGHTHS, misses[near]
    if x.max() - x.min() < _LEAST_FRAMES_FOR_TEMPO:
        return replace(line, offset=line.offset + float(np.median(misses)))
    middle = float(x.mean())
    slope = shift = 0.0
    for _ in range(3):
        slope, shift = _straight(x - middle, misses)
        kept = np.abs(misses - slope * (x - middle) - shift) <= max(_STRAY_FRAMES, 0.6 * tolerance)
        if kept.sum() < _LEAST_HITS or kept.all():
            break
        x, misses = x[kept], misses[kept]
    return replace(line, tempo=line.tempo + slope, offset=line.offset + shift - slope * middle)


def _straight(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and value at 0 of the least-squares line."""
    mean = float(x.mean())
    spread = float(((x - mean) ** 2).sum())
    slope = float(((x - mean) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    return slope, float(y.mean()) - slope * mean
