/** One result in full: the picture with its boxes, every finding, and the raw document. */

import { page, pictureLink, readResult, token } from "./api.js";
import { emphasize, overlay } from "./boxes.js";
import { byId, element, foreign } from "./dom.js";
import { faceWords, failed, labelsOf, lessSure, linesOf, nameOf, percent, placesOf, retrying, sure } from "./findings.js";
import { detailLink, keysInOrder, picture } from "./gallery.js";
import { change, known, onChange, sentHere, state } from "./state.js";

const layers = { labels: true, faces: true, text: true };
let shown = null;
let pinned = null;

const dialog = byId("detail");

/** Open the result of a key. Throws ApiError when there is none. */
export async function openDetail(key) {
  const item = known.get(key) ?? (await readResult(key));
  known.set(key, item);
  shown = key;
  pinned = null;
  dialog.replaceChildren(head(item), element("div", { class: "detail-body" }, figure(item), element("div", { class: "facts" })));
  refresh();
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

export function closeDetail() {
  shown = null;
  if (dialog.open) dialog.close();
}

/** Called when the person closes the dialog, so that the address follows. */
export function onDetailClosed(listener) {
  dialog.addEventListener("close", () => shown && listener());
}

function head(item) {
  const keys = keysInOrder();
  const at = keys.indexOf(item.objectKey);
  const step = (by, words) =>
    element("button", { type: "button", class: "step", disabled: !(at >= 0 && keys[at + by]), onclick: () => go(by) }, words);
  return element(
    "header",
    { class: "detail-head" },
    element("h2", { id: "detail-title", tabindex: -1 }, foreign(nameOf(item.objectKey))),
    element("div", { class: "row" }, step(-1, "Newer"), step(1, "Older"), element("button", { type: "button", onclick: () => dialog.close() }, "Close")),
  );
}

function go(by) {
  const keys = keysInOrder();
  const next = keys[keys.indexOf(shown) + by];
  if (next !== undefined) location.replace(detailLink(next));
}

dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input, pre") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowLeft") go(-1);
  if (event.key === "ArrowRight") go(1);
});

// A click beside the dialog closes it.
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

// ---- the picture ----

function figure(item) {
  const frame = element("div", { class: "frame" });
  const note = element("p", { class: "quiet" });
  const lost = (words) => {
    frame.querySelector("img")?.remove();
    if (item.width && item.height) frame.style.aspectRatio = `${item.width} / ${item.height}`;
    frame.classList.add("empty");
    note.textContent = words;
  };
  showPicture(item, frame, lost);
  return element("figure", {}, element("div", { class: "stage" }, frame), element("figcaption", {}, note, element("div", { class: "layers row" })));
}

async function showPicture(item, frame, lost) {
  const key = item.objectKey;
  if (item.status === "failed" && !item.contentType) return lost("There is no picture to show.");
  if (page.uploads === "false") return lost("On the local cloud a saved page cannot load pictures; the boxes show where things are.");
  if (!token() && !sentHere.has(key)) return lost("Sign in to see the picture itself.");
  try {
    const source = sentHere.get(key) ?? item.imageUrl ?? (await pictureLink(key));
    if (shown !== key) return;
    const attributes = { alt: `The picture ${nameOf(key)}`, width: item.width, height: item.height };
    const image = picture(key, source, attributes, () => lost("The picture cannot be loaded; it may have been removed."));
    // Until it is there its stored size holds the place; a rotated picture then takes its own.
    image.addEventListener("load", () => {
      image.width = image.naturalWidth;
      image.height = image.naturalHeight;
    });
    frame.prepend(image);
  } catch (error) {
    lost(error.message);
  }
}

// ---- the findings ----

/** Draw what depends on the confidence, and on which boxes are wanted. */
function refresh() {
  const item = shown === null ? null : known.get(shown);
  if (!item) return;
  const places = placesOf(item);
  const frame = dialog.querySelector(".frame");
  frame.querySelector(".overlay")?.remove();
  frame.append(overlay(places.filter(({ layer }) => layers[layer])));
  dialog.querySelector(".layers").replaceChildren(...switches(places));
  const open = dialog.querySelector("details")?.open ?? false;
  const facts = dialog.querySelector(".facts");
  const focused = facts.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  facts.replaceChildren(...sections(item, places, open));
  if (focused) facts.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  emphasize(frame, pinned);
}

onChange(refresh);

function switches(places) {
  const names = { labels: "Labels", faces: "Faces", text: "Text" };
  return Object.entries(names)
    .filter(([layer]) => places.some((place) => place.layer === layer))
    .map(([layer, name]) => {
      const onchange = (event) => {
        layers[layer] = event.target.checked;
        const frame = dialog.querySelector(".frame");
        frame.querySelector(".overlay").replaceWith(overlay(places.filter((place) => layers[place.layer])));
      };
      const box = element("input", { type: "checkbox", checked: layers[layer], onchange });
      return element("label", { class: `layer ${layer}` }, box, ` ${name}`);
    });
}

function sections(item, places, open) {
  const parts = [];
  if (failed(item) || retrying(item)) {
    const title = retrying(item) ? "Retrying" : "This picture could not be analyzed";
    const { message = "", hint = "", code = "" } = item.error ?? {};
    parts.push(element("div", { class: "notice bad" }, element("b", {}, title), element("p", {}, message), hint && element("p", {}, hint), element("p", { class: "quiet" }, code)));
  } else {
    parts.push(slider());
    const feature = (name, key, rows) => parts.push(...section(item, name, key, rows));
    feature("Labels", "labels", labelsOf(item).map((label) => labelRow(label, places)));
    feature("Moderation", "moderation", (item.moderation ?? []).filter(sure).map((entry) => bar(entry.Name, entry.Confidence, entry.ParentName)));
    feature("Faces", "faces", (item.faces ?? []).map((face, index) => sure(face) && faceRow(face, index)).filter(Boolean));
    feature("Text", "text", linesOf(item).map((line, index) => sure(line) && lineRow(line, index)).filter(Boolean));
  }
  return [...parts, about(item), raw(item, open)];
}

function slider() {
  const value = element("output", {}, String(state.threshold));
  const oninput = (event) => change({ threshold: Number(event.target.value) });
  const input = element("input", { type: "range", class: "threshold", min: 50, max: 100, step: 1, value: state.threshold, "data-focus": "threshold", oninput });
  return element("label", { class: "tool" }, "Confidence from ", value, " % ", input);
}

/** A feature that was asked for: its findings, or why there are none. One that was not asked for is left out. */
function section(item, title, feature, rows) {
  const missing = item.unavailable?.[feature];
  const entries = item[feature];
  if (!missing && !entries) return [];
  const heading = element("h3", {}, title);
  if (missing) return [heading, element("p", { class: "quiet" }, `Not available here. ${missing.message}`)];
  if (rows.length) return [heading, element("ul", { class: "findings" }, ...rows)];
  const hidden = lessSure(feature === "text" ? linesOf(item) : entries);
  const words = hidden ? `Nothing from ${state.threshold} % (${hidden} less sure).` : "Looked, and found nothing.";
  return [heading, element("p", { class: "quiet" }, words)];
}

const listed = (entries) => (entries ?? []).map(({ Name }) => Name).join(", ");

function labelRow(label, places) {
  const row = `label ${label.Name}`;
  const boxes = places.filter((place) => place.row === row).length;
  const notes = [listed(label.Parents) && `in ${listed(label.Parents)}`, listed(label.Categories), boxes && `${boxes} ${boxes === 1 ? "box" : "boxes"}`];
  return bar(label.Name, label.Confidence, notes.filter(Boolean).join(" · "), boxes ? row : null);
}

const faceRow = (face, index) => bar(`Face ${index + 1}`, face.Confidence ?? 100, faceWords(face), face.BoundingBox && `Face ${index + 1}`);

const lineRow = (line, index) => bar(line.DetectedText, line.Confidence ?? 100, "", line.Geometry?.BoundingBox && `line ${index}`);

/** A finding with its confidence; one that has a place can be picked out in the picture. */
function bar(name, confidence, note, row = null) {
  const frame = () => dialog.querySelector(".frame");
  const fill = element("span", { class: "fill" });
  fill.style.width = `${confidence}%`;
  const pin = () => {
    pinned = pinned === row ? null : row;
    refresh();
  };
  const title = row
    ? element("button", { type: "button", class: "pick", "aria-pressed": String(pinned === row), "data-focus": row, onclick: pin }, foreign(name))
    : element("span", {}, foreign(name));
  const over = row ? { onmouseenter: () => emphasize(frame(), row), onmouseleave: () => emphasize(frame(), pinned) } : {};
  return element(
    "li",
    over,
    element("div", { class: "finding" }, title, element("span", { class: "track", "aria-hidden": "true" }, fill), element("span", { class: "number" }, percent(confidence))),
    note && element("p", { class: "quiet" }, foreign(note)),
  );
}

// ---- the rest ----

function about(item) {
  const models = Object.entries(item.models ?? {}).map(([feature, model]) => `${feature}: ${model}`);
  const facts = {
    "Object key": item.objectKey,
    Analyzed: `${new Date(item.analyzedAt).toLocaleString()}${item.durationMs ? `, in ${(item.durationMs / 1000).toFixed(1)} s` : ""}`,
    Picture: [item.width && `${item.width} x ${item.height} pixels`, item.sizeBytes && `${Math.ceil(item.sizeBytes / 1000)} kB`, item.contentType].filter(Boolean).join(", "),
    Models: models.join("; "),
  };
  const rows = Object.entries(facts).filter(([, value]) => value);
  return element("dl", { class: "about" }, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, foreign(value))]));
}

function raw(item, open) {
  const { imageUrl, ...stored } = item; // the link is a short-lived secret and no part of the result
  const text = JSON.stringify(stored, null, 2);
  const block = element("pre", { tabindex: 0, "aria-label": "Raw JSON" }, text);
  const copy = element("button", { type: "button", "data-focus": "copy", onclick: () => copied(text, copy, block) }, "Copy");
  return element("details", { open }, element("summary", { "data-focus": "raw" }, "Raw JSON"), copy, block);
}

async function copied(text, button, block) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(block);
    button.textContent = "Selected: copy it with the keyboard";
  }
}
