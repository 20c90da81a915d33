"""What goes into blocks comes out of them, whatever the numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index_svc.blocks import BLOCK_POSTINGS, PlacedBlock, Postings, blocks, in_order, joined, of_asset, read_blocks

FIRST_ASSET = 7_000_000_000

Rows = list[tuple[int, int, int]]
rows = st.lists(
    st.tuples(
        st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 40)),
        st.integers(FIRST_ASSET, FIRST_ASSET + 2**32 - 1),
        st.integers(0, 2**31 - 1),
    ),
    max_size=400,
)


def as_rows(postings: Postings) -> Rows:
    return list(zip(postings.terms.tolist(), postings.assets.tolist(), postings.positions.tolist(), strict=True))


def as_postings(given_rows: Rows) -> Postings:
    return Postings(*(np.array([row[column] for row in given_rows], np.int64) for column in range(3)))


@given(rows)
def test_blocks_give_back_what_was_packed(given_rows: Rows) -> None:
    ordered = in_order(as_postings(given_rows))
    assert as_rows(ordered) == sorted(given_rows, key=lambda row: row[0])
    packed = [PlacedBlock(FIRST_ASSET, block) for block in blocks(ordered, FIRST_ASSET)]
    assert as_rows(read_blocks(packed)) == as_rows(ordered)


@given(rows)
def test_term_stands_in_one_block_the_last_that_does_not_begin_behind_it(given_rows: Rows) -> None:
    packed = list(blocks(in_order(as_postings(given_rows)), FIRST_ASSET))
    for index, block in enumerate(packed):
        inside = read_blocks([PlacedBlock(0, block)]).terms
        assert inside.min() == block.first_term
        assert index + 1 == len(packed) or inside.max() < packed[index + 1].first_term


def test_blocks_are_of_about_the_right_length() -> None:
    many = Postings(np.arange(10_000), np.full(10_000, 1), np.zeros(10_000, np.int64))
    lengths = [len(block.pairs) // 8 for block in blocks(many, 1)]
    assert set(lengths[:-1]) == {BLOCK_POSTINGS}


def test_positions_are_left_out_where_none_is_set() -> None:
    (without,) = blocks(of_asset(5, [1, 2], None), 5)
    (with_one,) = blocks(of_asset(5, [1, 2], [0, 9]), 5)
    assert without.positions is None
    assert with_one.positions is not None
    both = read_blocks([PlacedBlock(5, without), PlacedBlock(5, with_one)])
    assert as_rows(both) == [(1, 5, 0), (2, 5, 0), (1, 5, 0), (2, 5, 9)]


def test_nothing_makes_no_block() -> None:
    assert list(blocks(joined(()), 0)) == []
    assert len(read_blocks([])) == 0
