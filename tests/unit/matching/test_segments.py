"""Stretches: found where evidence lies, split where it is missing, counted once."""

from __future__ import annotations

import numpy as np
import pytest

from matching.segments import Span, Times, extended, heaviest_span, split_at_gaps, uncovered_share, union_length

TIMES = np.arange(100, dtype=np.float64)


def test_heaviest_span_ends_where_rewards_end() -> None:
    weights = np.where((TIMES >= 30) & (TIMES < 60), 1.0, -1.0)
    assert heaviest_span(TIMES, weights) == Span(30, 59)


def test_order_of_the_evidence_does_not_matter() -> None:
    weights = np.where((TIMES >= 30) & (TIMES < 60), 1.0, -1.0)
    shuffled = np.random.default_rng(1).permutation(100)
    assert heaviest_span(TIMES[shuffled], weights[shuffled]) == Span(30, 59)


def test_short_doubt_inside_is_bridged() -> None:
    weights = np.where((TIMES >= 30) & (TIMES < 60), 1.0, -1.0)
    weights[44:47] = -1
    assert heaviest_span(TIMES, weights) == Span(30, 59)


@pytest.mark.parametrize("times", [TIMES, TIMES[:0]])
def test_where_nothing_speaks_for_it_there_is_no_span(times: Times) -> None:
    assert heaviest_span(times, np.full(len(times), -0.5)) is None


def test_span_is_split_at_a_long_gap_and_not_at_a_short_one() -> None:
    weights = np.ones(100)
    weights[20:24] = -3
    weights[50:70] = -3
    parts = split_at_gaps(Span(0, 99), TIMES, weights, cell=2, min_gap=10, min_loss=20)
    assert [edge for part in parts for edge in (part.start, part.end)] == pytest.approx([0, 50, 70, 99], abs=2)


def test_pause_without_evidence_is_no_gap() -> None:
    times = np.concatenate([TIMES[:40], TIMES[80:]])
    assert split_at_gaps(Span(0, 99), times, np.ones(60), cell=2, min_gap=10, min_loss=5) == [Span(0, 99)]


def test_union_counts_each_moment_once() -> None:
    assert union_length([Span(0, 10), Span(5, 12), Span(20, 21)]) == 13
    assert union_length([]) == 0


def test_uncovered_share_is_what_no_other_span_has() -> None:
    assert uncovered_share(Span(0, 10), [Span(-5, 2), Span(8, 30), Span(40, 50)]) == pytest.approx(0.6)
    assert uncovered_share(Span(0, 10), []) == 1
    assert uncovered_share(Span(3, 3), []) == 0


def test_span_is_extended_to_where_faint_evidence_sums_to_the_most() -> None:
    times = np.arange(100.0)
    weights = np.where((times >= 20) & (times < 70), 0.5, -1.0)
    span, gained = extended(Span(40, 50), times, weights, max_drop=5)
    assert (span, gained) == (Span(20, 69), 0.5 * 39)


def test_nothing_is_reached_across_a_stretch_that_costs_too_much() -> None:
    times = np.arange(100.0)
    weights = np.where((times > 50) & (times <= 60), -1.0, 1.0)
    assert extended(Span(40, 50), times, weights, max_drop=5)[0] == Span(0, 50)
    assert extended(Span(40, 50), times, weights, max_drop=11)[0] == Span(0, 99)


def test_span_with_nothing_around_it_stays_as_it_is() -> None:
    assert extended(Span(0, 9), np.arange(10.0), np.ones(10), max_drop=1) == (Span(0, 9), 0.0)
