"""The vote, beside the same counted by hand."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from index_svc.blocks import joined, of_asset
from index_svc.voting import SHIFT_MS, vote

Placed = list[tuple[int, int]]
placed = st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 30_000)), max_size=30)


def votes(query: Placed, assets: dict[int, Placed]) -> list[tuple[int, int]]:
    library = joined(of_asset(number, [term for term, _ in said], [at for _, at in said]) for number, said in assets.items())
    numbers, counts = vote(of_asset(0, [term for term, _ in query], [at for _, at in query]), library)
    return list(zip(numbers.tolist(), counts.tolist(), strict=True))


@given(placed, st.dictionaries(st.integers(1, 2**40), placed, max_size=6))
def test_asset_has_as_many_votes_as_distinct_terms_agree_on_a_shift(query: Placed, assets: dict[int, Placed]) -> None:
    expected = {}
    for number, said in assets.items():
        agreeing = defaultdict(set)
        for term, at in said:
            for asked, asked_at in query:
                if asked == term:
                    agreeing[(at - asked_at) // SHIFT_MS].add(term)
        if agreeing:
            expected[number] = max(map(len, agreeing.values()))
    assert votes(query, assets) == sorted(expected.items(), key=lambda item: (-item[1], item[0]))


def test_neighbours_of_a_term_that_were_read_with_it_do_not_count() -> None:
    assert votes([(5, 0)], {1: [(4, 0), (6, 0)], 2: [(4, 0), (5, 0)]}) == [(2, 1)]


def test_nothing_votes_for_nothing() -> None:
    assert votes([], {1: [(1, 0)]}) == votes([(1, 0)], {}) == []
