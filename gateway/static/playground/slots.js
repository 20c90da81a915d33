// One side of a pair, or a query: a file or an address.

import { copyOf, element, newId } from "./elements.js";
import { KINDS, bytes } from "./words.js";

export class Slot {
  /** `onFiles` is told of more files than one: the others are somebody else's. */
  constructor(title, medium, { takesFiles = true, onFiles = () => {} } = {}) {
    this.element = copyOf("slot").firstElementChild;
    this.title = title;
    this.onFiles = onFiles;
    const find = (selector) => this.element.querySelector(selector);
    [this.drop, this.preview, this.choose, this.input] = [".drop", ".preview", ".choose", "input[type=file]"].map(find);
    [this.chosen, this.problem, this.address] = [".chosen", ".problem", "input[type=url]"].map(find);
    find("h2").textContent = title;
    this.problem.id = newId("problem");
    this.address.setAttribute("aria-label", `${title}: address`);
    this.input.setAttribute("aria-label", `${title}: choose a file`);
    find(".chosen button").setAttribute("aria-label", `Remove the file of the ${title.toLowerCase()}`);
    for (const field of [this.input, this.address]) field.setAttribute("aria-describedby", this.problem.id);
    this.drop.hidden = !takesFiles;
    if (!takesFiles) find(".address span").textContent = "Its address";
    this.input.multiple = true;
    this.input.addEventListener("change", () => this.takeAll([...this.input.files]));
    find(".chosen button").addEventListener("click", () => { this.clear(); this.input.focus(); });
    this.address.addEventListener("input", () => { if (this.file) this.forget(); this.complain(""); });
    this.setMedium(medium, null);
  }

  setMedium(medium, limits) {
    this.medium = medium;
    this.limits = limits;
    this.input.accept = KINDS[medium].accept;
    const length = limits?.max_duration_seconds ? `, ${limits.max_duration_seconds} s` : "";
    this.element.querySelector(".limits").textContent = limits ? `up to ${bytes(limits.max_bytes)}${length}` : "";
  }

  get url() {
    return this.file ? "" : this.address.value.trim();
  }

  get isEmpty() {
    return !this.file && !this.url;
  }

  takeAll(files) {
    if (files.length) this.take(files[0]);
    if (files.length > 1) this.onFiles(files.slice(1));
  }

  take(file) {
    this.clear();
    this.file = file;
    this.objectUrl = URL.createObjectURL(file);
    this.address.value = "";
    this.chosen.querySelector(".file").textContent = `${file.name} · ${bytes(file.size)}`;
    this.chosen.hidden = false;
    this.choose.classList.add("is-small");
    this.preview.replaceChildren(this.player());
    this.preview.hidden = false;
    this.check();
  }

  /** What shows the file; where the browser cannot, it says so. */
  player() {
    const kind = this.kindOfFile();
    const name = { image: "img", video: "video", audio: "audio" }[kind];
    const media = element(name, { src: this.objectUrl, ...(kind === "image" ? { alt: `The ${this.title.toLowerCase()}` } : { controls: true, preload: "metadata", playsinline: true, "aria-label": `The ${this.title.toLowerCase()}` }) });
    if (kind === "video") media.muted = true;
    media.addEventListener("error", () => this.preview.replaceChildren(element("p", { class: "note", text: "This browser cannot show it. The mesh may still read it." })), { once: true });
    return media;
  }

  /** What the browser takes the file for, by its name; it may not know. */
  get saidKind() {
    return this.file.type.split("/")[0];
  }

  isForAnother() {
    return this.saidKind in KINDS && !KINDS[this.medium].takes.includes(this.saidKind);
  }

  /** A film may stand for its sound track, a still for a film. */
  kindOfFile() {
    return this.medium !== "audio" && this.saidKind in KINDS ? this.saidKind : this.medium;
  }

  forget() {
    if (this.objectUrl) URL.revokeObjectURL(this.objectUrl);
    this.file = this.objectUrl = null;
    this.input.value = "";
    this.chosen.hidden = this.preview.hidden = true;
    this.choose.classList.remove("is-small");
    this.preview.replaceChildren();
  }

  clear() {
    this.forget();
    this.address.value = "";
    this.complain("");
  }

  /** What is plainly wrong is said before anything is sent. */
  check() {
    let wrong = "";
    if (this.isEmpty) wrong = this.drop.hidden ? "Give an address." : "Choose a file or give an address.";
    else if (this.file && this.file.size === 0) wrong = "This file is empty.";
    else if (this.file && this.limits && this.file.size > this.limits.max_bytes) wrong = `This file has ${bytes(this.file.size)}; at most ${bytes(this.limits.max_bytes)} are taken.`;
    else if (this.file && this.isForAnother()) wrong = `This is ${KINDS[this.saidKind].one}, but ${KINDS[this.medium].one} is asked for here.`;
    else if (this.url && !isWebAddress(this.url)) wrong = "An address starts with https:// or http://.";
    this.complain(wrong);
    return !wrong;
  }

  complain(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
    this.element.classList.toggle("is-wrong", Boolean(text));
    const field = this.file ? this.input : this.address;
    for (const each of [this.input, this.address]) each.removeAttribute("aria-invalid");
    if (text) field.setAttribute("aria-invalid", "true");
  }

  focus() {
    (this.file ? this.input : this.address).focus();
  }
}

function isWebAddress(text) {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}
