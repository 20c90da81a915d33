"""Scores as they come in a CSV file, counted on the grid of the four digits that every score is published with.

Counted, a hundred thousand scores cost no more than ten thousand cells. What cannot be read is said by its line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

TICKS: Final = 10_000
"""Steps from 0 to 1."""
MAX_ROWS: Final = 200_000
MAX_NAMED_ERRORS: Final = 100

_SCORE: Final = ("score", "similarity_score", "similarity")
_LABEL: Final = ("label", "is_copy", "copy")
_COPY: Final = frozenset({"1", "true", "t", "yes", "y", "copy", "match", "same", "positive"})
_OTHER: Final = frozenset({"0", "false", "f", "no", "n", "other", "different", "no match", "negative"})
_UNKNOWN: Final = frozenset({"", "?", "unknown"})
_SHOWN_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class RowError:
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Scores:
    """How often each score came, of pairs that are copies, of those that are not, and of those that nobody labelled."""

    copies: Counts
    others: Counts
    unlabelled: Counts
    refused: int = 0
    # The first hundred.
    errors: tuple[RowError, ...] = ()

    @property
    def all(self) -> Counts:
        return self.copies + self.others + self.unlabelled

    @property
    def is_labelled(self) -> bool:
        """Whether there are pairs of both kinds to tell apart."""
        return bool(self.copies.any() and self.others.any())


@dataclass(slots=True)
class _Columns:
    score: int = 0
    label: int | None = 1


@dataclass(slots=True)
class _Errors:
    refused: int = 0
    named: list[RowError] = field(default_factory=list)

    def add(self, line: int, message: str) -> None:
        self.refused += 1
        if len(self.named) < MAX_NAMED_ERRORS:
            self.named.append(RowError(line, message))


def counted(copies: Iterable[float] = (), others: Iterable[float] = (), unlabelled: Iterable[float] = ()) -> Scores:
    """Scores that are known to be from 0 to 1."""
    one, two, three = (_count([tick_of(score) for score in scores]) for scores in (copies, others, unlabelled))
    return Scores(one, two, three)


def tick_of(score: float) -> int:
    return round(score * TICKS)


def read_scores(text: str) -> Scores:
    """`score[,label]` a line, or any columns of which a header names these; ValueError where the whole cannot be read."""
    by_label: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    errors = _Errors()
    columns: _Columns | None = None
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns, is_header = _columns(cells)
                if is_header:
                    continue
            if sum(map(len, by_label.values())) + errors.refused >= MAX_ROWS:
                raise ValueError(f"at most {MAX_ROWS:,} rows are taken")
            try:
                label = read_label(cells[columns.label]) if columns.label is not None and columns.label < len(cells) else None
                by_label[label].append(_read_score(cells[columns.score] if columns.score < len(cells) else ""))
            except ValueError as problem:
                errors.add(rows.line_num, str(problem))
    except csv.Error as problem:
        raise ValueError(f"line {rows.line_num}: {problem}") from problem
    copies, others, unlabelled = (_count(by_label[label]) for label in (True, False, None))
    return Scores(copies, others, unlabelled, errors.refused, tuple(errors.named))


def read_label(text: str) -> bool | None:
    """Whether the pair is a copy; None: nobody said."""
    word = text.strip().lower()
    if word in _COPY:
        return True
    if word in _OTHER:
        return False
    if word in _UNKNOWN:
        return None
    raise ValueError(f"{word[:_SHOWN_CHARACTERS]} is no label: 1 or 0, true or false, copy or other, or nothing")


def _columns(cells: Sequence[str]) -> tuple[_Columns, bool]:
    """Where score and label stand, and whether this line says so."""
    names = [cell.strip().lower() for cell in cells]
    score = next((names.index(name) for name in _SCORE if name in names), None)
    if score is not None:
        return _Columns(score, next((names.index(name) for name in _LABEL if name in names), None)), True
    try:
        float(names[0])
    except ValueError:
        raise ValueError("the first line has no column score, and no score either") from None
    return _Columns(), False


def _read_score(text: str) -> int:
    try:
        score = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()[:_SHOWN_CHARACTERS]} is no score" if text.strip() else "there is no score") from None
    if not 0.0 <= score <= 1.0:
        raise ValueError("a score is from 0 to 1")
    return tick_of(score)


def _count(ticks: Sequence[int]) -> Counts:
    return np.bincount(np.asarray(ticks, dtype=np.int64), minlength=TICKS + 1)
