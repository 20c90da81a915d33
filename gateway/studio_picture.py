"""What the gateway's page /studio draws, as one SVG: histogram, ROC, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from gateway.threshold_schemas import AnalysisBody, BarBody

_WIDTH: Final = 900
_SIDE: Final = 380
_LEFT: Final = 50
_TOP: Final = 40
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1a1c20}.soft{fill:#565d68}"
    ".copies{fill:#0b7a55}.others{fill:#b0480a}.unlabelled{fill:#6d7685}"
    ".cutoff{stroke:#3347c8;stroke-width:2}.interval{fill:#3347c8;fill-opacity:.12}.axis{stroke:#868d98}.curve{fill:none;stroke:#3347c8;"
    "stroke-width:2}.at{fill:#3347c8}.frame{fill:none;stroke:#dcdee3}"
)


def picture(found: AnalysisBody) -> str:
    height = 300 + (_SIDE if found.curves else 0)
    parts = [_histogram(found, 240)]
    if found.curves is not None and found.points:
        at, points = found.points[0], found.curves.points
        roc = [(point.false_positive_rate, point.recall) for point in points]
        precision = [(point.recall, point.precision) for point in points if point.precision is not None]
        title = f"ROC, area {found.curves.roc_area:.4f}"
        parts.append(_curve(roc, (at.false_positive_rate, at.recall), title, "false positives", "recall", _LEFT))
        where = None if at.precision is None else (at.recall, at.precision)
        title = f"Precision and recall, average {found.curves.average_precision:.4f}"
        parts.append(_curve(precision, where, title, "recall", "precision", _LEFT + _WIDTH // 2))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _histogram(found: AnalysisBody, height: int) -> str:
    above = max(1.0, *((bar.copies + bar.unlabelled) ** 0.5 for bar in found.histogram))
    below = max((bar.others**0.5 for bar in found.histogram), default=0.0)
    unit, width = height / (above + below), _WIDTH - 2 * _LEFT
    line = _TOP + above * unit
    parts = [_text(_LEFT, 18, "Scores: copies and unlabelled above the line, others below; heights are square roots of counts", "soft")]
    if (best := found.recommendation) is not None:
        low, high = (_LEFT + end * width for end in best.interval)
        at = _LEFT + best.cutoff * width
        parts.append(f'<rect class="interval" x="{low:.1f}" y="{_TOP}" width="{max(1.0, high - low):.1f}" height="{height}"/>')
        parts.append(f'<path class="cutoff" d="M{at:.1f} {_TOP}v{height}"/>')
        parts.append(_text(at, _TOP - 4, f"cutoff {best.cutoff:g} ({best.interval[0]:g} to {best.interval[1]:g})", "", "middle"))
    for bar in found.histogram:
        parts += _bars(bar, line, unit, width)
    parts.append(f'<path class="axis" d="M{_LEFT} {line:.1f}h{width}"/>')
    parts += [_text(_LEFT + tenth / 10 * width, _TOP + height + 16, f"{tenth / 10:.1f}", "soft", "middle") for tenth in range(11)]
    return "".join(parts)


def _bars(bar: BarBody, line: float, unit: float, width: int) -> list[str]:
    x, wide = _LEFT + bar.start * width + 0.5, (bar.end - bar.start) * width - 1
    stacked = (bar.copies + bar.unlabelled) ** 0.5 * unit
    plain = bar.unlabelled**0.5 * unit
    heights = {
        "copies": (line - stacked, stacked - plain),
        "unlabelled": (line - plain, plain),
        "others": (line, bar.others**0.5 * unit),
    }
    return [
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{max(1.0, high):.1f}"/>'
        for kind, (y, high) in heights.items()
        if getattr(bar, kind)
    ]


def _curve(points: Sequence[tuple[float, float]], at: tuple[float, float] | None, title: str, across: str, up: str, left: float) -> str:
    top, size = 300 + _TOP, _SIDE - 2 * _TOP

    def place(point: tuple[float, float]) -> str:
        return f"{left + point[0] * size:.1f},{top + (1 - point[1]) * size:.1f}"

    parts = [
        _text(left, top - 10, title, ""),
        f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>',
        f'<polyline class="curve" points="{" ".join(map(place, points))}"/>',
        _text(left + size / 2, top + size + 18, across, "soft", "middle"),
        f'<g transform="translate({left - 10} {top + size / 2}) rotate(-90)">{_text(0, 0, up, "soft", "middle")}</g>',
    ]
    if at is not None:
        x, y = place(at).split(",")
        parts.append(f'<circle class="at" cx="{x}" cy="{y}" r="5"/>')
    return "".join(parts)


def _text(x: float, y: float, said: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'
