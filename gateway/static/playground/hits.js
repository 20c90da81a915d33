// What a search found, the best first.

import { element } from "./elements.js";
import { FOUND, milliseconds, percent, score, span } from "./words.js";

/** `medium` is that of the query. */
export function hitsCard(body, medium) {
  const { results } = body;
  const title = results.length ? `${results.length}${body.next_cursor ? " or more" : ""} found` : "Nothing found";
  return element(
    "section",
    { class: `card hits ${results.length ? "is-match" : "is-other"}` },
    element("h2", { tabindex: "-1", text: title }),
    element("p", { class: "note", text: `${milliseconds(body.processing_time_ms)}${results.length ? "" : " · Nothing in the library reaches the threshold. A lower one shows what comes close."}` }),
    results.length ? element("ol", {}, ...results.map((found) => hit(found, medium))) : null,
  );
}

function hit(found, medium) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.inlineSize = `${found.similarity * 100}%`;
  const facts = [`confidence ${found.confidence}`];
  if (found.matched_through) facts.unshift(FOUND[found.media_type]?.[found.matched_through] ?? found.media_type);
  if (found.collection) facts.push(`in ${found.collection}`);
  if (medium !== "image" && found.coverage !== null) facts.push(`${percent(found.coverage)} of the query`);
  for (const { source_start: start, source_end: end, target_start: from, target_end: to } of found.matched_segments.slice(0, 3)) {
    facts.push(medium === "image" ? `shown at ${span(from, to)}` : `${span(start, end)} of the query is ${span(from, to)}`);
  }
  const metadata = Object.keys(found.metadata ?? {}).length ? JSON.stringify(found.metadata) : "";
  return element(
    "li",
    {},
    element("div", { class: "what" }, element("b", { text: found.name ?? "without a name" }), element("span", { class: "note", text: facts.join(" · ") }), metadata ? element("code", { text: metadata }) : null, element("code", { class: "note", text: found.asset_id })),
    element("p", { class: "similarity" }, element("b", { class: "number", text: score(found.similarity) }), bar),
  );
}
