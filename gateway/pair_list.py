"""Pairs as CSV: what is to be compared, and the scores that came of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

COLUMNS: Final = ("source", "target", "label", "type")


class PairError(Exception):
    """What cannot be done with what was given."""


@dataclass(frozen=True, slots=True)
class Pair:
    line: int
    source: str
    target: str
    label: str
    type: str


def read_pairs(text: bytes, default_type: str = "") -> list[Pair] | None:
    """None: no header names source and target, so these are scores."""
    try:
        rows = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""))
        header = [cell.strip().lower() for cell in next(rows, [])]
        if "source" not in header or "target" not in header:
            return None
        return [_pair(dict(zip(header, cells, strict=False)), rows.line_num, default_type) for cells in rows if any(cells)]
    except (UnicodeDecodeError, csv.Error) as problem:
        raise PairError(f"this is no CSV in UTF-8: {problem}") from problem


def written(scores: Iterable[tuple[Pair, float]]) -> bytes:
    """As a list of scores; those who look at it again still see of what."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [("score", "label", "type", "source", "target")]
        + [(str(score), pair.label, pair.type, pair.source, pair.target) for pair, score in scores]
    )
    return text.getvalue().encode()


def _pair(cells: dict[str, str], line: int, default_type: str) -> Pair:
    texts = {name: cells.get(name, "").strip() for name in COLUMNS}
    return Pair(line, texts["source"], texts["target"], texts["label"], texts["type"].lower() or default_type or "image")
