"""Lists of hashes as text: CSV and JSON lines, a row a line. What cannot be read is said by its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from mesh.errors import InvalidRequest

CSV: Final = "text/csv"
JSON_LINES: Final = "application/x-ndjson"
MAX_ROWS: Final = 100_000
MAX_LINE_BYTES: Final = 64 * 1024
COLUMNS: Final = ("hash", "kind", "name", "collection", "owner", "metadata")
"""Others are ignored: such as asset_id, which a list that was given out has."""
EXPORTED: Final = (*COLUMNS, "media_type", "asset_id")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its texts by column, or what is wrong with it."""

    line: int
    texts: dict[str, str]
    problem: str = ""


class Lines:
    """Whole lines out of bytes as they come, with their numbers; a line that is too long is cut, and so is no row."""

    def __init__(self) -> None:
        self._held = b""
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        *lines, self._held = (self._held + chunk).split(b"\n")
        self._held = self._held[: MAX_LINE_BYTES + 1]
        for line in lines:
            self._number += 1
            yield self._number, line[: MAX_LINE_BYTES + 1].removesuffix(b"\r")

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """What stands after the last end of a line."""
        if self._held:
            yield self._number + 1, self._held.removesuffix(b"\r")


class RowReader:
    """Lines to rows; `kind` is that of rows that name none."""

    def __init__(self, content_type: str, kind: str) -> None:
        self._read = self._csv if content_type == CSV else _json
        self._kind = kind
        self._columns: tuple[str, ...] | None = None
        self._count = 0

    def read(self, number: int, line: bytes) -> Row | None:
        """None: a line without a row, such as the header of a CSV."""
        if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InvalidRequest("the list must be UTF-8")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            return None
        try:
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"a line may have at most {MAX_LINE_BYTES} bytes")
            texts = self._read(line.decode())
        except UnicodeDecodeError:
            row = Row(number, {}, "this is not UTF-8")
        except (ValueError, csv.Error, RecursionError) as problem:
            row = Row(number, {}, str(problem))
        else:
            if texts is None:
                return None
            row = Row(number, {**texts, "kind": texts.get("kind") or self._kind})
        self._count += 1
        if self._count > MAX_ROWS:
            raise InvalidRequest(f"one list may have at most {MAX_ROWS:,} rows; those before are taken in")
        return row

    def _csv(self, line: str) -> dict[str, str] | None:
        """The first line names the columns, unless it has none of that name: then a hash stands first and a name may follow."""
        cells = next(csv.reader([line], strict=True))
        if self._columns is None:
            names = tuple(cell.strip().lower() for cell in cells)
            if "hash" in names:
                if len(set(names)) < len(names):
                    raise InvalidRequest("a column of the list is there twice")
                self._columns = names
                return None
            self._columns = ("hash", "name")
        if len(cells) > len(self._columns):
            raise ValueError(f"this line has {len(cells)} cells, the list {len(self._columns)} columns")
        return {name: cell for name, cell in zip(self._columns, cells, strict=False) if name in COLUMNS}


def _json(line: str) -> dict[str, str]:
    fields = msgspec.json.decode(line)
    if not isinstance(fields, dict):
        raise ValueError("this is no JSON object")
    texts = {}
    for name in COLUMNS:
        value = fields.get(name)
        if value is not None:
            is_text = isinstance(value, str) and name != "metadata"
            if not is_text and name != "metadata":
                raise ValueError(f"{name} must be a string")
            texts[name] = value if is_text else json.dumps(value)
    return texts


def written(rows: Iterable[dict[str, Any]], content_type: str, columns: Sequence[str] = EXPORTED) -> bytes:
    """The rows as lines."""
    if content_type != CSV:
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue().encode()


def header(columns: Sequence[str] = EXPORTED) -> bytes:
    return (",".join(columns) + "\r\n").encode()


def _cell(value: Any) -> str:
    """Never a formula of whoever opens it in a spreadsheet."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
