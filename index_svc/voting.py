"""The vote of a query's terms on the assets that share them; pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from index_svc.blocks import Postings, in_order

SHIFT_MS: Final = 4000
"""Two assets agree on how far one lies behind the other; a changed tempo moves that slowly, hence not less."""


def vote(query: Postings, postings: Postings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The assets that share terms with the query, and how many distinct ones at the best shift; the most first, then the older asset."""
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
    distinct = np.unique(place * len(query) + np.searchsorted(query.terms, query.terms[asked]))
    places, votes = np.unique(distinct // len(query), return_counts=True)
    best = np.zeros(len(numbers), np.int64)
    np.maximum.at(best, places // (shift.max() + 1), votes)
    order = np.lexsort((numbers, -best))
    return numbers[order], best[order]
