"""Which stretches two sounds share: the best line's, then those of other places that say something new (swapped, looped, cut out)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_svc.compare.proof import COARSE, SHARP, Finding, bend, examine, test
from audio_svc.compare.track import Track
from audio_svc.compare.votes import Line, propose, vote
from audio_svc.fingerprint.spectrum import FRAME_SECONDS
from matching.segments import Span, extended, split_at_gaps, uncovered_share
from matching.significance import Excess

EXAMINED: Final = 16
PLAIN_DEVIATIONS: Final = 30.0
PLAIN_COVERAGE: Final = 0.8
"""Who finds that much of either side at the tempo as it is need not try others."""
OTHER_PLACES: Final = 10
MIN_DEVIATIONS: Final = 7.0
"""Below it a stretch is not worth pointing at."""
_NEW_SHARE: Final = 0.6
_AS_GOOD: Final = 0.75
"""A stretch heard a second time must be about as true as the first: a loop, not music that repeats itself."""
_GAP_CELL_FRAMES: Final = 25
_MIN_GAP_FRAMES: Final = 100
_MIN_GAP_LOSS: Final = 40.0
_FAINT_SHARE: Final = 0.12
_MIN_FAINT_GAIN: Final = 20.0
_MAX_FAINT_DROP: Final = 12.0
"""Under noise or voices a copy is heard here and there, and faintly in between: as log likelihoods, of which chance brings 5 beside what
two strangers share, and all else that is in a copy 30 and more."""
_EDGE_SECONDS: Final = 0.5
_SAME_EDGE_SECONDS: Final = 0.5
"""Where both sounds begin, or both end, within so much of each other, it is more likely that little or nothing was cut."""
_SHORT_SECONDS: Final = 1.0
_SILENT_PEAKS_PER_SECOND: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """What may become a part: where a finding holds without a gap."""

    finding: Finding
    span: Span
    excess: Excess
    whole: Span
    """With what is fainter at either end."""
    whole_excess: Excess


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of both, in seconds, and how much of it agrees for a reason."""

    line: Line
    one: Span
    two: Span
    share: float
    deviations: float
    pitch: float
    """In bands, finer than the line has it."""
    sharp_share: float
    rough_share: float
    """The share if a peak may be off by 10 ms only, and by 80 ms: a copy keeps its time, another take of the same tune does not."""


def shared_parts(one: Track, two: Track) -> list[Part]:
    """The stretches in common, the surest first."""
    findings: list[Finding] = []
    for proposals in propose(one, two):
        findings += [finding for line in proposals[:EXAMINED] if (finding := examine(one, two, line))]
        best = max(findings, key=lambda finding: finding.excess.deviations, default=None)
        if best and best.excess.deviations >= PLAIN_DEVIATIONS and _covers(best, one, two) >= PLAIN_COVERAGE:
            break
    if best is None:
        return []
    if best.excess.deviations >= MIN_DEVIATIONS:
        elsewhere = vote(one, two, best.line.tempo, most=OTHER_PLACES, pitch=best.line.pitch)
        findings += [finding for line in elsewhere if (finding := examine(one, two, line))]
    stretches = [stretch for finding in findings for stretch in _stretches(finding)]
    stretches.sort(key=lambda stretch: -stretch.whole_excess.deviations)
    accepted: list[Part] = []
    for stretch in stretches:
        if accepted and stretch.whole_excess.deviations < MIN_DEVIATIONS:
            break
        first, second = _to_the_edges(stretch.whole, stretch.finding, one, two)
        if not accepted or _is_new(first, second, stretch.excess.share, accepted):
            accepted.append(_part(stretch, first, second, one, two))
    return accepted


def _covers(finding: Finding, one: Track, two: Track) -> float:
    length = finding.span.length * FRAME_SECONDS
    return length / max(min(one.duration_seconds, two.duration_seconds * finding.line.tempo), 1e-9)


def _is_new(first: Span, second: Span, share: float, accepted: list[Part]) -> bool:
    new_in_one = uncovered_share(first, [other.one for other in accepted]) >= _NEW_SHARE
    new_in_two = uncovered_share(second, [other.two for other in accepted]) >= _NEW_SHARE
    if new_in_one and new_in_two:
        return True
    return (new_in_one or new_in_two) and share >= _AS_GOOD * max(other.share for other in accepted)


def _stretches(finding: Finding) -> list[_Stretch]:
    trial = finding.trial
    weights = trial.weights(max(0.3, 0.75 * finding.excess.share))
    spans = split_at_gaps(finding.span, trial.times, weights, cell=_GAP_CELL_FRAMES, min_gap=_MIN_GAP_FRAMES, min_loss=_MIN_GAP_LOSS)
    stretches = []
    for span in spans:
        clear = trial.within(span)
        whole, gain = extended(span, trial.times, trial.weights(_FAINT_SHARE), max_drop=_MAX_FAINT_DROP)
        if clear.deviations < MIN_DEVIATIONS or gain < _MIN_FAINT_GAIN:
            whole = span
        stretches.append(_Stretch(finding, span, clear, whole, trial.within(whole)))
    return sorted(stretches, key=lambda stretch: -stretch.whole_excess.deviations)


def _part(stretch: _Stretch, first: Span, second: Span, one: Track, two: Track) -> Part:
    line, span = stretch.finding.line, stretch.span
    shares = [max(test(one, two, line, tolerance).within(span).share, 0.0) for tolerance in (SHARP, COARSE)]
    pitch = line.pitch + bend(one, two, line, span)
    share = float(np.sqrt(stretch.excess.share * stretch.whole_excess.share))
    return Part(line, first, second, share, stretch.whole_excess.deviations, pitch, *shares)


def _to_the_edges(span: Span, finding: Finding, one: Track, two: Track) -> tuple[Span, Span]:
    """In seconds of either side, and up to where the two begin or end if that is close by, or if one of them is silent up to there."""
    line = finding.line
    shift = line.offset * FRAME_SECONDS
    end_2 = two.duration_seconds * line.tempo + shift
    earliest, latest = max(0.0, shift), min(one.duration_seconds, end_2)
    start, end = span.start * FRAME_SECONDS, span.end * FRAME_SECONDS
    times_1, times_2 = one.peaks.frames * FRAME_SECONDS, two.peaks.frames * FRAME_SECONDS * line.tempo + shift
    before_1, before_2 = ((earliest <= times) & (times < start) for times in (times_1, times_2))
    after_1, after_2 = ((end < times) & (times <= latest) for times in (times_1, times_2))
    if _reaches(start - earliest, abs(shift), before_1, before_2):
        start = earliest
    if _reaches(latest - end, abs(one.duration_seconds - end_2), after_1, after_2):
        end = latest
    start, end = max(start, earliest), min(end, latest)
    second = Span(max(0.0, (start - shift) / line.tempo), min(two.duration_seconds, (end - shift) / line.tempo))
    return Span(start, end), second


def _reaches(gap: float, apart: float, beyond_1: NDArray[np.bool_], beyond_2: NDArray[np.bool_]) -> bool:
    """Whether what is left to the edge belongs to the stretch: it is short, or both sides end there and one of them is silent."""
    heard = int(beyond_1.sum()), int(beyond_2.sum())
    if gap <= _EDGE_SECONDS or max(heard) == 0:
        return True
    return apart <= _SAME_EDGE_SECONDS and (gap <= _SHORT_SECONDS or min(heard) <= 1 + _SILENT_PEAKS_PER_SECOND * gap)
