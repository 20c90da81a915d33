"""The calibration curve as a picture: evidence across, score up, and below how much of each group has at least that evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matching.calibration import Curve

WIDTH: Final = 760
LEFT: Final = 70
PLOT_WIDTH: Final = 640
CURVE_TOP, CURVE_HEIGHT = 60, 320
SHARE_TOP, SHARE_HEIGHT = 430, 180
HEIGHT: Final = 680
COLOURS: Final = ("#1b7f4b", "#2a6fbb", "#b5352a")
BANDS: Final = ((0.97, "nearly identical"), (0.85, "near-duplicate"), (0.60, "match"), (0.40, "low"))


def draw(shipped: Curve, fitted: Curve, groups: Mapping[str, NDArray[Any]], what: str, description: str, date: str) -> str:
    """An SVG document."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 24, f"From evidence to score: {what}, {date}", size=17),
        _text(LEFT, 45, f"Measured on {description}."),
    ]
    for score, name in BANDS:
        y = _curve_y(score)
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{score:.2f}", anchor="end"))
        parts.append(_text(LEFT + 8, y + 14, name, fill="#777"))
    parts += [_frame(CURVE_TOP, CURVE_HEIGHT), _frame(SHARE_TOP, SHARE_HEIGHT)]
    parts.append(_line(((e, _curve_y(s)) for e, s in shipped.points), "#222", 2.5))
    parts.append(_line(((e, _curve_y(s)) for e, s in fitted.points), "#d98324", 1.5, dashes="6 4"))
    parts += [f'<circle cx="{_x(e):.1f}" cy="{_curve_y(s):.1f}" r="3.5" fill="#222"/>' for e, s in shipped.points]
    parts += _legend(CURVE_TOP + CURVE_HEIGHT - 36, (("shipped", "#222"), ("fitted on this material", "#d98324")))
    parts.append(_text(LEFT, SHARE_TOP - 12, "Share of the pairs with at least this evidence"))
    steps = np.linspace(0, 1, 401)
    for (_, values), colour in zip(groups.items(), COLOURS, strict=True):
        shares = [float((values >= step).mean()) for step in steps]
        parts.append(_line(((float(e), SHARE_TOP + SHARE_HEIGHT * (1 - s)) for e, s in zip(steps, shares, strict=True)), colour, 2))
    parts += _legend(SHARE_TOP + 56, tuple((f"{name} ({len(groups[name])})", colour) for name, colour in zip(groups, COLOURS, strict=True)))
    parts += [_text(LEFT - 8, SHARE_TOP + SHARE_HEIGHT * (1 - s) + 4, f"{s:.1f}", anchor="end") for s in (0.0, 0.5, 1.0)]
    parts += [_text(_x(e), SHARE_TOP + SHARE_HEIGHT + 20, f"{e:.1f}", anchor="middle") for e in (0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    parts.append(_text(_x(0.5), SHARE_TOP + SHARE_HEIGHT + 42, "evidence", anchor="middle"))
    return "\n".join([*parts, "</svg>", ""])


def _x(evidence: float) -> float:
    return LEFT + PLOT_WIDTH * evidence


def _curve_y(score: float) -> float:
    return CURVE_TOP + CURVE_HEIGHT * (1 - score)


def _line(points: Iterable[tuple[float, float]], colour: str, width: float, *, dashes: str = "") -> str:
    places = " ".join(f"{_x(evidence):.1f},{y:.1f}" for evidence, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _frame(top: float, height: float) -> str:
    return f'<rect x="{LEFT}" y="{top}" width="{PLOT_WIDTH}" height="{height}" fill="none" stroke="#888"/>'


def _legend(top: float, entries: Iterable[tuple[str, str]]) -> list[str]:
    parts = []
    for row, (name, colour) in enumerate(entries):
        y, x = top + 20 * row, LEFT + PLOT_WIDTH - 260
        parts.append(f'<line x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(x + 34, y + 4, name))
    return parts


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 13, fill: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">{escape(words)}</text>'
