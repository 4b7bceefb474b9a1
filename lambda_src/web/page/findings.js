/** What a result item says, at the chosen confidence. Nothing here touches the page. */

import { state } from "./state.js";

/** The name the person knows: uploads of this page carry a time-ordered id before it. */
export const nameOf = (key) => key.replace(/^web\/[0-9A-Z]{26}-(?=.)/, "");

export const percent = (confidence) => `${confidence.toFixed(1)} %`;

/** An entry without a confidence is certain. */
export const sure = (entry) => (entry.Confidence ?? 100) >= state.threshold;

export const labelsOf = (item) => (item.labels ?? []).filter(sure);

export const linesOf = (item) => (item.text ?? []).filter((entry) => entry.Type !== "WORD");

// Lambda's two more tries come one and two minutes later.
const TRIED_FOR_MS = 10 * 60 * 1000;

export const retrying = (item) =>
  item.error?.triesLeft > 0 && Date.now() - Date.parse(item.analyzedAt) < TRIED_FOR_MS;

export const failed = (item) => item.status === "failed" && !retrying(item);

/** Why there are no findings. A stored hint holds while there are tries. */
export function reasonOf(item) {
  const { message = "", hint = "", code = "", retryable } = item.error ?? {};
  const over = retryable && !retrying(item);
  return { message, hint: over ? "No attempt is left: run imgpipe retry." : hint, code };
}

/** What a result lacks: features of newer ones, and local models. */
export const lacking = (item, features = []) => [
  ...features.filter((name) => !item.features?.includes(name)),
  ...[...(item.models?.labels ?? "").matchAll(/\bno-(\w+-model)\b/g)].map(([, name]) => name),
];

/** The way to get it. */
export const remedy = (lacks) =>
  `${/model/.test(lacks) ? "imgpipe local models fetch, then " : ""}imgpipe retry KEY... --again`;

/** The local moderation says in its version that it knows one label only. */
export const explicitOnly = (item) => (item.models?.moderation ?? "").includes("explicit-only");

export const flagged = (item) => (item.moderation ?? []).some(sure);

/** A few short texts for a card: labels, which can be searched for, else lines of text. */
export function highlights(item) {
  const found = labelsOf(item)
    .slice(0, 3)
    .map(({ Name, Confidence }) => [Name, Confidence, true]);
  if (found.length) return found;
  const lines = linesOf(item).filter(sure).slice(0, 2);
  return lines.map(({ DetectedText, Confidence }) => [DetectedText, Confidence]);
}

/** How many findings there are below the chosen confidence. */
export const lessSure = (entries) => entries.filter((entry) => !sure(entry)).length;

/** What Rekognition says about a face, in words. */
export function faceWords(face) {
  const words = [];
  if (face.AgeRange) words.push(`age ${face.AgeRange.Low} to ${face.AgeRange.High}`);
  const [emotion] = [...(face.Emotions ?? [])].sort((one, other) => other.Confidence - one.Confidence);
  if (emotion) words.push(`${emotion.Type.toLowerCase()} ${percent(emotion.Confidence)}`);
  if (face.Smile?.Value) words.push("smiling");
  if (face.Eyeglasses?.Value) words.push("glasses");
  return words.join(", ");
}

const unit = (value) => Math.min(Math.max(Number(value) || 0, 0), 1);

/** The part of a box that lies in the picture; Rekognition's may reach beyond. */
export function clamped({ Left = 0, Top = 0, Width = 0, Height = 0 }) {
  const [left, top] = [unit(Left), unit(Top)];
  return { left, top, width: unit(Left + Width) - left, height: unit(Top + Height) - top };
}

/** All in the picture that has a place; row says to which finding it belongs. */
export function placesOf(item) {
  const places = [];
  labelsOf(item).forEach(({ Name, Instances }) => {
    for (const { BoundingBox } of Instances ?? []) {
      if (BoundingBox)
        places.push({ layer: "labels", name: Name, row: `label ${Name}`, box: clamped(BoundingBox) });
    }
  });
  (item.faces ?? []).forEach((face, index) => {
    const name = `Face ${index + 1}`;
    if (sure(face) && face.BoundingBox)
      places.push({ layer: "faces", name, row: name, box: clamped(face.BoundingBox) });
  });
  linesOf(item).forEach((line, index) => {
    const { BoundingBox, Polygon } = line.Geometry ?? {};
    if (!sure(line) || !BoundingBox) return;
    const polygon = Polygon?.map(({ X, Y }) => `${unit(X)},${unit(Y)}`).join(" ");
    places.push({
      layer: "text",
      name: line.DetectedText,
      row: `line ${index}`,
      box: clamped(BoundingBox),
      polygon,
    });
  });
  return places;
}
