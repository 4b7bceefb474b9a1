/** One result in full: the picture with its boxes, every finding, and the raw document. */

import { page, pictureLink, readResult, token } from "./api.js";
import { emphasize, overlay } from "./boxes.js";
import { button, byId, div, element, foreign, quiet, span, timeText } from "./dom.js";
import {
  explicitOnly, faceWords, labelsOf, lacking, lessSure, linesOf, nameOf, percent, placesOf, reasonOf,
  remedy, retrying, sure,
} from "./findings.js";
import { detailLink, keysInOrder, listLink, picture } from "./gallery.js";
import { sizeText } from "./picture.js";
import { change, known, onChange, sentHere, state } from "./state.js";

let shown = null;
let pinned = null;

const dialog = byId("detail");

/** Open the result of a key. Throws ApiError when there is none. */
export async function openDetail(key) {
  const item = known.get(key) ?? (await readResult(key));
  known.set(key, item);
  shown = key;
  pinned = null;
  dialog.replaceChildren(
    head(item),
    div("detail-body", figure(item), element("div", {}, slider(), div("found"))),
  );
  refresh();
  if (!dialog.open) dialog.showModal();
  byId("detail-title").focus(); // what had the focus before is gone
  dialog.scrollTop = 0;
}

/** In the address too. */
export function closeDetail() {
  history.replaceState(null, "", listLink());
  shown = null;
  if (dialog.open) dialog.close();
}

// "close" may come after the next click, "cancel" before it or never.
dialog.addEventListener("cancel", closeDetail);
dialog.addEventListener("close", () => shown && !dialog.open && closeDetail());

function head(item) {
  const keys = keysInOrder();
  const at = keys.indexOf(item.objectKey);
  const step = (by, words) => button(words, () => go(by), { disabled: !(at >= 0 && keys[at + by]) });
  return element(
    "header",
    { class: "detail-head" },
    element("h2", { id: "detail-title", tabindex: -1 }, foreign(nameOf(item.objectKey))),
    div(
      "row",
      step(-1, "Previous"),
      step(1, "Next"),
      button("Close", closeDetail),
    ),
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
dialog.addEventListener("click", (event) => event.target === dialog && closeDetail());

// ---- the picture ----

function figure(item) {
  const frame = div("frame");
  const note = quiet();
  const lost = (words) => {
    frame.querySelector("img")?.remove();
    const { width = 4, height = 3 } = item;
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.maxWidth = `${(72 * width) / height}dvh`;
    frame.classList.add("empty");
    note.textContent = words;
  };
  showPicture(item, frame, lost);
  return element("figure", {}, div("stage", frame), element("figcaption", {}, note));
}

async function showPicture(item, frame, lost) {
  const key = item.objectKey;
  if (item.status === "failed" && !item.contentType) return lost("There is no picture to show.");
  if (page.bucket === "false")
    return lost("On the local cloud a saved page cannot load pictures; the boxes show where things are.");
  if (!token() && !sentHere.has(key)) return lost("Sign in to see the picture itself.");
  try {
    const source = sentHere.get(key) ?? item.imageUrl ?? (await pictureLink(key));
    if (shown !== key) return;
    const attributes = { alt: `The picture ${nameOf(key)}`, width: item.width, height: item.height };
    const image = picture(key, source, attributes, () =>
      lost("The picture cannot be loaded; it may have been removed."),
    );
    // Its stored size holds the place; a rotated picture then takes its own.
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
  frame.append(overlay(places));
  const open = dialog.querySelector("details")?.open ?? false;
  const found = dialog.querySelector(".found");
  const focused = found.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  found.replaceChildren(...sections(item, places, open));
  if (focused) found.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  emphasize(frame, pinned);
}

onChange(refresh);

function sections(item, places, open) {
  const rest = [about(item), raw(item, open)];
  if (item.status === "failed") return [reason(item), ...rest];
  const labels = labelsOf(item).map((label) => labelRow(label, places));
  const flags = (item.moderation ?? [])
    .filter(sure)
    .map((flag) => bar(flag.Name, flag.Confidence, flag.ParentName));
  const faces = (item.faces ?? []).map((face, index) => sure(face) && faceRow(face, index));
  const lines = linesOf(item).map((line, index) => sure(line) && lineRow(line, index));
  return [
    ...section(item, "Labels", "labels", labels),
    ...section(item, "Moderation", "moderation", flags),
    ...section(item, "Faces", "faces", faces.filter(Boolean)),
    ...section(item, "Text", "text", lines.filter(Boolean)),
    ...rest,
  ];
}

function reason(item) {
  const { message, hint, code } = reasonOf(item);
  const title = retrying(item) ? "Retrying" : "This picture could not be analyzed";
  const words = [message, hint].map((text) => element("p", {}, text));
  return div("notice bad", element("b", {}, title), words, quiet(code));
}

function slider() {
  const text = element("output", {}, String(state.threshold));
  const range = { type: "range", min: 50, max: 100, value: state.threshold };
  const input = element("input", { class: "threshold", ...range });
  input.addEventListener("input", () => {
    text.value = input.value;
    change({ threshold: Number(input.value) });
  });
  return element("label", { class: "tool" }, element("span", {}, "Confidence from ", text, " %"), input);
}

/** A feature that was asked for: its findings, or why none are shown. */
function section(item, title, feature, rows) {
  const missing = item.unavailable?.[feature];
  const entries = item[feature];
  const asked = missing || entries || item.features?.includes(feature);
  if (!asked) return [];
  const heading = element("h3", {}, title);
  if (!missing && !entries) return [heading, quiet("Left out without the token. Sign in to see it.")];
  if (missing) return [heading, quiet(`Not available here. ${missing.message}`)];
  const limits = feature === "moderation" && explicitOnly(item) ? [quiet("Only Explicit is looked for.")] : [];
  if (rows.length) return [heading, element("ul", { class: "findings" }, ...rows), ...limits];
  const hidden = lessSure(feature === "text" ? linesOf(item) : entries);
  const words = hidden
    ? `Nothing from ${state.threshold} % (${hidden} less sure).`
    : "Looked, and found nothing.";
  return [heading, quiet(words), ...limits];
}

const listed = (entries) => (entries ?? []).map(({ Name }) => Name).join(", ");

function labelRow(label, places) {
  const row = `label ${label.Name}`;
  const boxes = places.filter((place) => place.row === row).length;
  const notes = [
    listed(label.Parents) && `in ${listed(label.Parents)}`,
    listed(label.Categories),
    boxes && `${boxes} ${boxes === 1 ? "box" : "boxes"}`,
  ];
  return bar(label.Name, label.Confidence, notes.filter(Boolean).join(" · "), boxes ? row : null);
}

const faceRow = (face, index) =>
  bar(`Face ${index + 1}`, face.Confidence ?? 100, faceWords(face), face.BoundingBox && `Face ${index + 1}`);

const lineRow = (line, index) =>
  bar(line.DetectedText, line.Confidence ?? 100, "", line.Geometry?.BoundingBox && `line ${index}`);

/** A finding with its confidence; one with a place can be picked out in the picture. */
function bar(name, confidence, note, row = null) {
  const frame = () => dialog.querySelector(".frame");
  const fill = span("fill");
  fill.style.width = `${confidence}%`;
  const pin = () => {
    pinned = pinned === row ? null : row;
    refresh();
  };
  const title = row
    ? button(foreign(name), pin, { class: "pick", "aria-pressed": String(pinned === row), "data-focus": row })
    : element("span", {}, foreign(name));
  const over = row
    ? { onmouseenter: () => emphasize(frame(), row), onmouseleave: () => emphasize(frame(), pinned) }
    : {};
  const track = element("span", { class: "track", "aria-hidden": "true" }, fill);
  const finding = div("finding", title, track, span("number", percent(confidence)));
  return element("li", over, finding, note && quiet(foreign(note)));
}

// ---- the rest ----

function about(item) {
  const models = Object.entries(item.models ?? {}).map(([feature, model]) => `${feature}: ${model}`);
  const seconds = item.durationMs ? `, in ${(item.durationMs / 1000).toFixed(1)} s` : "";
  // The newest picture tells what is asked for now.
  const [newest = item.objectKey] = keysInOrder();
  const lacks = lacking(item, known.get(newest)?.features);
  const size = item.width && `${item.width} x ${item.height} pixels`;
  const facts = {
    "Object key": item.objectKey,
    Analyzed: timeText(item.analyzedAt) + seconds,
    Picture: [size, item.sizeBytes && sizeText(item.sizeBytes), item.contentType]
      .filter(Boolean)
      .join(", "),
    Models: models.join("; "),
    Lacks: lacks.length && `${lacks.join(", ")}: ${remedy(lacks)}`,
  };
  const rows = Object.entries(facts).filter(([, value]) => value);
  return element(
    "dl",
    { class: "about" },
    ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, foreign(value))]),
  );
}

function raw(item, open) {
  const { imageUrl, ...stored } = item; // the link is a short-lived secret and no part of the result
  const text = JSON.stringify(stored, null, 2);
  const block = element("pre", { tabindex: 0, "aria-label": "Raw JSON" }, text);
  const copy = button("Copy", () => copied(text, copy, block), { "data-focus": "copy" });
  return element("details", { open }, element("summary", { "data-focus": "raw" }, "Raw JSON"), copy, block);
}

async function copied(text, copy, block) {
  try {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(block);
    copy.textContent = "Selected: copy it with the keyboard";
  }
}
