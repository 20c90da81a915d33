"""Rows from the bytes of a CSV file (RFC 4180, in UTF-8) as they come; what is wrong with one row costs that row alone; pure.

A quote that nobody closes is told from a field of several lines by where the next quote stands: then only its own line is given up,
and the lines behind it are read afresh.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mesh.errors import InvalidRequest

MAX_ROW_BYTES: Final = 64 * 1024
"""More than the longest URL and the largest metadata take together."""
_SHOWN_CHARACTERS: Final = 64

_BOM: Final = b"\xef\xbb\xbf"
_OTHER_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# What UTF-8 could not be read as comes as halves of characters.
_UNKEEPABLE: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Columns:
    """The column that each row must have beside media_type, and the others that it may have."""

    key: str
    others: tuple[str, ...] = ("media_type", "name", "collection", "metadata", "owner")

    @property
    def without_header(self) -> tuple[str, ...]:
        return (self.key, *self.others[:2])


@dataclass(frozen=True, slots=True)
class Row:
    """What the row on this line (counted from 1, where it begins) says, or why it cannot be read."""

    line: int
    fields: dict[str, str] = field(default_factory=dict)
    problem: str = ""


_Line = tuple[int, str | None]
"""Its number and its text; None where it is too long for any row."""


class Table:
    """Give it the file piece by piece, then its end; what it holds back is a row at most."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._names: tuple[str, ...] = ()
        self._rest = b""
        self._line = 0
        self._open: list[tuple[int, str]] = []
        self._open_characters = 0
        self._is_begun = False

    def feed(self, chunk: bytes) -> Iterator[Row]:
        """The rows that are whole by now."""
        pieces = (self._rest + chunk).splitlines(keepends=True)
        # A line's end may be two characters.
        self._rest = pieces.pop() if pieces and not pieces[-1].endswith(b"\n") else b""
        yield from self._rows([self._numbered(piece) for piece in pieces])
        if len(self._rest) > MAX_ROW_BYTES and not self._rest.endswith(b"\r"):
            self._rest = self._rest[: MAX_ROW_BYTES + 1]

    def end(self) -> Iterator[Row]:
        """The rows that only the file's end completes."""
        left = [self._numbered(self._rest)] if self._rest else []
        self._rest = b""
        yield from self._rows(left)
        while self._open:
            yield from self._given_up(waiting := deque[_Line]())
            yield from self._rows(list(waiting))

    def _numbered(self, piece: bytes) -> _Line:
        self._line += 1
        if self._line == 1:
            if piece.startswith(_OTHER_BOMS):
                raise InvalidRequest("the file must be UTF-8, and is UTF-16 or UTF-32", field="file", line="1")
            piece = piece.removeprefix(_BOM)
        return self._line, None if len(piece) > MAX_ROW_BYTES else piece.rstrip(b"\r\n").decode(errors="surrogateescape")

    def _rows(self, lines: list[_Line]) -> Iterator[Row]:
        waiting = deque(lines)
        while waiting:
            number, text = waiting.popleft()
            if text is None:
                if self._open:
                    waiting.appendleft((number, None))
                    yield from self._given_up(waiting)
                else:
                    yield from self._row(number, f"is longer than {MAX_ROW_BYTES} bytes")
                continue
            has_odd_quotes = text.count('"') % 2 == 1
            if not self._open:
                fields = _fields(text)
                if isinstance(fields, str) and has_odd_quotes:
                    self._open, self._open_characters = [(number, text)], len(text)
                else:
                    yield from self._row(number, fields)
                continue
            self._open.append((number, text))
            self._open_characters += 1 + len(text)
            if has_odd_quotes and not isinstance(fields := _fields("\n".join(part for _, part in self._open)), str):
                first, self._open = self._open[0][0], []
                yield from self._row(first, fields)
            elif has_odd_quotes or self._open_characters > MAX_ROW_BYTES:
                yield from self._given_up(waiting)

    def _given_up(self, waiting: deque[_Line]) -> Iterator[Row]:
        (number, _), *behind = self._open
        self._open = []
        waiting.extendleft(reversed(behind))
        yield from self._row(number, "has a quote that is not closed, or text behind one that is")

    def _row(self, line: int, found: list[str] | str) -> Iterator[Row]:
        """The fields by their columns' names; the first row may be these names."""
        if not self._is_begun and found:
            self._is_begun = True
            if isinstance(found, str):
                raise InvalidRequest(f"line {line} {found}", field="file", line=str(line))
            if self._columns.key in (names := tuple(name.strip().casefold() for name in found)):
                self._names = _checked_names(names, self._columns)
                return
            self._names = self._columns.without_header
        if isinstance(found, str):
            yield Row(line, problem=found)
        elif len(found) > len(self._names):
            yield Row(line, problem=f"has {len(found)} fields; there are {len(self._names)} columns")
        elif found:
            yield Row(line, dict(zip(self._names, found, strict=False)))


def _fields(text: str) -> list[str] | str:
    """The fields of one row, or what is wrong with it; none of an empty line."""
    if found := _UNKEEPABLE.search(text):
        return "holds a NUL character" if found[0] == "\0" else "is not UTF-8"
    try:
        rows = list(csv.reader([text], strict=True)) if text else []
    except csv.Error:
        return "has a quote that is not closed, or text behind one that is"
    return rows[0] if rows else []


def _checked_names(names: tuple[str, ...], columns: Columns) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise InvalidRequest("a column is named twice", field="file", line="1")
    if unknown := sorted(set(names) - {columns.key, *columns.others}):
        known = ", ".join((columns.key, *columns.others))
        raise InvalidRequest(f"there is no column {unknown[0][:_SHOWN_CHARACTERS]}; there may be {known}", field="file", line="1")
    if "media_type" not in names:
        raise InvalidRequest("the column media_type is missing", field="file", line="1")
    return names
