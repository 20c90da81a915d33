"""Postings as columns, and packed into blocks; pure.

A block holds whole terms, in order, as pairs of 32 bits: how far the term lies behind the block's first one, and how far the number of
the asset lies behind that of the run's first one. Where time matters, the milliseconds into the asset stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_POSTINGS: Final = 48
"""A query reads one block a term of every run: small ones cost space, large ones time."""
_PAIR_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Postings:
    """One row a posting: the term, the number of the asset that has it, and where."""

    terms: NDArray[np.int64]
    assets: NDArray[np.int64]
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.terms)

    def where(self, rows: NDArray[np.bool_]) -> Postings:
        return Postings(self.terms[rows], self.assets[rows], self.positions[rows])


@dataclass(frozen=True, slots=True)
class Block:
    """As it is stored; without positions where all of them are zero."""

    first_term: int
    pairs: bytes
    positions: bytes | None

    @property
    def count(self) -> int:
        return len(self.pairs) // _PAIR_BYTES


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """A block that was read, and what its asset numbers are counted from."""

    first_asset: int
    block: Block


def of_asset(asset: int, terms: Sequence[int], positions: Sequence[int] | None) -> Postings:
    """What one asset brings."""
    count = len(terms)
    where = np.zeros(count, np.int64) if positions is None else np.asarray(positions, np.int64)
    return Postings(np.asarray(terms, np.int64), np.full(count, asset, np.int64), where)


def joined(parts: Iterable[Postings]) -> Postings:
    given = list(parts) or [of_asset(0, (), None)]
    return Postings(*(np.concatenate([getattr(part, column) for part in given]) for column in ("terms", "assets", "positions")))


def in_order(postings: Postings) -> Postings:
    """By term; a stable sort, for it only merges what is in order piece by piece."""
    order = np.argsort(postings.terms, kind="stable")
    return Postings(postings.terms[order], postings.assets[order], postings.positions[order])


def blocks(postings: Postings, first_asset: int) -> Iterator[Block]:
    """What is in order, cut between terms into blocks of about the right length."""
    if not len(postings):
        return
    terms = postings.terms
    starts = np.flatnonzero(np.concatenate([[True], terms[1:] != terms[:-1]]))
    wanted = np.searchsorted(starts, np.arange(0, len(terms), BLOCK_POSTINGS))
    cuts = starts[wanted[wanted < len(starts)]]
    # Distances fit 32 bits: a block ends where the upper half of the term changes.
    cuts = np.union1d(cuts, np.flatnonzero(np.concatenate([[True], (terms[1:] >> 32) != (terms[:-1] >> 32)])))
    ends = np.append(cuts[1:], len(terms))
    pairs = np.empty((len(terms), 2), "<u4")
    pairs[:, 0] = terms - np.repeat(terms[cuts], ends - cuts)
    pairs[:, 1] = postings.assets - first_asset
    positions = postings.positions.astype("<u4") if postings.positions.any() else None
    for start, end in zip(cuts.tolist(), ends.tolist(), strict=True):
        where = None if positions is None else positions[start:end].tobytes()
        yield Block(int(terms[start]), pairs[start:end].tobytes(), where)


def read_blocks(placed: Sequence[PlacedBlock]) -> Postings:
    """What stands in them, in their order."""
    counts = np.array([each.block.count for each in placed], np.int64)
    pairs = np.frombuffer(b"".join(each.block.pairs for each in placed), "<u4").reshape(-1, 2).astype(np.int64)
    positions = b"".join(
        bytes(_PAIR_BYTES // 2 * count) if each.block.positions is None else each.block.positions
        for each, count in zip(placed, counts.tolist(), strict=True)
    )
    first_terms = np.array([each.block.first_term for each in placed], np.int64)
    first_assets = np.array([each.first_asset for each in placed], np.int64)
    return Postings(
        pairs[:, 0] + np.repeat(first_terms, counts),
        pairs[:, 1] + np.repeat(first_assets, counts),
        np.frombuffer(positions, "<u4").astype(np.int64),
    )
