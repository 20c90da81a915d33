// Pairs to scores: each row asked of the gateway as the playground would, a few at a time; what fails costs its own row.

import { Problem, send } from "./api.js";
import { KINDS } from "./words.js";

const AT_ONCE = 3;
const TRIES = 4;
const ENDS_ALL = ["unauthorized", "forbidden", "unreachable", "quota_exceeded"];

/** CSV as rows of cells (RFC 4180); empty lines are none. */
export function readRows(text) {
  const rows = [];
  let row = [];
  let cell = "";
  let isQuoted = false;
  const endCell = () => { row.push(cell); cell = ""; };
  const endRow = () => { endCell(); if (row.some((each) => each.trim())) rows.push(row); row = []; };
  const whole = text.replace(/^\uFEFF/, "");
  for (let at = 0; at < whole.length; at += 1) {
    const letter = whole[at];
    if (isQuoted && letter === '"' && whole[at + 1] === '"') { cell += letter; at += 1; }
    else if (letter === '"' && (isQuoted || !cell)) isQuoted = !isQuoted;
    else if (isQuoted) cell += letter;
    else if (letter === ",") endCell();
    else if (letter === "\n") endRow();
    else if (letter !== "\r") cell += letter;
  }
  if (cell || row.length) endRow();
  return rows;
}

/** Resolves to what was scored and what failed, in the order of the rows; `problem` where going on was of no use. */
export async function comparePairs(rows, { key, signal, onDone }) {
  const names = (rows[0] ?? []).map((cell) => cell.trim().toLowerCase());
  const hasHeader = names.includes("source") && names.includes("target");
  const column = (name, place) => (hasHeader ? names.indexOf(name) : place);
  const columns = { source: column("source", 0), target: column("target", 1), label: column("label", 2), type: column("type", 3) };
  const pairs = rows.slice(hasHeader ? 1 : 0).map((cells, at) => ({ line: at + (hasHeader ? 2 : 1), ...Object.fromEntries(Object.entries(columns).map(([name, place]) => [name, (cells[place] ?? "").trim()])) }));
  const outcomes = [];
  let next = 0;
  let done = 0;
  let problem = null;
  onDone(0, pairs.length);
  const worker = async () => {
    while (next < pairs.length && !signal.aborted && !problem) {
      const pair = pairs[next];
      next += 1;
      try {
        outcomes.push({ ...pair, score: await compareOne(pair, { key, signal }) });
      } catch (error) {
        if (error.name === "AbortError") return;
        if (ENDS_ALL.includes(error.code)) problem = error;
        else outcomes.push({ ...pair, code: error.code ?? "page", message: error.message });
      }
      done += 1;
      onDone(done, pairs.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  outcomes.sort((one, other) => one.line - other.line);
  return { scored: outcomes.filter((each) => each.score !== undefined), failed: outcomes.filter((each) => each.code), isStopped: signal.aborted, problem };
}

async function compareOne({ source, target, type }, { key, signal }) {
  const medium = type.toLowerCase() || "image";
  if (!(medium in KINDS)) throw new Problem({ code: "invalid_request", message: `${type} is none of image, video and audio` });
  for (let tried = 1; ; tried += 1) {
    try {
      const { body } = await send("POST", `${medium}/match`, { source_url: source, target_url: target }, { key, signal });
      return body.similarity_score;
    } catch (error) {
      // Busy is not broken: the gateway says when to come back.
      if (tried === TRIES || !["overloaded", "rate_limited", "not_available"].includes(error.code) || error.retryAfter > 30) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(1, error.retryAfter)));
    }
  }
}

export function written(scored) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return `score,label,type,source,target\n${scored.map(({ score, label, type, source, target }) => [score, label, type || "image", source, target].map((cell) => quoted(String(cell))).join(",")).join("\n")}\n`;
}
