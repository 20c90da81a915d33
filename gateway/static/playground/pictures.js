// Two pictures side by side: the regions that agree, and the outline of each where the transform puts it in the other.

import { drawing, element, newId } from "./elements.js";
import { percent, score } from "./words.js";

const SHOWN_REGIONS = 8;

/** `sources` are what to show each side from: a URL, or null where there is nothing to show. */
export function picturesCard(body, sources) {
  const regions = (body.regions ?? []).slice(0, SHOWN_REGIONS);
  const sides = ["source", "target"].map((side, index) => new Side(side, sources[index], regions));
  const card = element(
    "section",
    { class: "card pictures" },
    element("h3", { text: regions.length ? "Where they agree" : "The two pictures" }),
    element("div", { class: "pair" }, ...sides.map((side) => side.element)),
    legend(regions),
  );
  Promise.all(sides.map((side) => side.size)).then((sizes) => {
    if (!body.transform?.matrix) return;
    if (!sizes.every(Boolean)) return;
    sides.forEach((side, index) => side.outline(body.transform.matrix, sizes, index));
    card.append(outlineNote(), overlay(body.transform.matrix, sources, sizes));
  });
  return card;
}

class Side {
  constructor(side, source, regions) {
    this.frame = element("div", { class: "picture" });
    this.caption = element("figcaption", { text: side === "source" ? "Source" : "Target" });
    this.element = element("figure", {}, this.frame, this.caption);
    this.marks = element("div", { class: "marks" });
    this.size = source ? this.show(source, side) : this.leaveOut("given by address and not loaded, so that its host learns nothing; the end of the page has a switch");
    regions.forEach((region, index) => this.mark(region[side], index));
  }

  show(source, side) {
    const image = element("img", { src: source, alt: `The ${side}`, referrerpolicy: "no-referrer" });
    this.frame.append(image, this.marks);
    return image.decode().then(
      () => ({ width: image.naturalWidth, height: image.naturalHeight }),
      () => { image.remove(); return this.leaveOut("this browser cannot show it"); },
    );
  }

  leaveOut(why) {
    this.frame.classList.add("is-blank");
    this.frame.append(this.marks);
    this.caption.append(`: ${why}`);
    return Promise.resolve(null);
  }

  mark(box, index) {
    const mark = element("span", { class: `region hue-${index % 5}` }, element("span", { text: index + 1 }));
    Object.assign(mark.style, { left: `${box.x * 100}%`, top: `${box.y * 100}%`, width: `${box.width * 100}%`, height: `${box.height * 100}%` });
    this.marks.append(mark);
  }

  /** The other picture's frame, with its upper edge thick; not where it bends away behind the eye. */
  outline(matrix, sizes, index) {
    const [own, other] = [sizes[index], sizes[1 - index]];
    const corners = project(index === 0 ? inverse(matrix) : matrix, [[0, 0], [other.width, 0], [other.width, other.height], [0, other.height]]);
    if (!corners) return;
    const points = (some) => some.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" ");
    this.marks.append(
      drawing(
        "svg",
        { viewBox: `0 0 ${own.width} ${own.height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        drawing("polygon", { points: points(corners), class: "halo" }),
        drawing("polygon", { points: points(corners) }),
        drawing("polyline", { points: points(corners.slice(0, 2)), class: "upper" }),
      ),
    );
  }
}

function legend(regions) {
  const items = regions.map((region, index) =>
    element("li", {}, element("span", { class: `swatch hue-${index % 5}`, text: index + 1 }), ` ${percent(region.source.width * region.source.height)} of the source lies on ${percent(region.target.width * region.target.height)} of the target, similarity ${score(region.score)}`),
  );
  return items.length ? element("ul", { class: "legend" }, ...items) : element("p", { class: "note", text: "No region of one was found in the other." });
}

function outlineNote() {
  return element("p", { class: "legend" }, element("span", {}, element("span", { class: "swatch dashed" }), " the outline of the other picture; the thick edge is its top"));
}

/** The source laid over the target by the transform: where they agree nothing moves as one fades into the other. */
function overlay(matrix, [source, target], [size, over]) {
  const [below, above] = [element("img", { src: target, alt: "", referrerpolicy: "no-referrer" }), element("img", { src: source, alt: "", class: "above", referrerpolicy: "no-referrer" })];
  const frame = element("div", { class: "picture laid", role: "img", "aria-label": "The source laid over the target" }, below, above);
  const slider = element("input", { type: "range", min: 0, max: 100, value: 50, id: newId("fade") });
  const fade = () => { above.style.opacity = slider.value / 100; };
  slider.addEventListener("input", fade);
  fade();
  Object.assign(above.style, { width: `${size.width}px`, height: `${size.height}px` });
  new ResizeObserver(() => {
    const [a, b, c, d, e, f, g, h, i] = matrix;
    const shown = below.clientWidth / over.width;
    above.style.transform = `scale(${shown}) matrix3d(${[a, d, 0, g, b, e, 0, h, 0, 0, 1, 0, c, f, 0, i].join(",")})`;
  }).observe(below);
  return element(
    "details",
    { class: "overlay" },
    element("summary", { text: "Lay the source over the target" }),
    element("figure", {}, frame, element("figcaption", {}, element("label", { for: slider.id, text: "Target" }), slider, element("span", { "aria-hidden": "true", text: "Source" }))),
  );
}

function project([a, b, c, d, e, f, g, h, i], points) {
  const projected = points.map(([x, y]) => [a * x + b * y + c, d * x + e * y + f, g * x + h * y + i]);
  return projected.every(([, , w]) => w > 1e-9) ? projected.map(([x, y, w]) => [x / w, y / w]) : null;
}

function inverse([a, b, c, d, e, f, g, h, i]) {
  const [A, B, C] = [e * i - f * h, f * g - d * i, d * h - e * g];
  const determinant = a * A + b * B + c * C;
  return [A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d].map((value) => value / determinant);
}
