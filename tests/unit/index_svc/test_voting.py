"""The vote, beside the same counted by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index_svc.blocks import joined, of_asset
from index_svc.voting import SHIFT_MS, vote, weight

Placed = list[tuple[int, int]]
placed = st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 30_000)), max_size=30)


def count_votes(query: Placed, assets: dict[int, Placed]) -> list[tuple[int, int]]:
    library = joined(of_asset(number, [term for term, _ in said], [at for _, at in said]) for number, said in assets.items())
    numbers, counts = vote(of_asset(0, [term for term, _ in query], [at for _, at in query]), library)
    return list(zip(numbers.tolist(), counts.tolist(), strict=True))


@given(placed, st.dictionaries(st.integers(1, 2**40), placed, max_size=6))
def test_asset_has_the_weight_of_the_distinct_terms_that_agree_on_a_shift(query: Placed, assets: dict[int, Placed]) -> None:
    agreeing = {
        (number, (at - asked_at) // SHIFT_MS, term)
        for number, said in assets.items()
        for term, at in said
        for asked, asked_at in query
        if asked == term
    }
    met = Counter(term for _, _, term in agreeing)
    votes_at: Counter[tuple[int, int]] = Counter()
    for number, shift, term in agreeing:
        votes_at[number, shift] += int(weight(np.array([met[term]]))[0])
    expected: dict[int, int] = {}
    for (number, _), votes in votes_at.items():
        expected[number] = max(votes, expected.get(number, 0))
    assert count_votes(query, assets) == sorted(expected.items(), key=lambda item: (-item[1], item[0]))


def test_rare_term_says_more_than_one_that_most_assets_have() -> None:
    common = {number: [(1, 0)] for number in range(10, 20)}
    assert next(number for number, _ in count_votes([(1, 0), (2, 0)], {**common, 30: [(2, 0)]})) == 30


def test_neighbours_of_a_term_that_were_read_with_it_do_not_count() -> None:
    assert count_votes([(5, 0)], {1: [(4, 0), (6, 0)], 2: [(4, 0), (5, 0)]}) == [(2, int(weight(np.array([1]))[0]))]


def test_nothing_votes_for_nothing() -> None:
    assert count_votes([], {1: [(1, 0)]}) == count_votes([(1, 0)], {}) == []
