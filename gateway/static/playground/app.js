// The page: tabs, the key, and what the address bar remembers. Nothing is stored; the key is in its field and in no other place.

import { config } from "./api.js";
import { element } from "./elements.js";
import { ComparePanel, SearchPanel } from "./panels.js";
import { KINDS } from "./words.js";

const facts = document.documentElement.dataset;
const byId = (id) => document.getElementById(id);

const page = {
  config: config(),
  takesSearchFiles: facts.uploads === "on",
  showsAddresses: facts.previews === "on",

  /** Where pairs ask for a key, and the visitor has none: the demo, where there is one. */
  get pairs() {
    return facts.auth === "on" && facts.demo === "on" && !page.key ? "demo/" : "";
  },

  get key() {
    return byId("key").value.trim();
  },

  announce(text) {
    byId("announcer").textContent = text;
  },

  askForKey(why, { isWrong = false } = {}) {
    byId("key-card").hidden = false;
    if (isWrong) byId("key").setAttribute("aria-invalid", "true");
    byId("key-note").textContent = isWrong ? "The gateway does not know this key, or it was revoked." : why || "This gateway asks for an API key.";
    byId("key").focus();
    page.announce(byId("key-note").textContent);
  },

  /** Addresses, so that a link brings them back; files and keys cannot be in one. */
  remember() {
    const panel = panels.get(current);
    const said = new URLSearchParams({ try: current });
    if (panel.name === "search") {
      said.set("kind", panel.medium);
      said.set("among", panel.mediaTypes);
    }
    for (const slot of panel.slots) if (slot.url) said.set(slot.name, slot.url);
    history.replaceState(null, "", `${location.pathname}${location.search}#${said}`);
  },
};

const panels = new Map();
for (const medium of Object.keys(KINDS)) panels.set(medium, new ComparePanel(page, medium));
panels.set("search", new SearchPanel(page));
byId("panels").append(...[...panels.values()].map((panel) => panel.element));

const tabs = [...panels.keys()].map((name) =>
  element("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, text: KINDS[name]?.tab ?? "Search", onclick: () => show(name) }),
);
const tablist = document.querySelector("[role=tablist]");
tablist.append(...tabs);
tablist.addEventListener("keydown", (event) => {
  const at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  show(tab.id.slice(4));
  tab.focus();
});

const ASKS = {
  pair: ["Is it the same content?", "Give two files or two addresses. The mesh says whether one is a copy of the other, how sure it is, and where they agree."],
  search: ["Is it in the library?", "Give a file or an address. The mesh finds its copies among the assets of your project, and what it is a part of."],
};
let current = "image";

function show(name, { isFirst = false } = {}) {
  current = name;
  for (const tab of tabs) {
    const isCurrent = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(isCurrent));
    tab.tabIndex = isCurrent ? 0 : -1;
  }
  for (const [each, panel] of panels) panel.element.hidden = each !== name;
  [byId("question").textContent, byId("lead").textContent] = ASKS[name] ?? ASKS.pair;
  const needsKey = name === "search" || (facts.auth === "on" && facts.demo !== "on");
  byId("key-card").hidden = !needsKey && !page.key;
  byId("key").removeAttribute("aria-invalid");
  byId("key-note").textContent = name === "search" ? "Searches are in the library of a project; its key says which. “make key” prints one." : "This gateway asks for a key. Any valid one will do.";
  if (!isFirst) page.remember();
}

function recall() {
  const said = new URLSearchParams(location.hash.slice(1));
  const name = panels.has(said.get("try")) ? said.get("try") : "image";
  show(name, { isFirst: true });
  const panel = panels.get(name);
  if (name === "search" && said.get("kind") in KINDS) panel.form.elements.medium.value = said.get("kind");
  page.config.catch(() => {}).then(() => {
    for (const slot of panel.slots) if (said.has(slot.name)) slot.address.value = said.get(slot.name);
    if (name === "search" && said.has("among")) panel.lookThrough(said.get("among").split(","));
  });
}

byId("key").addEventListener("input", () => byId("key").removeAttribute("aria-invalid"));
byId("key").addEventListener("keydown", (event) => {
  if (event.key === "Enter") panels.get(current).form.requestSubmit();
});

// What lands beside a panel must not replace the page.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  const panel = panels.get(current);
  if (files.length && !panel.slots[0].drop.hidden) panel.takeFiles(files);
});

byId("previews").checked = page.showsAddresses;
byId("previews").addEventListener("change", () => {
  page.remember();
  location.assign(`${location.pathname}${page.showsAddresses ? "" : "?previews=on"}${location.hash}`);
});

page.config.catch(() => page.announce("The gateway does not answer; its limits are unknown."));
window.addEventListener("hashchange", recall);
recall();
