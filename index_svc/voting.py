"""The vote of a query's terms on the assets that share them; pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from index_svc.blocks import Postings, in_order

SHIFT_MS: Final = 4000
"""Two assets agree on how far one lies behind the other; a changed tempo moves that slowly, hence not less."""

_RARITY: Final = -0.3
"""Of 1,466 edited images 99.25 % have their original among the first 50 of 2,212 files, 99.1 % where all terms weigh alike; 98.4 and 97.7 %
where a query has no more terms than an index keeps."""
_WHOLE: Final = 1000


def weight(holders: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a term says that is met so many times, in one asset after another; whole numbers, so that sums do not depend on their order."""
    return np.round(_WHOLE * np.maximum(holders, 1) ** _RARITY).astype(np.int64)


def vote(query: Postings, postings: Postings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Assets that share terms with the query, and the weight of the distinct ones at the best shift; the most first, then the older."""
    query = in_order(query)
    first = np.searchsorted(query.terms, postings.terms, "left")
    pairings = np.searchsorted(query.terms, postings.terms, "right") - first
    shared = postings.where(pairings > 0)
    first, pairings = first[pairings > 0], pairings[pairings > 0]
    # Each posting against each place of its term in the query.
    within = np.arange(pairings.sum()) - np.repeat(np.cumsum(pairings) - pairings, pairings)
    asked = np.repeat(first, pairings) + within
    if not len(asked):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    numbers, asset = np.unique(np.repeat(shared.assets, pairings), return_inverse=True)
    shift = (np.repeat(shared.positions, pairings) - query.positions[asked]) // SHIFT_MS
    shift -= shift.min()
    place = asset * (shift.max() + 1) + shift
    # Not by numpy.unique, which hashes: of a hundred thousand that takes thirty milliseconds, sorting them one.
    votes = np.sort(place * len(query) + np.searchsorted(query.terms, query.terms[asked]))
    distinct = votes[np.flatnonzero(np.concatenate([[True], votes[1:] != votes[:-1]]))]
    holders, term = distinct // len(query), distinct % len(query)
    weights = weight(np.bincount(term))[term]
    starts = np.flatnonzero(np.concatenate([[True], holders[1:] != holders[:-1]]))
    best = np.zeros(len(numbers), np.int64)
    np.maximum.at(best, holders[starts] // (shift.max() + 1), np.add.reduceat(weights, starts))
    order = np.lexsort((numbers, -best))
    return numbers[order], best[order]
