// An error as a person would want it: what happened, what to do about it, and what to tell whoever runs the mesh.

import { copyButton, element } from "./elements.js";

const KNOWN = {
  invalid_request: ["That request is not complete", ""],
  invalid_url: ["That address cannot be used", "Only public http and https addresses are fetched. For a file on your own machine, drop the file itself."],
  fetch_failed: ["The download failed", "The gateway fetches the address itself, without your cookies: open it in a private window to see what it sees."],
  file_too_large: ["That file is too large", "Try a smaller version: the comparison does not need full quality."],
  duration_too_long: ["That recording is too long", "Cut out the part that matters; a few seconds are enough."],
  unsupported_media: ["That file cannot be read", "It may be damaged, of another kind than this tab is for, or a web page instead of the media itself."],
  unauthorized: ["An API key is needed", "Enter a valid key above and try again."],
  forbidden: ["This gateway does not let this page in", "It takes no API keys of its own; ask whoever runs it."],
  insufficient_scope: ["This key may not do that", "Ask whoever made it for a key with this scope."],
  feature_disabled: ["The plan does not have this", ""],
  rate_limited: ["Too many requests", "Wait a moment; the limit is told below."],
  quota_exceeded: ["The quota is used up", ""],
  overloaded: ["The mesh is busy", "Nothing is wrong with your files. Try again in a moment."],
  not_available: ["That service is not running here", "It may be starting, or this mesh was set up without it."],
  deadline_exceeded: ["That took too long", "A slow host or a large file may be why. Dropping the file itself avoids the download."],
  internal: ["Something broke on our side", "It is not your file’s fault. The request id below finds it in the logs."],
  request_too_large: ["That request is too large", ""],
  unreachable: ["The gateway cannot be reached", "Check that it runs and that you are connected, then try again."],
};

/** `onRetry` is offered where trying again may help. */
export function problemCard(problem, onRetry) {
  const [title, advice] = KNOWN[problem.code] ?? ["That did not work", ""];
  const canHelp = ["rate_limited", "overloaded", "not_available", "deadline_exceeded", "fetch_failed", "internal", "unreachable"].includes(problem.code);
  return element(
    "section",
    { class: "card wrong" },
    // The count on the button below is not for an alert.
    element(
      "div",
      { class: "wrong-said", role: "alert" },
      element("h2", { text: title, tabindex: "-1" }),
      element("p", { class: "said", text: sentence(problem.message) }),
      advice ? element("p", { text: advice }) : null,
    ),
    canHelp ? retryButton(problem.retryAfter, onRetry) : null,
    element(
      "p",
      { class: "note ids" },
      element("span", {}, "Code ", element("code", { text: problem.code })),
      problem.requestId ? element("span", {}, "Request ", element("code", { text: problem.requestId })) : null,
      problem.requestId ? copyButton("Copy the request id", () => problem.requestId) : null,
    ),
  );
}

function sentence(message) {
  const named = message.replace(/^(source|target)(_url)?(?= )/, (_, side) => `The ${side}`).replace(/^(url|file)(?= )/, "The query");
  const text = named.charAt(0).toUpperCase() + named.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function retryButton(seconds, onRetry) {
  const button = element("button", { type: "button", onclick: onRetry });
  let left = Math.min(seconds, 60);
  const count = () => {
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left > 0) setTimeout(count, 1000);
    left -= 1;
  };
  count();
  return element("p", {}, button);
}
