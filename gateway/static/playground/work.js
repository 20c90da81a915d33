// Long work where it is seen: how far the upload is, how long it has taken, a way to stop it.

import { element } from "./elements.js";

export class Work {
  constructor(into, announce) {
    this.stopper = new AbortController();
    this.bar = element("progress", { "aria-label": "Progress" });
    this.phase = element("b");
    this.elapsed = element("span", { class: "note number", "aria-hidden": "true" });
    this.announce = announce;
    this.card = element("section", { class: "card working" }, element("p", {}, this.phase, " ", this.elapsed), this.bar, element("button", { type: "button", text: "Cancel", onclick: () => this.stopper.abort() }));
    into.replaceChildren(this.card);
    const started = performance.now();
    this.timer = setInterval(() => { this.elapsed.textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`; }, 100);
  }

  get signal() {
    return this.stopper.signal;
  }

  say(phase) {
    if (this.phase.textContent === phase) return;
    this.phase.textContent = phase;
    this.announce(phase);
  }

  uploaded(share, then) {
    if (share < 1) {
      this.say("Uploading");
      this.bar.value = share;
    } else {
      this.bar.removeAttribute("value");
      this.say(then);
    }
  }

  end() {
    clearInterval(this.timer);
    this.card.remove();
  }
}
