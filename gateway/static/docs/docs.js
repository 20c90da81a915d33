// Renders /openapi.json. The viewer must not tell anyone that it runs, nor ask its maker for a logo.
import { init } from "./redoc.standalone.js";

const isOurs = (address) => new URL(address, location.href).origin === location.origin || address.startsWith("data:");
// The page's policy would stop both, too, but not without a complaint.
replaceSetter(HTMLImageElement.prototype, "src", function (set, address) {
  if (isOurs(String(address))) set.call(this, address);
});
HTMLImageElement.prototype.setAttribute = function (name, value) {
  if (name !== "src" || isOurs(String(value))) Element.prototype.setAttribute.call(this, name, value);
};
replaceSetter(Element.prototype, "innerHTML", function (set, html) {
  set.call(this, String(html).replaceAll(' style="', ' data-style="'));
  for (const part of this.querySelectorAll("[data-style]")) part.style.cssText = part.dataset.style;
});

function replaceSetter(prototype, name, change) {
  const property = Object.getOwnPropertyDescriptor(prototype, name);
  Object.defineProperty(prototype, name, { ...property, set(value) { change.call(this, property.set, value); } });
}

init("openapi.json", { disableTelemetry: true }, document.getElementById("reference"));
