// The verdict, the score on its scale, what each profile would decide, and what is behind it.

import { copyButton, element } from "./elements.js";
import * as words from "./words.js";

/** `asked` is what was asked for: {medium, profile, threshold}. */
export function verdictCard(body, asked, limits) {
  const heading = element("h2", { tabindex: "-1", text: body.match ? "Match" : "No match" });
  const cutoff = asked.threshold ?? limits?.profiles[asked.profile];
  return element(
    "section",
    { class: `card verdict ${body.match ? "is-match" : "is-other"}` },
    element(
      "div",
      { class: "headline" },
      element("span", { class: "sign", "aria-hidden": "true", text: body.match ? "=" : "≠" }),
      element("div", {}, heading, element("p", { class: "note", text: summary(body, cutoff) })),
      element("p", { class: "score" }, element("b", { text: words.score(body.similarity_score) }), element("span", { class: "note", text: "similarity" })),
    ),
    scale(body.similarity_score, cutoffs(asked, limits)),
    explanation(body),
  );
}

export function announcement(body) {
  return `${body.match ? "Match" : "No match"}. Similarity ${words.score(body.similarity_score)}, confidence ${body.confidence}.`;
}

function summary(body, cutoff) {
  const side = cutoff === undefined ? "" : ` · ${body.match ? "reaches" : "stays below"} the cutoff of ${cutoff}`;
  return `Confidence: ${body.confidence}${side} · ${words.milliseconds(body.processing_time_ms)}`;
}

function cutoffs(asked, limits) {
  const known = limits ? Object.entries(limits.profiles).map(([name, from]) => ({ name, from, isAsked: asked.threshold === undefined && name === asked.profile })) : [];
  if (asked.threshold !== undefined) known.push({ name: "your threshold", from: asked.threshold, isAsked: true });
  return known.sort((one, two) => one.from - two.from);
}

function scale(score, known) {
  const track = element("div", { class: "scale", "aria-hidden": "true" }, element("span", { class: "filled" }));
  track.firstChild.style.inlineSize = `${score * 100}%`;
  for (const { from, isAsked } of known) {
    const tick = element("span", { class: isAsked ? "tick is-asked" : "tick" }, element("span", { text: from }));
    tick.style.insetInlineStart = `${from * 100}%`;
    track.append(tick);
  }
  return track;
}

function explanation(body) {
  const rows = [];
  if (body.coverage && body.similarity_score > 0) {
    rows.push(["Source found in the target", share(body.coverage.source)], ["Target found in the source", share(body.coverage.target)]);
  }
  if (body.transform) {
    const steps = words.steps(body.transform);
    rows.push(["Source to target", steps.length ? `${words.joined(steps)}` : "unchanged in place, size and pace"]);
  }
  if (body.audio?.error) rows.push(["Sound tracks", body.audio.error.message]);
  else if (body.audio) rows.push(["Sound tracks", `${body.audio.match ? "match" : "do not match"} (${words.score(body.audio.similarity_score)})`]);
  if (!rows.length) return null;
  return element("dl", {}, ...rows.flatMap(([name, said]) => [element("dt", { text: name }), element("dd", {}, said)]));
}

function share(value) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.inlineSize = `${value * 100}%`;
  return element("span", { class: "share" }, element("span", { text: words.percent(value) }), bar);
}

/** What each profile would decide about this score. */
export function profilesCard(body, asked, limits) {
  const notes = { general: "the default", stock: "only what is nearly the same", adversarial: "also what deserves a look" };
  const rows = cutoffs(asked, limits).map(({ name, from, isAsked }) =>
    element(
      "tr",
      isAsked ? { class: "is-asked" } : {},
      element("th", { scope: "row" }, element("b", { text: name }), notes[name] ? element("span", { class: "note", text: ` ${notes[name]}` }) : null),
      element("td", { class: "number", text: String(from) }),
      element("td", {}, pill(body.similarity_score >= from)),
    ),
  );
  return element(
    "section",
    { class: "card" },
    element("h3", { text: "What each profile decides" }),
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...["Profile", "From", "This pair"].map((text) => element("th", { scope: "col", text })))),
      element("tbody", {}, ...rows),
    ),
  );
}

export function pill(isMatch) {
  return element("span", { class: isMatch ? "pill is-match" : "pill", text: isMatch ? "match" : "no match" });
}

/** The answer as it came, the request for a terminal, and where the time went. */
export function rawCard(body, timing, curl) {
  const json = JSON.stringify(body, rounded, 2);
  return element(
    "section",
    { class: "card raw" },
    element("details", { open: true }, element("summary", { text: "JSON" }), code("The answer as JSON", json), element("p", {}, copyButton("Copy JSON", () => JSON.stringify(body, null, 2)))),
    element("details", {}, element("summary", { text: "The same request with curl" }), code("The request with curl", curl), element("p", {}, copyButton("Copy curl", () => curl))),
    timing ? element("details", {}, element("summary", { text: "Time" }), times(timing)) : null,
  );
}

function rounded(name, value) {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}

function code(label, text) {
  return element("pre", { tabindex: "0", role: "region", "aria-label": label, text });
}

function times(timing) {
  const stages = [...timing.matchAll(/([\w-]+);dur=([\d.]+)/g)];
  return element("dl", { class: "times" }, ...stages.flatMap(([, name, spent]) => [element("dt", { text: name }), element("dd", { text: `${spent} ms` })]));
}
