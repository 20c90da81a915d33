// The studio: what is given, what the gateway says of it, and where that is saved. The maths is the gateway's; here it is only drawn.

import { Problem, send } from "./api.js";
import { curveChart, histogramChart } from "./charts.js";
import { element } from "./elements.js";
import { problemCard } from "./problems.js";
import { comparePairs, readRows, written } from "./scoring.js";
import { score } from "./words.js";
import { Work } from "./work.js";

const byId = (id) => document.getElementById(id);
const facts = document.documentElement.dataset;

const TAKES = {
  scores: "score,label a line, or any columns of which a header names these. A label is 1 or 0, copy or other, or nothing. What GET /v1/decisions gives out is taken, too.",
  pairs: "source,target a line, and if you like label and type (image, video or audio; image where none is given). A header may name the columns.",
};
const NOTES = {
  few_copies: "There are fewer than 30 copies in the set: take it as a first guess.",
  few_others: "There are fewer than 30 pairs in the set that are no copies: take it as a first guess.",
  not_separated: "These scores do not tell copies from others: are the labels right?",
  flags_all: "At these costs it is cheapest to call everything a match.",
  flags_none: "At these costs it is cheapest to call nothing a match.",
  wide_interval: "The interval is wide: with more pairs the cutoff may move a good deal.",
};

const DEFAULT = "default";

let given = "";
let fromFile = null;
let analysis = null;
let turn = 0;

function announce(text) {
  byId("announcer").textContent = text;
}

function key() {
  return byId("key").value.trim();
}

function askForKey(why) {
  byId("key-card").hidden = false;
  byId("key-note").textContent = why;
  byId("key").focus();
  announce(why);
}

function cost() {
  return Number((10 ** Number(byId("cost").value)).toPrecision(2));
}

function costInWords() {
  const times = cost();
  if (times === 1) return "as much as";
  return times > 1 ? `${times.toLocaleString("en")} times as much as` : `a ${Math.round(1 / times).toLocaleString("en")}th of`;
}

function parameters() {
  const said = new URLSearchParams({ cost: String(cost()) });
  const percent = Number(byId("prevalence").value);
  if (percent > 0 && percent < 100) said.set("prevalence", String(percent / 100));
  return said;
}

async function ask(said = parameters()) {
  const { body } = await send("POST", `thresholds/analyse?${said}`, given, { key: key(), type: "text/csv" });
  return body;
}

/** What came last is shown, whatever comes in after it. */
async function look({ isFirst = false } = {}) {
  turn += 1;
  const mine = turn;
  try {
    const found = await ask();
    if (mine !== turn) return;
    analysis = found;
    byId("found").hidden = false;
    byId("work").replaceChildren();
    show();
    if (isFirst) byId("verdict").querySelector("h2").focus();
  } catch (error) {
    if (mine === turn) fail(error);
  }
}

function fail(error) {
  byId("found").hidden = true;
  const problem = error instanceof Problem ? error : new Problem({ code: "page", message: `This page failed: ${error.message}` });
  const card = problemCard(problem, () => look({ isFirst: true }));
  byId("work").replaceChildren(card);
  if (problem.code === "unauthorized") askForKey("This gateway asks for an API key. Any valid one will do.");
  else card.querySelector("h2").focus();
}

function show() {
  const { recommendation: best, no_recommendation: none } = analysis;
  byId("cost-said").textContent = costInWords();
  const isByCost = best ? best.method === "cost" : Boolean(analysis.curves);
  byId("cost").disabled = byId("prevalence").disabled = !isByCost;
  byId("verdict").replaceChildren(verdictCard(best, none));
  if (best) byId("profile-cutoff").value = best.cutoff;
  drawCharts();
  announce(best ? `Recommended cutoff ${best.cutoff}` : `No cutoff is recommended: ${none.message}`);
}

function verdictCard(best, none) {
  const { copies, others, unlabelled, refused, errors } = analysis;
  const counts = [[copies, copies === 1 ? "copy" : "copies"], [others, others === 1 ? "other" : "others"], [unlabelled, "unlabelled"]].filter(([count]) => count).map(([count, name]) => `${count.toLocaleString("en")} ${name}`);
  const card = element("section", { class: "card verdict" });
  if (best) {
    const how = best.method === "cost" ? `the cutoff that costs least where a false positive costs ${costInWords()} a miss` : "the middle of the valley between two heaps of scores; costs need labels";
    card.append(
      element("div", { class: "headline cutoff" }, element("h2", { tabindex: "-1" }, "Cutoff ", element("b", { class: "number", text: String(best.cutoff) })), element("p", { class: "note", text: `95 % interval ${range(best.interval)}, by bootstrap` })),
      element("p", { text: `Of ${counts.join(", ")}: ${how}. Any cutoff from ${range(best.same, " to ")} ${best.method === "cost" ? "does the same to this set" : "lies on the valley’s ground"}.` }),
      ...best.notes.map((note) => element("p", { class: "notice", text: NOTES[note] ?? note })),
    );
  } else {
    card.append(element("div", { class: "headline" }, element("h2", { tabindex: "-1", text: "No cutoff can be recommended" })), element("p", { text: `Of ${counts.join(", ") || "no scores"}: ${none.message}.` }));
  }
  if (analysis.points.length) card.append(element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": "Cutoffs compared" }, pointsTable()));
  if (refused) card.append(refusals(refused, errors));
  return card;
}

function pointsTable() {
  const head = ["Cutoff", "Recall", "False positives", "Precision", "Cost of a pair"];
  const share = (value, interval) => [element("span", { class: "number", text: percent(value) }), element("span", { class: "note number", text: ` ${percent(interval[0])} to ${percent(interval[1])}` })];
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col", text })))),
    element(
      "tbody",
      {},
      ...analysis.points.map((point) =>
        element(
          "tr",
          { class: point.name === "recommended" ? "is-asked" : null },
          element("th", { scope: "row" }, element("b", { text: point.name }), element("span", { class: "note number", text: ` ${score(point.cutoff)}` })),
          element("td", {}, ...share(point.recall, point.recall_interval)),
          element("td", {}, ...share(point.false_positive_rate, point.false_positive_interval)),
          element("td", { class: "number", text: point.precision === null ? "nothing found" : percent(point.precision) }),
          element("td", { class: "number", text: String(Number(point.cost.toPrecision(3))) }),
        ),
      ),
    ),
  );
}

function refusals(count, errors) {
  return element(
    "details",
    {},
    element("summary", { text: `${count} ${count === 1 ? "row" : "rows"} could not be read` }),
    element("ul", { class: "legend" }, ...errors.map((error) => element("li", { text: `Line ${error.line}: ${error.message}` }))),
  );
}

function drawCharts() {
  if (!analysis || byId("found").hidden) return;
  const place = byId("charts");
  const whole = place.clientWidth - 2 * 24;
  const cards = [element("figure", { class: "card chart" }, element("h3", { text: "Histogram" }), histogramChart(analysis, whole), legend())];
  const { curves } = analysis;
  if (curves) {
    const isNarrow = place.clientWidth < 700;
    const width = isNarrow ? whole : (place.clientWidth - 18) / 2 - 2 * 24;
    const at = analysis.points[0];
    const area = `Area ${curves.roc_area.toFixed(4)}, 95 % interval ${curves.roc_area_interval.join(" – ")}`;
    const precision = `Average precision ${curves.average_precision.toFixed(4)}`;
    cards.push(
      element(
        "div",
        { class: "beside" },
        element("figure", { class: "card chart" }, element("h3", { text: "ROC" }), curveChart({ points: curves.points.map((point) => [point.false_positive_rate, point.recall]), at: [at.false_positive_rate, at.recall], across: "False positives", up: "Recall", said: area, isDiagonal: true }, width), element("figcaption", { text: area })),
        element("figure", { class: "card chart" }, element("h3", { text: "Precision and recall" }), curveChart({ points: curves.points.filter((point) => point.precision !== null).map((point) => [point.recall, point.precision]), at: at.precision === null ? null : [at.recall, at.precision], across: "Recall", up: "Precision", said: precision }, width), element("figcaption", { text: precision })),
      ),
    );
  }
  place.replaceChildren(...cards);
}

function legend() {
  const said = [];
  if (analysis.copies) said.push(["copies", "copies, above the line"]);
  if (analysis.unlabelled) said.push(["unlabelled", "unlabelled, above the line"]);
  if (analysis.others) said.push(["others", "others, below the line"]);
  return element("figcaption", {}, ...said.flatMap(([kind, text]) => [element("span", { class: `swatch is-${kind}`, "aria-hidden": "true" }), ` ${text}; `]), "heights are square roots of counts, so that rare scores are seen.");
}

function range([low, high], between = " – ") {
  return `${score(low)}${between}${score(high)}`;
}

function percent(share) {
  return `${Number((share * 100).toPrecision(share > 0.99 ? 4 : 3))} %`;
}

function complain(text) {
  byId("given-problem").textContent = text;
  byId("given-problem").hidden = !text;
  byId("text").toggleAttribute("aria-invalid", Boolean(text));
  if (text) byId("text").focus();
}

function kind() {
  return byId("given").elements.kind.value;
}

function showKind() {
  byId("form-note").textContent = TAKES[kind()];
  byId("begin").textContent = kind() === "pairs" ? "Compare them" : "Look at them";
  byId("key-card").hidden = facts.auth !== "on" && !key();
  byId("key-note").textContent = "This gateway asks for a key. Any valid one will do.";
}

byId("given").addEventListener("change", (event) => event.target.name === "kind" && showKind());
byId("given").addEventListener("reset", () => {
  turn += 1;
  fromFile = null;
  complain("");
  byId("found").hidden = true;
  byId("work").replaceChildren();
  setTimeout(showKind);
});
byId("file").addEventListener("change", async () => {
  const [file] = byId("file").files;
  if (!file) return;
  // A long text in a field makes a page slow: a file's stays out of it.
  fromFile = await file.text();
  byId("text").value = "";
  const [first = []] = readRows(fromFile.split("\n", 1)[0]);
  if (first.map((cell) => cell.trim().toLowerCase()).includes("target")) {
    byId("given").elements.kind.value = "pairs";
    showKind();
  }
  complain("");
});
byId("text").addEventListener("input", () => {
  fromFile = null;
  byId("file").value = "";
});
byId("given").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = fromFile ?? byId("text").value;
  if (!text.trim()) return complain("Choose a file, or paste its text.");
  complain("");
  byId("found").hidden = true;
  if (kind() === "scores") {
    given = text;
    return look({ isFirst: true });
  }
  return compare(text);
});

async function compare(text) {
  const rows = readRows(text);
  const work = new Work(byId("work"), announce);
  work.say("Comparing");
  const { scored, failed, isStopped, problem } = await comparePairs(rows, { key: key(), signal: work.signal, onDone: (done, total) => { work.bar.max = total; work.bar.value = done; work.phase.textContent = `Comparing ${done} of ${total}`; } });
  work.end();
  if (problem) return fail(problem);
  const cards = failed.length ? [failures(failed)] : [];
  if (isStopped) announce("Cancelled.");
  if (!scored.length) {
    byId("work").replaceChildren(...cards);
    return isStopped ? undefined : complain("None of these pairs could be compared.");
  }
  given = written(scored);
  await look({ isFirst: true });
  const file = URL.createObjectURL(new Blob([given], { type: "text/csv" }));
  byId("work").replaceChildren(...cards, element("p", {}, element("a", { href: file, download: "scores.csv", text: `Save the ${scored.length} scores as CSV` })));
}

function failures(failed) {
  return element(
    "details",
    { class: "card", open: true },
    element("summary", { text: `${failed.length} ${failed.length === 1 ? "pair" : "pairs"} could not be compared` }),
    element("ul", { class: "legend" }, ...failed.slice(0, 100).map(({ line, code, message }) => element("li", {}, `Line ${line}: `, element("code", { text: code }), ` ${message}`))),
  );
}

let soon = 0;
for (const name of ["cost", "prevalence"]) {
  byId(name).addEventListener("input", () => {
    byId("cost-said").textContent = costInWords();
    byId("cost").setAttribute("aria-valuetext", `${costInWords()} a miss`);
    clearTimeout(soon);
    soon = setTimeout(() => look(), 150);
  });
}

byId("is-default").addEventListener("change", () => {
  const isDefault = byId("is-default").checked;
  byId("profile-name").value = isDefault ? DEFAULT : "";
  byId("profile-name").readOnly = isDefault;
});
byId("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("profile-name").value.trim();
  const media = [...byId("save").querySelectorAll("[name=medium]:checked")].map((box) => box.value);
  const said = byId("save-said");
  if (!name) {
    said.textContent = "Give it a name.";
    return byId("profile-name").focus();
  }
  if (!media.length) {
    said.textContent = "Choose what it is for.";
    return undefined;
  }
  if (!key()) return askForKey("A profile belongs to a project, and its key says which. “make key” prints one.");
  const cutoff = Number(byId("profile-cutoff").value);
  const path = `v1/profiles/${encodeURIComponent(name)}`;
  said.textContent = "";
  try {
    const kept = await send("GET", path, null, { key: key() }).then(({ body }) => body.cutoffs, (error) => { if (error.code !== "not_found") throw error; });
    await send("PUT", path, { cutoffs: { ...kept, ...Object.fromEntries(media.map((medium) => [medium, cutoff])) }, note: "from the threshold studio" }, { key: key() });
    if (name === DEFAULT) said.textContent = "Saved. It decides wherever a request with a key of the project names no profile.";
    else said.replaceChildren("Saved. Ask for it with ", element("code", { text: `"profile": "${name}"` }), ".");
  } catch (error) {
    said.textContent = `Not saved: ${error.message}.`;
    if (error.code === "unauthorized") askForKey("The gateway does not know this key, or it was revoked.");
  }
  return undefined;
});

byId("policy").addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = (name) => [...byId("policy").querySelectorAll(`[name=${name}]`)].map((field) => field.value.trim());
  const floors = fields("floor").map(Number);
  const lanes = Object.fromEntries(fields("lane").map((lane, at) => [lane, floors[at]]).filter(([lane]) => lane));
  const said = parameters();
  said.set("lanes", JSON.stringify(lanes));
  said.set("otherwise", fields("otherwise")[0]);
  try {
    const { lanes: counts } = await ask(said);
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    byId("lanes-said").replaceChildren(element("dl", {}, ...Object.entries(counts).flatMap(([lane, count]) => [element("dt", { text: lane }), element("dd", { class: "number", text: `${count.toLocaleString("en")} (${percent(count / total)})` })])));
  } catch (error) {
    byId("lanes-said").replaceChildren(element("p", { class: "problem", text: error.message }));
  }
});

let drawing = 0;
window.addEventListener("resize", () => {
  clearTimeout(drawing);
  drawing = setTimeout(drawCharts, 100);
});
showKind();
