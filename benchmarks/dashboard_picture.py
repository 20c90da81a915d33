"""A Grafana dashboard's panels, drawn as one SVG from what Prometheus answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 1440
COLUMN: Final = WIDTH / 24
ROW: Final = 30
TOP: Final = 46
LEGEND_ROWS: Final = 4
COLOURS: Final = ("#2a6fbb", "#d98324", "#1b7f4b", "#b5352a", "#7a4fb5", "#8a6d3b", "#c2518f", "#5c6770")
UNITS: Final = {"reqps": "/s", "ops": "/s", "s": " s", "percentunit": " %", "bytes": "B", "Bps": "B/s", "short": ""}

Series = Sequence[tuple[str, Sequence[tuple[float, float]]]]
"""Each with its name and its points: seconds since the start, value."""


def draw(panels: Sequence[Mapping[str, Any]], answers: Mapping[int, Series], seconds: float, title: str) -> str:
    """An SVG document; `answers` by the panel's id."""
    height = TOP + ROW * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        text(12, 28, title, size=16),
    ]
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"] * COLUMN, TOP + place["y"] * ROW
        if panel["type"] == "row":
            parts.append(text(left + 12, top + 21, panel["title"], size=14))
        else:
            unit = panel["fieldConfig"]["defaults"]["unit"]
            parts += _panel(panel["title"], unit, answers[panel["id"]], seconds, left, top, place["w"] * COLUMN, place["h"] * ROW)
    return "\n".join([*parts, "</svg>", ""])


def _panel(title: str, unit: str, series: Series, seconds: float, left: float, top: float, width: float, height: float) -> list[str]:
    parts = [
        f'<rect x="{left + 4:.0f}" y="{top + 4:.0f}" width="{width - 8:.0f}" height="{height - 8:.0f}" fill="none" stroke="#ddd"/>',
        text(left + 14, top + 22, title, size=12),
    ]
    inner = left + 62, top + 34, width - 78, height - 124
    highest = max((value for _, points in series for _, value in points), default=0.0)
    ceiling = _ceiling(highest)
    for share in (0.0, 0.5, 1.0):
        y = inner[1] + inner[3] * (1 - share)
        parts.append(f'<line x1="{inner[0]:.0f}" x2="{inner[0] + inner[2]:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>')
        parts.append(text(inner[0] - 6, y + 4, quantity(ceiling * share, unit), anchor="end", fill="#666"))
    for share in (0.0, 0.5, 1.0):
        place = inner[0] + inner[2] * share
        parts.append(text(place, inner[1] + inner[3] + 14, f"{seconds * share:.0f} s", anchor="middle", fill="#666"))
    if not series:
        parts.append(text(inner[0] + inner[2] / 2, inner[1] + inner[3] / 2, "nothing", anchor="middle", fill="#999"))
    ranked = sorted(series, key=lambda one: -max((value for _, value in one[1]), default=0.0))
    for number, (name, points) in enumerate(ranked):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(f"{inner[0] + inner[2] * t / seconds:.1f},{inner[1] + inner[3] * (1 - v / ceiling):.1f}" for t, v in points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        if number < 2 * LEGEND_ROWS - 1 or len(ranked) == 2 * LEGEND_ROWS:
            parts += _entry(name or title, colour, left, top + height - 56, width, number)
        elif number == 2 * LEGEND_ROWS - 1:
            parts += _entry(f"and {len(ranked) - number} more", "none", left, top + height - 56, width, number)
    return parts


def _entry(name: str, colour: str, left: float, top: float, width: float, number: int) -> list[str]:
    """Two columns of names; a long one is cut."""
    x, y = left + 16 + (number % 2) * (width / 2 - 8), top + 13 * (number // 2)
    letters = int(width / 2 / 6.4) - 4
    shown = name if len(name) <= letters else name[: letters - 1] + "…"
    return [f'<rect x="{x:.0f}" y="{y - 7:.0f}" width="9" height="7" fill="{colour}"/>', text(x + 14, y, shown)]


def quantity(value: float, unit: str) -> str:
    """As one reads it."""
    if unit in ("bytes", "Bps"):
        step = min(3, int(math.log(value, 1000))) if value >= 1 else 0
        return f"{value / 1000**step:.3g} {('', 'k', 'M', 'G')[step]}{UNITS[unit]}"
    return f"{value * (100 if unit == 'percentunit' else 1):.3g}{UNITS[unit]}"


def _ceiling(highest: float) -> float:
    """The next of 1, 2, 5, 10 … above."""
    if highest <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(highest))
    return next(float(step * power) for step in (1, 2, 5, 10) if step * power >= highest * 0.999)


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 11, fill: str = "#222") -> str:
    """Words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">{escape(words)}</text>'
