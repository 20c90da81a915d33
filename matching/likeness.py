"""Which places of two pictures look alike: every code of one beside every code of the other, straight and in the mirror."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.local_features import Constellation

# Lowe's ratio, loose because the vote that follows is strict; the second neighbour is looked for at another place,
# as SIFT gives one place several directions and scales.
_MAX_DISTANCE_RATIO: Final = 0.88
_SAME_PLACE_PX: Final = 6.0
_MIN_COSINE: Final = 0.60
_MAX_MATCHES: Final = 240
_MIN_WORTH_HALVING: Final = 200

_Floats = NDArray[np.float32]
_Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Matches:
    """Places in the query and in the reference that look alike, best first, and what each says on scale and angle."""

    query_points: _Floats
    reference_points: _Floats
    log_scales: _Floats
    angles: _Floats

    def __len__(self) -> int:
        return len(self.query_points)


class Likeness:
    """How alike every code of one is to every code of the other: straight and in the mirror for the price of one.

    The inner products are exact, see local_features. Every second code of the query comes first: nearly always they say enough."""

    def __init__(self, query: Constellation, reference: Constellation) -> None:
        self._query, self._reference = query, reference
        self._products: list[tuple[_Floats, _Floats, _Floats]] = []
        self._tables: dict[tuple[int, bool], _Tables] = {}
        self._of_half: list[_Pairs] | None = None

    @property
    def is_large(self) -> bool:
        """Whether half of it is much less work."""
        return len(self._query) >= _MIN_WORTH_HALVING

    def cosines(self, *, mirrored: bool = False) -> _Floats:
        """`mirrored`: those of the query in the mirror."""
        cosines = np.empty((len(self._query), len(self._reference)), np.float32)
        cosines[::2], cosines[1::2] = (self._table(part, mirrored=mirrored).cosines[0] for part in (0, 1))
        return cosines

    def nearest(self, *, mirrored: bool = False, of_half: bool = False) -> Matches:
        """One-to-one nearest neighbours that stand out from the second nearest; the query's places are then those in the mirror.

        `of_half`: of every second feature of the query alone."""
        query, reference = self._query, self._reference
        if len(query) < 2 or len(reference) < 2:
            empty = np.zeros(0, np.float32)
            return Matches(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), empty, empty)
        rows, best = self._pairs(mirrored=mirrored, of_half=of_half)
        rows = 2 * rows if of_half else _order(len(query))[rows]
        points, angles = query.in_mirror(rows) if mirrored else (query.points[rows], query.angles[rows])
        return Matches(
            points,
            reference.points[best],
            np.log(reference.scales[best] / query.scales[rows]),
            _wrapped(reference.angles[best] - angles),
        )

    def _pairs(self, *, mirrored: bool, of_half: bool) -> _Pairs:
        """Those of half on both sides of the mirror at once: whoever asks for the one nearly always asks for the other."""
        if not of_half:
            return _nearest_of([self._table(part, mirrored=mirrored) for part in (0, 1)], self._reference.points)[0]
        if self._of_half is None:
            self._of_half = _nearest_of([self._both_tables()], self._reference.points)
        return self._of_half[mirrored]

    def _table(self, part: int, *, mirrored: bool) -> _Tables:
        """Of every second code of the query, from the first or the second on."""
        if (part, mirrored) not in self._tables:
            if part == 0:
                both = self._both_tables()
                self._tables |= {(0, side): both.only(int(side)) for side in (False, True)}
            else:
                even, odd, most = self._products_of(part)
                cosines = even - odd if mirrored else even + odd
                cosines /= most
                self._tables[part, mirrored] = _Tables.of(cosines[None])
        return self._tables[part, mirrored]

    def _both_tables(self) -> _Tables:
        """Of every second code of the query: straight, and in the mirror."""
        even, odd, most = self._products_of(0)
        cosines = np.empty((2, *even.shape), np.float32)
        np.add(even, odd, out=cosines[0])
        np.subtract(even, odd, out=cosines[1])
        cosines /= most
        return _Tables.of(cosines)

    def _products_of(self, part: int) -> tuple[_Floats, _Floats, _Floats]:
        """Inner products of the sums and of the differences, and the most that both together can be."""
        while len(self._products) <= part:
            chosen = slice(len(self._products), None, 2)
            (even_1, odd_1), (even_2, odd_2) = self._query.halves, self._reference.halves
            # Each pair of values makes twice its product.
            most = np.multiply.outer(2 * self._query.lengths[chosen], self._reference.lengths)
            self._products.append((even_1[:, chosen].T @ even_2, odd_1[:, chosen].T @ odd_2, most))
        return self._products[part]


@dataclass(frozen=True, slots=True)
class _Tables:
    """A stack of tables of cosines, with the place and the value of each row's highest, and each column's highest value."""

    cosines: _Floats
    best: NDArray[np.intp]
    first: _Floats
    most: _Floats

    @staticmethod
    def of(cosines: _Floats) -> _Tables:
        best = cosines.argmax(axis=2)
        width = cosines.shape[2]
        first = cosines.ravel().take(best.ravel() + np.arange(0, cosines.size, width)).reshape(best.shape)
        return _Tables(cosines, best, first, cosines.max(axis=1))

    def only(self, table: int) -> _Tables:
        one = slice(table, table + 1)
        return _Tables(self.cosines[one], self.best[one], self.first[one], self.most[one])


def _nearest_of(parts: list[_Tables], points: _Floats) -> list[_Pairs]:
    """Of each table, its rows in parts: rows and columns that are each other's best and stand out from the second, the clearest first."""
    best = np.concatenate([part.best for part in parts], axis=1)
    first = np.concatenate([part.first for part in parts], axis=1).ravel()
    most = np.maximum.reduce([part.most for part in parts])
    tables, height = best.shape
    columns = (best + np.arange(0, most.size, most.shape[1])[:, None]).ravel()
    rows = np.flatnonzero((first == most.ravel().take(columns)) & (first >= _MIN_COSINE))
    # Where several are equally near to one place, the first.
    columns = columns.take(rows)
    taken = np.empty(most.size, np.intp)
    taken[columns[::-1]] = rows[::-1]
    rows = rows[taken.take(columns) == rows]
    best, first = best.ravel().take(rows), first.take(rows)
    second = _best_elsewhere(_rows_of(parts, rows), best, points)
    ratio = np.sqrt(np.maximum(1 - first, 0) / np.maximum(1 - second, 1e-6))
    clear = np.flatnonzero(ratio < _MAX_DISTANCE_RATIO)
    clear = clear[np.argsort(ratio[clear], kind="stable")]
    rows, best = rows[clear], best[clear]
    found = []
    for table in range(tables):
        inside = np.flatnonzero(rows // height == table)[:_MAX_MATCHES]
        found.append((rows[inside] - table * height, best[inside]))
    return found


def _rows_of(parts: list[_Tables], rows: NDArray[np.intp]) -> _Floats:
    """A copy of these rows, which rise; there is one part, or one table in each."""
    flat = [part.cosines.reshape(-1, part.cosines.shape[2]) for part in parts]
    edges = np.cumsum([0] + [len(part) for part in flat])
    cuts = np.searchsorted(rows, edges)
    taken = [part.take(rows[low:high] - edge, axis=0) for part, low, high, edge in zip(flat, cuts, cuts[1:], edges, strict=False)]
    return taken[0] if len(taken) == 1 else np.concatenate(taken)


def _order(count: int) -> NDArray[np.intp]:
    """Every second, then the others."""
    places = np.arange(count)
    return np.concatenate([places[::2], places[1::2]])


def nearest_matches(query: Constellation, reference: Constellation) -> Matches:
    """One-to-one nearest neighbours that stand out from the second nearest."""
    return Likeness(query, reference).nearest()


def _best_elsewhere(cosines: _Floats, best: NDArray[np.intp], points: _Floats) -> _Floats:
    """The second best of each row, not counting what lies where the best one does; overwrites the cosines."""
    rows = np.arange(len(best))
    cosines[rows, best] = -1.0
    runner_up = cosines.argmax(axis=1)
    second: _Floats = cosines[rows, runner_up]
    # Most runners-up lie elsewhere already.
    doubtful = np.flatnonzero(((points[runner_up] - points[best]) ** 2).sum(axis=1) < _SAME_PLACE_PX**2)
    others, place = cosines[doubtful], points[best[doubtful]]
    here = (place[:, :1] - points[:, 0]) ** 2 + (place[:, 1:] - points[:, 1]) ** 2 < _SAME_PLACE_PX**2
    second[doubtful] = np.where(here, np.float32(-1.0), others).max(axis=1)
    return second


def cosine_similarities(query: Constellation, reference: Constellation) -> _Floats:
    """How alike every code of one is to every code of the other."""
    return Likeness(query, reference).cosines()


def _wrapped(angles: _Floats) -> _Floats:
    wrapped: _Floats = np.mod(angles + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
    return wrapped
