"""From candidates to an explanation: the best line, sharpened, and then whatever else of either film further lines explain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from video_svc.compare.evidence import Finding, Stretch, nothing, stretches, weigh
from video_svc.compare.geometry import Geometry
from video_svc.compare.lines import Line, Votes, elect
from video_svc.compare.polish import polished
from video_svc.compare.proof import Table, prove
from video_svc.compare.refine import sharpen
from video_svc.compare.side import GRID_SECONDS, Side
from video_svc.fingerprint.film import SAMPLE_SECONDS

MAX_CHECKS: Final = 5
ENOUGH_EVIDENCE: Final = 0.9
MIN_STEADY_EVIDENCE: Final = 0.5
"""Below it the camera may have shaken: looked into where the vote is strong, as it costs time and lends strangers a little likeness."""
MIN_SHAKEN_STRENGTH: Final = 5.0
MIN_SHAKEN_INLIERS: Final = 15
MAX_STEADIED: Final = 2
MIN_POLISHED_EVIDENCE: Final = 0.2
MAX_POLISHED_EVIDENCE: Final = 0.7
"""Between them a better geometry may make a match, or a better one."""
RIVAL_SHARE: Final = 0.75
"""Of the best one's worth: what comes so near may be the right line by half a step of the grid, where motion is quick."""
MIN_EVIDENCE: Final = 0.3
"""What is weaker is not worth a second look."""
MIN_NEW_SECONDS: Final = 1.5
NEW_SHARE: Final = 0.7
"""A further stretch must be nearly as good as the first …"""
AGAIN_SHARE: Final = 0.77
"""… and hardly worse where it explains anew what one of the films showed already: slow scenes resemble themselves."""
MAX_RATE_GAP: Final = 0.08
MIN_FURTHER_STRENGTH: Final = 3.0
MAX_STRETCHES: Final = 12
REACHES: Final = (4, 1, 1)
"""Steps of the grid within which a line is sharpened, in turn: slow scenes are alike for a second or two, and dances repeat."""
MAX_DOUBTED_RATE: Final = 0.35
WORTH_OF_LEVEL: Final = 0.015


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    geometry: Geometry
    line: Line
    strength: float
    votes: Votes | None


@dataclass(slots=True, eq=False)
class _Checked:
    candidate: Candidate
    table: Table | None
    found: tuple[Stretch, ...]
    evidence: float
    worth: float


def explain(one: Side, two: Side, candidates: list[Candidate]) -> Finding:
    """The candidates in order of strength, the best of the first few taken up."""
    checked = _check(one, two, candidates[:MAX_CHECKS], steadied=False)
    if not checked:
        return nothing()
    best = max(checked, key=lambda c: c.worth)
    if best.evidence < MIN_STEADY_EVIDENCE:
        shaken = [candidate for candidate in candidates if _may_be_shaken(candidate.geometry)][:MAX_STEADIED]
        steadied = _check(one, two, shaken, steadied=True)
        best = max([best, *steadied], key=lambda c: c.worth)
    if MIN_POLISHED_EVIDENCE <= best.evidence < MAX_POLISHED_EVIDENCE and not best.candidate.geometry.is_plain:
        geometry = polished(one, two, best.found[0])
        best = max([best, *_check(one, two, [replace(best.candidate, geometry=geometry)], steadied=False)], key=lambda c: c.worth)
    if best.evidence < MIN_EVIDENCE:
        return weigh(one, two, best.found)
    taken = _taken(one, two, best)
    rivals = [c for c in checked if c is not best and c.found and c.worth >= RIVAL_SHARE * best.worth]
    if rivals and weigh(one, two, tuple(taken)).evidence < MAX_POLISHED_EVIDENCE:
        rival = max(rivals, key=lambda c: c.worth)
        rival.table = Table.of(one, two, rival.candidate.geometry)
        better = _taken(one, two, rival)
        if weigh(one, two, tuple(better)).worth > weigh(one, two, tuple(taken)).worth:
            best, taken = rival, better
    unseen = [candidate for candidate in candidates[:MAX_CHECKS] if all(candidate is not c.candidate for c in checked)]
    others = [c for c in (*checked, *_check(one, two, unseen, steadied=False)) if c.candidate is not best.candidate]
    assert best.table is not None
    return weigh(one, two, tuple(_with_others(one, two, taken, best.table, best.candidate.votes, others)))


def _taken(one: Side, two: Side, checked: _Checked) -> list[Stretch]:
    """Its stretches on the sharper line where that explains as much; where that is little, on one a sample earlier or later, too."""
    table, line = checked.table, checked.found[0].proof.line
    assert table is not None  # kept of the best of every list
    sharper = _sharpened(one, two, table, list(checked.found))
    if weigh(one, two, tuple(sharper)).worth < checked.worth - WORTH_OF_LEVEL:
        sharper = list(checked.found)
    if weigh(one, two, tuple(sharper)).evidence >= MAX_POLISHED_EVIDENCE:
        return sharper
    proofs = [prove(table, replace(line, offset=line.offset + shift)) for shift in (-SAMPLE_SECONDS, SAMPLE_SECONDS)]
    others = [stretches(table.geometry, proof) for proof in proofs if proof is not None]
    return max([sharper, *others], key=lambda found: weigh(one, two, tuple(found)).worth)


def _may_be_shaken(geometry: Geometry) -> bool:
    return geometry.strength >= MIN_SHAKEN_STRENGTH and geometry.inliers >= MIN_SHAKEN_INLIERS


def _check(one: Side, two: Side, candidates: list[Candidate], *, steadied: bool) -> list[_Checked]:
    """Each candidate's proof; the table only of the best, as tables of long films take much room."""
    checked: list[_Checked] = []
    best: _Checked | None = None
    table: Table | None = None
    for number, candidate in enumerate(candidates):
        if number == 0 or candidate.geometry is not candidates[number - 1].geometry:
            table = None  # goes before the next one comes
            table = Table.of(one, two, candidate.geometry, steadied=steadied)
        proof = prove(table, candidate.line) if table else None
        if proof is None:
            continue
        found = tuple(stretches(candidate.geometry, proof))
        finding = weigh(one, two, found)
        entry = _Checked(candidate, table, found, finding.evidence, finding.worth)
        checked.append(entry)
        if best is None or entry.worth > best.worth:
            if best is not None:
                best.table = None
            best = entry
        else:
            entry.table = None
        if finding.evidence >= ENOUGH_EVIDENCE:
            break
    return checked


def _sharpened(one: Side, two: Side, table: Table, found: list[Stretch]) -> list[Stretch]:
    """The line made exact, also at a rate of 1, which is by far the likeliest: another rate must explain more to stand."""
    if not found:
        return []
    line = found[0].proof.line
    free = _grown(one, two, table, found, line)
    reached = free[0].proof.line if free else line
    if reached.rate == 1.0 or abs(np.log(reached.rate)) > MAX_DOUBTED_RATE:
        return free
    middle = _middle(one, found[0])
    level = Line(1.0, float(reached(np.array([middle]))[0]) - middle)
    proof = prove(table, level)
    held = _grown(one, two, table, stretches(table.geometry, proof) if proof else [], level, is_level=True)
    worth = [weigh(one, two, tuple(some)).worth for some in (free, held)]
    return held if worth[1] >= worth[0] - WORTH_OF_LEVEL else free


def _grown(one: Side, two: Side, table: Table, found: list[Stretch], line: Line, *, is_level: bool = False) -> list[Stretch]:
    """Sharpened again as long as that explains more: a rate that is off loses its hold with distance."""
    reaches = list(REACHES)
    while reaches and found:
        longest = found[0]
        start, stop = (float(one.grid[longest.proof.moments[k]]) for k in (longest.start, longest.stop - 1))
        sharper = sharpen(table, line, start, stop, reaches.pop(0), is_level=is_level)
        if sharper == line:
            continue
        proof = prove(table, sharper)
        better = stretches(table.geometry, proof) if proof else []
        before, after = (weigh(one, two, tuple(f)).worth for f in (found, better))
        if after >= before - 0.005:
            found, line = better, sharper
    return found


def _middle(one: Side, stretch: Stretch) -> float:
    return float(one.grid[stretch.proof.moments[[stretch.start, stretch.stop - 1]]].mean())


def _with_others(one: Side, two: Side, taken: list[Stretch], table: Table, votes: Votes | None, others: list[_Checked]) -> list[Stretch]:
    """Further stretches that explain something of either film which is not explained yet."""
    seen = _Seen(one, two)
    kept: list[Stretch] = []

    def offer(found: list[Stretch]) -> None:
        for stretch in found:
            fresh, is_new_to_both = seen.fresh_part(stretch)
            if fresh is None or len(kept) == MAX_STRETCHES:
                continue
            if stretch.proof is taken[0].proof or _is_as_good(fresh, taken[0], NEW_SHARE if is_new_to_both else AGAIN_SHARE):
                kept.append(fresh)
                seen.add(fresh)

    offer(taken)
    for other in others:
        offer([s for s in other.found if s.is_in_step])
    if votes is not None and kept:
        left, rates = votes, np.array([kept[0].proof.line.rate])
        for _ in range(MAX_STRETCHES):
            for stretch in kept:
                line = stretch.proof.line
                left = left.only(np.abs(left.second - line(left.first)) > 2 * GRID_SECONDS)
            elected = elect(left, 1, rates) if len(left.first) >= 2 else []
            if not elected or elected[0].strength < MIN_FURTHER_STRENGTH:
                break
            line = elected[0].line
            proof = prove(table, line)
            before = len(kept)
            if proof is not None:
                offer([s for s in _sharpened(one, two, table, stretches(table.geometry, proof)) if s.is_in_step])
            if len(kept) == before:
                left = left.only(np.abs(left.second - line(left.first)) > 2 * GRID_SECONDS)
    return kept


def _is_as_good(stretch: Stretch, first: Stretch, share: float) -> bool:
    """Whether it reaches this share of the first in agreement and in step, at about the same rate."""
    same_rate = abs(np.log(stretch.proof.line.rate / first.proof.line.rate)) <= MAX_RATE_GAP
    return bool(same_rate and stretch.agreement >= share * first.agreement and stretch.movement >= share * first.movement)


class _Seen:
    """Which moments of either film are explained."""

    def __init__(self, one: Side, two: Side) -> None:
        self._one, self._two = one, two
        self._first, self._second = np.zeros(len(one.grid), bool), np.zeros(len(two.grid), bool)

    def fresh_part(self, stretch: Stretch) -> tuple[Stretch | None, bool]:
        """The part that is new for at least one of the films, None where that is next to nothing; and whether it is for both."""
        first = stretch.proof.moments[stretch.here]
        there = stretch.proof.line(self._one.grid[first])
        second = np.searchsorted(self._two.grid, there - GRID_SECONDS / 2).clip(0, len(self._two.grid) - 1)
        seen_first, seen_second = self._first[first], self._second[second]
        if not self._first.any():
            return stretch, True
        edges = np.flatnonzero(np.diff(np.concatenate([[0], ~(seen_first & seen_second), [0]]))).reshape(-1, 2)
        start, stop = max(edges.tolist(), key=lambda run: run[1] - run[0], default=(0, 0))
        if (stop - start) * GRID_SECONDS < MIN_NEW_SECONDS:
            return None, False
        is_new_to_both = bool((seen_first | seen_second)[start:stop].mean() < 0.5)
        return stretch.cut(start, stop), is_new_to_both

    def add(self, stretch: Stretch) -> None:
        first = stretch.proof.moments[stretch.here]
        self._first[first] = True
        low, high = stretch.proof.line(self._one.grid[first[[0, -1]]])
        self._second[(self._two.grid >= low - GRID_SECONDS / 2) & (self._two.grid <= high + GRID_SECONDS / 2)] = True
