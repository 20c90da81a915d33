// Drawings of what the gateway counted. Each is as wide as it is shown, so that its letters keep their size.

import { drawing } from "./elements.js";

const EDGE = { left: 40, right: 12, top: 22, bottom: 34 };

function frame(width, height, said) {
  return drawing("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": said });
}

function label(x, y, text, attributes = {}) {
  return drawing("text", { x, y, class: "tick", text, ...attributes });
}

function steps(from, to, count) {
  return Array.from({ length: count + 1 }, (_, at) => from + ((to - from) * at) / count);
}

/** Copies and unlabelled rise from the line, others hang from it; the cutoff crosses both. */
export function histogramChart({ histogram, recommendation, points, copies, others }, width) {
  const height = 280;
  const inner = { width: width - EDGE.left - EDGE.right, height: height - EDGE.top - EDGE.bottom };
  const root = Math.sqrt;
  const above = Math.max(1, ...histogram.map((bar) => root(bar.copies + bar.unlabelled)));
  const below = others ? Math.max(1, ...histogram.map((bar) => root(bar.others))) : 0;
  const unit = inner.height / (above + below);
  const line = EDGE.top + above * unit;
  const x = (value) => EDGE.left + value * inner.width;
  const most = (name) => histogram.reduce((best, bar) => (bar[name] > best[name] ? bar : best));
  const heap = (name, text) => `most ${text} score from ${most(name).start} to ${most(name).end}`;
  const heaps = [copies ? heap("copies", "copies") : "", others ? heap("others", "others") : "", !copies && !others ? heap("unlabelled", "pairs") : ""].filter(Boolean);
  const svg = frame(width, height, `Histogram of the scores: ${heaps.join(", ")}${recommendation ? `; the recommended cutoff is ${recommendation.cutoff}` : ""}.`);
  if (recommendation) {
    const [low, high] = recommendation.interval;
    svg.append(drawing("rect", { class: "interval", x: x(low), y: EDGE.top, width: Math.max(1, x(high) - x(low)), height: inner.height }));
  }
  const bars = (name, from) => {
    for (const bar of histogram) {
      const base = from(bar);
      const top = root(base + bar[name]) - root(base);
      if (!bar[name]) continue;
      const isBelow = name === "others";
      const start = isBelow ? line : line - root(base + bar[name]) * unit;
      svg.append(drawing("rect", { class: `is-${name}`, x: x(bar.start) + 0.5, y: start, width: Math.max(0.5, x(bar.end) - x(bar.start) - 1), height: Math.max(1, top * unit) }));
    }
  };
  bars("unlabelled", () => 0);
  bars("copies", (bar) => bar.unlabelled);
  bars("others", () => 0);
  svg.append(drawing("line", { class: "axis", x1: EDGE.left, x2: width - EDGE.right, y1: line, y2: line }));
  for (const value of steps(0, 1, width < 480 ? 5 : 10)) svg.append(label(x(value), height - EDGE.bottom + 16, value.toFixed(1), { "text-anchor": "middle" }));
  svg.append(label(EDGE.left + inner.width / 2, height - 3, "score", { "text-anchor": "middle" }));
  const count = (value, y) => svg.append(label(EDGE.left - 6, y + 4, short(value), { "text-anchor": "end" }));
  count(above ** 2, EDGE.top);
  if (below) count(below ** 2, EDGE.top + inner.height);
  for (const point of points) {
    if (point.name !== "recommended") svg.append(drawing("line", { class: "profile", x1: x(point.cutoff), x2: x(point.cutoff), y1: EDGE.top, y2: EDGE.top + inner.height }, drawing("title", { text: `${point.name}: ${point.cutoff}` })));
  }
  if (recommendation) {
    const at = x(recommendation.cutoff);
    const anchor = recommendation.cutoff > 0.85 ? "end" : recommendation.cutoff < 0.15 ? "start" : "middle";
    svg.append(drawing("line", { class: "cutoff", x1: at, x2: at, y1: EDGE.top, y2: EDGE.top + inner.height }), label(at, 14, `cutoff ${recommendation.cutoff}`, { "text-anchor": anchor, class: "said" }));
  }
  return svg;
}

/** A curve in the unit square, and where the recommended cutoff stands on it. */
export function curveChart({ points, at, across, up, said, isDiagonal = false }, width) {
  const height = Math.min(width, 360);
  const inner = { width: width - EDGE.left - EDGE.right, height: height - EDGE.top - EDGE.bottom };
  const x = (value) => EDGE.left + value * inner.width;
  const y = (value) => EDGE.top + (1 - value) * inner.height;
  const svg = frame(width, height, `${up} against ${across.toLowerCase()}: ${said}.`);
  for (const value of steps(0, 1, 5)) {
    svg.append(
      drawing("line", { class: "grid", x1: x(0), x2: x(1), y1: y(value), y2: y(value) }),
      drawing("line", { class: "grid", x1: x(value), x2: x(value), y1: y(0), y2: y(1) }),
      label(x(value), height - EDGE.bottom + 16, value.toFixed(1), { "text-anchor": "middle" }),
      label(EDGE.left - 6, y(value) + 4, value.toFixed(1), { "text-anchor": "end" }),
    );
  }
  svg.append(label(x(0.5), height - 3, across, { "text-anchor": "middle" }), label(4, 12, up));
  if (isDiagonal) svg.append(drawing("line", { class: "chance", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  svg.append(drawing("polyline", { class: "curve", points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
  if (at) svg.append(drawing("circle", { class: "at", cx: x(at[0]), cy: y(at[1]), r: 5 }));
  return svg;
}

function short(count) {
  const whole = Math.round(count);
  return whole >= 10_000 ? `${Math.round(whole / 1000)}k` : String(whole);
}
