"""Cutoffs, curves and intervals against cases that were worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matching.thresholds.analysis import RECOMMENDED, Analysis, Method, Note, Recommendation, Refusal, Wanted, analyse
from matching.thresholds.cost import cheapest, prices
from matching.thresholds.curves import area_under_roc, average_precision, curve, operating_point
from matching.thresholds.interval import share_interval
from matching.thresholds.scores import MAX_ROWS, Scores, counted, read_label, read_scores, tick_of
from matching.thresholds.valley import NoValley, Valley, find_valley

# Copies .9 .8 .4, others .5 .2 .1.
SIX = counted([0.9, 0.8, 0.4], [0.5, 0.2, 0.1])


def recommended(analysis: Analysis) -> Recommendation:
    assert isinstance(analysis.recommendation, Recommendation)
    return analysis.recommendation


def test_area_is_the_share_of_pairs_in_which_the_copy_scores_more() -> None:
    # Of nine: all but .4 against .5.
    assert area_under_roc(SIX.copies, SIX.others) == pytest.approx(8 / 9)


def test_tie_counts_half_in_the_area() -> None:
    tied = counted([0.5], [0.5])
    assert area_under_roc(tied.copies, tied.others) == 0.5


def test_average_precision_is_that_of_the_steps_of_recall() -> None:
    # Precision 1 at .9 and .8, three of four at .4.
    assert average_precision(SIX.copies, SIX.others) == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_point_counts_what_reaches_its_cutoff() -> None:
    point = operating_point(SIX.copies, SIX.others, tick_of(0.5))
    assert (point.copies_found, point.false_positives, point.misses) == (2, 1, 1)
    assert (point.recall, point.false_positive_rate, point.precision) == pytest.approx((2 / 3, 1 / 3, 2 / 3))


def test_precision_is_that_of_the_mix_that_is_said() -> None:
    # One pair in a hundred is a copy: .01 × 2/3 found, .99 × 1/3 wrong.
    point = operating_point(SIX.copies, SIX.others, tick_of(0.5), prevalence=0.01)
    assert point.precision == pytest.approx(0.01 * 2 / 3 / (0.01 * 2 / 3 + 0.99 / 3))


def test_curve_goes_from_nothing_to_everything() -> None:
    points = curve(SIX.copies, SIX.others)
    corners = [(point.false_positive_rate, point.recall) for point in points]
    steps = [(0, 0), (0, 1 / 3), (0, 2 / 3), (1 / 3, 2 / 3), (1 / 3, 1), (2 / 3, 1), (1, 1)]
    assert corners == [pytest.approx(step) for step in steps]
    assert points[0].precision is None


def test_long_curve_is_thinned_without_leaving_it() -> None:
    random = np.random.default_rng(1)
    many = counted(random.beta(6, 2, 5000), random.beta(2, 6, 5000))
    points = curve(many.copies, many.others)
    assert len(points) <= 200
    for point in points[1::10]:
        exact = operating_point(many.copies, many.others, tick_of(point.cutoff))
        assert (point.recall, point.false_positive_rate) == pytest.approx((exact.recall, exact.false_positive_rate))
    ways = [point.recall + point.false_positive_rate for point in points]
    assert max(np.diff(ways)) < 0.02


@pytest.mark.parametrize(
    ("cost", "low", "high"),
    [
        # A miss and a false positive cost the same: .5 is one false positive away from .8, .4 one miss: one mistake either way,
        # anywhere from above .2 to .4 and from above .5 to .8; the latter is wider.
        (1.0, 0.5001, 0.8),
        # A false positive costs ten misses: .4 is given up.
        (10.0, 0.5001, 0.8),
        # It costs a tenth: .5 is put up with.
        (0.1, 0.2001, 0.4),
    ],
)
def test_cost_says_which_mistake_is_made(cost: float, low: float, high: float) -> None:
    best = cheapest(SIX.copies, SIX.others, prices(3, 3, cost, None))
    assert (best.first, best.last) == (tick_of(low), tick_of(high))
    assert best.tick == (tick_of(low) + tick_of(high) + 1) // 2
    assert best.cost == pytest.approx(min(1.0, cost) / 6)


def test_rare_copies_ask_for_a_stricter_cutoff() -> None:
    # Copies .9 .7, others .8 .2: finding .7 as well is worth a false positive, unless nearly all pairs are strangers.
    mixed = counted([0.9, 0.7, 0.7], [0.8, 0.2, 0.2])
    assert recommended(analyse(mixed)).same == (0.2001, 0.7)
    assert recommended(analyse(mixed, Wanted(prevalence=0.01))).same == (0.8001, 0.9)


def test_recommendation_stands_in_the_middle_of_what_does_the_same() -> None:
    found = recommended(analyse(counted([0.8, 0.9], [0.1, 0.2])))
    assert found.same == (0.2001, 0.8)
    assert found.cutoff == pytest.approx(0.5, abs=1e-4)
    assert found.method is Method.COST
    assert {Note.FEW_COPIES, Note.FEW_OTHERS} <= set(found.notes)


def test_false_positive_so_dear_that_nothing_is_worth_it_is_said() -> None:
    found = recommended(analyse(counted([0.3] * 40, [0.6] * 40), Wanted(cost=1000)))
    assert Note.FLAGS_NONE in found.notes
    assert Note.NOT_SEPARATED in found.notes
    assert found.cutoff > 0.6


def test_score_of_one_cannot_be_cut_off() -> None:
    found = recommended(analyse(counted([1.0] * 40, [1.0] * 40), Wanted(cost=1000)))
    assert found.cutoff <= 1.0


def test_interval_shrinks_as_the_set_grows() -> None:
    widths = []
    for size in (100, 10_000):
        random = np.random.default_rng(5)
        copies, others = np.clip(random.normal(0.6, 0.15, size), 0, 1), np.clip(random.normal(0.4, 0.15, size), 0, 1)
        found = recommended(analyse(counted(copies, others)))
        assert found.interval[0] <= found.cutoff <= found.interval[1]
        widths.append(found.interval[1] - found.interval[0])
    assert widths[1] < widths[0] / 2


def test_interval_holds_the_best_cutoff_about_as_often_as_it_says() -> None:
    """Two bell curves of the same width cross half-way between: at .5."""
    held = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        copies, others = np.clip(random.normal(0.7, 0.15, 300), 0, 1), np.clip(random.normal(0.3, 0.15, 300), 0, 1)
        low, high = recommended(analyse(counted(copies, others))).interval
        held += low <= 0.5 <= high
    assert held >= 16


@pytest.mark.parametrize(
    ("seen", "tried", "low", "high"),
    # By Clopper and Pearson's tables; nothing of n: 1 - .025^(1/n).
    [(0, 10, 0.0, 0.3085), (3, 10, 0.0667, 0.6525), (10, 10, 0.6915, 1.0), (0, 1000, 0.0, 1 - 0.025 ** (1 / 1000)), (0, 0, 0.0, 1.0)],
)
def test_share_has_its_exact_interval(seen: int, tried: int, low: float, high: float) -> None:
    assert share_interval(seen, tried) == pytest.approx((low, high), abs=1e-4)


def test_exact_interval_leaves_its_tails_to_the_binomial() -> None:
    low, high = share_interval(7, 50)
    at_least = sum(math.comb(50, k) * low**k * (1 - low) ** (50 - k) for k in range(7, 51))
    at_most = sum(math.comb(50, k) * high**k * (1 - high) ** (50 - k) for k in range(8))
    assert (at_least, at_most) == pytest.approx((0.025, 0.025), abs=1e-9)


def heaps(copies: int, others: int, seed: int = 1) -> Scores:
    """Strangers near 0, copies near 1."""
    random = np.random.default_rng(seed)
    return counted(unlabelled=np.concatenate([random.beta(30, 2, copies), random.beta(1.2, 12, others)]))


@pytest.mark.parametrize(("copies", "others"), [(40, 60), (200, 800), (100, 9900)])
def test_two_heaps_part_in_their_valley(copies: int, others: int) -> None:
    found = find_valley(heaps(copies, others).all)
    assert isinstance(found, Valley)
    assert 0.45 < found.cutoff < 0.8
    assert found.interval[0] <= found.cutoff <= found.interval[1]


def test_valley_between_two_blocks_is_half_way() -> None:
    found = find_valley(counted(unlabelled=[0.2] * 500 + [0.8] * 500).all)
    assert isinstance(found, Valley)
    assert found.cutoff == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shape", ["flat", "one_bell", "falling", "all_alike"])
def test_one_heap_has_no_valley(shape: str) -> None:
    random = np.random.default_rng(3)
    scores = {"flat": random.random(800), "one_bell": random.beta(4, 4, 800), "falling": random.beta(1, 6, 800), "all_alike": np.zeros(800)}
    assert analyse(counted(unlabelled=scores[shape])).recommendation is Refusal.ONE_HEAP


def test_chance_makes_no_valley() -> None:
    found = [find_valley(counted(unlabelled=np.random.default_rng(seed).random(120)).all) for seed in range(40)]
    assert sum(isinstance(one, Valley) for one in found) <= 1


def test_few_scores_have_no_valley() -> None:
    assert find_valley(counted(unlabelled=[0.1] * 20 + [0.9] * 20).all) is NoValley.TOO_FEW


def test_one_kind_alone_says_nothing() -> None:
    assert analyse(counted(copies=[0.9] * 100)).recommendation is Refusal.ONE_KIND
    assert analyse(counted()).recommendation is Refusal.NO_SCORES


def test_half_labelled_set_goes_by_its_labels_and_shows_the_rest() -> None:
    found = analyse(counted([0.9] * 50, [0.1] * 50, [0.5] * 7), Wanted(cutoffs={"general": 0.6}))
    assert recommended(found).method is Method.COST
    assert sum(bar.unlabelled for bar in found.histogram) == 7
    assert found.curves is not None
    assert list(found.curves.operating) == [RECOMMENDED, "general"]


def test_histogram_puts_every_score_in_one_bar() -> None:
    bars = analyse(counted([1.0], [0.0, 0.0199, 0.02], [0.5])).histogram
    assert [(bar.start, bar.others) for bar in bars if bar.others] == [(0.0, 2), (0.02, 1)]
    assert bars[-1].copies == 1
    assert bars[25].unlabelled == 1


def test_same_scores_get_the_same_answer() -> None:
    assert analyse(heaps(100, 300)).recommendation == analyse(heaps(100, 300)).recommendation


@pytest.mark.parametrize(
    "text",
    [
        "0.9,1\n0.1,0\n0.5,\n",
        "score,label\r\n0.9,copy\r\n0.1,other\r\n0.5,?\r\n",
        "\ufefflabel,name,Similarity_Score\nyes,a,.9\nno,b,.1\n\n,c,5e-1\n",
    ],
)
def test_scores_are_read_from_any_of_these(text: str) -> None:
    scores = read_scores(text)
    assert [np.flatnonzero(counts).tolist() for counts in (scores.copies, scores.others, scores.unlabelled)] == [[9000], [1000], [5000]]


def test_row_that_cannot_be_read_is_said_by_its_line_and_the_others_count() -> None:
    scores = read_scores("score,label\n0.5,1\nhigh,1\n1.5,0\nnan,0\n0.2,maybe\n,1\n0.1,0\n")
    assert (int(scores.copies.sum()), int(scores.others.sum()), scores.refused) == (1, 1, 5)
    assert [error.line for error in scores.errors] == [3, 4, 5, 6, 7]
    assert scores.errors[0].message == "high is no score"


@pytest.mark.parametrize("text", ["name,size\na,1\n", "0.5\n" * (MAX_ROWS + 1)])
def test_what_is_no_list_of_scores_is_refused_whole(text: str) -> None:
    with pytest.raises(ValueError, match=r"column score|at most 200,000 rows"):
        read_scores(text)


def test_label_is_read_whatever_its_case() -> None:
    assert [read_label(word) for word in ("1", " TRUE ", "Copy", "0", "no match", "", "?")] == [True, True, True, False, False, None, None]
