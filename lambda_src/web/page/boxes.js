/** The boxes over a picture. Their places are shares of its size, so they fit. */

import { element, foreign, shape } from "./dom.js";

/** The overlay for these places; it covers its parent exactly. */
export function overlay(places) {
  const drawing = shape("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  const captions = [];
  for (const { layer, name, row, box, polygon } of places) {
    const { left, top, width, height } = box;
    const mark = polygon
      ? shape("polygon", { points: polygon })
      : shape("rect", { x: left, y: top, width, height });
    mark.setAttribute("class", `box ${layer}`);
    mark.dataset.row = row;
    drawing.append(mark);
    if (layer === "text") continue;
    const caption = element("span", { class: `caption ${layer}`, "data-row": row }, foreign(name));
    // A label's name stands above its box, a face's below: to tell them apart.
    caption.style.left = `${left * 100}%`;
    caption.style.top = `${(layer === "faces" ? top + height : top) * 100}%`;
    caption.classList.toggle("inside", layer === "faces" ? top + height > 0.95 : top < 0.05);
    captions.push(caption);
  }
  return element("div", { class: "overlay", "aria-hidden": "true" }, drawing, ...captions);
}

/** Make the boxes of one finding stand out; with null all are alike again. */
export function emphasize(root, row) {
  root.classList.toggle("one", row !== null);
  for (const part of root.querySelectorAll("[data-row]"))
    part.classList.toggle("on", part.dataset.row === row);
}
