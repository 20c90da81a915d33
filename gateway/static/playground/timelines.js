// Two recordings as time lines on one scale, with the segments that agree joined; frames of films, waveforms of sounds.

import { drawing, element } from "./elements.js";
import { openFilm, openSound, openStill } from "./media.js";
import { clock, score, span } from "./words.js";

const [LANE, GAP, AXIS] = [56, 64, 22];
const SHOWN_FRAMES = 8;
const EDGE_SECONDS = 0.5;
const SHORTEST_SHARE = 0.06;

/** `sides` are {file, source, kind}: what to draw each from; `source` is null where there is nothing to show. */
export function timelinesCard(body, sides) {
  const segments = body.matched_segments;
  const lines = new Timelines(segments, sides);
  return element(
    "section",
    { class: "card timelines" },
    element("h3", { text: segments.length ? "When they agree" : "The two recordings" }),
    lines.element,
    segments.length ? lines.table : element("p", { class: "note", text: "No part of one was found in the other." }),
  );
}

class Timelines {
  constructor(segments, sides) {
    this.segments = segments;
    this.lanes = sides.map((side, index) => new Lane(side, index === 0 ? "source" : "target", segments));
    this.joins = drawing("svg", { class: "joins", role: "img", "aria-label": this.summary() });
    this.element = element("div", { class: "lines", "aria-busy": "true" }, this.lanes[0].element, this.joins, this.lanes[1].element);
    this.table = element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": "Segments" }, this.rows(sides));
    new ResizeObserver(() => this.draw()).observe(this.element);
    this.open();
  }

  summary() {
    return this.segments.map((each) => `source ${span(each.source_start, each.source_end)} is target ${span(each.target_start, each.target_end)}`).join("; ") || "no segment";
  }

  async open() {
    await Promise.all(this.lanes.map((lane) => lane.open()));
    this.draw();
    const hasFrames = this.lanes.some((lane) => lane.film);
    this.table.classList.toggle("has-frames", hasFrames);
    if (hasFrames) await this.drawFrames();
    await Promise.all(this.lanes.map((lane) => lane.drawn));
    this.element.removeAttribute("aria-busy");
  }

  /** A frame from the start of each segment, the same on both sides: the proof for an eye. */
  async drawFrames() {
    for (const [index, segment] of this.segments.slice(0, SHOWN_FRAMES).entries()) {
      // A little way in: the very edge of a segment may still show what came before.
      const share = Math.min(0.25, EDGE_SECONDS / Math.max(segment.source_end - segment.source_start, segment.target_end - segment.target_start, EDGE_SECONDS));
      for (const lane of this.lanes) {
        const canvas = this.table.querySelector(`canvas[data-side="${lane.side}"][data-index="${index}"]`);
        if (!lane.film || !canvas) continue;
        canvas.height = 108;
        canvas.width = Math.round(108 * lane.film.aspect);
        canvas.hidden = false;
        const [start, end] = [segment[`${lane.side}_start`], segment[`${lane.side}_end`]];
        await lane.film.frame(start + share * (end - start), canvas).catch(() => { canvas.hidden = true; });
      }
    }
  }

  rows(sides) {
    const cell = (side, segment, index) => {
      const [start, end] = [segment[`${side}_start`], segment[`${side}_end`]];
      const given = sides[side === "source" ? 0 : 1];
      const play = given.player?.play && end > start ? element("button", { type: "button", class: "quiet", "aria-label": `Play segment ${index + 1} of the ${side}`, onclick: () => playPart(given.player, start, end), text: "▶" }) : null;
      return element("td", {}, element("canvas", { hidden: true, "data-side": side, "data-index": index, "aria-hidden": "true" }), element("span", { class: "times" }, span(start, end), " ", play));
    };
    return element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...["Segment", "Source", "Target", "Similarity"].map((text) => element("th", { scope: "col", text })))),
      element("tbody", {}, ...this.segments.map((segment, index) =>
        element("tr", {}, element("th", { scope: "row" }, element("span", { class: `swatch hue-${index % 5}`, text: index + 1 })), cell("source", segment, index), cell("target", segment, index), element("td", { class: "number", text: score(segment.score) })),
      )),
    );
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width) return;
    const longest = Math.max(...this.lanes.map((lane) => lane.duration), 0.1);
    for (const lane of this.lanes) lane.draw(Math.max(lane.duration / longest, SHORTEST_SHARE) * width);
    const [source, target] = this.lanes;
    this.joins.setAttribute("viewBox", `0 0 ${width} ${GAP}`);
    this.joins.style.blockSize = `${GAP}px`;
    this.joins.replaceChildren(...this.segments.map((segment, index) => {
      const [a, b] = [source.at(segment.source_start), source.at(segment.source_end, 2)];
      const [c, d] = [target.at(segment.target_start), target.at(segment.target_end, 2)];
      const middle = GAP / 2;
      const path = `M${a} 0 C${a} ${middle} ${c} ${middle} ${c} ${GAP} L${d} ${GAP} C${d} ${middle} ${b} ${middle} ${b} 0 Z`;
      return drawing("g", { class: `hue-${index % 5}` }, drawing("path", { d: path }), drawing("text", { x: (a + b) * 0.44 + (c + d) * 0.06, y: 17, "text-anchor": "middle" }, String(index + 1)));
    }));
  }
}

function playPart(player, start, end) {
  player.currentTime = start;
  const stop = () => {
    if (player.currentTime >= end || player.paused) {
      player.pause();
      player.removeEventListener("timeupdate", stop);
    }
  };
  player.play().then(() => player.addEventListener("timeupdate", stop), () => {});
}

class Lane {
  constructor({ file, source, kind }, side, segments) {
    Object.assign(this, { file, source, kind, side, segments });
    // Until the recording itself says how long it is, at least as long as what was found in it.
    this.duration = Math.max(0, ...segments.map((segment) => segment[`${side}_end`]));
    this.isExact = false;
    this.canvas = element("canvas", { role: "img", "aria-label": `The ${side}` });
    this.blocks = drawing("svg", { class: "blocks", "aria-hidden": "true" });
    this.why = element("span", { class: "note" });
    this.caption = element("p", { class: "caption" }, element("b", { text: side === "source" ? "Source" : "Target" }), " ", this.why);
    const strip = element("div", { class: "strip" }, this.canvas, this.blocks);
    this.element = element("div", { class: `lane is-${side}` }, ...(side === "source" ? [this.caption, strip] : [strip, this.caption]));
  }

  async open() {
    try {
      if (this.kind === "audio") {
        if (this.file) this.sound = await openSound(this.file);
      } else if (this.source) {
        this.film = await (this.kind === "image" ? openStill(this.source) : openFilm(this.source));
      }
    } catch {
      this.why.textContent = "this browser cannot show it";
    }
    const found = this.sound ?? this.film;
    if (found?.duration) [this.duration, this.isExact] = [Math.max(found.duration, this.duration), true];
    if (!found && !this.why.textContent) this.why.textContent = "given by address, not loaded";
    else if (this.isExact) this.why.textContent = clock(this.duration);
    else if (this.film) this.why.textContent = "a still";
  }

  at(seconds, least = 0) {
    return (this.duration ? (seconds / this.duration) * this.width : 0) + (seconds ? 0 : least);
  }

  draw(width) {
    this.width = width;
    const ratio = window.devicePixelRatio || 1;
    const size = [Math.round(width * ratio), Math.round(LANE * ratio)];
    if (this.canvas.width !== size[0] || !this.isDrawn) {
      [this.canvas.width, this.canvas.height] = size;
      this.canvas.style.inlineSize = `${width}px`;
      this.canvas.style.blockSize = `${LANE}px`;
      if (this.sound) this.drawWaves(ratio);
      else if (this.film) this.drawn = this.drawStrip(ratio);
      this.isDrawn = Boolean(this.sound ?? this.film);
    }
    this.blocks.setAttribute("viewBox", `0 0 ${width} ${LANE + AXIS}`);
    Object.assign(this.blocks.style, { inlineSize: `${width}px`, blockSize: `${LANE + AXIS}px` });
    const axis = this.side === "source" ? 0 : AXIS;
    this.canvas.style.marginBlock = this.side === "source" ? `0 ${AXIS}px` : `${AXIS}px 0`;
    this.blocks.replaceChildren(
      drawing("rect", { class: "ground", x: 0.5, y: axis + 0.5, width: width - 1, height: LANE - 1, rx: 4 }),
      ...this.segments.map((segment, index) => {
        const [start, end] = [this.at(segment[`${this.side}_start`]), this.at(segment[`${this.side}_end`], 2)];
        return drawing("rect", { class: `block hue-${index % 5}`, x: start, y: axis + 1, width: Math.max(end - start, 2), height: LANE - 2, rx: 3 });
      }),
      ...this.ticks(width),
    );
  }

  ticks(width) {
    if (!this.duration) return [];
    const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((seconds) => (seconds / this.duration) * width >= 52) ?? 300;
    const ticks = [];
    for (let at = 0; at <= this.duration + 1e-6; at += step) {
      const x = this.at(at);
      if (x > width - 14 && at > 0) break;
      const y = this.side === "source" ? LANE : 0;
      const label = step < 1 ? at.toFixed(1) : `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, "0")}`;
      ticks.push(drawing("line", { class: "tick", x1: x + 0.5, x2: x + 0.5, y1: y + (this.side === "source" ? 0 : AXIS - 5), y2: y + (this.side === "source" ? 5 : AXIS) }));
      ticks.push(drawing("text", { class: "tick", x: Math.max(x, 1), y: y + (this.side === "source" ? 17 : 12), "text-anchor": at ? "middle" : "start" }, label));
    }
    return ticks;
  }

  drawWaves(ratio) {
    const pen = this.canvas.getContext("2d");
    const bar = Math.max(1, Math.round(2 * ratio));
    const peaks = this.sound.peaks(Math.max(1, Math.floor(this.canvas.width / (bar * 1.5))));
    pen.fillStyle = getComputedStyle(this.element).getPropertyValue("--wave");
    peaks.forEach((peak, index) => {
      const height = Math.max(ratio, peak * this.canvas.height * 0.9);
      pen.fillRect(index * bar * 1.5, (this.canvas.height - height) / 2, bar, height);
    });
  }

  /** Frames side by side, each from the middle of what it stands for. */
  async drawStrip(ratio) {
    const { film, canvas } = this;
    const pen = canvas.getContext("2d");
    const count = Math.max(1, Math.min(24, Math.round(canvas.width / (LANE * ratio * film.aspect))));
    const each = canvas.width / count;
    const frame = document.createElement("canvas");
    frame.height = canvas.height;
    frame.width = Math.round(canvas.height * film.aspect);
    this.drawing = (this.drawing ?? 0) + 1;
    const own = this.drawing;
    for (let index = 0; index < count; index += 1) {
      try {
        await film.frame(((index + 0.5) / count) * film.duration, frame);
      } catch {
        return;
      }
      if (own !== this.drawing) return;
      const wide = Math.min(frame.width, (frame.height * each) / canvas.height);
      const high = (wide * canvas.height) / each;
      pen.drawImage(frame, (frame.width - wide) / 2, (frame.height - high) / 2, wide, high, index * each, 0, each - ratio, canvas.height);
    }
  }
}
