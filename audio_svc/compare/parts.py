"""Which stretches two sounds share: the best line's, then those of other places that say something new (swapped, looped, cut out)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from audio_svc.compare.proof import Finding, examine
from audio_svc.compare.track import Track
from audio_svc.compare.votes import VOTERS_PER_SECOND, Line, propose, vote
from audio_svc.fingerprint.spectrum import FRAME_SECONDS
from matching.segments import Span, split_at_gaps, uncovered_share

EXAMINED: Final = 12
OTHER_PLACES: Final = 10
MIN_DEVIATIONS: Final = 7.0
"""Below it a stretch is not worth pointing at."""
_NEW_SHARE: Final = 0.6
_AS_GOOD: Final = 0.75
"""A stretch heard a second time must be about as true as the first: a loop, not music that repeats itself."""
_GAP_CELL_FRAMES: Final = 25
_MIN_GAP_FRAMES: Final = 100
_MIN_GAP_LOSS: Final = 12.0
_EDGE_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of both, in seconds, and how much of it agrees for a reason."""

    line: Line
    one: Span
    two: Span
    share: float
    deviations: float


def shared_parts(one: Track, two: Track) -> list[Part]:
    """The stretches in common, the surest first."""
    findings = [finding for proposal in propose(one, two)[:EXAMINED] if (finding := examine(one, two, proposal.line))]
    if not findings:
        return []
    best = max(findings, key=lambda finding: finding.excess.deviations)
    accepted = _parts(best, one, two)
    if best.excess.deviations < MIN_DEVIATIONS:
        return accepted
    voters = one.strongest(VOTERS_PER_SECOND), two.strongest(VOTERS_PER_SECOND)
    elsewhere = vote(one, two, voters, best.line.tempo, most=OTHER_PLACES, pitch=best.line.pitch)
    findings += [finding for proposal in elsewhere if (finding := examine(one, two, proposal.line))]
    candidates = [part for finding in findings if finding is not best for part in _parts(finding, one, two)]
    for part in sorted(candidates, key=lambda part: -part.deviations):
        if part.deviations >= MIN_DEVIATIONS and _is_new(part, accepted):
            accepted.append(part)
    return accepted


def _is_new(part: Part, accepted: list[Part]) -> bool:
    new_in_one = uncovered_share(part.one, [other.one for other in accepted]) >= _NEW_SHARE
    new_in_two = uncovered_share(part.two, [other.two for other in accepted]) >= _NEW_SHARE
    if new_in_one and new_in_two:
        return True
    return (new_in_one or new_in_two) and part.share >= _AS_GOOD * max(other.share for other in accepted)


def _parts(finding: Finding, one: Track, two: Track) -> list[Part]:
    trial = finding.trial
    weights = trial.weights(max(0.3, 0.75 * finding.excess.share))
    spans = split_at_gaps(finding.span, trial.times, weights, cell=_GAP_CELL_FRAMES, min_gap=_MIN_GAP_FRAMES, min_loss=_MIN_GAP_LOSS)
    parts = []
    for span in spans:
        excess = trial.within(span)
        first, second = _to_the_edges(span, finding, one, two)
        parts.append(Part(finding.line, first, second, excess.share, excess.deviations))
    return sorted(parts, key=lambda part: -part.deviations)


def _to_the_edges(span: Span, finding: Finding, one: Track, two: Track) -> tuple[Span, Span]:
    """In seconds of either side; where one of them begins or ends close by, or nothing more is to be heard, up to there."""
    line, times = finding.line, finding.trial.times
    earliest = max(0.0, line.offset * FRAME_SECONDS)
    latest = min(one.duration_seconds, two.duration_seconds * line.tempo + line.offset * FRAME_SECONDS)
    start, end = span.start * FRAME_SECONDS, span.end * FRAME_SECONDS
    if start - earliest <= _EDGE_SECONDS or not (times < span.start).any():
        start = earliest
    if latest - end <= _EDGE_SECONDS or not (times > span.end).any():
        end = latest
    start, end = max(start, earliest), min(end, latest)
    shift = line.offset * FRAME_SECONDS
    second = Span(max(0.0, (start - shift) / line.tempo), min(two.duration_seconds, (end - shift) / line.tempo))
    return Span(start, end), second
