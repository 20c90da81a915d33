// What a tab holds: a form, the work that it starts, and what came of it.

import { Problem, asCurl, post } from "./api.js";
import { copyOf, element } from "./elements.js";
import { EXAMPLES } from "./examples.js";
import { picturesCard } from "./pictures.js";
import { problemCard } from "./problems.js";
import { hitsCard } from "./hits.js";
import { Slot } from "./slots.js";
import { timelinesCard } from "./timelines.js";
import { announcement, profilesCard, rawCard, verdictCard } from "./verdict.js";
import { Work } from "./work.js";
import { FINDS, LOOKS_THROUGH } from "./words.js";

class Panel {
  constructor(page, name, template) {
    Object.assign(this, { page, name });
    this.element = element("div", { role: "tabpanel", class: "panel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, hidden: true }, copyOf(template));
    this.form = this.element.querySelector("form");
    this.outcome = this.element.querySelector(".outcome");
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.form.addEventListener("reset", () => this.reset());
    this.form.addEventListener("input", () => this.page.remember());
    this.element.addEventListener("dragover", (event) => { event.preventDefault(); this.element.classList.add("is-over"); });
    this.element.addEventListener("dragleave", (event) => { if (!this.element.contains(event.relatedTarget)) this.element.classList.remove("is-over"); });
    this.element.addEventListener("drop", (event) => this.dropped(event));
  }

  addSlots(...slots) {
    this.slots = slots;
    this.form.querySelector(".slots").append(...slots.map((slot) => slot.element));
  }

  dropped(event) {
    event.preventDefault();
    this.element.classList.remove("is-over");
    const at = this.slots.findIndex((slot) => slot.element.contains(event.target));
    this.takeFiles([...event.dataTransfer.files], at);
  }

  /** The first goes where it was dropped, or where there is room; the next to the other side. */
  takeFiles(files, at = -1) {
    const first = at >= 0 && files.length === 1 ? at : Math.max(0, files.length > 1 ? 0 : this.slots.findIndex((slot) => slot.isEmpty));
    files.slice(0, this.slots.length).forEach((file, index) => this.slots[(first + index) % this.slots.length].take(file));
  }

  reset() {
    this.work?.stopper.abort();
    for (const slot of this.slots) slot.clear();
    this.outcome.replaceChildren();
    this.page.remember();
  }

  number(name) {
    const text = this.form.elements[name].value.trim();
    return text === "" ? undefined : Number(text);
  }

  async submit() {
    const wrong = this.slots.filter((slot) => !slot.check());
    const odd = [...this.form.querySelectorAll("input[type=number]")].find((field) => !field.checkValidity());
    if (odd) {
      odd.closest("details").open = true;
      odd.reportValidity();
      return;
    }
    if (wrong.length) {
      wrong[0].focus();
      this.page.announce(wrong[0].problem.textContent);
      return;
    }
    if (this.needsKey && !this.page.key) {
      this.page.askForKey("A search is in the library of a project, and its key says which.");
      return;
    }
    this.work?.stopper.abort();
    const work = new Work(this.outcome, this.page.announce);
    this.work = work;
    const { path, content } = this.request();
    try {
      work.uploaded(content instanceof FormData ? 0 : 1, this.doing);
      const answer = await post(path, content, { key: this.page.key, signal: work.signal, onUpload: (share) => work.uploaded(share, this.doing) });
      work.end();
      this.show(answer, asCurl(path, content, Boolean(this.page.key)));
    } catch (error) {
      work.end();
      if (error.name === "AbortError") this.page.announce("Cancelled.");
      else this.fail(error instanceof Problem ? error : new Problem({ code: "page", message: `This page failed: ${error.message}` }));
    }
  }

  fail(problem) {
    const card = problemCard(problem, () => this.submit());
    this.outcome.replaceChildren(card);
    const field = problem.details.field ?? "";
    const slot = this.slots.find((each) => [each.name, `${each.name}_url`].includes(field)) ?? (field === "file" ? this.slots[0] : null);
    if (slot) slot.complain(slot.file ? "See the message below." : "This address did not work; see below.");
    if (problem.code === "unauthorized") this.page.askForKey("", { isWrong: Boolean(this.page.key) });
    else if (problem.details.policy?.startsWith("demo")) this.page.askForKey("Today’s comparisons without a key are used up. With a key you can go on.");
    else card.querySelector("h2").focus();
  }

  /** The heading is where a reader goes on, unless they have gone on elsewhere. */
  present(...cards) {
    this.outcome.replaceChildren(...cards);
    if ([document.body, null].includes(document.activeElement) || this.form.querySelector(".actions").contains(document.activeElement)) {
      this.outcome.querySelector("h2").focus({ preventScroll: true });
    }
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.outcome.scrollIntoView({ behavior: isStill ? "auto" : "smooth", block: "start" });
  }

  /** What a side is shown from: the file, or where it was asked for its address. */
  shown(slot) {
    const source = slot.objectUrl ?? (this.page.showsAddresses ? slot.url : null);
    const kind = slot.file ? slot.kindOfFile() : slot.medium;
    return { file: slot.file, source, kind, player: slot.preview.querySelector("audio, video") };
  }
}

export class ComparePanel extends Panel {
  constructor(page, medium) {
    super(page, medium, "compare");
    this.medium = medium;
    this.doing = "Comparing";
    const [source, target] = ["Source", "Target"].map((title) => new Slot(title, medium, { onFiles: (files) => this.other(title).take(files[0]) }));
    [source.name, target.name] = ["source", "target"];
    this.addSlots(source, target);
    for (const field of this.form.querySelectorAll("[data-only]")) if (field.dataset.only !== medium) field.remove();
    this.form.querySelector("[data-text=transforms]").textContent = LOOKS_THROUGH[medium];
    const button = this.form.querySelector(".example");
    if (medium in EXAMPLES) button.addEventListener("click", () => this.tryExample());
    else button.remove();
    page.config.then((config) => this.configure(config.media[medium]), () => this.configure(null));
  }

  async tryExample() {
    this.takeFiles(await EXAMPLES[this.medium]());
    this.submit();
  }

  other(title) {
    return this.slots[title === "Source" ? 1 : 0];
  }

  configure(limits) {
    this.limits = limits;
    for (const slot of this.slots) slot.setMedium(this.medium, limits);
    const profiles = Object.entries(limits?.profiles ?? { general: null });
    this.form.elements.profile.replaceChildren(...profiles.map(([name, from]) => element("option", { value: name, text: from === null ? name : `${name} (from ${from})` })));
  }

  get asked() {
    return { medium: this.medium, profile: this.form.elements.profile.value, threshold: this.number("threshold") };
  }

  request() {
    const { profile, threshold } = this.asked;
    const fields = { include: ["regions", "transform", "coverage"] };
    const isAddresses = this.slots.every((slot) => !slot.file);
    if (this.medium === "video" && this.form.elements.audio.checked && isAddresses) fields.include.push("audio");
    // A project may have another default of its own.
    if (profile !== "general" || this.page.key) fields.profile = profile;
    if (threshold !== undefined) fields.threshold = threshold;
    if (!this.form.elements.transforms.checked) fields.transforms = "none";
    const path = `${this.page.pairs}${this.medium}/match`;
    if (isAddresses) return { path, content: { source_url: this.slots[0].url, target_url: this.slots[1].url, ...fields } };
    // The options first: the files are worked on while they come.
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, Array.isArray(value) ? JSON.stringify(value) : String(value));
    for (const slot of this.slots) slot.file ? form.append(slot.name, slot.file) : form.append(`${slot.name}_url`, slot.url);
    return { path, content: form };
  }

  show({ body, timing }, curl) {
    const sides = this.slots.map((slot) => this.shown(slot));
    const picture = this.medium === "image" ? picturesCard(body, sides.map((side) => side.source)) : timelinesCard(body, sides);
    const beside = element("div", { class: "beside" }, profilesCard(body, this.asked, this.limits), rawCard(body, timing, curl));
    this.present(verdictCard(body, this.asked, this.limits), picture, beside);
    this.page.announce(announcement(body));
  }
}

export class SearchPanel extends Panel {
  constructor(page) {
    super(page, "search", "search");
    this.doing = "Searching";
    this.needsKey = true;
    const query = new Slot("Query", "image", { takesFiles: page.takesSearchFiles });
    query.name = "url";
    this.addSlots(query);
    this.among = this.form.querySelector(".through");
    this.lookThrough([this.medium]);
    this.form.addEventListener("change", (event) => {
      if (event.target.name !== "medium") return;
      this.configure();
      this.page.remember();
    });
    page.config.then((config) => { this.media = config.media; this.configure(); }, () => {});
  }

  get medium() {
    return this.form.elements.medium.value;
  }

  /** The types of assets that are asked for. */
  get mediaTypes() {
    return [...this.among.querySelectorAll(":checked")].map((box) => box.value);
  }

  lookThrough(wanted) {
    const finds = Object.entries(FINDS[this.medium]);
    const isKnown = finds.some(([name]) => wanted.includes(name));
    const boxes = finds.map(([name, text]) => element("label", { class: "check" }, element("input", { type: "checkbox", name: "among", value: name, checked: isKnown ? wanted.includes(name) : name === this.medium }), " ", element("span", { text })));
    this.among.replaceChildren(this.among.firstElementChild, ...boxes);
  }

  configure() {
    this.slots[0].setMedium(this.medium, this.media?.[this.medium] ?? null);
    this.slots[0].clear();
    this.lookThrough([this.medium]);
  }

  submit() {
    if (this.mediaTypes.length) return super.submit();
    this.among.querySelector("input").focus();
    return this.page.announce("Choose what to look through.");
  }

  reset() {
    super.reset();
    queueMicrotask(() => this.configure());
  }

  request() {
    const names = this.form.elements.collections.value.split(",").map((name) => name.trim()).filter(Boolean);
    const fields = { limit: this.number("limit") ?? 20 };
    if (this.number("threshold") !== undefined) fields.threshold = this.number("threshold");
    if (names.length) fields.collections = names;
    if (String(this.mediaTypes) !== this.medium) fields.media_types = this.mediaTypes;
    const [query] = this.slots;
    this.searched = this.medium;
    if (!query.file) return { path: `v1/search/${this.medium}/url`, content: { url: query.url, ...fields } };
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, Array.isArray(value) ? JSON.stringify(value) : String(value));
    form.append("file", query.file);
    return { path: `v1/search/${this.medium}/upload`, content: form };
  }

  show({ body, timing }, curl) {
    this.present(hitsCard(body, this.searched), rawCard(body, timing, curl));
    const count = body.results.length;
    this.page.announce(count ? `${count} found in the library.` : "Nothing like it is in the library.");
  }
}
